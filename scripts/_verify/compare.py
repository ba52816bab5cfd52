"""Reporting how two artifacts of one dataset differ: in which member, split, record and feature."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np

import loader
from loader import LoaderError
from loader._format.artifact import LocalArtifact
from loader._format.index import HEADER_NAME, ROW, ROW_TYPE, ROWS_NAME, Member
from loader._format.row_changes import Array, RowChanges, compare_rows
from loader._format.value_changes import Decoded, brief, compare_records

SIDES = ("the recorded artifact", "the fresh build")
MAX_SHARDS = 3  # listed one by one
MAX_LINES = 16  # of the difference between two metadata files
MAX_FEATURES = 30  # listed by name
MAX_VALUES = 8  # shown of a record
MAX_RECORDS = 3  # listed of a split
MAX_EXAMPLES = 200  # decoded of a split, to find out which features differ
MAX_TEXT_BYTES = 1 << 20  # of a metadata file that is compared


def compare(recorded: LocalArtifact, fresh: LocalArtifact) -> list[str]:
    """Return the differences between two artifacts, one per line; an empty list if their bytes are the same.

    However much differs, the lines are few. The memory needed is some 200 bytes for each record of a split.
    """
    if recorded.entry.sha256 == fresh.entry.sha256:
        return []
    left, right = _Side(recorded), _Side(fresh)
    lines = list(_compare_members(recorded, fresh))
    for split in {**recorded.header.splits, **fresh.header.splits}:
        lines += _compare_split(left, right, split)
    return lines or [f"the tars' own headers differ: sha256 {recorded.entry.sha256} and {fresh.entry.sha256}"]


def compare_json(left: Any, right: Any) -> list[str]:
    """Return the difference between two JSON documents as a few lines of a unified diff."""
    texts = [json.dumps(side, indent=1, ensure_ascii=False, sort_keys=True).splitlines() for side in (left, right)]
    return _diff(*texts)


class _Side:
    """One of the two artifacts, opened once for all its splits."""

    def __init__(self, artifact: LocalArtifact) -> None:
        self.artifact = artifact

    def rows(self, split: str) -> Array:
        """Return the rows of a split, as they are in the tar."""
        rows = self.artifact.rows(split) if split in self.artifact.header.splits else range(0)
        offset = self.artifact.header.rows.offset + rows.start * ROW.size
        return np.frombuffer(self.artifact.read(offset, len(rows) * ROW.size), ROW_TYPE)

    def decoded(self, split: str, number: int) -> Decoded:
        """Return a record and its example; no example if the loader cannot decode it."""
        record = self._read(self.artifact.rows(split)[number])
        try:
            return Decoded(record, self._splits[split][number])
        except LoaderError:
            return Decoded(record, None)

    @cached_property
    def _read(self) -> Callable[[int], bytes]:
        return self.artifact.records().reader()

    @cached_property
    def _splits(self) -> dict[str, loader.Split]:
        splits: dict[str, loader.Split] = loader.open(self.artifact.path)[1]
        return splits


def _compare_members(recorded: LocalArtifact, fresh: LocalArtifact) -> Iterator[str]:
    left, right = ({m.path: m for m in artifact.header.members} for artifact in (recorded, fresh))
    shards = []
    for path in sorted(left.keys() | right.keys()):
        if path not in right:
            yield f"member {path} is only in {SIDES[0]}"
        elif path not in left:
            yield f"member {path} is only in {SIDES[1]}"
        elif left[path].sha256 != right[path].sha256 and not path.endswith((HEADER_NAME, ROWS_NAME)):
            line = f"member {path} differs: {left[path].size:,} and {right[path].size:,} bytes"
            if ".tfrecord" in path:
                shards.append(line)
            else:
                yield line
                yield from (f"  {each}" for each in _compare_texts(recorded, left[path], fresh, right[path]))
    yield from shards[:MAX_SHARDS]
    if len(shards) > MAX_SHARDS:
        yield f"{len(shards) - MAX_SHARDS:,} more shards differ"


def _compare_texts(recorded: LocalArtifact, left: Member, fresh: LocalArtifact, right: Member) -> list[str]:
    """Return the difference between two metadata files if they are text."""
    if max(left.size, right.size) > MAX_TEXT_BYTES:
        return []
    try:
        texts = [b"".join(side.chunks(member)).decode() for side, member in ((recorded, left), (fresh, right))]
    except UnicodeDecodeError:
        return []
    try:
        documents = [json.loads(text) for text in texts]
    except ValueError:
        return _diff(*(text.splitlines() for text in texts))
    return compare_json(*documents) or ["the same JSON in other bytes"]


def _diff(left: list[str], right: list[str]) -> list[str]:
    lines = list(difflib.unified_diff(left, right, "recorded", "fresh build", n=1, lineterm=""))[2:]
    lines = [line if len(line) <= 160 else f"{line[:160]}..." for line in lines]
    return lines if len(lines) <= MAX_LINES else [*lines[:MAX_LINES], f"... {len(lines) - MAX_LINES:,} more lines"]


def _compare_split(left: _Side, right: _Side, split: str) -> Iterator[str]:
    """Compare the records of a split, matched by their keys."""
    left_rows, right_rows = left.rows(split), right.rows(split)
    if len(left_rows) != len(right_rows):
        yield f"split {split} has {len(left_rows):,} records, the fresh build {len(right_rows):,}"
    changes = compare_rows(left_rows, right_rows)
    yield from _describe_keys(left, right, split, changes)
    if not len(changes.changed):
        return
    features: Counter[str] = Counter()
    listed: list[str] = []
    for left_number, right_number in changes.changed[:MAX_EXAMPLES].tolist():
        found = compare_records(left.decoded(split, left_number), right.decoded(split, right_number), SIDES)
        features.update(change.feature for change in found)
        if len(listed) < MAX_RECORDS:
            also = f" ({right_number:,} in the fresh build)" if left_number != right_number else ""
            values = _join([f"{change.feature} {change.how}" for change in found], MAX_VALUES, "; ")
            listed.append(f"  record {left_number:,}{also}: {values}")
    counts = _join([f"{name} ({count})" for name, count in features.most_common()], MAX_FEATURES, ", ")
    decoded = f" of the first {MAX_EXAMPLES}" if len(changes.changed) > MAX_EXAMPLES else ""
    yield f"split {split}: {len(changes.changed):,} of {len(left_rows):,} records differ, in {counts}{decoded}"
    yield from listed


def _describe_keys(left: _Side, right: _Side, split: str, changes: RowChanges) -> Iterator[str]:
    """Report records that are only on one side, that have another key, or that are in another order."""
    if len(changes.rekeyed):
        yield (
            f"split {split}: {len(changes.rekeyed):,} of {len(left.rows(split)):,} records have the same bytes and "
            "another key: the builder yields other keys"
        )
    numbers = (changes.removed, changes.added)
    for number, (side, where) in enumerate(zip((left, right), SIDES, strict=True)):
        only = np.setdiff1d(numbers[number], changes.rekeyed[:, number])
        if len(only):
            yield f"split {split}: {len(only):,} of {len(side.rows(split)):,} records are only in {where}"
            for each in only[:MAX_RECORDS].tolist():
                yield f"  record {each:,}: {_format_record(side.decoded(split, each))}"
    if len(changes.moved):
        yield f"split {split}: the records are in another order from record {changes.moved[0]:,} on"


def _format_record(decoded: Decoded) -> str:
    if decoded.example is None:
        return f"{len(decoded.record):,} bytes"
    return _join([f"{name} {brief(value)}" for name, value in decoded.example.items()], MAX_VALUES, ", ")


def _join(features: list[str], most: int, separator: str) -> str:
    more = len(features) - most
    return separator.join([*features[:most], *([f"and {more:,} more"] if more > 0 else [])])
