"""Examples of one artifact that have the same content, found by the digests of their contents.

The digests are in a file, 16 bytes for each example. They are sorted in parts, so that memory stays bounded however
many there are (unless one content repeats millions of times).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import nsmallest
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from scripts._process.errors import ScriptError

Array = np.ndarray[Any, np.dtype[Any]]

NONE = bytes(16)
"""The digest of an example without the content, for example with an empty text."""
PART = 1 << 19  # examples sorted at once, which takes about 100 MB
CONTENTS = 5  # given as a sample
PLACES = 4  # of each of them


@dataclass
class Repeated:
    """The contents that examples of one split, or of two, have in common.

    Attributes
    ----------
    examples
        The number of examples of the last of the splits that repeat an earlier example.
    sample
        The positions of the examples of a few contents.
    """

    examples: int = 0
    sample: list[list[int]] = field(default_factory=list)


class Digests:
    """The digests of one content of all examples of an artifact, split after split.

    Parameters
    ----------
    path
        The file to keep them in.
    splits
        The number of examples of each split.

    Raises
    ------
    ScriptError
        The disk is full.
    """

    def __init__(self, path: Path, splits: dict[str, int]) -> None:
        self._names = list(splits)
        self._starts = np.cumsum([0, *splits.values()])
        shape = (int(self._starts[-1]), 2)
        if shape[0]:
            _reserve(path, 16 * shape[0])
            self._digests: Array = np.memmap(path, ">u8", "r+", shape=shape)
        else:
            self._digests = np.zeros(shape, ">u8")

    def put(self, split: str, start: int, digests: bytes) -> None:
        """Store the digests of consecutive examples of a split, from position `start` on."""
        first = self._starts[self._names.index(split)] + start
        rows = np.frombuffer(digests, ">u8").reshape(-1, 2)
        self._digests[first : first + len(rows)] = rows

    def place(self, position: int) -> tuple[str, int]:
        """Return the split and the position in it of an example of the artifact."""
        number = int(np.searchsorted(self._starts, position, "right")) - 1
        return self._names[number], position - int(self._starts[number])

    def repeated(self, duplicate: Array, leaked: Array, *, most: float) -> dict[tuple[str, ...], Repeated]:
        """Find the contents that several examples have.

        Parameters
        ----------
        duplicate, leaked
            An item for each example, set for those that repeat an earlier one of their split, or one of an earlier
            split.
        most
            If more than this part of the examples repeat another, the content does not identify examples, and nothing
            is found or set.

        Returns
        -------
        dict
            What is repeated in a split, or in an earlier and a later one, by their names.
        """
        found: dict[tuple[str, ...], Repeated] = {}
        repeating, present = 0, 0
        marks: list[tuple[Array, Array, Array]] = []
        for part in self._parts():
            positions, groups, count = _groups(part, self._digests)
            present += count
            if not len(positions):
                continue
            splits = np.searchsorted(self._starts, positions, "right") - 1
            repeating += len(positions) - int(groups[-1]) - 1
            is_first = _changes(groups)
            in_split = ~_changes(groups * len(self._names) + splits)
            first_split = splits[np.flatnonzero(is_first)[groups]]
            marks.append((positions, in_split, splits != first_split))
            self._count(found, positions, groups, splits)
        if repeating > most * present:
            return {}
        for positions, in_split, across in marks:
            duplicate[positions[in_split]] = True
            leaked[positions[across]] = True
        return dict(sorted(found.items(), key=lambda item: [self._names.index(name) for name in item[0]]))

    def _parts(self) -> Iterator[Array]:
        """Yield the positions of the examples in parts that have no content in common."""
        bits = max(0, len(self._digests) // PART).bit_length()
        for number in range(1 << bits):
            chosen = []
            for start in range(0, len(self._digests), PART):
                rows = self._digests[start : start + PART]
                high = rows[:, 0].astype(np.uint64)
                present = (high != 0) | (rows[:, 1] != 0)
                if bits:
                    present &= high >> np.uint64(64 - bits) == number
                chosen.append(np.flatnonzero(present) + start)
            yield np.concatenate(chosen) if chosen else np.zeros(0, np.int64)

    def _count(self, found: dict[tuple[str, ...], Repeated], positions: Array, groups: Array, splits: Array) -> None:
        """Add what is repeated in some groups of examples; the examples of a group are in order."""
        width = len(self._names)
        numbers = np.bincount(groups * width + splits, minlength=(int(groups[-1]) + 1) * width).reshape(-1, width)
        bounds = np.flatnonzero(np.append(_changes(groups), True))
        for pair in [*((n, n) for n in range(width)), *combinations(range(width), 2)]:
            earlier, later = pair
            if earlier == later:
                having = np.flatnonzero(numbers[:, earlier] > 1)
                count = int((numbers[having, earlier] - 1).sum())
            else:
                having = np.flatnonzero((numbers[:, earlier] > 0) & (numbers[:, later] > 0))
                count = int(numbers[having, later].sum())
            if not count:
                continue
            each = found.setdefault(tuple(self._names[n] for n in sorted(set(pair))), Repeated())
            each.examples += count
            first = having[np.argsort(positions[bounds[having]], kind="stable")[:CONTENTS]]
            for group in first:
                members = slice(bounds[group], bounds[group + 1])
                # of two splits, a place in each is worth more than many in one
                ends = [positions[members][splits[members] == number] for number in sorted(set(pair))]
                each.sample.append([int(position) for end in ends for position in end[: PLACES // len(ends)]])
            each.sample = nsmallest(CONTENTS, each.sample)


def _reserve(path: Path, size: int) -> None:
    """Create a file of zeros whose blocks exist: writing to a mapped file on a full disk would end the process."""
    try:
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        raise ScriptError(f"{path} cannot be written: {error.strerror}") from error


def _groups(positions: Array, digests: Array) -> tuple[Array, Array, int]:
    """Return the positions of contents that occur more than once, the number of each one's group, and how many
    examples have the content.

    Groups are adjacent, and the positions in a group ascend.
    """
    own = digests[positions].astype(np.uint64)
    order = np.lexsort((own[:, 1], own[:, 0]))  # stable
    own = own[order]
    starts = np.append(True, (own[1:] != own[:-1]).any(axis=1)) if len(own) else np.zeros(0, bool)
    several = ~starts | ~np.append(starts[1:], True)
    return positions[order][several], np.cumsum(starts[several]) - 1, len(own)


def _changes(values: Array) -> Array:
    """Return where a value differs from the one before it; the first one counts as different."""
    return np.append(True, values[1:] != values[:-1])
