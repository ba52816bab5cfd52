"""Where two artifacts of one dataset differ: which member, split, record and feature."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

import numpy as np

from loader._artifact import LocalArtifact
from loader._features.decode import make_decoder
from loader._index import HEADER_NAME, ROW, ROWS_NAME
from loader._info import read_info

MOST_RECORDS = 3  # of a split that are named one by one


def compare(recorded: LocalArtifact, fresh: LocalArtifact) -> list[str]:
    """Return what differs between two artifacts, a line each; nothing where their bytes are the same."""
    if recorded.entry.sha256 == fresh.entry.sha256:
        return []
    lines = list(_compare_members(recorded, fresh))
    for split in {**recorded.header.splits, **fresh.header.splits}:
        lines += _compare_split(recorded, fresh, split)
    return lines or [f"the tars' own headers differ: sha256 {recorded.entry.sha256} and {fresh.entry.sha256}"]


def _compare_members(recorded: LocalArtifact, fresh: LocalArtifact) -> Iterator[str]:
    left, right = ({m.path: m for m in artifact.header.members} for artifact in (recorded, fresh))
    for path in sorted(left.keys() | right.keys()):
        if path not in right:
            yield f"member {path} is only in the recorded artifact"
        elif path not in left:
            yield f"member {path} is only in the fresh build"
        elif left[path].sha256 != right[path].sha256 and not path.endswith((HEADER_NAME, ROWS_NAME)):
            yield f"member {path} differs: {left[path].size:,} and {right[path].size:,} bytes"


def _compare_split(recorded: LocalArtifact, fresh: LocalArtifact, split: str) -> list[str]:
    counts = [artifact.header.splits.get(split, 0) for artifact in (recorded, fresh)]
    if counts[0] != counts[1]:
        return [f"split {split} has {counts[0]:,} records, the fresh build {counts[1]:,}"]
    differing = [
        number
        for number, (left, right) in enumerate(zip_longest(_marks(recorded, split), _marks(fresh, split)))
        if left != right
    ]
    if not differing:
        return []
    lines = [f"split {split}: {len(differing):,} of {counts[0]:,} records differ"]
    lines += [_compare_record(recorded, fresh, split, number) for number in differing[:MOST_RECORDS]]
    return lines


def _marks(artifact: LocalArtifact, split: str) -> Iterator[tuple[bytes, bytes]]:
    """Key and digest of each record of a split."""
    first = 0
    for name, count in artifact.header.splits.items():
        if name == split:
            for number in range(first, first + count):
                _, _, key, digest = ROW.unpack_from(artifact.map, artifact.header.rows.offset + number * ROW.size)
                yield key, digest
        first += count


def _compare_record(recorded: LocalArtifact, fresh: LocalArtifact, split: str, number: int) -> str:
    left, right = (
        make_decoder(read_info(artifact.read_file).features)(artifact.records().reader()(artifact.rows(split)[number]))
        for artifact in (recorded, fresh)
    )
    features = [name for name in left | right if not _same(left.get(name), right.get(name))]
    if not features:
        return f"  record {number:,}: the same values in other bytes (another encoder or serializer?), or another key"
    values = "; ".join(f"{name} {_brief(left.get(name))} and {_brief(right.get(name))}" for name in features)
    return f"  record {number:,} differs in {values}"


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[name], right[name]) for name in left)
    is_float = getattr(left, "dtype", np.dtype(object)).kind == "f"
    return np.array_equal(left, right, equal_nan=is_float and type(left) is type(right))


def _brief(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:60]}..."
