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
from loader._format.example import Example
from loader._format.index import HEADER_NAME, ROW, ROWS_NAME, Member
from scripts._verify.values import brief, differences

MAX_SHARDS = 3  # listed one by one
MAX_LINES = 16  # of the difference between two metadata files
MAX_FEATURES = 30  # listed by name
MAX_VALUES = 8  # shown of a record
MAX_RECORDS = 3  # listed of a split
MAX_EXAMPLES = 200  # decoded of a split, to find out which features differ
MAX_TEXT_BYTES = 1 << 20  # of a metadata file that is compared
ROW_TYPE = np.dtype(
    [("offset", "<u8"), ("length", "<u4"), ("key", "S16"), ("digest", "S16")]
)  # loader._format.index.ROW
assert ROW_TYPE.itemsize == ROW.size

Rows = np.ndarray[Any, Any]


def compare(recorded: LocalArtifact, fresh: LocalArtifact) -> list[str]:
    """Return the differences between two artifacts, one per line; an empty list if their bytes are the same.

    However much differs, the lines are few. The memory needed for each record of a split is one byte if the keys are
    the same, and some 150 bytes if they are not.
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

    def rows(self, split: str) -> Rows:
        """Return the rows of a split, as they are in the tar."""
        rows = self.artifact.rows(split) if split in self.artifact.header.splits else range(0)
        offset = self.artifact.header.rows.offset + rows.start * ROW.size
        return np.frombuffer(self.artifact.read(offset, len(rows) * ROW.size), ROW_TYPE)

    def record(self, split: str, number: int) -> bytes:
        return self._read(self.artifact.rows(split)[number])

    def example(self, split: str, number: int) -> dict[str, Any]:
        return self._splits[split][number]

    @cached_property
    def _read(self) -> Callable[[int], bytes]:
        return self.artifact.records().reader()

    @cached_property
    def _splits(self) -> dict[str, loader.Split]:
        splits: dict[str, loader.Split] = loader.open(self.artifact.path)[1]
        return splits


_Record = tuple[_Side, str, int]
"""A record: the artifact, the split and the number."""


def _compare_members(recorded: LocalArtifact, fresh: LocalArtifact) -> Iterator[str]:
    left, right = ({m.path: m for m in artifact.header.members} for artifact in (recorded, fresh))
    shards = []
    for path in sorted(left.keys() | right.keys()):
        if path not in right:
            yield f"member {path} is only in the recorded artifact"
        elif path not in left:
            yield f"member {path} is only in the fresh build"
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
    """Compare the records of a split, matched by their keys; with the same keys in the same order, by position."""
    left_rows, right_rows = left.rows(split), right.rows(split)
    if len(left_rows) != len(right_rows):
        yield f"split {split} has {len(left_rows):,} records, the fresh build {len(right_rows):,}"
    in_left = in_right = None  # the numbers of the matched records; None if they are the same in both
    if np.array_equal(left_rows["key"], right_rows["key"]):
        differing = np.flatnonzero(left_rows["digest"] != right_rows["digest"])
    else:
        _, in_left, in_right = np.intersect1d(left_rows["key"], right_rows["key"], return_indices=True)
        order = np.argsort(in_left)
        in_left, in_right = in_left[order], in_right[order]
        yield from _compare_keys(left, right, split, in_left, in_right)
        differing = np.flatnonzero(left_rows["digest"][in_left] != right_rows["digest"][in_right])
    if not len(differing):
        return
    features: Counter[str] = Counter()
    listed: list[str] = []
    for index in differing[:MAX_EXAMPLES]:
        left_number, right_number = (
            int(index if numbers is None else numbers[index]) for numbers in (in_left, in_right)
        )
        found = _compare_records((left, split, left_number), (right, split, right_number))
        features.update(found.keys())
        if len(listed) < MAX_RECORDS:
            also = f" ({right_number:,} in the fresh build)" if left_number != right_number else ""
            values = _join([f"{name} {how}" for name, how in found.items()], MAX_VALUES, "; ")
            listed.append(f"  record {left_number:,}{also}: {values}")
    counts = _join([f"{name} ({count})" for name, count in features.most_common()], MAX_FEATURES, ", ")
    decoded = f" of the first {MAX_EXAMPLES}" if len(differing) > MAX_EXAMPLES else ""
    yield f"split {split}: {len(differing):,} of {len(left_rows):,} records differ, in {counts}{decoded}"
    yield from listed


def _compare_keys(left: _Side, right: _Side, split: str, in_left: Rows, in_right: Rows) -> Iterator[str]:
    """Report records that are only on one side, that have another key, or that are in another order."""
    unmatched, digests = [], []
    for side, matched in ((left, in_left), (right, in_right)):
        rows = side.rows(split)
        mask = np.ones(len(rows), bool)
        mask[matched] = False
        unmatched.append(np.flatnonzero(mask))
        digests.append(rows["digest"][mask])
    renamed = np.intersect1d(digests[0], digests[1])
    if len(renamed):
        yield (
            f"split {split}: {len(renamed):,} of {len(left.rows(split)):,} records have the same bytes and another "
            "key: the builder yields other keys"
        )
    for side, numbers, side_digests, where in zip(
        (left, right), unmatched, digests, ("the recorded artifact", "the fresh build"), strict=True
    ):
        only = numbers[~np.isin(side_digests, renamed)]
        if len(only):
            yield f"split {split}: {len(only):,} of {len(side.rows(split)):,} records are only in {where}"
            for number in only[:MAX_RECORDS]:
                yield f"  record {number:,}: {_format_record(side, split, int(number))}"
    moved = np.flatnonzero(np.diff(in_right) < 0)
    if len(moved):
        yield f"split {split}: the records are in another order from record {int(in_left[moved[0]]) + 1:,} on"


def _compare_records(recorded: _Record, fresh: _Record) -> dict[str, str]:
    """Return the features that differ, each with a description of the difference."""
    (left, split, left_number), (right, _, right_number) = recorded, fresh
    try:
        found = dict(differences(left.example(split, left_number), right.example(split, right_number)))
    except LoaderError:  # a feature that the loader cannot decode
        found = {}
    for name, how in _compare_fields(left.record(split, left_number), right.record(split, right_number)):
        # a nested feature has several fields, whose names begin with its own name and a slash
        if not any(name == other or name.startswith(f"{other}/") for other in found):
            found[name] = how
    return found or {"serialization": "differs, with the same fields (another version of protobuf?)"}


def _compare_fields(left_record: bytes, right_record: bytes) -> Iterator[tuple[str, str]]:
    left, right = (Example.FromString(record).features.feature for record in (left_record, right_record))
    for name in sorted({*left, *right}):
        if name not in left or name not in right:
            yield name, f"is a field only in the {'recorded artifact' if name in left else 'fresh build'}"
        elif left[name] != right[name]:
            sizes = f"{left[name].ByteSize():,} and {right[name].ByteSize():,} bytes"
            yield name, f"has the same value, or one that only TFDS decodes, in another encoding: {sizes}"


def _format_record(side: _Side, split: str, number: int) -> str:
    try:
        example = side.example(split, number)
    except LoaderError:
        return f"{len(side.record(split, number)):,} bytes"
    return _join([f"{name} {brief(value)}" for name, value in example.items()], MAX_VALUES, ", ")


def _join(features: list[str], most: int, separator: str) -> str:
    more = len(features) - most
    return separator.join([*features[:most], *([f"and {more:,} more"] if more > 0 else [])])
