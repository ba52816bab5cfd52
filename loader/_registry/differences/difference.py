"""What differs between two revisions of a dataset: `Difference`, its configs, splits and examples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from loader._features.connectors import FeaturesDict
from loader._format.value_changes import ValueChange

SAME, CHANGED, NEW, REMOVED, NEVER_BUILT = "same", "changed", "new", "removed", "never built"
DECODE_HINT = "whether values differ shows when examples are decoded: --show 20"


class Change(NamedTuple):
    """A named value that differs; None on the side that lacks it."""

    name: str
    old: Any
    new: Any


@dataclass(frozen=True)
class SplitDifference:
    """The examples of a split, matched by their keys.

    `old` is the sum of `removed`, `changed` and `unchanged`; `new` that of `added`, `changed` and `unchanged`.

    Attributes
    ----------
    split
        Its name.
    old, new
        Number of its examples; None on the side that lacks the split.
    added, removed, changed, unchanged
        Number of examples under a new key, without their old key, with other bytes, and with the same bytes.
    moved
        Number of those under the same key that have another place among these.
    rekeyed
        Number of those added that have the same bytes as one removed, so that only the key differs.
    went_to, came_from
        Number of those removed and added that have the same bytes in another split, by that split.
    """

    split: str
    old: int | None
    new: int | None
    added: int = 0
    removed: int = 0
    changed: int = 0
    unchanged: int = 0
    moved: int = 0
    rekeyed: int = 0
    went_to: dict[str, int] = field(default_factory=dict)
    came_from: dict[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed or self.moved or self.old is None or self.new is None)


@dataclass(frozen=True)
class ExampleDifference:
    """An example whose bytes differ.

    Attributes
    ----------
    split
        Its split.
    old_number, new_number
        Its position there, on both sides.
    changes
        The features that differ.
    old, new
        The example on both sides; None if the loader cannot decode it.
    """

    split: str
    old_number: int
    new_number: int
    changes: tuple[ValueChange, ...]
    old: dict[str, Any] | None = field(repr=False)
    new: dict[str, Any] | None = field(repr=False)


@dataclass(frozen=True)
class OneSidedExample:
    """An example whose key only one side has.

    Attributes
    ----------
    split
        Its split.
    number
        Its position there.
    values
        The example; None if the loader cannot decode it.
    """

    split: str
    number: int
    values: dict[str, Any] | None = field(repr=False)


@dataclass(frozen=True)
class ConfigDifference:
    """What differs between the artifacts of a config, or of a dataset without configs.

    Attributes
    ----------
    config
        The config; None for a dataset without configs.
    status
        "same" (byte for byte), "changed", "new" or "removed".
    features
        The features that differ, each with its type on both sides; nested ones are like `outer/inner`.
    files
        The metadata files of the artifact that differ.
    splits
        The splits of both sides.
    examples
        The changed examples that were decoded.
    removed_examples, added_examples
        The removed and the added examples that were decoded.
    old_types, new_types
        The features of both sides; None if no example was decoded.
    """

    config: str | None
    status: str
    features: tuple[Change, ...] = ()
    files: tuple[str, ...] = ()
    splits: tuple[SplitDifference, ...] = ()
    examples: tuple[ExampleDifference, ...] = ()
    removed_examples: tuple[OneSidedExample, ...] = ()
    added_examples: tuple[OneSidedExample, ...] = ()
    old_types: FeaturesDict | None = field(default=None, repr=False)
    new_types: FeaturesDict | None = field(default=None, repr=False)

    @property
    def changed(self) -> int:
        """Number of changed examples in all splits."""
        return sum(split.changed for split in self.splits)

    @property
    def removed(self) -> int:
        """Number of removed examples in all splits."""
        return sum(split.removed for split in self.splits)

    @property
    def added(self) -> int:
        """Number of added examples in all splits."""
        return sum(split.added for split in self.splits)

    @property
    def changed_features(self) -> dict[str, int]:
        """In how many of the decoded examples each feature differs, the most frequent first."""
        return dict(Counter(change.feature for each in self.examples for change in each.changes).most_common())


@dataclass(frozen=True)
class Difference:
    """What differs between two revisions of a dataset. It is true if anything does.

    Attributes
    ----------
    name
        The dataset.
    old_label, new_label
        The two revisions, for messages.
    old_version, new_version
        The recorded versions; None where there is none.
    status
        "same", "changed", "new" (only the new revision has it), "removed", or "never built" (neither has built it).
    metadata
        The version, license, description, arguments, sources, parents, toolchain and so on that differ.
    statistics
        The statistics that differ.
    configs
        What differs in the artifacts.
    bytes_fetched
        Number of bytes that were read from remotes.
    note
        Why examples were not compared; empty if they were.
    outdated
        What has changed in the work tree since its artifacts were built, if it is the new revision.
    """

    name: str
    old_label: str
    new_label: str
    old_version: str | None
    new_version: str | None
    status: str
    metadata: tuple[Change, ...] = ()
    statistics: tuple[Change, ...] = ()
    configs: tuple[ConfigDifference, ...] = ()
    bytes_fetched: int = 0
    note: str = ""
    outdated: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.status not in (SAME, NEVER_BUILT)

    @property
    def remarks(self) -> list[str]:
        """What the numbers mean, in sentences."""
        return list(_remarks(self))

    @property
    def toolchain(self) -> list[Change]:
        """The packages of the toolchain that differ."""
        prefix = "toolchain "
        return [Change(c.name.removeprefix(prefix), *c[1:]) for c in self.metadata if c.name.startswith(prefix)]


def _remarks(difference: Difference) -> Iterator[str]:
    if difference.status == NEVER_BUILT:
        yield f"{difference.name} was never built; build it with: make build DATASET={difference.name}"
    if difference.outdated:
        yield (
            f"{difference.name} is outdated in the work tree ({', '.join(difference.outdated)}): "
            f"build it first with: make build DATASET={difference.name}"
        )
    if difference.note:
        yield difference.note
    for config in difference.configs:
        prefix = f"{config.config}: " if config.config else ""
        for remark in _config_remarks(difference, config):
            yield prefix + remark


def _config_remarks(difference: Difference, config: ConfigDifference) -> Iterator[str]:
    if config.status in (NEW, REMOVED) and difference.status == CHANGED:
        yield f"this config is {config.status}"
    if config.status == SAME:
        if difference.status == CHANGED:
            yield "the artifact is the same, byte for byte"
        return
    yield from _keys(config)
    for split in config.splits:
        for other, count in split.went_to.items():
            yield _moved(config, split, other, count)
        if split.rekeyed:
            yield (
                f"{split.split}: {split.rekeyed:,} {_examples(split.rekeyed)} the same bytes under another key; "
                f"they are counted as removed and as added"
            )
        if split.moved:
            yield f"{split.split}: {split.moved:,} {_examples(split.moved)} another place in the order"
    if config.splits and not any(config.splits):
        if config.files:
            what = f"{', '.join(config.files)} {'differs' if len(config.files) == 1 else 'differ'}"
        else:
            what = "the layout of the artifact differs"
        yield f"every example is the same, in the same order: only {what}"
    yield from _encoding(difference, config)


def _keys(config: ConfigDifference) -> Iterator[str]:
    """Say if the two sides have no key in common."""
    old, new = (sum(getattr(split, side) or 0 for split in config.splits) for side in ("old", "new"))
    if not old or not new or any(split.changed or split.unchanged for split in config.splits):
        return
    rekeyed = sum(split.rekeyed for split in config.splits)
    if rekeyed == old == new:
        yield "every example has the same bytes under another key: the builder yields other keys"
    elif not any(split.went_to for split in config.splits):
        yield "the two versions share no key: every example was replaced, or the builder yields other keys"


def _moved(config: ConfigDifference, split: SplitDifference, other: str, count: int) -> str:
    target = next(each for each in config.splits if each.split == other)
    largest = max(split.old or 0, target.new or 0)
    if split.new is None and target.old is None and 2 * count > largest:
        how_many = "all" if count == largest else f"{count:,} of"
        return (
            f"the split {split.split} is now called {other}: {how_many} {largest:,} examples have the same bytes, "
            f"under keys that TFDS makes from the split's name"
        )
    return (
        f"{count:,} {'example' if count == 1 else 'examples'} moved from {split.split} to {other}, with the same bytes"
    )


def _encoding(difference: Difference, config: ConfigDifference) -> Iterator[str]:
    """Say whether the values of the changed examples differ, as far as they were decoded."""
    if not (changed := config.changed):
        return
    packages = ", ".join(f"{name} {old} -> {new}" for name, old, new in difference.toolchain)
    is_every = not any(split.unchanged for split in config.splits)
    if is_every and packages:
        yield f"the bytes of every example differ, and so does the toolchain ({packages})"
    compared = len(config.examples)
    if not compared:
        if is_every:
            yield DECODE_HINT
    elif all(not change.is_value for each in config.examples for change in each.changes):
        if compared == changed:
            yield f"no value differs in any of the {changed:,} changed examples: only their encoding does"
        else:
            yield f"no value differs in the {compared:,} examples compared, of {changed:,} whose bytes differ"


def _examples(count: int) -> str:
    return "example has" if count == 1 else "examples have"
