"""Examples that show what a split has: some of each class, or evenly spaced ones if there is no class label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loader._display.choice import Choice, choose_by_class, choose_evenly, class_label
from loader._display.values import class_name
from loader._features.connectors import ClassLabel
from loader._info import DatasetInfo
from loader._split import Split

LABELS_PER_EXAMPLE = 16
"""Most labels that are read to find examples of every class, for each example shown."""

LABELS_BYTES = 32 << 20
"""Most bytes of the records that are read for that."""


@dataclass(frozen=True)
class Sample:
    """Some examples of a split, or of a part of one, which has `total` examples.

    Attributes
    ----------
    info
        The dataset.
    split
        The split or part, as "train[:10%]".
    total
        The number of its examples.
    choice
        Which examples were chosen.
    label
        The class label by which they were chosen; None if there is none.
    examples
        The examples.
    """

    info: DatasetInfo
    split: str
    total: int
    choice: Choice
    label: str | None
    examples: list[dict[str, Any]]

    @property
    def names(self) -> list[str]:
        """What each example is called, as "train 17"."""
        return [f"{self.split} {position}" for position in self.choice.positions]

    @property
    def class_label(self) -> ClassLabel:
        """The feature of the label; there must be one."""
        feature = self.info.features[self.label or ""]
        assert isinstance(feature, ClassLabel)
        return feature

    def class_names(self, numbers: Sequence[int]) -> list[str]:
        """Return the names of some classes."""
        return [class_name(self.class_label, number) for number in numbers]


def shown_split(splits: Mapping[str, Split]) -> str | None:
    """Return the split to show examples of: `train`, or else the first with examples; None if there are none."""
    filled = [name for name, split in splits.items() if len(split)]
    return "train" if "train" in filled else next(iter(filled), None)


def read_sample(info: DatasetInfo, name: str, split: Split, count: int) -> Sample:
    """Read `count` examples of a split, called `name`, that has some.

    Few other records are read: to find examples of each class, at most 16 for each example and 32 MB of them in all.

    Raises
    ------
    LoaderError
        They cannot be read.
    """
    label = class_label(info.features)
    if label is None:
        choice = choose_evenly(len(split), count)
        return Sample(info, name, len(split), choice, None, list(split[list(choice.positions)]))
    feature = info.features[label]
    assert isinstance(feature, ClassLabel)
    most_read = max(min(LABELS_PER_EXAMPLE * count, LABELS_BYTES // _average_bytes(info)), count)
    kept: dict[int, dict[str, Any]] = {}

    def read_labels(positions: list[int]) -> list[int]:
        if most_read > count:
            return [example[label] for example in split[positions]]
        kept.update(zip(positions, split[positions], strict=True))  # large records, all of which will be shown
        return [kept[position][label] for position in positions]

    choice = choose_by_class(len(split), count, feature.num_classes, read_labels, most_read=most_read)
    missing = [position for position in choice.positions if position not in kept]
    kept.update(zip(missing, split[missing], strict=True))
    return Sample(info, name, len(split), choice, label, [kept[position] for position in choice.positions])


def _average_bytes(info: DatasetInfo) -> int:
    """Return the average number of bytes of a record, at least 1."""
    splits = info.splits.values()
    return max(sum(split.num_bytes for split in splits) // max(sum(split.num_examples for split in splits), 1), 1)
