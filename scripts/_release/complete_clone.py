"""Whether a clone knows everything that the history records, without which a needed object looks like garbage."""

from __future__ import annotations

import time
from pathlib import Path

from scripts._process.errors import ScriptError
from scripts._process.git import git

FETCHED_SECONDS = 3600
"""What others have pushed is taken for known if it was fetched within this time."""
_FETCH = "git fetch --all --tags"


def check_history(root: Path) -> None:
    """Check that this clone has the whole history of its branches and tags.

    Raises
    ------
    ScriptError
        It is a shallow or a partial clone, its history was edited, or git fails.
    """
    grafts = root / git(root, "rev-parse", "--git-path", "info/grafts").decode().strip()
    if grafts.exists():
        raise ScriptError(
            f"{grafts} hides a part of the history, so what it records is unknown; remove that file first"
        )
    if git(root, "rev-parse", "--is-shallow-repository").strip() == b"true":
        raise ScriptError(
            f"this clone has only its latest commits, so what the others record is unknown; "
            f"get them with: git fetch --unshallow && {_FETCH}"
        )
    if any(key.startswith("remote.") and key.endswith(".promisor") for key, _ in _settings(root)):
        raise ScriptError(
            "this is a partial clone, which lacks files of older commits, so what they record is unknown; "
            "clean up in a clone that was made without --filter"
        )


def check_branches(root: Path) -> None:
    """Check that this clone has fetched all branches and tags that others have pushed.

    Raises
    ------
    ScriptError
        It fetches only some branches, or has not fetched for a while, or git fails.
    """
    remotes = git(root, "remote").decode().split()
    settings = _settings(root)
    for remote in remotes:
        fetched = [value for key, value in settings if key == f"remote.{remote}.fetch"]
        if not any(value.lstrip("+").startswith("refs/heads/*:") for value in fetched):
            raise ScriptError(
                f"this clone has only some branches of {remote}, so what the others need is unknown; "
                f"get them with: git remote set-branches {remote} '*' && {_FETCH}"
            )
    last = root / git(root, "rev-parse", "--git-path", "FETCH_HEAD").decode().strip()
    if remotes and not (last.exists() and time.time() - last.stat().st_mtime < FETCHED_SECONDS):
        raise ScriptError(
            f"this clone has not fetched in the last hour, so what others have pushed is unknown; get it with: {_FETCH}"
        )


def _settings(root: Path) -> list[tuple[str, str]]:
    """Return git's configuration: the keys, whose first and last parts are in lowercase, and their values."""
    listed = git(root, "config", "--list", "-z").decode(errors="replace").split("\0")
    return [(key, value) for key, _, value in (each.partition("\n") for each in listed if each)]
