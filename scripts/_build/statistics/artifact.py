"""The statistics of one artifact, as JSON values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from scripts._build.statistics.duplicates import Digests
from scripts._build.statistics.leaves import MEDIA, Leaf
from scripts._build.statistics.reading import Source
from scripts._build.statistics.values import Tally

MAX_CLASSES = 1000  # listed of a feature
MEASURES = ("count", "missing", "empty", "nan", "infinite", "min", "max", "mean", "shape", "length", "characters")


class ArtifactStatistics:
    """The statistics of one artifact, as lines of the lists of `stats.json`, without their config."""

    def __init__(self, source: Source, tallies: dict[str, dict[str, Tally]], contents: dict[str, Digests]) -> None:
        self.leaves = source.leaves
        self._splits = source.info.splits
        self._tallies = tallies
        examples = sum(split.num_examples for split in self._splits.values())
        self._duplicate, leaked = np.zeros(examples, bool), np.zeros(examples, bool)
        self.repeated: list[dict[str, Any]] = []
        media = {leaf.name for leaf in source.identifying if type(leaf.feature).__name__ in MEDIA}
        for by, digests in contents.items():
            # a text that most examples share with others is a category, such as the name of a speaker
            most = 1.0 if by == "record" or by in media else 0.5
            for splits, each in digests.repeated(self._duplicate, leaked, most=most).items():
                sample = [[digests.place(position) for position in content] for content in each.sample]
                self.repeated.append({"by": by, "splits": list(splits), "examples": each.examples, "sample": sample})
        self.leaked = int(np.count_nonzero(leaked))

    def splits(self) -> Iterator[dict[str, Any]]:
        """Yield a line for each split."""
        start = 0
        for name, split in self._splits.items():
            duplicate = self._duplicate[start : start + split.num_examples]
            start += split.num_examples
            yield {
                "split": name,
                "examples": split.num_examples,
                "bytes": split.num_bytes,
                "duplicates": int(np.count_nonzero(duplicate)),
            }

    def values(self) -> Iterator[dict[str, Any]]:
        """Yield a line for each leaf of each split."""
        for split, tallies in self._tallies.items():
            for leaf in self.leaves:
                tally = tallies.get(leaf.name)
                yield {
                    "split": split,
                    "feature": leaf.name,
                    "type": leaf.type,
                    "dtype": leaf.dtype,
                    "examples": self._splits[split].num_examples,
                    **(dict.fromkeys(MEASURES) if tally is None else tally.json(leaf)),
                }

    def class_counts(self) -> Iterator[dict[str, Any]]:
        """Yield a line for each class of each label in each split."""
        for leaf in self.leaves:
            if leaf.num_classes and all(leaf.name in tallies for tallies in self._tallies.values()):
                counts = {split: tallies[leaf.name].classes for split, tallies in self._tallies.items()}
                total = sum(counts.values(), Counter[int]())
                numbers = range(max([leaf.num_classes, *(number + 1 for number in total)]))
                listed: Iterable[int] = numbers
                if len(numbers) > MAX_CLASSES:
                    listed = sorted(sorted(numbers, key=lambda number: -total[number])[: MAX_CLASSES - 1])
                for split, found in counts.items():
                    for number in listed:
                        yield _class_line(split, leaf, _class_name(leaf, number), found[number])
                    if listed is not numbers:
                        rest = found.total() - sum(found[number] for number in listed)
                        yield _class_line(split, leaf, f"({len(numbers) - MAX_CLASSES + 1:,} others)", rest)


def _class_line(split: str, leaf: Leaf, name: str, examples: int) -> dict[str, Any]:
    return {"split": split, "feature": leaf.name, "class": name, "examples": examples}


def _class_name(leaf: Leaf, number: int) -> str:
    names = leaf.feature.names
    return names[number] if number < len(names) else str(number)
