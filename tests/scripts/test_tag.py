"""`make tag`: a dataset is released by a tag that git, GTO and DVC read, if all that the tag promises is true."""

import hashlib
import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml

from loader import FetchError
from scripts._build.manifest import write_descriptions
from scripts._build.statistics.compute import Statistician
from scripts._define.artifact_entries import artifact_entries
from scripts._define.definition import read_definition
from scripts._process.errors import ScriptError
from scripts.push import push
from scripts.tag import tag
from tests.helpers.commented_repository import git_commit
from tests.helpers.dataset_history import History, records_of
from tests.helpers.editing import edit
from tests.helpers.recorded_dataset import make_dvc, make_recorded, record_artifacts

ROOT = Path(__file__).resolve().parents[2]
TAG = "small@v1.0.0"


@pytest.fixture(autouse=True)
def only_this_repository_sets_up_git(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (tmp_path / "home").mkdir()


@pytest.fixture
def unpushed(tmp_path, remote):
    """A repository of one dataset, which is built and committed."""
    root = make_recorded(tmp_path / "repository")
    make_dvc(root, ROOT / ".dvc/config")
    (root / ".gitignore").write_text("/artifacts/*.tar\n/.scratch/\n__pycache__/\n*.bin\n")
    (root / "datasets/standard/small/small.py").write_text("# a builder\n")
    remote.point(root)
    git_commit(root)
    git(root, "config", "user.name", "test")
    git(root, "config", "user.email", "test@example.org")
    return root


@pytest.fixture
def root(unpushed):
    push("small", public=True, root=unpushed)
    return unpushed


def git(root, *arguments):
    return subprocess.run(["git", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def tags(root):
    return git(root, "tag").split()


def refusal(root, *names, sign=False):
    """Why datasets are not released; the tags are those that were there before."""
    before = git(root, "for-each-ref")
    with pytest.raises((ScriptError, FetchError)) as raised:
        tag(names or ["small"], sign=sign, root=root)
    assert git(root, "for-each-ref") == before
    text = str(raised.value)
    assert "\n" not in text
    return text


def make_key(root, tmp_path):
    """Set up git to sign with a new SSH key, and return the file that names it as allowed."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    git(root, "config", "gpg.format", "ssh")
    git(root, "config", "user.signingkey", str(tmp_path / "key.pub"))
    allowed = tmp_path / "allowed_signers"
    allowed.write_text(f"test@example.org {(tmp_path / 'key.pub').read_text()}")
    git(root, "config", "gpg.ssh.allowedSignersFile", str(allowed))


def test_a_release_is_an_annotated_tag_that_says_what_it_releases(root):
    (release,) = tag(["small"], root=root)
    assert tags(root) == [TAG] == list(release.tags)
    assert git(root, "cat-file", "-t", TAG) == "tag"
    assert git(root, "rev-parse", f"{TAG}^{{commit}}") == git(root, "rev-parse", "HEAD")
    manifest = json.loads((root / "artifacts/small.json").read_bytes())
    sha256 = git(root, "cat-file", "blob", f"{TAG}:artifacts/small.json").encode()
    assert git(root, "tag", "--list", "--format=%(contents)", TAG).splitlines() == [
        "small 1.0.0",
        "",
        "5,300 examples in train, 70 examples in test",
        "",
        f"artifacts/small.tar: SHA-256 {manifest['artifacts']['small.tar']['sha256']}",
        f"artifacts/small.json: SHA-256 {hash_of(root / 'artifacts/small.json')}",
    ]
    assert sha256.strip() == (root / "artifacts/small.json").read_bytes().strip()
    assert [stored.proof for stored in release.stored] == ["its SHA-256"]


def hash_of(path):
    return subprocess.run(["sha256sum", path], check=True, capture_output=True, text=True).stdout.split()[0]


def test_gto_lists_a_release_and_dvc_gets_it(root, tmp_path):
    tag(["small"], root=root)
    shown = subprocess.run(["gto", "show", "--json"], cwd=root, check=True, capture_output=True, text=True).stdout
    assert json.loads(shown)["small"]["version"] == "v1.0.0"
    got = tmp_path / "got.tar"
    command = ["dvc", "artifacts", "get", root, "small", "--rev", "v1.0.0", "--out", got]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert got.read_bytes() == (root / "artifacts/small.tar").read_bytes()


def test_the_loader_reads_the_released_version(root):
    import loader

    tag(["small"], root=root)
    (version,) = loader.versions("small", repo=root)
    assert version.tags == (TAG,)
    info, _ = loader.load("small", version="1.0.0", repo=root)
    assert info.version == "1.0.0"


def test_the_tag_is_on_the_commit_that_recorded_the_dataset(root):
    recorded = git(root, "rev-parse", "HEAD")
    with (root / "params.yaml").open("a") as file:
        file.write("other: {builder: other, version: 1.0.0, license: CC0}\n")
    with (root / "dvc.yaml").open("a") as file:
        file.write("  other:\n    cmd: x\n    outs: [artifacts/other.tar]\n")
    git_commit(root)
    (release,) = tag(["small"], root=root)
    assert [each.commit for each in release.missing] == [recorded]
    git(root, "tag", "-d", TAG)
    edit(root / "dvc.yaml", "labels: [standard]", "labels: [standard, digits]")
    git_commit(root)
    described = git(root, "rev-parse", "HEAD")
    (root / "README.md").write_text("# text\n")
    git_commit(root)
    (release,) = tag(["small"], root=root)
    assert [each.commit for each in release.missing] == [described]


def test_of_a_merged_branch_the_merge_is_tagged(root):
    main = git(root, "branch", "--show-current")
    git(root, "switch", "--quiet", "--create", "branch")
    (root / "datasets/standard/small/README.md").write_text("# small\n")
    git_commit(root)
    git(root, "switch", "--quiet", main)
    (root / "README.md").write_text("# text\n")
    git_commit(root)
    git(root, "merge", "--quiet", "--no-edit", "branch")
    merge = git(root, "rev-parse", "HEAD")
    (root / "README.md").write_text("# other text\n")
    git_commit(root)
    (release,) = tag(["small"], root=root)
    assert [each.commit for each in release.missing] == [merge]


def test_a_release_is_made_once(root):
    tag(["small"], root=root)
    before = git(root, "rev-parse", TAG)
    (release,) = tag(["small"], root=root)
    assert release.missing == ()
    assert git(root, "rev-parse", TAG) == before


def test_the_command_says_how_to_publish_the_tag(root, monkeypatch, capsys):
    from scripts import tag as command

    monkeypatch.setattr(command.tag, "__kwdefaults__", {"sign": False, "root": root})
    command.command(["small"])
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.startswith("small: on the remote at s3://public/")
    assert first.endswith("checked by its SHA-256")
    assert second == f"small: tagged commit {git(root, 'rev-parse', 'HEAD')[:7]} as {TAG}"
    assert last == f"publish with: git push origin {TAG}"
    command.command(["small"])
    assert capsys.readouterr().out.splitlines() == [f"small: {TAG} exists already, with the same content", last]
    with (root / "artifacts/small.json").open("a") as file:
        file.write(" ")
    record_artifacts(root)
    command.command(["small"])
    assert capsys.readouterr().out.splitlines() == [
        f"small: {TAG} exists already, with the same content; artifacts/small.json has changed since, so that "
        "loader.load(..., trust=) refuses it without version=; to release it, raise the version in params.yaml and in "
        "the builder, and build it again with: make build DATASET=small",
        last,
    ]
    git(root, "init", "--quiet", "--bare", str(root.parent / "origin.git"))
    git(root, "remote", "add", "origin", str(root.parent / "origin.git"))
    git(root, *last.partition(": git ")[2].split())
    assert git(root, "ls-remote", "--tags", "origin").count(TAG) == 2  # the tag, and the commit that it is on


def test_an_artifact_that_was_not_pushed_is_not_released(unpushed):
    text = refusal(unpushed)
    assert "small: small.tar is not on its remote (s3://public/" in text
    assert text.endswith("push it with: make push DATASET=small PUBLIC=1")


def test_an_artifact_that_is_damaged_on_the_remote_is_not_released(root, remote):
    (key,) = remote.keys("public")
    data = bytearray(remote.read(key))
    data[5000] ^= 1
    remote.write(key, bytes(data))
    assert "does not have the content of small.tar, judged by its MD5; push it again with: make push" in refusal(root)


def test_a_release_needs_no_artifact_on_this_machine(root):
    (root / "artifacts/small.tar").unlink()
    (release,) = tag(["small"], root=root)
    assert [stored.proof for stored in release.stored] == ["its MD5"]


@pytest.mark.parametrize("is_right", [True, False])
def test_an_object_of_which_the_remote_proves_nothing_is_read_back(root, remote, monkeypatch, is_right):
    from scripts._dvc.remote_object import RemoteObject

    head = RemoteObject.head
    silent = ("ContentLength",)  # as with encryption by a key
    monkeypatch.setattr(RemoteObject, "head", lambda self: {key: head(self)[key] for key in silent})
    if is_right:
        (release,) = tag(["small"], root=root)
        assert [stored.proof for stored in release.stored] == ["its bytes"]
    else:
        (key,) = remote.keys("public")
        remote.write(key, bytes(len(remote.read(key))))
        assert "judged by its bytes" in refusal(root)


@pytest.mark.slow
def test_a_remote_that_does_not_answer_is_named(root):
    path = root / ".dvc/config.local"
    lines = [
        "endpointurl = http://127.0.0.1:9" if "endpointurl" in line else line for line in path.read_text().split("\n")
    ]
    path.write_text("\n".join(lines))
    assert "127.0.0.1:9" in refusal(root)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("artifacts/small.stats.json", "artifacts/small.stats.json"),
        ("artifacts/small.croissant.json", "artifacts/small.croissant.json"),
        ("datasets/standard/small/small.py", "datasets/standard/small/small.py"),
        ("datasets/standard/small/new.py", "datasets/standard/small/new.py"),
        ("datasets/standard/small/ignored.bin", "datasets/standard/small/ignored.bin"),
    ],
)
def test_a_file_that_is_not_committed_is_named(root, path, what):
    with (root / path).open("a") as file:
        file.write(" ")
    record_artifacts(root)
    if path.startswith("artifacts/"):
        git(root, "add", "dvc.lock")
    text = refusal(root)
    assert f"{what}; commit it with: git add " in text
    subprocess.run(
        text.partition("with: ")[2].replace("git add", "git add --force") + " -qm x", shell=True, cwd=root, check=True
    )
    tag(["small"], root=root)


def test_an_entry_that_is_not_committed_is_named(root):
    edit(root / "params.yaml", "license: CC0", "license: MIT")
    edit(root / "dvc.lock", "license: CC0", "license: MIT")
    edit(root / "dvc.yaml", "cmd: python", "desc: x\n    cmd: python")
    edit(root / "dvc.yaml", "labels: [standard]", "labels: [standard, x]")
    assert refusal(root) == (
        "small: not committed as it is: its block in params.yaml, its stage in dvc.yaml, its entry under artifacts in "
        "dvc.yaml, its stage in dvc.lock; commit it with: git add params.yaml dvc.yaml dvc.lock && git commit"
    )


def test_changes_of_other_datasets_may_be_uncommitted(root):
    with (root / "params.yaml").open("a") as file:
        file.write("other: 3\n")
    (root / "datasets/standard/small/__pycache__").mkdir()
    (root / "datasets/standard/small/__pycache__/small.cpython-311.pyc").write_bytes(b"")
    tag(["small"], root=root)
    assert tags(root) == [TAG]


def test_records_that_do_not_agree_are_not_released(root):
    edit(root / "params.yaml", "license: CC0", "license: MIT")
    assert refusal(root) == (
        "small cannot be released, see make check: small: params.yaml has changed since it was built (license); "
        "build it with: make build DATASET=small"
    )


def test_a_repository_without_commits_has_no_release(root):
    subprocess.run(
        "rm -rf .git && git init -q && git config user.name a && git config user.email a@b", shell=True, cwd=root
    )
    assert "is not in git" in refusal(root)
    git(root, "add", "--all")
    assert "not committed as it is: its block in params.yaml" in refusal(root)


class Versions(History):
    """A repository whose commits record versions of a dataset completely, and push them."""

    def write(self, records, **options):
        """Build a version, with what describes it, and push it."""
        cached = super().write(records, **options)
        artifacts = self.root / "artifacts"
        manifest = json.loads((artifacts / "small.json").read_bytes())
        with Statistician(workers=1) as statistician, TemporaryDirectory() as scratch:
            statistics = statistician.statistics(manifest, artifacts, scratch=Path(scratch))
        write_descriptions(read_definition("small", root=self.root), artifacts, manifest, statistics)
        record_artifacts(self.root)
        lock = json.loads((self.root / "dvc.lock").read_text())
        block = yaml.safe_load((self.root / "params.yaml").read_text())["small"]
        lock["stages"]["small"]["params"]["params.yaml"]["small"] = block
        (self.root / "dvc.lock").write_text(json.dumps(lock))
        self.remote.publish(self.tar)
        return cached


@pytest.fixture
def versions(tmp_path, remote):
    found = Versions(tmp_path / "versions")
    found.remote = remote
    (found.root / ".gitignore").write_text("/artifacts/*.tar\n/.dvc/config.local\n/.dvc/tmp\n/.dvc/cache\n/.scratch*\n")
    (found.root / "datasets/standard/small/small.py").write_text("# a builder\n")
    remote.point(found.root)
    for name, value in (("user.name", "test"), ("user.email", "test@example.org")):
        found.git("config", name, value)
    return found


def test_a_release_says_what_changed_since_the_one_before(versions):
    versions.commit(records_of(train=range(10), test=range(10, 14)))
    tag(["small"], root=versions.root)
    versions.commit(records_of(train=range(2, 15), test=range(10, 14)), version="1.1.0")
    tag(["small"], root=versions.root)
    versions.commit(
        records_of(train=range(2, 15), test=range(10, 14)), version="1.1.1", files={"label.labels.txt": "a\n"}
    )
    tag(["small"], root=versions.root)
    message = versions.git("tag", "--list", "--format=%(contents)", "small@v1.1.0")
    assert message.endswith("\n\nsince small@v1.0.0:\nexamples: 5 added, 2 removed")
    message = versions.git("tag", "--list", "--format=%(contents)", "small@v1.1.1")
    assert message.endswith("since small@v1.1.0:\nexamples: other features (classes of label)")


def test_a_change_that_cannot_be_computed_is_left_out(versions, remote):
    versions.commit(records_of(train=range(10)))
    tag(["small"], root=versions.root)
    (key,) = remote.keys("public")
    versions.commit(records_of(train=range(12)), version="1.1.0")
    remote.remove(key)
    subprocess.run(["rm", "-rf", versions.root / ".dvc/cache"], check=True)
    tag(["small"], root=versions.root)
    message = versions.git("tag", "--list", "--format=%(contents)", "small@v1.1.0")
    assert "12 examples in train" in message
    assert "since" not in message


def test_a_version_that_was_released_with_other_bytes_is_refused(versions):
    main = versions.git("branch", "--show-current")
    (versions.root / "README.md").write_text("# empty\n")
    versions.commit_all()
    versions.git("switch", "--quiet", "--create", "branch")
    versions.commit(records_of(train=range(10)))
    tag(["small"], root=versions.root)
    versions.git("switch", "--quiet", main)
    versions.commit(records_of(train=range(12)))
    for name in (TAG, "small@v1.0.0#1"):  # the second form is GTO's too
        versions.git("tag", "-f", "-a", "-m", "x", name, "branch")
        text = refusal(versions.root)
        assert text.startswith("small 1.0.0 was released with other bytes, as small@v1.0.0")
        assert text.endswith("build it again with: make build DATASET=small")
        versions.git("tag", "-d", TAG) if TAG in tags(versions.root) else None


def test_a_version_that_was_recorded_with_other_bytes_is_refused(versions, remote):
    versions.commit(records_of(train=range(10)))
    (key,) = remote.keys("public")
    versions.commit(records_of(train=range(12)))
    assert "small 1.0.0 is recorded with two contents" in refusal(versions.root)
    commit = versions.commits[0][:12]
    versions.commit(records_of(train=range(12)), withdrawn=[commit])
    assert "small 1.0.0 is on the remote with other bytes (recorded in commit" in refusal(versions.root)
    remote.remove(key)
    tag(["small"], root=versions.root)


def test_an_incomplete_history_is_refused(versions, tmp_path, remote):
    versions.commit(records_of(train=range(10)))
    versions.commit(records_of(train=range(12)), version="1.1.0")
    shallow = tmp_path / "shallow"
    versions.git("clone", "--quiet", "--depth=1", f"file://{versions.root}", str(shallow))
    git(shallow, "config", "user.name", "test")
    git(shallow, "config", "user.email", "test@example.org")
    remote.point(shallow)
    assert "get the rest with: git fetch --unshallow" in refusal(shallow)


def test_a_tag_that_releases_nothing_is_named_with_the_commands_that_replace_it(root):
    for arguments, what in (
        ((TAG,), "small@v1.0.0 is no annotated tag, so GTO does not see it"),
        (
            ("-a", "-m", "x", TAG, git(root, "commit-tree", "-m", "x", git(root, "mktree"))),
            "is on a commit that does not",
        ),
    ):
        git(root, "tag", *arguments)
        text = refusal(root)
        assert what in text
        git(root, *text.partition("again: git ")[2].partition(" && ")[0].split())
    tag(["small"], root=root)


def test_a_signed_release_is_verified_by_git(root, tmp_path):
    make_key(root, tmp_path)
    tag(["small"], sign=True, root=root)
    verified = subprocess.run(["git", "verify-tag", TAG], cwd=root, check=True, capture_output=True, text=True)
    assert 'Good "git" signature for test@example.org' in verified.stdout + verified.stderr
    assert tag(["small"], sign=True, root=root)[0].missing == ()


def test_a_tag_that_exists_without_a_signature_is_not_called_signed(root, tmp_path):
    make_key(root, tmp_path)
    tag(["small"], root=root)
    assert "small@v1.0.0 exists and is not signed; delete the tag, unless it was pushed" in refusal(root, sign=True)


def test_the_set_up_of_git_decides_whether_a_tag_is_signed_without_being_asked(root, tmp_path):
    make_key(root, tmp_path)
    git(root, "config", "tag.gpgSign", "true")
    tag(["small"], root=root)
    git(root, "verify-tag", TAG)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"gpg.program": "/nowhere/gpg"}, "cannot run /nowhere/gpg: No such file or directory"),
        ({"gpg.format": "ssh"}, "user.signingkey"),
        ({"gpg.format": "ssh", "user.signingkey": "/nowhere/key.pub"}, "/nowhere/key.pub"),
    ],
)
def test_if_git_cannot_sign_the_command_that_sets_it_up_is_named(root, tmp_path, settings, reason):
    for name, value in settings.items():
        git(root, "config", name, value)
    text = refusal(root, sign=True)
    assert text.startswith("small@v1.0.0 cannot be signed: ")
    assert reason in text
    command = text.partition("set up signing with an SSH key with: ")[2]
    assert "ssh-keygen -t ed25519 -f " in command
    done = subprocess.run(command, shell=True, cwd=root, input="\n\n", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    tag(["small"], sign=True, root=root)
    assert "-----BEGIN SSH SIGNATURE-----" in git(root, "cat-file", "tag", TAG)
    git(root, "config", "--unset", "user.signingkey")
    git(root, "tag", "-d", TAG)
    assert refusal(root, sign=True).endswith(
        f"set up signing with an SSH key with: {command[command.index('git config') :]}"
    )


def test_git_must_know_who_makes_the_tag(root, monkeypatch):
    for name in ("user.name", "user.email"):
        git(root, "config", "--unset", name)
    git(root, "config", "user.useConfigOnly", "true")
    text = refusal(root)
    assert text.startswith("git does not know who makes the tag; tell it with: git config user.name")
    subprocess.run(text.partition("with: ")[2], shell=True, cwd=root, check=True)
    tag(["small"], root=root)


def test_all_datasets_are_checked_before_the_first_is_released(root):
    assert "there is no dataset 'other'" in refusal(root, "small", "other")
    assert tags(root) == []


def test_if_one_tag_cannot_be_made_none_is(root):
    from scripts._release.tags import Tag, make_tags

    head = git(root, "rev-parse", "HEAD")
    for wrong in ("b@v1..0", "b@v1.0.0"):
        with pytest.raises(ScriptError, match=r"b@v1.* cannot be made: "):
            make_tags(root, [Tag("a@v1.0.0", head, "a"), Tag(wrong, head[::-1], "b")], sign=False)
        assert tags(root) == []


def describe_as(root, remote, name, *, configs=(), parents=None):
    """Record another dataset, whose artifacts have the bytes of `small`, and commit it; push it too."""
    tars = [f"{name}-{config}.tar" for config in configs] or [f"{name}.tar"]
    manifest = json.loads((root / "artifacts/small.json").read_bytes())
    (entry,) = manifest["artifacts"].values()
    manifest |= {"name": name, "default_config": (*configs, None)[0], "parents": parents or {}}
    manifest["artifacts"] = {
        tar: {**entry, "config": config} for tar, config in zip(tars, configs or (None,), strict=True)
    }
    statistics = json.loads((root / "artifacts/small.stats.json").read_bytes())
    statistics |= {key: statistics[key] * len(tars) for key in ("examples", "bytes")}
    files = {f"{name}.json": manifest, f"{name}.stats.json": statistics, f"{name}.croissant.json": {}}
    for file, content in files.items():
        (root / "artifacts" / file).write_text(json.dumps(content))
    for tar in tars:
        (root / "artifacts" / tar).write_bytes((root / "artifacts/small.tar").read_bytes())
    remote.publish(root / "artifacts/small.tar")
    block = {"builder": name, "version": "1.0.0", "license": "CC0", **({"configs": list(configs)} if configs else {})}
    committed = {"cache": False, "persist": True}
    stage = {
        "cmd": f"python -m scripts build {name}",
        "deps": [f"artifacts/{parent}.tar" for parent in parents or ()],
        "outs": [
            *({f"artifacts/{tar}": {"remote": "public"}} for tar in tars),
            *({f"artifacts/{name}{suffix}": committed} for suffix in (".json", ".croissant.json")),
        ],
        "metrics": [{f"artifacts/{name}.stats.json": committed}],
    }
    entries = artifact_entries(name, configs, kind="standard", description="x")
    for file, edits in (
        ("params.yaml", {name: block}),
        ("dvc.yaml", {"stages": {name: stage}, "artifacts": entries}),
        ("dvc.lock", {"stages": {name: {"cmd": stage["cmd"], "params": {"params.yaml": {name: block}}}}}),
    ):
        content = yaml.safe_load((root / file).read_text())
        for key, value in edits.items():
            content[key] = {**content.get(key, {}), **value}
        if file == "dvc.lock":
            content["stages"][name]["outs"] = [
                {"path": f"artifacts/{each}", "hash": "md5", "md5": md5(data), "size": len(data)}
                for each in (*tars, *files)
                if (data := (root / "artifacts" / each).read_bytes())
            ]
        (root / file).write_text(yaml.safe_dump(content))
    git_commit(root)


def md5(data):
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def test_each_config_has_a_tag_by_which_dvc_gets_its_artifact(root, remote, tmp_path):
    describe_as(root, remote, "several", configs=("a", "b.2"))
    (release,) = tag(["several"], root=root)
    assert list(release.tags) == ["several@v1.0.0", "several-a@v1.0.0", "several-b-2@v1.0.0"]
    assert sorted(tags(root)) == sorted(release.tags)
    message = git(root, "tag", "--list", "--format=%(contents)", "several@v1.0.0").splitlines()
    assert message[2:4] == [
        "a: 5,300 examples in train, 70 examples in test",
        "b.2: 5,300 examples in train, 70 examples in test",
    ]
    got = tmp_path / "got.tar"
    command = ["dvc", "artifacts", "get", root, "several-b-2", "--rev", "v1.0.0", "--out", got]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert got.read_bytes() == (root / "artifacts/small.tar").read_bytes()
    shown = subprocess.run(["gto", "show", "--json"], cwd=root, check=True, capture_output=True, text=True).stdout
    assert set(json.loads(shown)) == {"several", "several-a", "several-b-2"}
    git(root, "tag", "-d", "several-a@v1.0.0")  # as if the command had been killed
    (release,) = tag(["several"], root=root)
    assert [each.name for each in release.missing] == ["several-a@v1.0.0"]


def test_a_parent_is_released_before_or_together_with_what_is_derived_from_it(root, remote):
    recorded = json.loads((root / "artifacts/small.json").read_bytes())["artifacts"]
    parents = {"small": {"version": "1.0.0", "artifacts": {tar: entry["sha256"] for tar, entry in recorded.items()}}}
    describe_as(root, remote, "derived", parents=parents)
    assert refusal(root, "derived") == (
        "derived was built from small 1.0.0, which is not released; release it too, with: "
        'make tag DATASET="small derived"'
    )
    assert [release.name for release in tag(["small", "derived"], root=root)] == ["small", "derived"]
    git(root, "tag", "-d", "derived@v1.0.0")
    tag(["derived"], root=root)
    assert sorted(tags(root)) == ["derived@v1.0.0", TAG]


def test_a_broken_dataset_does_not_keep_others_from_being_released(root, remote):
    describe_as(root, remote, "broken")
    edit(root / "params.yaml", "builder: broken", "builder: other")
    tag(["small"], root=root)
    assert refusal(root, "broken").startswith(
        "broken cannot be released, see make check: broken: params.yaml has changed"
    )
