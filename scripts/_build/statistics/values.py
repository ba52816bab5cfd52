"""Statistics of the values of one feature, exact, so that they do not depend on the order of the values.

Sums are exact: of integers by nature, of floating-point numbers because their mantissas are added as integers, for each
exponent apart. So it does not matter how the values are divided among batches and processes, nor in which order a
processor adds them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from scripts._build.statistics.leaves import Column, Leaf

Array = np.ndarray[Any, np.dtype[Any]]

SLICE = 1 << 24  # elements; as many sums of mantissas fit into a float64 exactly


@dataclass
class Extent:
    """The smallest and the largest of some sizes, and their sum and number."""

    min: int
    max: int
    total: int
    count: int

    @classmethod
    def of(cls, sizes: list[int]) -> Extent | None:
        """Return the extent of some sizes, None if there are none."""
        return cls(min(sizes), max(sizes), sum(sizes), len(sizes)) if sizes else None

    def json(self) -> dict[str, int | float]:
        """Return it as JSON values, with the correctly rounded mean."""
        return {"min": self.min, "max": self.max, "mean": self.total / self.count}


@dataclass
class Tally:
    """What is known of the values of a leaf that were seen; two tallies can be merged, in either order."""

    count: int = 0
    missing: int = 0
    empty: int = 0
    nan: int = 0
    infinite: int = 0
    min: int | float | None = None
    max: int | float | None = None
    total: Fraction = Fraction(0)
    numbers: int = 0  # elements that `total` is the sum of
    axes: dict[int, Extent] = field(default_factory=dict)
    length: Extent | None = None
    characters: Extent | None = None
    is_utf8: bool = True
    classes: Counter[int] = field(default_factory=Counter)

    def merge(self, other: Tally) -> None:
        """Add what another tally has seen."""
        for name in ("count", "missing", "empty", "nan", "infinite", "total", "numbers"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        if other.min is not None and other.max is not None:
            self._widen(other.min, other.max)
        for axis, extent in other.axes.items():
            self.axes[axis] = _joined(self.axes.get(axis), extent)
        if other.length is not None:
            self.length = _joined(self.length, other.length)
        if other.characters is not None:
            self.characters = _joined(self.characters, other.characters)
        self.is_utf8 = self.is_utf8 and other.is_utf8
        self.classes.update(other.classes)

    def _widen(self, least: int | float, most: int | float) -> None:
        self.min = least if self.min is None else min(self.min, least)
        self.max = most if self.max is None else max(self.max, most)

    def json(self, leaf: Leaf) -> dict[str, Any]:
        """Return it as JSON values."""
        mean = float(self.total / self.numbers) if self.numbers and not leaf.num_classes else None
        return {
            "count": self.count,
            "missing": self.missing,
            "empty": self.empty,
            "nan": self.nan,
            "infinite": self.infinite,
            "min": self.min,
            "max": self.max,
            "mean": mean,
            "shape": [[self.axes[axis].min, self.axes[axis].max] for axis in sorted(self.axes)],
            "length": self.length.json() if self.length else None,
            "characters": self.characters.json() if self.characters and self.is_utf8 else None,
        }

    def add(self, column: Column) -> None:
        """Add the values of a leaf."""
        leaf = column.leaf
        values = self._without_missing(leaf, column.values)
        if column.lengths is not None:
            self._add_lengths(column.lengths)
            self.empty += column.lengths.count(0)
        elif leaf.depth:
            self._add_lengths([len(value) for value in values])
        arrays = self._flatten(leaf, values)
        for flat in _joined_arrays(arrays):
            if flat.dtype.kind == "O":
                self._add_strings(flat.tolist(), leaf, is_length=not leaf.depth and column.lengths is None)
            else:
                self._add_numbers(flat, leaf)

    def _add_lengths(self, lengths: list[int]) -> None:
        if (extent := Extent.of(lengths)) is not None:
            self.length = _joined(self.length, extent)

    def _without_missing(self, leaf: Leaf, values: list[Any]) -> list[Any]:
        """Return the values that are not missing, and count those that are."""
        default = _default(leaf)
        present = [
            value for value in values if value is not None and (default is None or not _is_missing(value, default))
        ]
        self.missing += len(values) - len(present)
        return present

    def _flatten(self, leaf: Leaf, values: list[Any]) -> list[Array]:
        """Return the values as arrays without any shape; note their shapes, and how many are empty."""
        if not values:
            return []
        if all(isinstance(value, np.ndarray) for value in values):
            for shape, number in Counter(value.shape for value in values).items():
                self._add_shape(shape, leaf.depth, number)
            self.empty += sum(not value.size for value in values)
            return [value.reshape(-1) for value in values]
        if all(isinstance(value, bytes) for value in values):
            self.empty += values.count(b"")
            return [np.array(values, dtype=object)]
        if all(isinstance(value, np.generic) for value in values):
            return [np.array(values)]
        arrays = []
        for value in values:
            rows = list(self._rows(value, 0))
            self.empty += not any(row.size for row in rows)
            arrays += rows
        return arrays

    def _rows(self, value: Any, axis: int) -> Iterable[Array]:
        """Yield the arrays in a list of rows, flat; note the sizes of the axes from `axis` on."""
        if isinstance(value, dict):  # of a nested dataset that TFDS has decoded
            for item in value.values():
                yield from self._rows(item, axis)
            return
        if not isinstance(value, list):
            array = np.array(value, dtype=object) if isinstance(value, bytes) else np.asarray(value)
            self._add_shape(array.shape, 0, 1, axis)
            yield array.reshape(-1)
            return
        self._add_shape((len(value),), 0, 1, axis)
        for row in value:
            yield from self._rows(row, axis + 1)

    def _add_shape(self, shape: tuple[int, ...], depth: int, number: int, first: int = 0) -> None:
        if depth and shape[0] == 0:
            shape = shape[:1]  # the sizes of items that do not exist say nothing
        for axis, size in enumerate(shape, first):
            self.axes[axis] = _joined(self.axes.get(axis), Extent(size, size, size * number, number))

    def _add_strings(self, values: list[bytes], leaf: Leaf, *, is_length: bool) -> None:
        self.count += len(values)
        if is_length:
            self._add_lengths(list(map(len, values)))
        if leaf.is_text and self.is_utf8:
            try:
                extent = Extent.of([len(value.decode()) for value in values])
            except UnicodeDecodeError:
                self.is_utf8 = False
            else:
                self.characters = _joined(self.characters, extent) if extent else self.characters

    def _add_numbers(self, values: Array, leaf: Leaf) -> None:
        if leaf.num_classes:
            labelled = values[values >= 0]
            self.missing += values.size - labelled.size
            values = labelled
            numbers, counts = np.unique(values, return_counts=True)
            self.classes.update(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))
        self.count += values.size
        if values.dtype.kind == "c":
            return  # complex numbers have no order
        if values.dtype.kind == "b":
            values = values.view(np.uint8)
        elif values.dtype.kind not in "iuf":
            values = values.astype(np.float32)  # bfloat16 and the like, of ml_dtypes
        if values.dtype.kind == "f" and not (finite := np.isfinite(values)).all():
            nan = int(np.count_nonzero(np.isnan(values)))
            self.nan += nan
            self.infinite += values.size - nan - int(np.count_nonzero(finite))
            values = values[finite]
        if not values.size:
            return
        self.numbers += values.size
        self._widen(_number(values.min()), _number(values.max()))
        for start in range(0, values.size, SLICE):
            part = values[start : start + SLICE]
            self.total += _float_sum(part) if part.dtype.kind == "f" else _integer_sum(part)


def _joined(one: Extent | None, other: Extent) -> Extent:
    if one is None:
        return other
    return Extent(min(one.min, other.min), max(one.max, other.max), one.total + other.total, one.count + other.count)


def _joined_arrays(arrays: list[Array]) -> list[Array]:
    """Return the arrays in one, which is faster to work on; those of several dtypes, which only TFDS returns, apart."""
    by_dtype: dict[np.dtype[Any], list[Array]] = {}
    for array in arrays:
        by_dtype.setdefault(array.dtype, []).append(array)
    return [each[0] if len(each) == 1 else np.concatenate(each) for each in by_dtype.values()]


def _default(leaf: Leaf) -> Any:
    """Return what the loader gives for a missing value of an optional feature; None if that cannot be told apart."""
    if not getattr(leaf.feature, "optional", False):
        return None
    dtype = leaf.feature.dtype
    if dtype.kind == "O":
        return b""
    if dtype.kind in "iu":
        return dtype.type(np.iinfo(dtype).min)
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return dtype.type(np.float32(np.finfo(dtype).min))
    return None


def _is_missing(value: Any, default: Any) -> bool:
    equal = value == default
    return bool(equal.size and equal.all()) if isinstance(equal, np.ndarray) else bool(equal)


def _number(value: Any) -> int | float:
    """Return a NumPy number as the shortest Python number that names it; 0.0 for -0.0, which is equal."""
    return float(str(value)) + 0.0 if value.dtype.kind == "f" else int(value)


def _integer_sum(values: Array) -> int:
    if values.dtype.itemsize < 8:
        return int(values.sum(dtype=np.int64))
    high, low = values >> np.array(32, values.dtype), values & np.array(0xFFFFFFFF, values.dtype)
    return (int(high.sum()) << 32) + int(low.sum())


def _float_sum(values: Array) -> Fraction:
    """Return the exact sum of at most SLICE finite numbers.

    Each is a mantissa times a power of two. The sums of mantissas with one exponent are of integers below 2^53, which
    a float64 holds exactly. A mantissa of 53 bits is added in two parts.
    """
    fractions, exponents = np.frexp(values)
    least = int(exponents.min())
    bins = exponents - least
    if values.dtype.itemsize <= 4:
        bits = 24
        sums = [int(each) for each in np.bincount(bins, fractions.astype(np.float64) * (1 << bits))]
    else:
        bits = 53
        high = np.floor(fractions * (1 << 26))
        low = fractions * (1 << bits) - high * (1 << 27)
        sums = [
            (int(upper) << 27) + int(lower)
            for upper, lower in zip(np.bincount(bins, high), np.bincount(bins, low), strict=True)
        ]
    total = sum(each << position for position, each in enumerate(sums) if each)
    power = least - bits
    return Fraction(total << power) if power >= 0 else Fraction(total, 1 << -power)
