"""What the pages of the catalog say, and what the public ones do not say."""

import os
import re
import subprocess
from pathlib import Path

import pytest

import loader
from loader._catalog import render
from loader._catalog.history import History
from loader._catalog.lineage import MOST_NODES, Node, lineage_svg, relatives
from loader._catalog.names import page_name
from loader._catalog.site import write_catalog
from loader._commands.app import COMMANDS
from loader._fetch.repository import open_repository
from loader._fetch.revision import Commit
from tests.helpers import dataset_history
from tests.helpers.recorded_dataset import make_git, make_recorded
from tests.helpers.written_records import (
    SECRET,
    SECRET_TEXT,
    commit,
    contents,
    git,
    make_family,
    manifest,
    run_catalog,
    secrets,
    sha256,
    write_records,
)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return make_family(tmp_path_factory.mktemp("repository") / "family")


@pytest.fixture(scope="module")
def site(repository, tmp_path_factory):
    output = tmp_path_factory.mktemp("site") / "site"
    write_catalog(output, repo=repository)
    return output


def test_the_names_of_pages_differ_whatever_the_file_system_takes_for_the_same():
    names = ["photos", "Photos", "PHOTOS", "caf\u00e9", "cafe\u0301", "con", "com1", "a" * 250, "a" * 249 + "b", "日本"]
    found = [page_name(name) for name in names]
    assert len({each.lower() for each in found}) == len(names)
    assert all(re.fullmatch(r"datasets/[a-z0-9_-]{1,100}\.html", each) for each in found)
    assert found[0] == "datasets/photos.html"
    assert found[5] != "datasets/con.html"


def test_nothing_of_a_private_dataset_is_in_the_public_site(repository, site):
    everything = b"".join(name.encode() + data for name, data in contents(site).items())
    for secret in secrets(repository):
        assert secret.encode() not in everything
    assert b"faces" in everything
    # the public grandparent is still a parent
    assert 'Derived from <a href="photos.html">' in (site / "datasets/faces.html").read_text().replace("<bdi>", "")


def test_the_history_of_a_public_dataset_tells_nothing_of_when_it_was_private(tmp_path):
    root = tmp_path / "repository"
    old = manifest("photos", version="0.9.0", description=SECRET_TEXT, parents=[SECRET])
    write_records(root, {SECRET: manifest(SECRET), "photos": old}, private=[SECRET, "photos"])
    make_git(root)
    commit(root)
    write_records(root, {SECRET: manifest(SECRET), "photos": manifest("photos", parents=[SECRET])}, private=[SECRET])
    commit(root)
    newer = manifest("photos", version="1.1.0", license="MIT", arguments={"from": SECRET})
    write_records(root, {SECRET: manifest(SECRET), "photos": newer}, private=[SECRET])
    commit(root)
    write_catalog(tmp_path / "site", repo=root)
    text = (tmp_path / "site/datasets/photos.html").read_text()
    assert "license: CC BY 4.0 → MIT" in text
    assert "1.0.0" in text
    for secret in ("0.9.0", SECRET, SECRET_TEXT, sha256("photos 0.9.0")[:12], sha256(f"{SECRET} 1.0.0")[:12]):
        assert secret not in text
    write_catalog(tmp_path / "site", repo=root, private=True)
    text = (tmp_path / "site/datasets/photos.html").read_text()
    assert "0.9.0" in text
    assert f"parent {SECRET}" in text


def test_a_parent_that_is_no_longer_there_is_not_named_because_it_may_have_been_private(tmp_path):
    root = tmp_path / "repository"
    write_records(root, {"photos": manifest("photos", parents=[SECRET])})
    write_catalog(tmp_path / "site", repo=root)
    assert SECRET not in (tmp_path / "site/datasets/photos.html").read_text()
    write_catalog(tmp_path / "site", repo=root, private=True)
    text = (tmp_path / "site/datasets/photos.html").read_text()
    assert f"Derived from <bdi>{SECRET}</bdi> 1.0.0" in text


def test_the_history_of_a_public_dataset_does_not_tell_the_name_that_it_had(tmp_path):
    root = tmp_path / "repository"
    write_records(root, {SECRET: manifest(SECRET)}, private=[SECRET])
    make_git(root)
    commit(root)
    (root / f"artifacts/{SECRET}.json").unlink()
    write_records(root, {"open_ones": {**manifest(SECRET), "name": "open_ones"}})
    commit(root)
    write_catalog(tmp_path / "site", repo=root)
    assert SECRET.encode() not in b"".join(contents(tmp_path / "site").values()).replace(
        f"All about {SECRET}".encode(), b""
    ).replace(f"@misc{{{SECRET}}}".encode(), b"").replace(f"{SECRET}.tar".encode(), b"")


@pytest.mark.parametrize("is_url", [False, True])
def test_the_versions_are_those_of_loader_versions_with_merges_and_former_names(tmp_path, is_url):
    root = tmp_path / "repository"
    if not is_url:  # the datasets are a folder of a larger repository
        root.mkdir()
        git(root, "init", "--quiet")
        root = root / "data"

    def record(name, *versions):
        for version in versions:
            photos = manifest(name, version=version, description="By this, git knows it again. " * 100)
            write_records(root, {name: photos, "faces": manifest("faces")})
            if is_url and not (root / ".git").exists():
                make_git(root)
            commit(root)

    record("pictures", "0.1.0", "0.2.0")
    git(root, "mv", "artifacts/pictures.json", "artifacts/photos.json")
    record("photos", "0.3.0", "0.4.0")
    git(root, "checkout", "--quiet", "-b", "side")
    record("photos", "0.5.0")
    git(root, "checkout", "--quiet", "-")
    record("photos", "0.6.0")
    assert git(root, "merge", "--quiet", "side").returncode  # a conflict
    record("photos", "0.7.0")
    git(root, "tag", "photos@v0.7.0")
    git(root, "checkout", "--quiet", "-b", "other", "HEAD~1")
    (root / "notes.txt").write_text("nothing of a dataset")
    commit(root)
    git(root, "checkout", "--quiet", "-")
    git(root, "merge", "--quiet", "--no-edit", "other")
    repo = root.as_uri() if is_url else str(root)
    repository = open_repository(repo)
    end = repository.git.commit("HEAD")
    entry = loader.info("photos", repo=repo)
    history = History(repository, end, Commit(repository.git, end), ["photos", "faces"], None)
    found, older = history.versions(entry)
    assert [each.entry for each in found] == loader.versions("photos", repo=repo)
    assert {each.entry.version for each in found} == {f"0.{number}.0" for number in range(1, 8)}
    assert {each.entry.name for each in found} == {"photos", "pictures"}
    assert older == 0
    changed = {(each.difference.old_version, each.difference.new_version) for each in found if each.difference}
    assert {("0.1.0", "0.2.0"), ("0.3.0", "0.4.0")} <= changed


def test_without_a_part_of_the_history_the_pages_have_no_versions_and_a_warning_says_so(tmp_path):
    root = tmp_path / "repository"
    write_records(root, {"photos": manifest("photos")})
    make_git(root)
    commit(root)
    head = git(root, "rev-parse", "HEAD^{tree}").stdout.strip()
    (root / f".git/objects/{head[:2]}/{head[2:]}").unlink()
    written = write_catalog(tmp_path / "site", repo=root)
    assert len(written.problems) == 1
    assert "lacks" in written.problems[0]
    assert 'id="versions"' not in (tmp_path / "site/datasets/photos.html").read_text()


def test_versions_say_how_many_examples_changed_if_their_indexes_are_at_hand(tmp_path):
    history = dataset_history.History(tmp_path / "repository")
    history.commit(dataset_history.records_of(train=range(100), test=range(100, 110)))
    history.commit(
        dataset_history.records_of(train=range(5, 120), test=range(100, 110)), version="1.1.0", toolchain={"numpy": "3"}
    )
    write_catalog(tmp_path / "site", repo=history.root)
    text = (tmp_path / "site/datasets/small.html").read_text()
    assert "version: 1.0.0 → 1.1.0" in text
    assert "toolchain numpy: 3, new" in text
    row = re.search(r'<th scope="row">train</th>(.*?)</tr>', text.partition("Changes of 1.1.0")[2])[1]
    assert re.findall(">([0-9,]+)<", row) == ["100", "115", "20", "5", "0", "95", "0"]
    # the older artifact is gone
    older = history.root / ".dvc/cache"
    older.rename(tmp_path / "elsewhere")
    write_catalog(tmp_path / "site", repo=history.root)
    text = (tmp_path / "site/datasets/small.html").read_text()
    assert "version: 1.0.0 → 1.1.0" in text
    assert "examples not compared" in text
    assert str(tmp_path) not in text


def test_examples_are_shown_only_of_an_artifact_at_hand(repository, site, tmp_path):
    assert "train 0" in (site / "datasets/small.html").read_text()
    assert "python -m loader show photos" in (site / "datasets/photos.html").read_text()
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", repository, clone], check=True)
    assert write_catalog(tmp_path / "site", repo=clone).with_examples == 0
    assert "was not on the machine that made this page" in (tmp_path / "site/datasets/small.html").read_text()


def test_a_damaged_artifact_is_a_warning_and_its_page_has_no_examples(tmp_path):
    root = make_recorded(tmp_path / "repository")
    tar = root / "artifacts/small.tar"
    data = tar.read_bytes()
    start = data.index(b"small-train.tfrecord-00000-of-00002\0")
    tar.write_bytes(data[:start] + bytes(len(data) - start))  # the index header is before the shards
    done = run_catalog("--repo", root, "--output", tmp_path / "site")
    assert done.returncode == 0
    assert done.stdout == f"{tmp_path}/site/index.html: 1 dataset, 0 with examples\n"
    assert done.stderr.startswith("warning: ")
    assert "Traceback" not in done.stderr
    assert "They could not be read on the machine" in (tmp_path / "site/datasets/small.html").read_text()


@pytest.mark.parametrize("damage", ["truncated", "unreadable"])
def test_an_artifact_whose_index_cannot_be_read_is_a_warning_too(tmp_path, monkeypatch, damage):
    root = make_recorded(tmp_path / "repository")
    tar = root / "artifacts/small.tar"
    if damage == "truncated":
        os.truncate(tar, 100)
    else:  # the fault is injected, because root can read every file
        opened = os.open

        def refuse(path, *arguments, **options):
            if path == tar:
                raise PermissionError(13, "Permission denied")
            return opened(path, *arguments, **options)

        monkeypatch.setattr(os, "open", refuse)
    written = write_catalog(tmp_path / "site", repo=root)
    assert written.with_examples == 0
    [problem] = written.problems
    assert str(tar) in problem
    assert ("chmod u+r" in problem) == (damage == "unreadable")
    text = (tmp_path / "site/datasets/small.html").read_text()
    assert "They could not be read on the machine" in text
    assert str(root) not in text


def test_the_same_state_gives_the_same_bytes_wherever_it_is(repository, site, tmp_path):
    write_catalog(tmp_path / "again", repo=repository)
    assert contents(tmp_path / "again") == contents(site)
    assert str(repository).encode() not in b"".join(contents(site).values())
    commit_hash = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=repository, check=True, capture_output=True, text=True
    ).stdout.strip()
    assert f"Made from commit <code>{commit_hash[:12]}</code>." in (site / "index.html").read_text()
    write_catalog(tmp_path / "by_rev", repo=repository, rev=commit_hash)
    assert (tmp_path / "by_rev/index.html").read_bytes() == (site / "index.html").read_bytes()


def test_changes_that_are_not_committed_are_said(tmp_path):
    root = tmp_path / "repository"
    write_records(root, {"photos": manifest("photos")})
    write_catalog(tmp_path / "site", repo=root)
    assert "Made from files that are not committed." in (tmp_path / "site/index.html").read_text()
    make_git(root)
    commit(root)
    write_records(root, {"photos": manifest("photos", license="MIT")})
    write_catalog(tmp_path / "site", repo=root)
    assert "with changes that are not committed" in (tmp_path / "site/index.html").read_text()


def test_a_catalog_of_a_url_names_the_url_in_the_lines_to_load(repository, tmp_path):
    write_catalog(tmp_path / "site", repo=repository.as_uri())
    text = (tmp_path / "site/datasets/photos.html").read_text()
    assert f"repo=&quot;{repository.as_uri()}&quot;" in text
    assert f"--repo {repository.as_uri()}" in text


def test_an_unreadable_manifest_and_an_empty_repository_have_pages_too(tmp_path):
    root = tmp_path / "repository"
    write_records(root, {})
    assert write_catalog(tmp_path / "site", repo=root).datasets == 0
    assert "There are no datasets to show." in (tmp_path / "site/index.html").read_text()
    write_records(root, {"photos": manifest("photos")})
    (root / "artifacts/photos.json").write_text("{}")
    written = write_catalog(tmp_path / "site", repo=root)
    assert written.datasets == 1
    assert "artifacts/photos.json is not a usable manifest" in "".join(written.problems)
    text = (tmp_path / "site/datasets/photos.html").read_text()
    assert "Its records could not be read." in text
    assert str(root) not in text


def test_unreadable_statistics_are_a_warning_and_their_page_says_so(tmp_path):
    root = make_recorded(tmp_path / "repository")
    (root / "artifacts/small.stats.json").write_text("{")
    written = write_catalog(tmp_path / "site", repo=root)
    assert written.with_examples == 1
    assert "artifacts/small.stats.json" in "".join(written.problems)
    text = (tmp_path / "site/datasets/small.html").read_text()
    assert "They could not be read. <code>python -m loader info small</code> says why." in text


def test_the_command_says_what_it_wrote(repository, tmp_path):
    done = run_catalog("--repo", repository, "--output", tmp_path / "site")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{tmp_path}/site/index.html: 5 datasets, 1 with examples; 1 private left out\n"
    assert run_catalog("--repo", tmp_path, "--output", tmp_path / "site").returncode == 1


def test_the_lineage_of_many_datasets_is_drawn_from_left_to_right():
    children = {"root": [f"child_{number}" for number in range(100)]}
    parents = {child: ["root"] for child in children["root"]}
    names = relatives("root", parents, children)
    assert len(names) == MOST_NODES
    nodes = {name: Node(name, "1.0.0", tuple(parents.get(name, ()))) for name in names}
    drawn = lineage_svg("root", nodes, lambda name: f"{name}.html")
    assert drawn.count("<a ") == MOST_NODES - 1
    circle = {"a": Node("a", "", ("b",)), "b": Node("b", "", ("a",))}
    assert lineage_svg("a", circle, str).count("<rect") == 2
    diamond = {"a": Node("a", "1", ()), "b": Node("b", "1", ("a",)), "c": Node("c", "1", ("a", "b"))}
    columns = [int(x) for x in re.findall(r'<rect x="(\d+)"', lineage_svg("a", diamond, str))]
    assert sorted(columns) == columns
    assert len({*columns}) == 3
    assert lineage_svg("a", diamond, str).count('class="edge"') == 3


def test_the_commands_on_pages_exist():
    folder = Path(render.__file__).parent / "templates"
    text = "".join(path.read_text() for path in folder.iterdir())
    makefile = (Path(__file__).resolve().parents[2] / "Makefile").read_text()
    targets = re.findall(r"make ([a-z-]+)", text)
    assert targets
    assert set(targets) <= set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    assert set(re.findall(r'page\.command\("(\w+)"\)', text)) <= set(COMMANDS)
