"""How the examples of two artifacts differ, by the rows of their splits alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from loader._format.index import ROW_TYPE
from loader._format.row_changes import Array, RowChanges, compare_rows, match_records
from loader._registry.differences.difference import SplitDifference

NO_ROWS = np.empty(0, ROW_TYPE)
Moves = Counter[tuple[str, str]]


def compare_splits(
    old: Mapping[str, Array], new: Mapping[str, Array]
) -> tuple[tuple[SplitDifference, ...], dict[str, RowChanges]]:
    """Return the differences of the splits, and which examples they count.

    Parameters
    ----------
    old, new
        The rows of each split.

    Returns
    -------
    splits
        The splits of the new side, in its order, and then those that only the old one has.
    changes
        The positions of the examples of each split.
    """
    changes = {split: compare_rows(old.get(split, NO_ROWS), new.get(split, NO_ROWS)) for split in {**new, **old}}
    moves = _moves(old, new, changes)
    splits = tuple(
        SplitDifference(
            split,
            len(old[split]) if split in old else None,
            len(new[split]) if split in new else None,
            added=len(found.added),
            removed=len(found.removed),
            changed=len(found.changed),
            unchanged=found.unchanged,
            moved=len(found.moved),
            rekeyed=len(found.rekeyed),
            went_to={other: count for (first, other), count in moves.items() if first == split},
            came_from={first: count for (first, other), count in moves.items() if other == split},
        )
        for split, found in changes.items()
    )
    return splits, changes


def unchanged_splits(counts: Mapping[str, int]) -> tuple[SplitDifference, ...]:
    """Return splits with these numbers of examples, none of which differs."""
    return tuple(SplitDifference(split, count, count, unchanged=count) for split, count in counts.items())


def _moves(old: Mapping[str, Array], new: Mapping[str, Array], changes: Mapping[str, RowChanges]) -> Moves:
    """Return how many examples have the same bytes in another split, by both splits.

    Keys do not tell, because TFDS makes them from the split's name too.
    """
    gone = {split: np.setdiff1d(found.removed, found.rekeyed[:, 0]) for split, found in changes.items()}
    come = {split: np.setdiff1d(found.added, found.rekeyed[:, 1]) for split, found in changes.items()}
    names = list(changes)
    sides = []
    for side, left in ((old, gone), (new, come)):
        rows = [side.get(split, NO_ROWS)[left[split]] for split in names]
        origins = np.repeat(np.arange(len(names)), [len(each) for each in rows])
        sides.append((np.concatenate([NO_ROWS, *rows]), origins))
    (old_rows, old_origins), (new_rows, new_origins) = sides
    in_old, in_new = match_records(old_rows, new_rows)
    pairs = np.stack([old_origins[in_old], new_origins[in_new]], axis=1)
    found, counts = np.unique(pairs, axis=0, return_counts=True)
    return Counter(
        {(names[first], names[other]): int(count) for (first, other), count in zip(found.tolist(), counts, strict=True)}
    )
