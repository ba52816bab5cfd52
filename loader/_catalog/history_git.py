"""Git for the history of many files: few processes for all of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from loader._fetch.git import Change, Git
from loader._format.names import ARTIFACTS

if TYPE_CHECKING:
    import subprocess

_OBJECT = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")


class HistoryGit(Git):
    """Git that reads the history of all manifests at once, and what does not depend on the dataset only once."""

    def __init__(self, folder: Path, label: str, *, is_bare: bool, end: str) -> None:
        super().__init__(folder, label, is_bare=is_bare)
        self._end = end
        self._known: dict[tuple[str, ...], subprocess.CompletedProcess[bytes]] = {}

    def log(self, commit: str, path: str) -> list[Change]:
        """Return the commits up to `commit` that changed the file at `path`, newest first."""
        return self._changes.get(path, []) if commit == self._end else super().log(commit, path)

    def blobs(self, commits: Sequence[str], path: str) -> dict[str, str]:
        """Return the git object of the file at `path` in each of many commits, read by one process."""
        separator = ":" if self.is_bare else ":./"
        requests = "".join(f"{commit}{separator}{path}\n" for commit in commits).encode()
        answers = self._run("cat-file", "--batch-check=%(objectname)", input=requests).stdout.decode().splitlines()
        return {commit: answer for commit, answer in zip(commits, answers, strict=False) if _OBJECT.fullmatch(answer)}

    @cached_property
    def _changes(self) -> dict[str, list[Change]]:
        """The commits that changed each file in `artifacts/`: a merge if it differs from all its parents there."""
        form = "--format=%H%x00%h%x00%cI"
        listed = self._run("rev-list", "--full-history", "--date-order", form, self._end, "--", ARTIFACTS)
        if listed.returncode:
            raise self._damaged(listed, "its history")
        lines = listed.stdout.decode(errors="replace").splitlines()
        commits = [Change(*line.split("\0")) for line in lines if "\0" in line]  # others repeat the commit
        requests = "".join(f"{change.commit}\n" for change in commits).encode()
        options = ("--stdin", "--root", "-r", "-c", "-z", "--name-only", "--no-renames")
        done = self._run("diff-tree", *options, "--", ARTIFACTS, input=requests)
        if done.returncode:
            raise self._damaged(done, "its history")
        # not by --relative, which git does not obey for merges
        prefix = self._run("rev-parse", "--show-prefix").stdout.decode(errors="surrogateescape").removesuffix("\n")
        by_commit = {change.commit: change for change in commits}
        found: dict[str, list[Change]] = {}
        change = None
        for field in done.stdout.decode(errors="surrogateescape").split("\0"):
            if field.strip() in by_commit:
                change = by_commit[field.strip()]
            elif change is not None and field:
                found.setdefault(field.removeprefix(prefix), []).append(change)
        return found

    def _run(self, *arguments: str, input: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
        if input is not None or arguments[0] not in ("for-each-ref", "diff-tree"):
            return super()._run(*arguments, input=input)
        if arguments not in self._known:
            self._known[arguments] = super()._run(*arguments)
        return self._known[arguments]
