"""Read the commits of a git repository, with the git command."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from loader._errors import FetchError, NotFoundError, without_secrets
from loader._fetch.git_process import NETWORK_SECONDS, first_line, run_git
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
            reason = first_line(done.stderr)
            raise NotFoundError(f"{self.label} has no revision {rev!r}" + (f" ({reason})" if reason else ""))
        return done.stdout.decode().strip()

    def read(self, commit: str, path: str) -> bytes:
        """Return the bytes of the file at `path`, relative to the folder, in a commit.

        Raises
        ------
        FileNotFoundError
            The commit has no such file.
        FetchError
            The repository lacks the file's content, or is damaged.
        """
        name = f"{commit}:{path}" if self.is_bare else f"{commit}:./{path}"
        done = self._run("cat-file", "blob", name)
        if done.returncode:
            if not self._listed(commit, path):
                raise FileNotFoundError(f"{self.label}: {commit[:12]} has no {path}")
            raise self._damaged(done, f"{path} of {commit[:12]}")
        return done.stdout

    def file_names(self, commit: str, folder: str) -> list[str]:
        """Return the names of the files in `folder` in a commit; an empty list if there is no such folder.

        Raises
        ------
        FetchError
            The repository lacks the folder's content, or is damaged.
        """
        return [path.rpartition("/")[2] for path in self._listed(commit, f"{folder}/")]

    def history(self, commit: str, path: str) -> list[str]:
        """Return the commits up to `commit` that changed the file at `path`, newest first.

        Raises
        ------
        FetchError
            The repository lacks a part of its history, or is damaged.
        """
        done = self._run("rev-list", "--full-history", commit, "--", path)
        if done.returncode:
            raise self._damaged(done, f"the history of {path}")
        return done.stdout.decode().split()

    def tracks(self, path: str) -> bool:
        """Return whether the file at `path` is part of the repository, or is reached through a link that is."""
        real = (self.folder / path).resolve()
        on_the_way = {path, *map(os.fspath, Path(path).parents)}
        if real.is_relative_to(self.folder):
            on_the_way.add(os.fspath(real.relative_to(self.folder)))
        if shutil.which("git") is None:  # the work tree is read without it
            return False
        # another user's repository too: nothing of it runs
        done = self._run("-c", "safe.directory=*", "ls-files", "-z")
        return not on_the_way.isdisjoint(done.stdout.decode(errors="replace").split("\0"))

    def _listed(self, commit: str, path: str) -> list[str]:
        done = self._run("ls-tree", "-z", "--name-only", commit, path)
        if done.returncode:
            raise self._damaged(done, f"{path} of {commit[:12]}")
        return [found for found in done.stdout.decode(errors="replace").split("\0") if found]

    def _damaged(self, done: subprocess.CompletedProcess[bytes], what: str) -> FetchError:
        return FetchError(
            f"{self.label} lacks {what} ({first_line(done.stderr)}); if it is a partial clone, complete it with: "
            f"git -C {shlex.quote(os.fspath(self.folder))} fetch --refetch --no-filter"
        )

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return run_git(self.folder, *arguments, label=self.label, is_bare=self.is_bare)


def cached_clone(url: str, *, rev: str | None, offline: bool) -> Git:
    """Return a bare clone of the repository at `url`, kept up to date in the cache.

    It is not updated if `rev` is a full commit hash that it has.

    Raises
    ------
    FetchError
        The repository cannot be reached, or `offline` is set and there is no clone.
    """
    # without the password, which may change, and which a hash of it would give away to whoever guesses it
    folder = entry_folder("repositories", hashlib.sha256(_without_password(url).encode()).hexdigest()[:32])
    git = Git(folder, without_secrets(url), is_bare=True)
    if offline:
        if not folder.is_dir():
            raise FetchError(
                f"{git.label} was never fetched to this machine, and nothing is fetched offline; load it once online"
            )
        return git
    if rev and _COMMIT.fullmatch(rev) and folder.is_dir() and _has_commit(git, rev):
        return git
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with lock(folder.name).acquire(timeout=NETWORK_SECONDS):
            if folder.is_dir():
                _update(url, git)
            else:
                _clone(url, git)
    except TimeoutError as error:
        raise FetchError(
            f"another process has been fetching {git.label} for {NETWORK_SECONDS:g} seconds; "
            f"try again, or use what was fetched before with offline=True or DATASETS_OFFLINE=1"
        ) from error
    except OSError as error:
        raise FetchError(f"{git.label} cannot be cloned to {folder}: {error}") from error
    return git


def _clone(url: str, git: Git) -> None:
    with scratch(git.folder.name) as folder:
        # not `git clone`, which would write a password in the URL into the clone's configuration
        folder.mkdir()
        done = run_git(folder, "init", "--quiet", "--bare", label=git.label, is_bare=True)
        if done.returncode:
            raise FetchError(f"git cannot make a clone of {git.label} in {folder}: {first_line(done.stderr)}")
        _update(url, Git(folder, git.label, is_bare=True))
        folder.rename(git.folder)


def _update(url: str, git: Git) -> None:
    for left_over in (*git.folder.glob("*.lock"), *git.folder.glob("refs/**/*.lock")):
        left_over.unlink()  # by a killed process: this one holds the lock of the clone
    options = ("--quiet", "--prune", "--force", "--no-write-fetch-head", "--no-recurse-submodules")
    done = _run_network(git, "fetch", *options, "--", url, *_REFERENCES)
    if done.returncode:
        raise FetchError(
            f"git cannot fetch {git.label}: {first_line(done.stderr)}; "
            f"to use what was fetched before, set offline=True or DATASETS_OFFLINE=1"
        )
    # the default branch may have changed
    head = _run_network(git, "ls-remote", "--symref", "--", url, "HEAD").stdout.decode(errors="replace")
    if found := re.match(r"ref: (refs/heads/\S+)\tHEAD", head):
        run_git(git.folder, "symbolic-ref", "HEAD", found[1], label=git.label, is_bare=True)


def _run_network(git: Git, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return run_git(git.folder, *arguments, label=git.label, is_bare=True, uses_network=True)


def _has_commit(git: Git, commit: str) -> bool:
    try:
        return git.commit(commit) == commit
    except NotFoundError:
        return False


def _without_password(url: str) -> str:
    return re.sub(r"(?<=://)([^/:@]*):[^/]*@", r"\1@", url)
