"""Where two artifacts of one dataset differ: which member, split, record and feature."""

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

MOST_MEMBERS = 3  # shards that are named one by one
MOST_LINES = 16  # of a metadata file's difference
MOST_NAMES = 30  # of features that are listed
MOST_VALUES = 8  # of a record's features that are shown
MOST_RECORDS = 3  # of a split that are named one by one
MOST_EXAMPLES = 200  # of a split that are decoded, to say which features differ
MOST_TEXT = 1 << 20  # bytes of a metadata file that is shown
ROW_TYPE = np.dtype(
    [("offset", "<u8"), ("length", "<u4"), ("key", "S16"), ("digest", "S16")]
)  # loader._format.index.ROW
assert ROW_TYPE.itemsize == ROW.size

Rows = np.ndarray[Any, Any]


def compare(recorded: LocalArtifact, fresh: LocalArtifact) -> list[str]:
    """Return what differs between two artifacts, a line each; nothing where their bytes are the same.

    However much differs, the lines are few. The memory needed is a byte for each record of a split where the keys are
    the same, some 150 where they are not.
    """
    if recorded.entry.sha256 == fresh.entry.sha256:
        return []
    left, right = _Side(recorded), _Side(fresh)
    lines = list(_compare_members(recorded, fresh))
    for split in {**recorded.header.splits, **fresh.header.splits}:
        lines += _compare_split(left, right, split)
    return lines or [f"the tars' own headers differ: sha256 {recorded.entry.sha256} and {fresh.entry.sha256}"]


def compare_json(left: Any, right: Any) -> list[str]:
    """Return the difference between two JSON documents, a few lines of a unified diff."""
    texts = [json.dumps(side, indent=1, ensure_ascii=False, sort_keys=True).splitlines() for side in (left, right)]
    return _diff(*texts)


class _Side:
    """One of the two artifacts, with what is opened once for all its splits."""

    def __init__(self, artifact: LocalArtifact) -> None:
        self.artifact = artifact

    def rows(self, split: str) -> Rows:
        """The index's rows of a split, as they lie in the tar."""
        rows = self.artifact.rows(split) if split in self.artifact.header.splits else range(0)
        offset = self.artifact.header.rows.offset + rows.start * ROW.size
        return np.frombuffer(self.artifact.map, ROW_TYPE, len(rows), offset) if rows else np.empty(0, ROW_TYPE)

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
    yield from shards[:MOST_MEMBERS]
    if len(shards) > MOST_MEMBERS:
        yield f"{len(shards) - MOST_MEMBERS:,} more shards differ"


def _compare_texts(recorded: LocalArtifact, left: Member, fresh: LocalArtifact, right: Member) -> list[str]:
    """The difference between two metadata files, where they are texts."""
    if max(left.size, right.size) > MOST_TEXT:
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
    return lines if len(lines) <= MOST_LINES else [*lines[:MOST_LINES], f"... {len(lines) - MOST_LINES:,} more lines"]


def _compare_split(left: _Side, right: _Side, split: str) -> Iterator[str]:
    """Records are the same ones where their keys are; without another order, that is where their places are."""
    ours, theirs = left.rows(split), right.rows(split)
    if len(ours) != len(theirs):
        yield f"split {split} has {len(ours):,} records, the fresh build {len(theirs):,}"
    here = there = None
    if np.array_equal(ours["key"], theirs["key"]):
        differing = np.flatnonzero(ours["digest"] != theirs["digest"])
    else:
        _, here, there = np.intersect1d(ours["key"], theirs["key"], return_indices=True)
        order = np.argsort(here)
        here, there = here[order], there[order]
        yield from _compare_keys(left, right, split, here, there)
        differing = np.flatnonzero(ours["digest"][here] != theirs["digest"][there])
    if not len(differing):
        return
    features: Counter[str] = Counter()
    named: list[str] = []
    for index in differing[:MOST_EXAMPLES]:
        numbers = tuple(int(index) if places is None else int(places[index]) for places in (here, there))
        found = _compare_records((left, split, numbers[0]), (right, split, numbers[1]))
        features.update(found.keys())
        if len(named) < MOST_RECORDS:
            also = f" ({numbers[1]:,} in the fresh build)" if numbers[0] != numbers[1] else ""
            values = _few([f"{name} {how}" for name, how in found.items()], MOST_VALUES, "; ")
            named.append(f"  record {numbers[0]:,}{also}: {values}")
    counts = _few([f"{name} ({count})" for name, count in features.most_common()], MOST_NAMES, ", ")
    looked = f" of the first {MOST_EXAMPLES}" if len(differing) > MOST_EXAMPLES else ""
    yield f"split {split}: {len(differing):,} of {len(ours):,} records differ, in {counts}{looked}"
    yield from named


def _compare_keys(left: _Side, right: _Side, split: str, here: Rows, there: Rows) -> Iterator[str]:
    """What of the records is only on one side, is there under another key, or stands elsewhere."""
    alone, digests = [], []
    for side, matched in ((left, here), (right, there)):
        rows = side.rows(split)
        mask = np.ones(len(rows), bool)
        mask[matched] = False
        alone.append(np.flatnonzero(mask))
        digests.append(rows["digest"][mask])
    renamed = np.intersect1d(digests[0], digests[1])
    if len(renamed):
        yield (
            f"split {split}: {len(renamed):,} of {len(left.rows(split)):,} records have another key, the same bytes: "
            "what the builder yields as a key changes"
        )
    for side, numbers, ours, where in zip(
        (left, right), alone, digests, ("the recorded artifact", "the fresh build"), strict=True
    ):
        only = numbers[~np.isin(ours, renamed)]
        if len(only):
            yield f"split {split}: {len(only):,} of {len(side.rows(split)):,} records are only in {where}"
            for number in only[:MOST_RECORDS]:
                yield f"  record {number:,}: {_shown(side, split, int(number))}"
    moved = np.flatnonzero(np.diff(there) < 0)
    if len(moved):
        yield f"split {split}: the records stand in another order from record {int(here[moved[0]]) + 1:,} on"


def _compare_records(recorded: _Record, fresh: _Record) -> dict[str, str]:
    """Return the features that differ, each with how."""
    (left, split, ours), (right, _, theirs) = recorded, fresh
    try:
        found = dict(differences(left.example(split, ours), right.example(split, theirs)))
    except LoaderError:  # a feature that this loader cannot decode
        found = {}
    for name, how in _compare_fields(left.record(split, ours), right.record(split, theirs)):
        # a feature lies in several fields where it is nested: its own name, and more behind a slash
        if not any(name == other or name.startswith(f"{other}/") for other in found):
            found[name] = how
    return found or {"serialization": "is another one of the same fields (another protobuf?)"}


def _compare_fields(ours: bytes, theirs: bytes) -> Iterator[tuple[str, str]]:
    left, right = (Example.FromString(record).features.feature for record in (ours, theirs))
    for name in sorted({*left, *right}):
        if name not in left or name not in right:
            yield name, f"is a field only in the {'recorded artifact' if name in left else 'fresh build'}"
        elif left[name] != right[name]:
            sizes = f"{left[name].ByteSize():,} and {right[name].ByteSize():,} bytes"
            yield name, f"holds the same value, or one that only TFDS reads, encoded otherwise: {sizes}"


def _shown(side: _Side, split: str, number: int) -> str:
    try:
        example = side.example(split, number)
    except LoaderError:
        return f"{len(side.record(split, number)):,} bytes"
    return _few([f"{name} {brief(value)}" for name, value in example.items()], MOST_VALUES, ", ")


def _few(features: list[str], most: int, between: str) -> str:
    more = len(features) - most
    return between.join([*features[:most], *([f"and {more:,} more"] if more > 0 else [])])
