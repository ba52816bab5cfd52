"""What a check found."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

MAX_LISTED = 10


@dataclass(frozen=True)
class Problem:
    """Something that is broken.

    Attributes
    ----------
    text
        One sentence: what is wrong, where, and the command that fixes it.
    fix
        Repairs it if that is safe, and returns what it did; it raises an error that says why it could not. None if a
        person must decide.
    """

    text: str
    fix: Callable[[], str] | None = None


@dataclass
class Result:
    """What one or more checks found.

    Attributes
    ----------
    problems
        What is broken.
    fine
        What was checked and is right, a line each.
    notes
        What is not broken, but good to know.
    not_checked
        What could not be checked, and why.
    """

    problems: list[Problem] = field(default_factory=list)
    fine: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)

    def add(self, other: Result) -> None:
        """Add what another check found."""
        self.problems += other.problems
        self.fine += other.fine
        self.notes += other.notes
        self.not_checked += other.not_checked


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: "1 object", "2,000 objects"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def listed(items: Iterable[str]) -> str:
    """Return the first items, and how many more there are."""
    items = list(items)
    more = f" and {len(items) - MAX_LISTED:,} more" if len(items) > MAX_LISTED else ""
    return ", ".join(items[:MAX_LISTED]) + more


def quoted(paths: Iterable[Path | str]) -> str:
    """Return paths as words of a shell command."""
    return " ".join(shlex.quote(str(path)) for path in paths)
