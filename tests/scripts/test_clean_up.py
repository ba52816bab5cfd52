"""Cleaning up, with the real S3 server, real branches, tags and children: exactly what nothing needs is removed."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml

import loader
from loader._format.names import object_path
from scripts import clean_up
from scripts._process.errors import ScriptError
from scripts._release import complete_clone, versions
from scripts._release.survey import survey
from scripts.clean_up import remove_from_cache, remove_from_remotes
from tests.helpers.dataset_history import History, records_of
from tests.helpers.team_repository import IDENTITY

DAYS = 3 * 24 * 3600


class Repository(History):
    """A repository of `small` whose versions are in DVC's cache since three days, and on the public remote if any."""

    def __init__(self, root, remote=None):
        super().__init__(root)
        self.remote = remote
        if remote:
            remote.point(root)

    def write(self, records, *, version="1.0.0"):
        cached = super().write(records, version=version)
        lock = yaml.safe_load((self.root / "dvc.lock").read_text())
        lock["stages"]["small"]["params"] = {"params.yaml": {"small": {"version": version}}}
        (self.root / "dvc.lock").write_text(yaml.safe_dump(lock))
        return cached

    def add(self, version, *, count=8):
        """Build, commit and store a version, and return its md5."""
        cached = self.write(records_of(train=range(count + int(version.replace(".", "")))), version=version)
        self.commit_all()
        md5 = cached.parent.name + cached.name
        os.utime(cached, (time.time() - DAYS,) * 2)
        self.store(md5)
        return md5

    def store(self, md5):
        if self.remote:
            self.remote.write(self.key(md5), self.cached(md5).read_bytes())

    def garbage(self, data=b"nothing records this"):
        """Put an object that nothing records into the cache and on the remote, and return its md5."""
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        self.cached(md5).parent.mkdir(parents=True, exist_ok=True)
        self.cached(md5).write_bytes(data)
        os.utime(self.cached(md5), (time.time() - DAYS,) * 2)
        self.store(md5)
        return md5

    def cached(self, md5):
        return self.root / ".dvc/cache" / object_path(md5)

    def key(self, md5):
        return f"public/{self.remote.root.name}-{id(self.remote)}/{object_path(md5)}"

    def is_stored(self, md5):
        return self.key(md5) in self.remote.keys("public")

    def derive(self, md5, *, by="deps"):
        """Record a dataset `child` that was built from the artifact `small.tar` with this md5, and return its md5."""
        data = b"child of " + md5.encode()
        child = self.garbage(data)
        lock = yaml.safe_load((self.root / "dvc.lock").read_text())
        stage = {"cmd": "x", "outs": [{"path": "artifacts/child.tar", "hash": "md5", "md5": child, "size": len(data)}]}
        if by == "deps":
            stage["deps"] = [{"path": "artifacts/small.tar", "hash": "md5", "md5": md5, "size": 1}]
        else:
            parent = json.loads((self.root / "artifacts/small.json").read_text())
            hashes = {name: entry["sha256"] for name, entry in parent["artifacts"].items()}
            manifest = {
                "name": "child",
                "version": "1.0.0",
                "parents": {"small": {"version": "1", "artifacts": hashes}},
            }
            (self.root / "artifacts/child.json").write_text(json.dumps(manifest))
        lock["stages"]["child"] = stage
        self.child_stage = stage
        (self.root / "dvc.lock").write_text(yaml.safe_dump(lock))
        return child

    def keep_child(self):
        """Record the child again, which building `small` has left out."""
        lock = yaml.safe_load((self.root / "dvc.lock").read_text())
        lock["stages"]["child"] = self.child_stage
        (self.root / "dvc.lock").write_text(yaml.safe_dump(lock))

    def found(self):
        remotes = ("public", "private") if self.remote else ()
        return {version.name: version for version in survey(self.root, remotes=remotes).versions}


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "repository")


@pytest.fixture
def stored(tmp_path, remote):
    return Repository(tmp_path / "repository", remote)


def from_remotes(repository, *names):
    return [*remove_from_remotes(yes=names, root=repository.root)]


def test_each_version_is_listed_with_what_keeps_it_alive(stored):
    first, second, third = (stored.add(version) for version in ("1.0.0", "1.0.1", "1.0.2"))
    stored.git("tag", "-a", "small@v1.0.0", "-m", "first", stored.commits[0])
    stored.git("branch", "other", stored.commits[0])
    unrecorded = stored.garbage()
    found = stored.found()
    assert list(found) == ["small@1.0.0", "small@1.0.1", "small@1.0.2", unrecorded[:12]]
    assert found["small@1.0.0"].kept_by == ("tag small@v1.0.0", "branch other")
    assert found["small@1.0.1"].reason == f"only in history (commit {stored.commits[1][:7]})"
    current = f"branch {stored.git('branch', '--show-current')}"
    assert found["small@1.0.2"].kept_by == (current, "the work tree", "the index of the work tree")
    assert found[unrecorded[:12]].reason == "nothing (unrecorded)"
    assert [[copy.place for copy in each.copies] for each in found.values()] == [["cache", "public"]] * 4
    assert [found[f"small@1.0.{n}"].copies[0].md5 for n in range(3)] == [first, second, third]


def test_exactly_what_nothing_needs_is_removed_from_the_cache(stored):
    kept = [stored.add(version) for version in ("1.0.0", "1.0.1")]
    unrecorded, young = stored.garbage(), stored.garbage(b"just pulled")
    os.utime(stored.cached(young))
    (removed,) = remove_from_cache(root=stored.root)
    assert (removed.name, removed.frees) == (unrecorded[:12], len(b"nothing records this"))
    assert not stored.cached(unrecorded).exists()
    assert all(stored.cached(md5).exists() for md5 in (*kept, young))
    assert stored.is_stored(unrecorded)
    assert remove_from_cache(root=stored.root) == []


def test_in_a_folder_of_a_larger_git_repository_the_same_is_needed(tmp_path):
    subprocess.run(["git", "init", "--quiet", str(tmp_path / "larger")], check=True)
    repository = Repository(tmp_path / "larger/data sets/small")
    shutil.rmtree(repository.root / ".git")  # git finds that of the larger one
    old, kept, current = (repository.add(version) for version in ("1.0.0", "1.0.1", "1.0.2"))
    repository.git("branch", "other", repository.commits[1])
    beside, unrecorded = repository.garbage(b"of a project beside"), repository.garbage()
    stage = {"cmd": "x", "outs": [{"path": "x", "hash": "md5", "md5": beside, "size": 1}]}
    (tmp_path / "larger/dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": {"x": stage}}))
    found = repository.found()
    assert found["small@1.0.0"].reason == f"only in history (commit {repository.commits[0][:7]})"
    assert found["small@1.0.1"].kept_by == ("branch other",)
    branch = f"branch {repository.git('branch', '--show-current')}"
    assert found["small@1.0.2"].kept_by == (branch, "the work tree", "the index of the work tree")
    assert found[beside[:12]].kept_by == ("the work tree",)
    remove_from_cache(yes=["small@1.0.0"], root=repository.root)
    stored = {md5: repository.cached(md5).exists() for md5 in (old, unrecorded, kept, current, beside)}
    assert [*stored.values()] == [False, False, True, True, True]


def test_what_only_history_records_and_what_is_young_is_removed_if_it_is_named(repository):
    old, current = repository.add("1.0.0"), repository.add("1.0.1")
    young = repository.garbage()
    os.utime(repository.cached(young))
    removed = remove_from_cache(yes=["small@1.0.0", young[:12]], root=repository.root)
    assert [each.name for each in removed] == ["small@1.0.0", young[:12]]
    assert f"version= and rev={repository.commits[0][:7]} cannot be read any more" in removed[0].describe()
    assert [repository.cached(md5).exists() for md5 in (old, young, current)] == [False, False, True]


def test_what_is_needed_is_not_removed_even_if_it_is_named_nor_is_anything_else(stored):
    stored.add("1.0.0")
    unrecorded = stored.garbage()
    with pytest.raises(ScriptError, match=r"small@1\.0\.0 is kept by .*the work tree.*; nothing is removed"):
        remove_from_cache(yes=[unrecorded[:12], "small@1.0.0"], root=stored.root)
    with pytest.raises(ScriptError, match=r"small@1\.0\.0 is kept by"):
        from_remotes(stored, unrecorded[:12], "small@1.0.0")
    assert stored.cached(unrecorded).exists()
    assert stored.is_stored(unrecorded)


def test_only_named_versions_are_removed_from_a_remote(stored):
    old, older, current = (stored.add(version) for version in ("1.0.0", "1.0.1", "1.0.2"))
    unrecorded, other = stored.garbage(), stored.garbage(b"another project's")
    removed = from_remotes(stored, "small@1.0.0", unrecorded[:12])
    assert [(each.name, each.place) for each in removed] == [
        ("small@1.0.0", "the remote public"),
        (unrecorded[:12], "the remote public"),
    ]
    assert [stored.is_stored(md5) for md5 in (old, unrecorded, older, current, other)] == [False, False] + [True] * 3
    assert stored.cached(old).exists()
    with pytest.raises(ScriptError, match=r"the remotes have no version 'small@1\.0\.0'"):
        from_remotes(stored, "small@1.0.0")


@pytest.mark.parametrize("by", ["deps", "manifest"])
def test_a_child_keeps_what_it_was_built_from(repository, by):
    parent = repository.add("1.0.0")
    repository.derive(parent, by=by)
    repository.commit_all()
    repository.write(records_of(train=range(30)), version="1.0.1")
    repository.keep_child()
    repository.commit_all()
    assert repository.found()["small@1.0.0"].kept_by == ("child child",)
    with pytest.raises(ScriptError, match=r"small@1\.0\.0 is kept by child child"):
        remove_from_cache(yes=["small@1.0.0"], root=repository.root)
    repository.write(records_of(train=range(30)), version="1.0.1")
    repository.commit_all()  # without the child
    remove_from_cache(yes=["small@1.0.0"], root=repository.root)
    assert not repository.cached(parent).exists()


def test_mirrored_sources_are_kept_by_their_record(repository):
    repository.add("1.0.0")
    old, new = repository.garbage(b"old source"), repository.garbage(b"new source")
    (repository.root / "sources").mkdir()
    for md5 in (old, new):
        out = {"md5": md5, "size": 10, "path": "small/file", "remote": "public"}
        (repository.root / "sources/small.dvc").write_text(yaml.safe_dump({"outs": [out]}))
        repository.commit_all()
    found = {version.copies[0].md5: version for version in repository.found().values()}
    assert (found[old].name, found[new].name) == (f"sources/small:{old[:12]}", f"sources/small:{new[:12]}")
    assert found[old].reason == f"only in history (commit {repository.commits[1][:7]})"
    assert found[new].reason.startswith("branch ")
    assert remove_from_cache(root=repository.root) == []


def test_a_child_that_only_another_child_keeps_keeps_its_own_parent(repository):
    grandparent = repository.add("1.0.0")
    parent = repository.derive(grandparent)
    repository.commit_all()
    stage = repository.child_stage | {"outs": [{**repository.child_stage["outs"][0], "path": "artifacts/last.tar"}]}
    stage["outs"][0]["md5"] = repository.garbage(b"last")
    stage["deps"] = [{"path": "artifacts/child.tar", "hash": "md5", "md5": parent, "size": 1}]
    (repository.root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": {"last": stage}}))
    (repository.root / "artifacts/small.json").unlink()
    repository.commit_all()
    kept = {copy.md5: version.kept_by for version in repository.found().values() for copy in version.copies}
    assert (kept[parent], kept[grandparent]) == (("child last",), ("child child",))


def test_a_release_tag_keeps_its_own_dataset_and_what_that_was_built_from(repository):
    parent = repository.add("1.0.0")
    child = repository.derive(parent)
    repository.commit_all()
    repository.add("1.0.1")  # without the child

    def kept():
        return {copy.md5: version.kept_by for version in repository.found().values() for copy in version.copies}

    repository.git("tag", "-a", "small@v1.0.0", "-m", "small", repository.commits[1])
    assert (kept()[parent], kept()[child]) == (("tag small@v1.0.0",), ())
    repository.git("tag", "-d", "small@v1.0.0")
    repository.git("tag", "-a", "child@v1.0.0", "-m", "child", repository.commits[1])
    assert (kept()[parent], kept()[child]) == (("child child",), ("tag child@v1.0.0",))
    repository.git("tag", "-d", "child@v1.0.0")
    repository.git("tag", "-a", "child-theo@v1.0.0", "-m", "the artifact of a config", repository.commits[1])
    assert (kept()[parent], kept()[child]) == (("child child",), ("tag child-theo@v1.0.0",))
    repository.git("tag", "-a", "paper", "-m", "all", repository.commits[1])
    assert [kept()[each][0] for each in (parent, child)] == ["tag paper", "tag child-theo@v1.0.0"]


def uncommitted(repository):
    repository.write(records_of(train=range(99)), version="2.0.0")


def stashed(repository):
    uncommitted(repository)
    repository.git("add", "dvc.lock")
    repository.git("stash")


def stashed_twice(repository):
    stashed(repository)
    (repository.root / "params.yaml").write_text("x: 1\n")
    repository.git("stash")


def staged(repository):
    uncommitted(repository)
    repository.git("add", "--all")
    repository.git("restore", "--worktree", "--source=HEAD", ".")


def detached(repository):
    repository.git("checkout", "--quiet", "--detach")
    uncommitted(repository)
    repository.commit_all()


def remote_tracking(repository):
    detached(repository)
    repository.git("update-ref", "refs/remotes/origin/colleague", "HEAD")
    repository.git("checkout", "--quiet", "-")


def in_another_work_tree(repository):
    repository.git("worktree", "add", "--quiet", "--detach", str(repository.root.parent / "other"))
    uncommitted(repository)
    shutil.copy(repository.root / "dvc.lock", repository.root.parent / "other")
    repository.git("checkout", "--quiet", "dvc.lock")


def tracked_elsewhere(repository):
    uncommitted(repository)
    lock = yaml.safe_load((repository.root / "dvc.lock").read_text())
    (out,) = lock["stages"]["small"]["outs"]
    repository.git("checkout", "--quiet", ".")
    (repository.root / "models").mkdir()
    (repository.root / "models/model.tar.dvc").write_text(yaml.safe_dump({"outs": [{**out, "path": "model.tar"}]}))


def conflicting_branches(repository):
    """Two branches that cannot be joined without a conflict, and an uncommitted build."""
    for branch in ("theirs", "ours"):
        repository.git("checkout", "--quiet", "-B", branch, repository.commits[0])
        (repository.root / "notes").write_text(branch)
        repository.git("add", "notes")
        repository.git("commit", "--quiet", "-m", branch)
    uncommitted(repository)


def autostashed_by_a_rebase(repository):
    conflicting_branches(repository)
    subprocess.run(["git", *IDENTITY, "rebase", "--autostash", "theirs"], cwd=repository.root, check=False)


def autostashed_by_a_merge(repository):
    conflicting_branches(repository)
    subprocess.run(["git", *IDENTITY, "merge", "--autostash", "theirs"], cwd=repository.root, check=False)


def detached_in_a_work_tree_that_is_not_there(repository):
    other = repository.root.parent / "other"
    detached(repository)
    commit = repository.git("rev-parse", "HEAD")
    repository.git("checkout", "--quiet", "-")
    repository.git("worktree", "add", "--quiet", "--lock", "--detach", str(other), commit)
    other.rename(repository.root.parent / "unmounted")


def tagged_tree(repository):
    detached(repository)
    repository.git("tag", "files", "HEAD^{tree}")
    repository.git("checkout", "--quiet", "-")


def tagged_tag(repository):
    detached(repository)
    repository.git("tag", "-a", "inner", "-m", "x")
    repository.git("tag", "-a", "outer", "inner", "-m", "x")
    repository.git("tag", "-d", "inner")
    repository.git("checkout", "--quiet", "-")
    repository.git("pack-refs", "--all")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prepare", "by"),
    [
        (uncommitted, "the work tree"),
        (stashed, "stash@{0}"),
        (stashed_twice, "stash@{1}"),
        (staged, "the index of the work tree"),
        (detached, "HEAD"),
        (remote_tracking, "branch origin/colleague"),
        (in_another_work_tree, "the work tree "),
        (tracked_elsewhere, "the work tree"),
        (autostashed_by_a_rebase, "rebase-merge/autostash"),
        (autostashed_by_a_merge, "MERGE_AUTOSTASH"),
        (detached_in_a_work_tree_that_is_not_there, "HEAD of a work tree"),
        (tagged_tree, "tag files"),
        (tagged_tag, "tag outer"),
    ],
)
def test_what_any_state_of_the_repository_records_is_kept(repository, prepare, by):
    before = {repository.add("1.0.0")}
    prepare(repository)
    (md5,) = {path.parent.name + path.name for path in (repository.root / ".dvc/cache/files/md5").glob("*/*")} - before
    os.utime(repository.cached(md5), (time.time() - DAYS,) * 2)
    (kept_by,) = (
        version.kept_by for version in repository.found().values() for copy in version.copies if copy.md5 == md5
    )
    assert any(each.startswith(by) for each in kept_by)
    assert remove_from_cache(root=repository.root) == []
    assert repository.cached(md5).exists()


def test_of_a_folder_that_is_kept_its_files_are_kept_and_a_lost_list_of_them_refuses(repository):
    repository.add("1.0.0")
    member = repository.garbage(b"a file of a folder")
    listing = json.dumps([{"md5": member, "relpath": "file"}]).encode()
    folder = hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir"
    repository.cached(folder).parent.mkdir(exist_ok=True)
    repository.cached(folder).write_bytes(listing)
    out = {"md5": folder, "size": 1, "nfiles": 1, "hash": "md5", "path": "folder"}
    (repository.root / "folder.dvc").write_text(yaml.safe_dump({"outs": [out]}))
    assert remove_from_cache(root=repository.root) == []
    repository.cached(folder).unlink()
    with pytest.raises(ScriptError, match="so what it needs is unknown; get it with: dvc fetch"):
        remove_from_cache(root=repository.root)


def test_two_contents_of_one_version_are_told_apart(repository):
    first = repository.add("1.0.0")
    second = repository.add("1.0.0", count=9)
    names = {version.copies[0].md5: name for name, version in repository.found().items()}
    assert names == {md5: f"small@1.0.0:{md5[:12]}" for md5 in (first, second)}
    with pytest.raises(ScriptError, match=f"name one of: .*{first[:12]}"):
        remove_from_cache(yes=["small@1.0.0"], root=repository.root)
    remove_from_cache(yes=[names[first]], root=repository.root)
    assert (repository.cached(first).exists(), repository.cached(second).exists()) == (False, True)


def test_an_unrecorded_artifact_is_called_what_it_says_it_is(stored):
    md5 = stored.add("1.0.0")
    stored.git("checkout", "--quiet", "--orphan", "empty")
    stored.git("rm", "--quiet", "-rf", "--cached", ".")
    (stored.root / "dvc.lock").unlink()
    (stored.root / "artifacts/small.json").unlink()
    stored.commit_all()
    stored.git("branch", "--quiet", "-D", *stored.git("branch", "--format=%(refname:short)").split()[1:])
    assert [*stored.found()] == [f"small@1.0.0:{md5[:12]}"]
    shutil.rmtree(stored.root / ".dvc/cache")
    assert [*stored.found()] == [f"small@1.0.0:{md5[:12]}"]


def test_a_hard_link_frees_nothing_and_a_symbolic_one_is_kept(repository):
    repository.add("1.0.0")
    linked, symbolic = repository.garbage(), repository.garbage(b"more")
    (repository.root / "artifacts/linked.tar").hardlink_to(repository.cached(linked))
    (repository.root / "artifacts/symbolic.tar").symlink_to(repository.cached(symbolic))
    (removed,) = remove_from_cache(root=repository.root)
    assert (removed.name, removed.frees) == (linked[:12], 0)
    assert repository.found()[symbolic[:12]].kept_by == ("the link artifacts/symbolic.tar",)


def test_in_a_cache_outside_of_the_repository_only_what_is_named_is_removed(repository, tmp_path):
    repository.add("1.0.0")
    unrecorded = repository.garbage()
    shutil.move(repository.root / ".dvc/cache", tmp_path / "shared")
    with (repository.root / ".dvc/config.local").open("a") as file:
        file.write(f"[cache]\n    dir = {tmp_path}/shared\n")
    assert remove_from_cache(root=repository.root) == []
    assert [each.name for each in remove_from_cache(yes=[unrecorded[:12]], root=repository.root)] == [unrecorded[:12]]


def clone_of(repository, tmp_path, *options):
    root = tmp_path / "cloned"
    subprocess.run(["git", "clone", "--quiet", *options, f"file://{repository.root}", str(root)], check=True)
    shutil.copy(repository.root / ".dvc/config.local", root / ".dvc/config.local")
    shutil.copytree(repository.root / ".dvc/cache", root / ".dvc/cache")
    return root


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        (["--depth=1"], "only its latest commits.*git fetch --unshallow"),
        (["--filter=blob:none"], "a partial clone"),
        (["--single-branch"], r"only some branches of origin.*git remote set-branches origin '\*' && git fetch --all"),
        ([], "not fetched in the last hour.*: git fetch --all --tags"),
    ],
)
def test_a_clone_that_does_not_know_what_is_needed_removes_nothing(stored, tmp_path, options, refusal):
    old = stored.add("1.0.0")
    stored.add("1.0.1")
    stored.git("config", "uploadpack.allowFilter", "true")
    root = clone_of(stored, tmp_path, *options)
    with pytest.raises(ScriptError, match=refusal):
        [*remove_from_remotes(yes=["small@1.0.0"], root=root)]
    assert stored.is_stored(old)
    assert stored.cached(old).exists()


def test_the_printed_command_makes_a_clone_know_what_is_needed(stored, tmp_path):
    old = stored.add("1.0.0")
    stored.add("1.0.1")
    for options in (["--depth=1"], []):
        stored.store(old)
        root = clone_of(stored, tmp_path, *options)
        for _ in range(3):  # a shallow clone has one branch only
            try:
                [*remove_from_remotes(yes=["small@1.0.0"], root=root)]
                break
            except ScriptError as error:
                subprocess.run(str(error).rpartition("with: ")[2], shell=True, cwd=root, check=True)
        assert not stored.is_stored(old)
        shutil.rmtree(root)


def test_a_branch_that_was_pushed_meanwhile_is_kept_after_the_fetch(stored, tmp_path):
    old = stored.add("1.0.0")
    stored.add("1.0.1")
    root = clone_of(stored, tmp_path)
    stored.git("branch", "colleague", stored.commits[0])
    subprocess.run(["git", "fetch", "--quiet", "--all"], cwd=root, check=True)
    with pytest.raises(ScriptError, match=r"small@1\.0\.0 is kept by branch origin/colleague"):
        [*remove_from_remotes(yes=["small@1.0.0"], root=root)]
    assert stored.is_stored(old)


def test_a_record_that_is_made_while_the_user_thinks_is_kept(stored):
    old = stored.add("1.0.0")
    stored.add("1.0.1")

    def choose(versions, _):
        stored.git("branch", "meanwhile", stored.commits[0])
        return [version.name for version in versions]

    with pytest.raises(ScriptError, match=r"small@1\.0\.0 is kept by branch meanwhile"):
        [*remove_from_remotes(choose=choose, root=stored.root)]
    assert stored.is_stored(old)


def test_nothing_is_removed_if_a_branch_cannot_be_read(stored):
    stored.add("1.0.0")
    unrecorded = stored.garbage()
    name = stored.git("branch", "--show-current")
    stored.git("checkout", "--quiet", "-b", "broken")
    (stored.root / "dvc.lock").write_text("<<<<<<< ours\nstages: {}\n=======\n>>>>>>> theirs\n")
    stored.commit_all()
    stored.git("checkout", "--quiet", name)
    for remove in (lambda: remove_from_cache(root=stored.root), lambda: from_remotes(stored, unrecorded[:12])):
        with pytest.raises(ScriptError, match=r"dvc\.lock of branch broken cannot be read \(it has a merge conflict\)"):
            remove()
    stored.git("branch", "-D", "broken")
    (stored.root / ".git/refs/heads/lost").write_text("1" * 40)
    with pytest.raises(ScriptError, match="bad object refs/heads/lost"):
        remove_from_cache(root=stored.root)
    assert stored.cached(unrecorded).exists()


@pytest.mark.slow
def test_nothing_is_removed_if_a_remote_cannot_be_listed(stored):
    stored.add("1.0.0")
    unrecorded = stored.garbage()
    subprocess.run(
        ["dvc", "remote", "modify", "--local", "private", "endpointurl", "http://127.0.0.1:9"],
        cwd=stored.root,
        check=True,
    )
    with pytest.raises(loader.FetchError, match="the remote private cannot be listed, so nothing is removed from any"):
        from_remotes(stored, unrecorded[:12])
    assert stored.is_stored(unrecorded)
    assert unrecorded[:12] in stored.found()  # what is here is listed all the same


def test_remotes_that_do_not_answer_are_waited_for_at_once(repository, monkeypatch):
    both = threading.Barrier(2, timeout=60)

    def ask(repo, remote):
        both.wait()
        raise loader.FetchError("dead")

    monkeypatch.setattr("scripts._release.survey.connection", ask)
    assert survey(repository.root).unknown == {"public": "dead", "private": "dead"}


def test_a_remote_that_is_not_on_s3_or_that_the_project_does_not_have_is_told(repository, monkeypatch, capsys):
    repository.add("1.0.0")
    now = (repository.root / "dvc.yaml").read_text()
    (repository.root / "dvc.yaml").write_text(now.replace("remote: public", "remote: archive"))
    repository.commit_all()
    (repository.root / "dvc.yaml").write_text(now)
    folders = "".join(f"['remote \"{each}\"']\n    url = ../{each}\n" for each in ("public", "private"))
    (repository.root / ".dvc/config.local").write_text(folders)
    monkeypatch.setattr(clean_up, "ROOT", repository.root)
    clean_up.command([])
    told = capsys.readouterr().err
    for name in ("public", "private"):
        assert f"the remote {name} is not listed: remote '{name}' is not on S3; set the remotes with: make re" in told
    assert "the remote archive, on which artifacts/small.tar is recorded, is not listed: this project's rem" in told


def begin_upload(repository, md5):
    s3 = repository.remote.filesystem
    bucket, key, _ = s3.split_path(repository.key(md5))
    begun = s3.call_s3("create_multipart_upload", Bucket=bucket, Key=key)
    s3.call_s3("upload_part", Bucket=bucket, Key=key, UploadId=begun["UploadId"], PartNumber=1, Body=b"x" * 5000)


def test_unfinished_uploads_are_listed_and_removed_if_they_are_named(stored):
    stored.add("1.0.0")
    begin_upload(stored, "a" * 32)
    (upload,) = survey(stored.root).uploads
    assert (upload.name, upload.remote, upload.size, upload.is_young) == (f"upload:{'a' * 12}", "public", 5000, True)
    with pytest.raises(ScriptError, match="there is no unfinished upload 'upload:bbbb'"):
        from_remotes(stored, "upload:bbbb")
    (removed,) = from_remotes(stored, upload.name)
    assert removed.frees == 5000
    assert survey(stored.root).uploads == []


def test_what_killed_commands_left_is_removed_and_what_runs_is_not(repository):
    repository.add("1.0.0")
    scratch = repository.root / ".scratch"
    hold = (
        "import sys; from pathlib import Path; from scripts._process.scratch import scratch_folder\n"
        "with scratch_folder(Path(sys.argv[1]), sys.argv[2]) as path:\n"
        "    (path / 'data').write_bytes(bytes(1000)); print('ready', flush=True); input()"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", hold, str(repository.root), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for name in ("build-killed", "build-running")
    ]
    for process in processes:
        process.stdout.readline()
    processes[0].kill()
    processes[0].communicate()
    (scratch / "benchmarks").mkdir()
    part = repository.root / ".dvc/cache/files" / f"{'a' * 32}.part"
    part.write_bytes(bytes(10))
    os.utime(part, (time.time() - DAYS,) * 2)
    removed = remove_from_cache(root=repository.root)
    assert [(each.name, each.frees) for each in removed] == [("build-killed", 1000), (part.name, 10)]
    assert {path.name for path in scratch.iterdir()} == {"build-running", "build-running.lock", "benchmarks"}
    processes[1].communicate(b"\n")


@pytest.fixture
def at(stored, monkeypatch):
    monkeypatch.setattr(clean_up, "ROOT", stored.root)
    return stored


def test_the_table_says_what_is_where_and_what_could_be_freed(at, capsys):
    old = at.add("1.0.0")
    at.add("1.0.1")
    at.garbage()
    begin_upload(at, "a" * 32)
    kept = loader.cache.folder() / "artifacts" / old
    kept.mkdir(parents=True)
    shutil.copy(at.cached(old), kept / "small.tar")
    (at.root / ".scratch/packages/0a1b").mkdir(parents=True)
    clean_up.command([])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["VERSION", "CACHE", "LOADER", "PUBLIC", "PRIVATE", "KEPT", "BY"]
    assert lines[1].split()[0] == "small@1.0.0"
    assert lines[1].split()[1:3] == lines[1].split()[3:5] == lines[1].split()[5:7]
    assert lines[1].endswith(f"-  only in history (commit {at.commits[0][:7]})")
    assert f"DVC's cache, {at.root}/.dvc/cache/files/md5: " in lines[4]
    text = "\n".join(lines)
    assert "    20 B could be freed, that no commit records: make clean-up REMOVE=1" in text
    assert "could be freed, of what is named: make clean-up REMOVE=1 YES=small@1.0.0" in text
    assert "could be freed, of what is named: make clean-up REMOTE=1 YES=small@1.0.0" in text
    assert f"perhaps still under way: 5.0 kB; make clean-up REMOTE=1 YES=upload:{'a' * 12}" in text
    assert ".scratch/packages/0a1b, packages that no dataset here needs: 0 B; remove it with: rm -r .scratch/pa" in text
    assert "the loader's cache, " in text


def test_on_a_terminal_each_version_is_asked_for_by_its_name(at, monkeypatch, capsys):
    old, older, current = (at.add(version) for version in ("1.0.0", "1.0.1", "1.0.2"))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    asked = []
    monkeypatch.setattr(clean_up.typer, "confirm", lambda question: asked.append(question) or "1.0.1" in question)
    clean_up.command([], remote=True)
    assert asked == []  # all were stored just now
    monkeypatch.setattr(versions, "YOUNG_SECONDS", 0)
    clean_up.command([], remote=True)
    assert ["small@1.0.0" in asked[0], "small@1.0.1" in asked[1], len(asked)] == [True, True, 2]
    assert "from the public remote, where others may read it; commit" in asked[0]
    assert [at.is_stored(md5) for md5 in (old, older, current)] == [True, False, True]
    assert "what others need and have not pushed" in capsys.readouterr().err


def test_elsewhere_only_what_is_named_is_removed_and_the_refusal_says_how(at, monkeypatch):
    old = at.add("1.0.0")
    at.add("1.0.1")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)
    with pytest.raises(ScriptError, match=r"as in: make clean-up REMOTE=1 YES=small@1\.0\.0"):
        clean_up.command([], remote=True)
    with pytest.raises(ScriptError, match="say where to remove it from"):
        clean_up.command([], yes=["small@1.0.0"])
    with pytest.raises(ScriptError, match="one place at a time"):
        clean_up.command([], remove=True, remote=True)
    with pytest.raises(ScriptError, match="nothing is stored of a dataset 'smal'; did you mean small"):
        clean_up.command(["smal"], remove=True)
    assert at.is_stored(old)
    clean_up.command(["small"], remote=True, yes=["small@1.0.0"])
    assert not at.is_stored(old)


def test_two_at_once_remove_the_same_once(repository):
    repository.add("1.0.0")
    md5s = [repository.garbage(b"garbage %d" % number) for number in range(20)]
    code = (
        "import sys; from pathlib import Path; from scripts.clean_up import remove_from_cache\n"
        "print(*(each.name for each in remove_from_cache(root=Path(sys.argv[1]))))"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(repository.root)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    names = [name for process in processes for name in process.communicate()[0].split()]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(names) == sorted(md5[:12] for md5 in md5s)


def test_a_killed_clean_up_leaves_whole_objects_and_the_next_one_ends_it(repository, monkeypatch):
    current = repository.add("1.0.0")
    md5s = [repository.garbage(b"garbage %d" % number) for number in range(3)]
    unlink, calls = Path.unlink, []

    def killed(path, **options):
        if path.is_relative_to(repository.root / ".dvc/cache"):
            if calls:
                raise KeyboardInterrupt
            calls.append(path)
        unlink(path, **options)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "unlink", killed)
        remove_from_cache(root=repository.root)
    assert sum(repository.cached(md5).exists() for md5 in md5s) == 2
    assert len(remove_from_cache(root=repository.root)) == 2
    assert repository.cached(current).exists()


def test_a_name_does_not_mean_an_object_that_it_does_not_begin():
    copy = versions.Copy("cache", "ab" * 16, 1, 1, 0.0, "")
    version = versions.Version("x@1.0.0:abababababab", "x", (copy,), (), ())
    assert [version.is_called(name) for name in ("x@1.0.0:abababababab", "y@1.0.0:abababababab", "x@1.0.0:", "ab")] == [
        True,
        False,
        False,
        False,
    ]
    assert versions.label_of(b"x/1.0.0/record_index.json".ljust(512, b"\0")) == ("x", "1.0.0")
    assert versions.label_of(b"x/config/1.0.0/record_index.json".ljust(512, b"\0")) == ("x", "1.0.0")
    assert versions.label_of(b"\x1b[31m/1.0.0/record_index.json".ljust(512, b"\0")) is None
    assert complete_clone.FETCHED_SECONDS < versions.YOUNG_SECONDS


@pytest.mark.parametrize("name", [b"caf\xe9", "a\u2028b".encode(), "a\u00a0b".encode(), "a\u0085b".encode()])
def test_a_branch_may_have_any_name(repository, name):
    repository.add("1.0.0")
    subprocess.run([b"git", b"branch", name], cwd=repository.root, check=True)
    assert remove_from_cache(root=repository.root) == []


@pytest.mark.parametrize("text", ["schema: '2.0'\n", "schema: '2.0'\nstages:\n"])
def test_a_lock_file_that_records_nothing_needs_nothing(repository, text):
    repository.add("1.0.0")
    current = repository.git("branch", "--show-current")
    repository.git("checkout", "--quiet", "-b", "other")
    (repository.root / "dvc.lock").write_text(text)
    repository.commit_all()
    repository.git("checkout", "--quiet", current)
    assert remove_from_cache(root=repository.root) == []


def test_the_variables_that_git_sets_for_hooks_do_not_lead_to_another_repository(repository, tmp_path, monkeypatch):
    old, _ = (repository.add(version) for version in ("1.0.0", "1.0.1"))
    other = tmp_path / "elsewhere"
    subprocess.run(["git", "init", "--quiet", other], check=True)
    subprocess.run(["git", *IDENTITY, "commit", "--quiet", "--allow-empty", "-m", "x"], cwd=other, check=True)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert remove_from_cache(root=repository.root) == []
    assert repository.cached(old).exists()


def test_a_replaced_commit_does_not_hide_what_the_history_records(repository):
    old, _ = (repository.add(version) for version in ("1.0.0", "1.0.1"))
    repository.git("replace", "--graft", "HEAD")
    assert remove_from_cache(root=repository.root) == []
    assert repository.cached(old).exists()


def test_a_stash_may_be_any_commit(repository):
    repository.add("1.0.0")
    repository.git("stash", "store", repository.commits[0])
    assert remove_from_cache(root=repository.root) == []
