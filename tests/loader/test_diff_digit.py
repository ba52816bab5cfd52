"""Differences on real history: `digit` loses a speaker, some of its recordings are clipped, and a label is fixed."""

import hashlib
import json
import re
import shutil
import sys
from contextlib import contextmanager

import pytest

from loader._format.names import object_path
from loader._format.standalone import open_tar
from tests.conftest import Clone, Remote
from tests.helpers.s3_proxy import running_proxy

CLIPPED = """\
                    data = tar.extractfile(member).read()
                    if user == "nicolas" and digit == "7":
                        data = data[:44] + np.clip(np.frombuffer(data[44:], np.int16), -2000, 2000).tobytes()
                    yield ("""
COMMIT = ("git", "-c", "user.name=test", "-c", "user.email=test@example.org", "commit", "--quiet", "-a", "-m", "1.1.0")


@pytest.fixture(scope="module")
def changed(built, tmp_path_factory):
    """A clone whose last commit changed `digit`, with both versions in DVC's cache."""
    root = tmp_path_factory.mktemp("changed") / "clone"
    shutil.copytree(built("digit").root, root, symlinks=True)
    clone = Clone(root)
    clone.run("git", "add", "--all")
    clone.run(*COMMIT[:-1], "1.0.8", "--allow-empty")
    builder, params = root / "datasets/standard/digit/digit.py", root / "params.yaml"
    text = builder.read_text()
    for old, new in (
        ('_USERS = ("jackson", "nicolas", "theo")', '_USERS = ("jackson", "nicolas")'),
        ('Version("1.0.8")', 'Version("1.1.0")'),
        ("                    yield (", CLIPPED),
        ("tar.extractfile(member).read()),", "data),"),
        ("int(digit),", 'int(digit) if filename != "8_jackson_12.wav" else 3,'),
    ):
        assert old in text
        text = text.replace(old, new)
    builder.write_text(text)
    params.write_text(params.read_text().replace("version: 1.0.8", "version: 1.1.0"))
    clone.run("dvc", "repro", "digit")
    assert "450" in loader(clone, "diff", "digit").stdout  # the work tree and HEAD
    clone.run("git", "add", "--all")
    clone.run(*COMMIT)
    return clone


def loader(clone, *arguments, check=True, **environment):
    return clone.run(sys.executable, "-m", "loader", *arguments, check=check, env=environment)


def compare(clone, *arguments, **environment):
    return json.loads(loader(clone, "diff", "digit", *arguments, "--json", **environment).stdout)


def test_the_dropped_speaker_the_clipped_recordings_and_the_fixed_label_are_found(changed):
    found = compare(changed, "HEAD~1", "HEAD", "--show", "100")
    (config,) = found["configs"]
    keys = ("split", "old", "new", "added", "removed", "changed", "unchanged", "moved")
    assert [[split[key] for key in keys] for split in config["splits"]] == [
        ["train", 1350, 900, 0, 450, 46, 854, 0],
        ["test", 150, 100, 0, 50, 5, 95, 0],
    ]
    assert config["changed_features"] == {"audio": 50, "label": 1}
    (label,) = (c for each in config["examples"] for c in each["changes"] if c["feature"] == "label")
    assert (label["old"], label["new"]) == ("8", "3")
    assert label["how"] == "8 -> 3"
    assert len(config["removed_examples"]) == 100
    assert {each["values"]["user"] for each in config["removed_examples"]} == {repr(b"theo")}
    assert {"name": "version", "old": "1.0.8", "new": "1.1.0"} in found["metadata"]


def test_without_arguments_the_work_tree_is_compared_with_head(changed):
    assert compare(changed)["status"] == "same"
    assert "no difference" in loader(changed, "diff", "digit").stdout


def test_the_exit_code_tells_whether_there_is_a_difference_or_an_error(changed):
    codes = [
        loader(changed, "diff", "digit", *arguments, "--exit-code", check=False).returncode
        for arguments in (("HEAD",), ("HEAD~1",), ("nowhere",))
    ]
    assert codes == [0, 1, 2]
    failed = loader(changed, "diff", "digit", "nowhere", check=False)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert re.fullmatch("error: .* has no revision 'nowhere'\n", failed.stderr)


def test_the_page_has_both_recordings_and_their_difference_beside_each_other(changed, tmp_path):
    page = tmp_path / "diff.html"
    loader(changed, "diff", "digit", "HEAD~1", "--html", str(page))
    text = page.read_text()
    assert text.count("<audio") == 20 * 3 + 20  # old, new and difference of the changed ones, and the removed ones
    assert "7_nicolas_" in text
    assert not re.search(r"""(src|href)=["']?https?:""", text)


def test_the_report_of_a_branch_names_what_it_does_to_the_dataset(changed):
    text = loader(changed, "report", "--base", "HEAD~1").stdout
    assert "### digit 1.0.8 → 1.1.0" in text
    assert "| train | 1,350 | 900 | 0 | 450 | 46 | 854 | 0 |" in text
    assert "3 datasets are unchanged." in text


def test_of_the_old_version_on_s3_only_the_record_index_moves(changed, tmp_path, s3_server):
    clone, remote, old_tar = with_remote(changed, tmp_path, s3_server)
    remote.publish(old_tar)
    header = open_tar(old_tar).header
    old_tar.unlink()
    with behind_proxy(clone, s3_server) as proxy:
        found = compare(clone, "HEAD~1", DATASETS_REPO=str(clone.root))
        assert found["bytes_fetched"] == proxy.bytes_transferred == len(header.render()) + header.rows.size
    assert found["configs"][0]["splits"][0]["removed"] == 450


def test_of_the_new_version_on_s3_only_what_changed_moves(changed, tmp_path, s3_server):
    clone, remote, old_tar = with_remote(changed, tmp_path, s3_server)
    tar = clone.root / "artifacts/digit.tar"
    remote.publish(tar)
    new = tar.read_bytes()
    tar.unlink()
    shutil.copyfile(old_tar, tar)  # as after `git pull`
    (clone.root / ".dvc/cache" / object_path(hashlib.md5(new).hexdigest())).unlink()
    with behind_proxy(clone, s3_server) as proxy:
        loader(clone, "fetch", "digit", DATASETS_CACHE=str(tmp_path / "cache"))
        # the record index, 51 of 1,000 records, and a little between them
        assert proxy.bytes_transferred < 0.1 * len(new)
    [fetched] = (tmp_path / "cache").glob("artifacts/*/digit.tar")
    assert fetched.read_bytes() == new


def with_remote(changed, tmp_path, s3_server):
    """A copy of the clone that has a remote, the remote, and the old tar in DVC's cache."""
    clone = Clone(tmp_path / "clone")
    shutil.copytree(changed.root, clone.root, symlinks=True)
    remote = Remote(s3_server, tmp_path)
    remote.point(clone.root)
    new_md5 = hashlib.md5((clone.root / "artifacts/digit.tar").read_bytes()).hexdigest()
    cache = clone.root / ".dvc/cache/files/md5"
    (old_tar,) = (
        path
        for path in cache.glob("*/*")
        if path.stat().st_size > 1_000_000 and object_path(new_md5) not in str(path) and is_digit(path)
    )
    return clone, remote, old_tar


@contextmanager
def behind_proxy(clone, s3_server):
    """Put a proxy in front of the clone's remote, and return it."""
    with running_proxy(s3_server.endpoint) as proxy:
        local = clone.root / ".dvc/config.local"
        local.write_text(re.sub("endpointurl = .*", f"endpointurl = {proxy.url}", local.read_text()))
        yield proxy


def is_digit(path):
    return open_tar(path).manifest.name == "digit"
