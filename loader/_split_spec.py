"""TFDS split strings: "train", "train[:10%]", "train[100:200]+test", "train[2shard:]", "all".

Source of the syntax and of the rounding: https://www.tensorflow.org/datasets/splits
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from loader._errors import ArgumentError, NotFoundError
from loader._format.description import SplitInfo

_PART = re.compile(r"(?P<name>[\w-]+)(?:\[(?P<slice>[^\[\]]*)\])?")
_BOUNDARY = re.compile(r"(?P<value>-?[\d_.]+)(?P<unit>%|shard)?")


@dataclass(frozen=True)
class EvenSplit:
    """One of `count` parts of `split`, whose sizes are equal, or differ by at most 1 without `drop_remainder`."""

    split: str | EvenSplit
    index: int
    count: int
    drop_remainder: bool = False

    def __str__(self) -> str:
        return f"{self.split} {self.index + 1} of {self.count}"


SplitSpec = str | EvenSplit


@dataclass(frozen=True)
class Slice:
    """Examples `start` to `stop` (exclusive) of the split `name`."""

    name: str
    start: int
    stop: int


def even_splits(split: SplitSpec, n: int, *, drop_remainder: bool = False) -> list[EvenSplit]:
    """Divide a split into `n` parts of the same size, as `tfds.even_splits` does.

    Parameters
    ----------
    split
        A split string, or a part that this function returned.
    n
        Number of parts.
    drop_remainder
        Leave out the last examples if their number is not a multiple of `n`; by default, the first parts get one more.

    Returns
    -------
    list of EvenSplit
        Each is a value for `split=` in `loader.load`.

    Raises
    ------
    ArgumentError
        `n` is less than 1.

    Examples
    --------
    >>> import loader
    >>> info, parts = loader.load("digit", split=loader.even_splits("train", 4))
    >>> [len(part) for part in parts]
    [338, 338, 337, 337]
    """
    if n < 1:
        raise ArgumentError(f"a split cannot be divided into {n} parts")
    return [EvenSplit(split, index, n, drop_remainder) for index in range(n)]


def resolve(spec: SplitSpec, splits: Mapping[str, SplitInfo], *, dataset: str) -> list[Slice]:
    """Return the slices of a dataset's splits that `spec` selects, in order.

    Raises
    ------
    NotFoundError
        There is no such split, or it has fewer examples.
    ArgumentError
        The string is not in TFDS's syntax.
    """
    if isinstance(spec, EvenSplit):
        return [_even(part, spec) for part in resolve(spec.split, splits, dataset=dataset)]
    slices: list[Slice] = []
    for text in map(str.strip, str(spec).split("+")):
        match = _PART.fullmatch(text)
        if match is None:
            raise ArgumentError(f"{spec!r} is not a split string like 'train', 'train[:10%]' or 'train[100:200]+test'")
        name = match["name"]
        if name == "all" and name not in splits and match["slice"] is None:
            slices += [Slice(info.name, 0, info.num_examples) for info in splits.values()]
        elif name not in splits:
            raise NotFoundError(f"{dataset} has no split {name!r}; its splits: {', '.join(splits)}")
        else:
            slices.append(_slice(match["slice"], splits[name], f"{dataset} {text}"))
    return slices


def _slice(text: str | None, info: SplitInfo, label: str) -> Slice:
    total = info.num_examples
    if text is None:
        return Slice(info.name, 0, total)
    boundaries = [_BOUNDARY.fullmatch(boundary) for boundary in text.split(":")]
    values = text.split(":")
    units = {found["unit"] for found in boundaries if found and found["unit"]}
    well_formed = all(found or not value for found, value in zip(boundaries, values, strict=True)) and any(boundaries)
    # without a colon, only the number of a shard is valid
    if not well_formed or len(units) > 1 or len(values) != (1 if len(values) == 1 and units == {"shard"} else 2):
        raise ArgumentError(f"{label} is not a split string like 'train', 'train[:10%]' or 'train[100:200]+test'")
    unit = units.pop() if units else ""
    try:
        numbers = [None if found is None else _number(found["value"], unit) for found in boundaries]
    except ValueError as error:
        raise ArgumentError(f"{label}: {error}") from error
    if len(numbers) == 1:
        assert numbers[0] is not None
        numbers.append(numbers[0] + 1)
    start, stop = _absolute(numbers[0], numbers[1], unit, info)
    if abs(start) > total or abs(stop) > total:
        raise NotFoundError(f"{label} is out of range: the split has {total:,} examples")
    start, stop = (total + n if n < 0 else n for n in (start, stop))
    if stop < start:
        raise ArgumentError(f"{label} ends before it starts")
    return Slice(info.name, start, stop)


def _number(text: str, unit: str) -> float:
    if unit != "%":
        return int(text)
    percent = float(text)
    if abs(percent) > 100:
        raise ValueError(f"{text}% is not between -100% and 100%")
    return percent


def _absolute(start: float | None, stop: float | None, unit: str, info: SplitInfo) -> tuple[int, int]:
    total = info.num_examples
    if unit == "%":  # as in TFDS, rounded to the nearest example, halves to the even one
        first, last = (None if n is None else round(n * total / 100) for n in (start, stop))
    elif unit == "shard":
        lengths = info.shard_lengths
        first = None if start is None else sum(lengths[: int(start)])
        # the stop counts from the last shard if it is negative, or zero as in "train[-1shard]"
        last = None if stop is None else sum(lengths[: int(stop) if stop > 0 else len(lengths) + int(stop)])
    else:
        first, last = (None if n is None else int(n) for n in (start, stop))
    return first or 0, total if last is None else last


def _even(part: Slice, even: EvenSplit) -> Slice:
    size, rest = divmod(part.stop - part.start, even.count)
    if even.drop_remainder:
        rest = 0
    start = part.start + size * even.index + min(even.index, rest)
    return Slice(part.name, start, start + size + (even.index < rest))
