"""Reading commits of a git repository, by git itself."""

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
    """A git repository on this machine: a work tree or a bare copy.

    Parameters
    ----------
    folder
        Its root.
    label
        How messages call it: its path, or the URL that it is a copy of.
    is_bare
        Whether it is a copy without a work tree.
    """

    def __init__(self, folder: Path, label: str, *, is_bare: bool = False) -> None:
        self.folder = folder
        self.label = label
        self.is_bare = is_bare

    def commit(self, rev: str) -> str:
        """Return the commit (hex) that `rev`, a commit, branch or tag, stands for.

        Raises
        ------
        NotFoundError
            It stands for none, or this is no git repository.
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

    def names(self, commit: str, folder: str) -> list[str]:
        """Return the names of the files in `folder` in a commit; none where there is no such folder."""
        done = self._run("ls-tree", "-z", "--name-only", commit, f"{folder}/")
        return [path.rpartition("/")[2] for path in done.stdout.decode(errors="replace").split("\0") if path]

    def history(self, commit: str, path: str) -> list[str]:
        """Return the commits up to `commit` that changed the file at `path`, newest first."""
        done = self._run("log", "--full-history", "--format=%H", commit, "--", path)
        return done.stdout.decode().split()

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return run_git("-C", os.fspath(self.folder), *arguments)


def copy_of(url: str, *, rev: str | None, offline: bool) -> Git:
    """Return a bare copy of the repository at `url`, kept in the cache and brought up to date.

    It is left as it is where `rev` is a whole commit that it has.

    Raises
    ------
    FetchError
        The repository cannot be reached, or `offline` is set and there is no copy.
    """
    folder = entry_folder("repositories", hashlib.sha256(url.encode()).hexdigest()[:32])
    git = Git(folder, _without_password(url), is_bare=True)
    if offline:
        if not folder.is_dir():
            raise FetchError(
                f"{git.label} was never read on this machine, and offline nothing is fetched; load it once online"
            )
        return git
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with lock(folder.name):
            if not folder.is_dir():
                _clone(url, git)
            elif not (rev and _COMMIT.fullmatch(rev) and _has(git, rev)):
                _update(url, git)
    except OSError as error:
        raise FetchError(f"{git.label} cannot be copied to {folder}: {error}") from error
    return git


def _clone(url: str, git: Git) -> None:
    with scratch(git.folder.name) as made:
        # not `git clone`, which would write a password in the URL into the copy's configuration
        run_git("init", "--quiet", "--bare", "--", os.fspath(made))
        _update(url, Git(made, git.label, is_bare=True))
        made.rename(git.folder)


def _update(url: str, git: Git) -> None:
    folder = os.fspath(git.folder)
    done = run_git("-C", folder, "fetch", "--quiet", "--prune", "--force", "--", url, *_REFERENCES)
    if done.returncode:
        raise FetchError(
            f"git cannot fetch {git.label}: {_first_line(done.stderr)}; "
            f"what was read of it before can be had with offline=True or DATASETS_OFFLINE=1"
        )
    # the default branch may have another name by now
    head = run_git("ls-remote", "--symref", "--", url, "HEAD").stdout.decode(errors="replace")
    if found := re.match(r"ref: (refs/heads/\S+)\tHEAD", head):
        run_git("-C", folder, "symbolic-ref", "HEAD", found[1])


def _has(git: Git, commit: str) -> bool:
    try:
        return git.commit(commit) == commit
    except NotFoundError:
        return False


def run_git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run git, never asking anything, whatever repository the environment names.

    Raises
    ------
    FetchError
        There is no git on this machine.
    """
    import subprocess  # only who asks for another revision pays for the import

    if shutil.which("git") is None:
        raise FetchError("reading another revision or a repository at a URL needs git, which is not on this machine")
    environment = {name: value for name, value in os.environ.items() if name not in _LEADING_ASTRAY}
    return subprocess.run(
        ["git", *arguments],
        env={**environment, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )


_LEADING_ASTRAY = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"}


def _first_line(output: bytes) -> str:
    """What went wrong; the lines behind it are advice."""
    return _without_password(output.decode(errors="replace").strip().partition("\n")[0].strip())


def _without_password(text: str) -> str:
    return re.sub(r"//[^/\s]*@", "//", text)
