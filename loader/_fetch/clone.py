"""Keep a bare clone of the repository at a URL in the cache."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from loader._errors import FetchError, NotFoundError, without_secrets
from loader._fetch.git import COMMIT, Git
from loader._fetch.git_process import NETWORK_SECONDS, first_line, redirected, run_git
from loader._fetch.store import entry_folder, lock, scratch

if TYPE_CHECKING:
    import subprocess

_REFERENCES = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


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
    if rev and COMMIT.fullmatch(rev) and folder.is_dir() and _has_commit(git, rev):
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
        if b"returned error: 3" in done.stderr and (address := redirected(git.folder, url, label=git.label)):
            raise FetchError(
                f"{git.label} redirects to {address}, which is not followed; if you trust it, name that repository"
            )
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
