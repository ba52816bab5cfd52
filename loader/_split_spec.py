"""TFDS split strings: "train", "train[:10%]", "train[100:200]+test", "train[2shard:]", "all", "all[:50%]".

Source of the syntax and of the rounding: https://www.tensorflow.org/datasets/splits
"""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from loader._arguments import check_flags, check_integer
from loader._errors import ArgumentError, LoaderError, NotFoundError
from loader._format.description import SplitInfo

_PART = re.compile(r"(?P<name>[^\[\]]+?)(?:\[(?P<slice>[^\[\]]*)\])?")
_BOUNDARY = re.compile(r"(?P<value>-?[\d_.]+)(?P<unit>%|shard)?")


@dataclass(frozen=True)
class EvenSplit:
    """One of `count` parts of `split`, whose sizes are equal, or differ by at most 1 without `drop_remainder`."""

    split: SplitSpec
    index: int
    count: int
    drop_remainder: bool = False

    def __post_init__(self) -> None:
        check_split(self.split, is_list_allowed=False)
        check_integer("count", self.count, least=1)
        if check_integer("index", self.index, least=0) >= self.count:
            raise ArgumentError(f"index must be less than count, {self.count}, not {self.index}")
        check_flags(drop_remainder=self.drop_remainder)

    def __str__(self) -> str:
        return f"{self.split} {self.index + 1} of {self.count}"


class TfdsSplit(Protocol):
    """A `tfds.core.ReadInstruction`, a sum of several, or a part from `tfds.even_splits`.

    TFDS is not imported for them; they are known by this method, and by their attributes.
    """

    def to_absolute(self, split_infos: Any, /) -> Any:
        """Return the slices that TFDS reads."""


SplitSpec = str | EvenSplit | TfdsSplit
SplitList = (  # not Sequence, which includes str
    list[str] | list[EvenSplit] | list[TfdsSplit] | list[SplitSpec] | tuple[SplitSpec, ...]
)
Splits = SplitSpec | SplitList | None


class Slice(NamedTuple):
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
        `split` is not a split, or `n` is less than 1.

    Examples
    --------
    >>> import loader
    >>> info, parts = loader.load("digit", split=loader.even_splits("train", 4))
    >>> [len(part) for part in parts]
    [338, 338, 337, 337]
    """
    n = check_integer("n", n, least=1)
    return [EvenSplit(split, index, n, drop_remainder) for index in range(n)]


def check_split(split: Any, *, is_list_allowed: bool = True) -> None:
    """Check that a value for `split=` is a SplitSpec, a list of these, or None.

    Raises
    ------
    ArgumentError
        It is something else, or a string that is not in TFDS's syntax.
    """
    if is_list_allowed and split is None:
        return
    for spec in split if is_list_allowed and isinstance(split, list | tuple) else (split,):
        if isinstance(spec, str):
            for part in _parts(spec):
                _parse(part, spec)
        elif not isinstance(spec, EvenSplit) and (isinstance(spec, type) or not hasattr(spec, "to_absolute")):
            kind = "a split string or a list of them" if is_list_allowed else "a split string or a part of even_splits"
            raise ArgumentError(f"split= takes {kind}, not {split!r}")


def resolve(spec: SplitSpec, splits: Mapping[str, SplitInfo], *, dataset: str) -> list[Slice]:
    """Return the slices of a dataset's splits that `spec` selects, in order.

    A split opens by its name, also if TFDS's syntax has no such names: "dev clean", "train.v2".

    Raises
    ------
    NotFoundError
        There is no such split, or it has fewer examples.
    ArgumentError
        `spec` is not in TFDS's syntax, or TFDS reads it differently from what it says.
    """
    if isinstance(spec, EvenSplit):
        return [_even(part, spec) for part in resolve(spec.split, splits, dataset=dataset)]
    if not isinstance(spec, str):
        return _resolve_tfds(spec, splits, dataset)
    if spec in splits:
        return _select(spec, None, splits, dataset)
    slices: list[Slice] = []
    for text in _parts(spec):
        name, bounds = _parse(text, spec)
        if name not in splits and not re.fullmatch(r"[\w-]+", name):
            raise ArgumentError(f"{_malformed(spec)}, and {name!r} is no split of {dataset}: {', '.join(splits)}")
        slices += _select(name, bounds, splits, dataset)
    return slices


def _resolve_tfds(spec: Any, splits: Mapping[str, SplitInfo], dataset: str) -> list[Slice]:
    try:
        if hasattr(spec, "left"):
            return [part for side in (spec.left, spec.right) for part in resolve(side, splits, dataset=dataset)]
        if hasattr(spec, "drop_remainder"):
            even = EvenSplit(spec.split, spec.index, spec.count, spec.drop_remainder)
            return resolve(even, splits, dataset=dataset)
        if not hasattr(spec, "split_name"):  # all splits
            return _select("all", None, splits, dataset)
        bounds = _Bounds(spec.from_, spec.to, spec.unit.removeprefix("abs"), spec.rounding)
        for number in (spec.from_, spec.to):
            if number is not None and (bounds.unit != "%" or bounds.rounding != "closest"):
                operator.index(number)
        is_whole = spec.from_ is spec.to is None
        return _select(spec.split_name, None if is_whole else bounds, splits, dataset)
    except LoaderError:
        raise
    except (AttributeError, TypeError, ValueError) as error:  # another class, or numbers that TFDS does not read either
        raise ArgumentError(f"split={spec!r} selects nothing of {dataset}: {error}") from error


class _Bounds(NamedTuple):
    """The boundaries of a slice, None where there is none; their unit: "", "%" or "shard"; and TFDS's rounding of %."""

    start: float | None
    stop: float | None
    unit: str
    rounding: str = "closest"

    def __str__(self) -> str:
        start, stop = ("" if number is None else f"{number:.12g}{self.unit}" for number in (self.start, self.stop))
        return f"[{start}:{stop}]"


def _parts(spec: str) -> list[str]:
    return [text.strip() for text in spec.split("+")]


def _parse(text: str, spec: str) -> tuple[str, _Bounds | None]:
    """Return the name and the boundaries of one part of a split string.

    Raises
    ------
    ArgumentError
        It is not in TFDS's syntax.
    """
    match = _PART.fullmatch(text)
    if match is None or not match["name"].isprintable():
        raise ArgumentError(_malformed(spec))
    if match["slice"] is None:
        return match["name"], None
    values = match["slice"].split(":")
    boundaries = [_BOUNDARY.fullmatch(value) for value in values]
    units = {found["unit"] or "" for found in boundaries if found}
    well_formed = all(found or not value for found, value in zip(boundaries, values, strict=True)) and any(boundaries)
    # without a colon, only the number of a shard is valid
    if not well_formed or len(units - {""}) > 1 or len(values) > 2 or (len(values) == 1 and units != {"shard"}):
        raise ArgumentError(_malformed(spec))
    unit = max(units)
    numbers = [None if found is None else _number(found["value"], unit, spec) for found in boundaries]
    if len(numbers) == 1:
        assert numbers[0] is not None
        numbers.append(numbers[0] + 1)
    return match["name"], _Bounds(numbers[0], numbers[1], unit)


def _malformed(spec: str) -> str:
    return f"{spec!r} is not a split string like 'train', 'train[:10%]' or 'train[100:200]+test'"


def _number(text: str, unit: str, spec: str) -> float:
    try:
        number = float(text) if unit == "%" else int(text)
    except ValueError:
        kind = "a number" if unit == "%" else "a whole number"
        raise ArgumentError(f"{spec!r} is not a split string: {text!r:.80} is not {kind}") from None
    if unit == "%" and abs(number) > 100:
        raise ArgumentError(f"{spec!r} is not a split string: {text}% is not between -100% and 100%")
    return number


def _select(name: str, bounds: _Bounds | None, splits: Mapping[str, SplitInfo], dataset: str) -> list[Slice]:
    """Return the examples between the bounds of a split, or of all splits joined, which is called "all"."""
    if name not in splits and name != "all":
        raise NotFoundError(f"{dataset} has no split {name!r}; its splits: {', '.join(splits)}")
    wanted = [splits[name]] if name in splits else list(splits.values())
    if bounds is None:
        return [Slice(info.name, 0, info.num_examples) for info in wanted]
    lengths = [length for info in wanted for length in info.shard_lengths]
    start, stop = _positions(bounds, lengths, f"split '{name}{bounds}' of {dataset}")
    slices, first = [], 0
    for info in wanted:
        low, high = max(start - first, 0), min(stop - first, info.num_examples)
        if low < high or len(wanted) == 1:
            slices.append(Slice(info.name, low, high))
        first += info.num_examples
    return slices or [Slice(info.name, 0, 0) for info in wanted]


def _positions(bounds: _Bounds, lengths: list[int], label: str) -> tuple[int, int]:
    """Return the positions between which the examples lie; `lengths` are the numbers of examples in the shards."""
    total = sum(lengths)
    start, stop = _absolute(bounds, lengths, label)
    if abs(start) > total or abs(stop) > total:
        raise NotFoundError(f"{label} is out of range: the split has {total:,} examples")
    start, stop = (total + n if n < 0 else n for n in (start, stop))
    if stop < start:
        raise ArgumentError(f"{label} ends before it starts")
    return start, stop


def _absolute(bounds: _Bounds, lengths: list[int], label: str) -> tuple[int, int]:
    start, stop, total = bounds.start, bounds.stop, sum(lengths)
    if bounds.unit == "%":
        first, last = (None if n is None else _percent(n, total, bounds.rounding, label) for n in (start, stop))
    elif bounds.unit == "shard":
        first = None if start is None else sum(lengths[: int(start)])
        # the stop counts from the last shard if it is negative, or zero as in "train[-1shard]"
        last = None if stop is None else sum(lengths[: int(stop) if stop > 0 else len(lengths) + int(stop)])
    else:
        first, last = (None if n is None else int(n) for n in (start, stop))
    return first or 0, total if last is None else last


def _percent(percent: float, total: int, rounding: str, label: str) -> int:
    """Return a percentage as a number of examples, rounded as in TFDS: to the nearest one, halves to the even one.

    With the rounding "pct1_dropremainder", each percent has the same number of examples, and the rest is left out.

    Raises
    ------
    ArgumentError
        It counts from the end and rounds to no example, which TFDS takes for the beginning of the split; or each
        percent would have no example.
    """
    if rounding == "pct1_dropremainder":
        if total < 100:
            raise ArgumentError(f"{label} has {total} examples, but rounding={rounding!r} needs at least 100")
        return int(percent) * (total // 100)
    number = round(percent * total / 100)
    if percent < 0 and number == 0 and total > 0:
        raise ArgumentError(
            f"{label} is ambiguous: {-percent:g}% of {total:,} examples rounds to none, which would not count from the "
            f"end; give a number of examples"
        )
    return number


def _even(part: Slice, even: EvenSplit) -> Slice:
    size, rest = divmod(part.stop - part.start, even.count)
    if even.drop_remainder:
        rest = 0
    start = part.start + size * even.index + min(even.index, rest)
    return Slice(part.name, start, start + size + (even.index < rest))
