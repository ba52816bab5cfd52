"""A file counts as committed if git tracks it or a link to it, and whenever git cannot tell."""

import os
import shutil
import subprocess

import pytest

from loader._format import committed
from loader._format.committed import is_committed

LOCAL = ".dvc/config.local"


def git(root, *arguments):
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)


def write(path, text=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def work_tree(tmp_path):
    """A git work tree with a committed file."""
    root = tmp_path / "repository"
    write(root / "README.md")
    git(tmp_path, "init", "--quiet", root)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "-m", "first")
    return root


def commit_all(root):
    git(root, "add", "--all", "--force")
    git(root, "commit", "--quiet", "-m", "more")


def add_bare(folder):
    """Make a folder look like a bare repository to git, with files that a clone brings along."""
    write(folder / "HEAD", "ref: refs/heads/main\n")
    write(folder / "objects/x")
    write(folder / "refs/x")


def test_an_untracked_file_is_the_users_own(work_tree):
    assert not is_committed(write(work_tree / LOCAL))
    assert not is_committed(write(work_tree / "data" / LOCAL))
    assert not is_committed(work_tree / "missing")


def test_a_file_of_an_unpacked_archive_is_too(tmp_path):
    assert not is_committed(write(tmp_path / LOCAL))


@pytest.mark.parametrize("folder", [".", "data", "data/more"])
def test_a_tracked_file_is_committed(work_tree, folder):
    path = write(work_tree / folder / LOCAL)
    git(work_tree, "add", "--force", path)
    assert is_committed(path)
    assert is_committed(path.parent / ".." / ".dvc" / path.name)


@pytest.mark.parametrize("at", ["data", "data/.dvc", "."])
def test_a_bare_repository_among_the_files_hides_nothing(work_tree, at):
    path = write(work_tree / "data" / LOCAL)
    commit_all(work_tree)
    add_bare(work_tree / at)
    assert is_committed(path)


@pytest.mark.parametrize("link", [LOCAL, ".dvc"])
def test_a_tracked_link_leads_to_a_committed_file(work_tree, tmp_path, link):
    (work_tree / link).parent.mkdir(exist_ok=True)
    write(tmp_path / "elsewhere/config.local")
    (work_tree / link).symlink_to(tmp_path / "elsewhere" / ("config.local" if link == LOCAL else ""))
    assert not is_committed(work_tree / LOCAL)
    commit_all(work_tree)
    assert is_committed(work_tree / LOCAL)


def test_a_link_from_elsewhere_leads_to_a_committed_file(work_tree, tmp_path):
    write(work_tree / LOCAL)
    commit_all(work_tree)
    (tmp_path / "link").symlink_to(work_tree)
    assert is_committed(tmp_path / "link" / LOCAL)


def test_case_does_not_matter(work_tree):
    write(work_tree / ".DVC/Config.local")
    commit_all(work_tree)
    assert is_committed(write(work_tree / LOCAL))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to another user")
def test_the_owner_of_the_clone_does_not_matter(work_tree):
    own, path = write(work_tree / LOCAL), write(work_tree / "tracked")
    git(work_tree, "add", path)
    for each in (work_tree, *work_tree.rglob("*")):
        os.chown(each, 1234, 1234)
    assert is_committed(path)
    assert not is_committed(own)


def test_without_git_every_file_of_a_work_tree_is_committed(work_tree, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert is_committed(write(work_tree / LOCAL))
    assert not is_committed(write(tmp_path / "archive" / LOCAL))


@pytest.mark.parametrize("damaged", ["index", "config", "HEAD"])
def test_with_a_damaged_repository_too(work_tree, damaged):
    (work_tree / ".git" / damaged).write_bytes(b"[x")
    assert is_committed(write(work_tree / LOCAL))


def test_a_git_that_does_not_answer_is_not_waited_for(work_tree, tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "fifo")
    git(work_tree, "config", "include.path", str(tmp_path / "fifo"))
    monkeypatch.setattr(committed, "SECONDS", 0.5)
    assert is_committed(write(work_tree / LOCAL))


def test_a_hook_of_another_repository_has_no_say(work_tree, tmp_path, monkeypatch):
    path = write(work_tree / LOCAL)
    commit_all(work_tree)
    git(tmp_path, "init", "--quiet", "other")
    other = tmp_path / "other/.git"
    for name in ("GIT_DIR", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY"):
        monkeypatch.setenv(name, str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / "index"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path / "other"))
    assert is_committed(path)


def test_linked_work_trees_and_submodules_count(work_tree, tmp_path):
    git(work_tree, "worktree", "add", "--quiet", tmp_path / "linked")
    path = write(tmp_path / "linked" / LOCAL)
    assert not is_committed(path)
    git(tmp_path / "linked", "add", "--force", LOCAL)
    assert is_committed(path)
    git(work_tree, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", work_tree, "inside")
    assert is_committed(work_tree / "inside/README.md")
    assert not is_committed(write(work_tree / "inside" / LOCAL))


def test_no_program_of_the_repository_runs(work_tree, tmp_path):
    program = write(tmp_path / "program", f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    git(work_tree, "config", "core.fsmonitor", str(program))
    shutil.copy(program, work_tree / ".git/hooks/post-index-change")
    assert not is_committed(write(work_tree / LOCAL))
    assert not (tmp_path / "ran").exists()
