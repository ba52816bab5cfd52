"""Read the commits of a git repository, with the git command."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from loader._errors import FetchError, NotFoundError
from loader._fetch.store import entry_folder, lock, scratch

if TYPE_CHECKING:
    import subprocess

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REFERENCES = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


class Git:
    """A git repository on this machine: a work tree or a bare clone.

    Parameters
    ----------
    folder
        Its root.
    label
        Its path, or the URL of which it is a clone, for messages.
    is_bare
        Whether it has no work tree.
    """

    def __init__(self, folder: Path, label: str, *, is_bare: bool = False) -> None:
        self.folder = folder
        self.label = label
        self.is_bare = is_bare

    def commit(self, rev: str) -> str:
        """Return the commit (hex) of `rev`, a commit, branch or tag.

        Raises
        ------
        NotFoundError
            There is no such revision, or this is not a git repository.
        """
        done = self._run("rev-parse", "--verify", "--quiet", "--end-of-options", f"{rev}^{{commit}}")
        if done.returncode:
            reason = _first_line(done.stderr)
            raise NotFoundError(f"{self.label} has no revision {rev!r}" + (f" ({reason})" if reason else ""))
        return done.stdout.decode().strip()

    def read(self, commit: str, path: str) -> bytes:
        """Return the bytes of the file at `path`, relative to the folder, in a commit.

        Raises
        ------
        FileNotFoundError
            The commit has no such file.
        """
        done = self._run("cat-file", "blob", f"{commit}:{path}" if self.is_bare else f"{commit}:./{path}")
        if done.returncode:
            raise FileNotFoundError(f"{self.label}: {commit[:12]} has no {path}")
        return done.stdout

    def file_names(self, commit: str, folder: str) -> list[str]:
        """Return the names of the files in `folder` in a commit; an empty list if there is no such folder."""
        done = self._run("ls-tree", "-z", "--name-only", commit, f"{folder}/")
        return [path.rpartition("/")[2] for path in done.stdout.decode(errors="replace").split("\0") if path]

    def history(self, commit: str, path: str) -> list[str]:
        """Return the commits up to `commit` that changed the file at `path`, newest first."""
        done = self._run("log", "--full-history", "--format=%H", commit, "--", path)
        return done.stdout.decode().split()

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return run_git("-C", os.fspath(self.folder), *arguments)


def cached_clone(url: str, *, rev: str | None, offline: bool) -> Git:
    """Return a bare clone of the repository at `url`, kept up to date in the cache.

    It is not updated if `rev` is a full commit hash that it has.

    Raises
    ------
    FetchError
        The repository cannot be reached, or `offline` is set and there is no clone.
    """
    folder = entry_folder("repositories", hashlib.sha256(url.encode()).hexdigest()[:32])
    git = Git(folder, _without_password(url), is_bare=True)
    if offline:
        if not folder.is_dir():
            raise FetchError(
                f"{git.label} was never fetched to this machine, and nothing is fetched offline; load it once online"
            )
        return git
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with lock(folder.name):
            if not folder.is_dir():
                _clone(url, git)
            elif not (rev and _COMMIT.fullmatch(rev) and _has_commit(git, rev)):
                _update(url, git)
    except OSError as error:
        raise FetchError(f"{git.label} cannot be cloned to {folder}: {error}") from error
    return git


def _clone(url: str, git: Git) -> None:
    with scratch(git.folder.name) as folder:
        # not `git clone`, which would write a password in the URL into the clone's configuration
        run_git("init", "--quiet", "--bare", "--", os.fspath(folder))
        _update(url, Git(folder, git.label, is_bare=True))
        folder.rename(git.folder)


def _update(url: str, git: Git) -> None:
    folder = os.fspath(git.folder)
    done = run_git("-C", folder, "fetch", "--quiet", "--prune", "--force", "--", url, *_REFERENCES)
    if done.returncode:
        raise FetchError(
            f"git cannot fetch {git.label}: {_first_line(done.stderr)}; "
            f"to use what was fetched before, set offline=True or DATASETS_OFFLINE=1"
        )
    # the default branch may have changed
    head = run_git("ls-remote", "--symref", "--", url, "HEAD").stdout.decode(errors="replace")
    if found := re.match(r"ref: (refs/heads/\S+)\tHEAD", head):
        run_git("-C", folder, "symbolic-ref", "HEAD", found[1])


def _has_commit(git: Git, commit: str) -> bool:
    try:
        return git.commit(commit) == commit
    except NotFoundError:
        return False


def run_git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run git without prompts, and without the variables that select another repository.

    Raises
    ------
    FetchError
        Git is not installed.
    """
    import subprocess  # imported here because the work tree is read without it

    if shutil.which("git") is None:
        raise FetchError("reading another revision or a repository at a URL needs git, which is not installed")
    environment = {name: value for name, value in os.environ.items() if name not in _REPOSITORY_VARIABLES}
    return subprocess.run(
        ["git", *arguments],
        env={**environment, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )


_REPOSITORY_VARIABLES = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"}


def _first_line(output: bytes) -> str:
    """Return the error in git's output; the lines after it are advice."""
    return _without_password(output.decode(errors="replace").strip().partition("\n")[0].strip())


def _without_password(text: str) -> str:
    return re.sub(r"//[^/\s]*@", "//", text)
