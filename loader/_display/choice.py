"""Which examples of a split to show: the same ones every time, from all of it, some of each class."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from loader._features.connectors import ClassLabel, FeaturesDict

_GOLDEN_RATIO = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Choice:
    """The chosen examples.

    Attributes
    ----------
    positions
        Their positions in the split, by class and then in order.
    classes
        The class of each; empty without a class label.
    counts
        The number of examples of each class among those whose label was read.
    """

    positions: tuple[int, ...]
    classes: tuple[int, ...] = ()
    counts: Counter[int] = field(default_factory=Counter)

    @property
    def groups(self) -> dict[int, list[int]]:
        """The numbers of the chosen examples (their places in `positions`) of each class."""
        found: dict[int, list[int]] = {}
        for number, each in enumerate(self.classes):
            found.setdefault(each, []).append(number)
        return found


def class_label(features: FeaturesDict) -> str | None:
    """Return the name of the class label of the examples: `label`, or the first one; None if they have none."""
    labels = [name for name, feature in features.items() if isinstance(feature, ClassLabel)]
    return "label" if "label" in labels else next(iter(labels), None)


def spread(total: int) -> Iterator[int]:
    """Yield the numbers below `total`, each once, in an order whose beginnings are spread over all of them."""
    step = max(round(total * _GOLDEN_RATIO), 1)
    while math.gcd(step, total) != 1:
        step += 1
    return (number * step % total for number in range(total))


def choose_evenly(total: int, count: int) -> Choice:
    """Choose `count` of `total` examples, evenly spaced."""
    count = min(count, total)
    return Choice(tuple(number * total // count for number in range(count)))


def choose_by_class(
    total: int, count: int, num_classes: int, read_labels: Callable[[list[int]], Sequence[int]], *, most_read: int
) -> Choice:
    """Choose about equally many examples of each class.

    Parameters
    ----------
    total
        The number of examples in the split.
    count
        The number of examples to choose; with more classes than that, the classes are spread too.
    num_classes
        The number of declared classes.
    read_labels
        Returns the class numbers of the examples at some positions.
    most_read
        The most labels to read; a class of which none is found until then is not shown.
    """
    order, found, read = spread(total), dict[int, list[int]](), 0
    wanted = max(-(-count // max(num_classes, 1)), 1)
    while read < most_read:
        positions = sorted(islice(order, min(max(2 * count, 16), most_read - read)))
        if not positions:
            break
        for position, label in zip(positions, read_labels(positions), strict=True):
            found.setdefault(int(label), []).append(position)
        read += len(positions)
        if sum(len(each) >= wanted for each in found.values()) >= num_classes:
            break
    classes = sorted(found)
    if len(classes) > count:
        classes = [classes[number] for number in choose_evenly(len(classes), count).positions]
    chosen: list[tuple[int, int]] = []
    for turn in range(max(map(len, found.values()), default=0)):  # one of each class in turn, until there are enough
        chosen += [(each, found[each][turn]) for each in classes if turn < len(found[each])]
    chosen = sorted(chosen[:count])
    return Choice(
        tuple(position for _, position in chosen),
        tuple(each for each, _ in chosen),
        Counter({each: len(positions) for each, positions in sorted(found.items())}),
    )
