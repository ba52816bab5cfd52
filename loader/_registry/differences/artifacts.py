"""How two artifacts of a dataset differ, down to the example."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from loader._errors import DecodeError, UnsupportedError
from loader._features.decode import make_decoder
from loader._features.parse import FeaturesDict, parse_features
from loader._fetch.reference import ArtifactReference
from loader._format.artifact import Artifact
from loader._format.description import parse_json
from loader._format.manifest import ArtifactEntry, Manifest
from loader._format.row_changes import Array, RowChanges
from loader._format.value_changes import Decoded, ValueChange, brief, compare_records
from loader._registry.differences.difference import (
    CHANGED,
    NEW,
    SAME,
    Change,
    ConfigDifference,
    ExampleDifference,
    OneSidedExample,
    SplitDifference,
)
from loader._registry.differences.index import RemoteArtifact, locate, read_rows
from loader._registry.differences.metadata import compare_features
from loader._registry.differences.rows import compare_splits, unchanged_splits
from loader._registry.records import as_mapping

SIDES = ("the old version", "the new version")
_CLASS_NAMES = ".labels.txt"
_TOLD_OTHERWISE = {"features.json", "record_index.bin"}


def _raw(manifest: Manifest, entry: ArtifactEntry) -> dict[str, Any]:
    found = manifest.raw["artifacts"][entry.filename]
    assert isinstance(found, dict)
    return found


def split_counts(manifest: Manifest, entry: ArtifactEntry) -> dict[str, int]:
    """Return the number of examples of each split, as the manifest has them."""
    splits = as_mapping(_raw(manifest, entry).get("splits"))
    counts = {name: as_mapping(each).get("examples") for name, each in splits.items()}
    return {name: count for name, count in counts.items() if type(count) is int}


def one_sided(manifest: Manifest, entry: ArtifactEntry, status: str) -> ConfigDifference:
    """Return the difference of a config that is new or removed, by its manifest alone."""
    counts = split_counts(manifest, entry)
    splits = [
        SplitDifference(name, None, count, added=count)
        if status == NEW
        else SplitDifference(name, count, None, removed=count)
        for name, count in counts.items()
    ]
    sides = ({}, _raw(manifest, entry)) if status == NEW else (_raw(manifest, entry), {})
    return ConfigDifference(entry.config, status, compare_features(*sides), splits=tuple(splits))


def compare_artifacts(old: ArtifactReference, new: ArtifactReference, examples: int) -> tuple[ConfigDifference, int]:
    """Return what differs between two artifacts, and how many bytes were read from remotes.

    Parameters
    ----------
    old, new
        The artifacts.
    examples
        How many changed, removed and added examples to decode, at most so many of each.

    Raises
    ------
    FetchError, IntegrityError, ManifestError
        As `loader.diff` says.
    """
    config = new.entry.config
    if old.entry.sha256 == new.entry.sha256:
        return ConfigDifference(config, SAME, splits=unchanged_splits(split_counts(new.manifest, new.entry))), 0
    sides = (locate(old), locate(new))
    headers = [side.header for side in sides]
    changes: dict[str, RowChanges] = {}
    if headers[0].blocks == headers[1].blocks and headers[0].splits == headers[1].splits:
        splits = unchanged_splits(headers[1].splits)
    else:
        splits, changes = compare_splits(*read_rows(sides))
    files = [{each.name: each.sha256 for each in header.members if ".tfrecord" not in each.name} for header in headers]
    differing = {name for name, _ in files[0].items() ^ files[1].items()}
    result = ConfigDifference(
        config,
        CHANGED,
        compare_features_of(old, new) + tuple(_classes(sides, sorted(differing))),
        files=tuple(sorted(differing - _TOLD_OTHERWISE)),
        splits=splits,
    )
    if examples and changes:
        result = _with_examples(result, sides, changes, examples)
    return result, sum(side.bytes_fetched for side in sides if isinstance(side, RemoteArtifact))


def _classes(sides: tuple[Artifact, Artifact], files: list[str]) -> Iterator[Change]:
    """Yield the class names that only one side has, of each feature whose names differ."""
    for file in files:
        if file.endswith(_CLASS_NAMES) and all(side.header.member(file) for side in sides):
            old, new = (side.read_file(file).decode(errors="replace").splitlines() for side in sides)
            only = [", ".join(n for n in names if n not in others) for names, others in ((old, new), (new, old))]
            if not any(only):
                only = ["in one order", "in another order"]
            yield Change(f"classes of {file.removesuffix(_CLASS_NAMES)}", *(text or "none" for text in only))


def compare_features_of(old: ArtifactReference, new: ArtifactReference) -> tuple[Change, ...]:
    """Return the features that differ, by the manifests alone."""
    return compare_features(_raw(old.manifest, old.entry), _raw(new.manifest, new.entry))


def _with_examples(
    result: ConfigDifference, sides: tuple[Artifact, Artifact], changes: Mapping[str, RowChanges], examples: int
) -> ConfigDifference:
    """Add up to `examples` changed, removed and added examples each, read and decoded."""
    changed = _spread({split: each.changed for split, each in changes.items()}, examples)
    removed = _spread({split: each.removed for split, each in changes.items()}, examples)
    added = _spread({split: each.added for split, each in changes.items()}, examples)
    old, new = sides
    before = [(split, number) for split, (number, _) in changed] + removed
    after = [(split, number) for split, (_, number) in changed] + added
    old_types, old_decoded = _decode(old, [old.rows(split)[number] for split, number in before])
    new_types, new_decoded = _decode(new, [new.rows(split)[number] for split, number in after])
    count = len(changed)
    found = []
    for (split, (old_number, new_number)), first, second in zip(
        changed, old_decoded[:count], new_decoded[:count], strict=True
    ):
        differing = tuple(map(_from_old_to_new, compare_records(first, second, SIDES)))
        found.append(ExampleDifference(split, old_number, new_number, differing, first.example, second.example))
    return replace(
        result,
        examples=tuple(found),
        removed_examples=_one_sided_examples(removed, old_decoded[count:]),
        added_examples=_one_sided_examples(added, new_decoded[count:]),
        old_types=old_types,
        new_types=new_types,
    )


def _from_old_to_new(change: ValueChange) -> ValueChange:
    """Return a change of one value to another that says which of them is the old one."""
    old, new = brief(change.old), brief(change.new)
    return replace(change, how=f"{old} -> {new}") if change.how == f"{old} and {new}" else change


def _spread(positions: Mapping[str, Array], count: int) -> list[tuple[str, Any]]:
    """Return up to `count` of the positions in splits, evenly spread over all of them, each with its split."""
    total = sum(map(len, positions.values()))
    numbers = np.linspace(0, total - 1, min(count, total)).astype(int)
    chosen: list[tuple[str, Any]] = []
    for split, each in positions.items():
        inside = numbers[(numbers >= 0) & (numbers < len(each))]
        chosen += [(split, position) for position in each[inside].tolist()]
        numbers = numbers - len(each)
    return chosen


def _one_sided_examples(chosen: list[tuple[str, int]], decoded: list[Decoded]) -> tuple[OneSidedExample, ...]:
    pairs = zip(chosen, decoded, strict=True)
    return tuple(OneSidedExample(split, number, each.example) for (split, number), each in pairs)


def _decode(artifact: Artifact, positions: list[int]) -> tuple[FeaturesDict | None, list[Decoded]]:
    """Return the features, and records with their examples; without those that the loader cannot decode."""
    try:
        features = parse_features(parse_json(artifact.read_file("features.json")), artifact.read_file)
        decode = make_decoder(features)
    except (DecodeError, UnsupportedError, FileNotFoundError, ValueError):
        features, decode = None, _cannot_decode
    order = np.argsort(positions, kind="stable")  # in the order of the file, so that adjacent ones are read together
    found: dict[int, Decoded] = {}
    records = artifact.records().in_order(np.asarray(positions, np.intp)[order])
    for place, record in zip(order.tolist(), records, strict=True):
        try:
            found[place] = Decoded(record, decode(record))
        except (DecodeError, UnsupportedError):
            found[place] = Decoded(record, None)
    return features, [found[place] for place in range(len(positions))]


def _cannot_decode(record: bytes) -> dict[str, Any]:
    raise DecodeError("its features cannot be read")
