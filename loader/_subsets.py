"""Parts of a split, and several splits as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from loader._arguments import check_integer
from loader._arrays import Arrays, values_of
from loader._errors import ArgumentError
from loader._features.values import Array
from loader._formats import Converter
from loader._joined import JoinedSource
from loader._source import RecordSource, Source, chosen
from loader._transforms import unpacking

if TYPE_CHECKING:
    from fractions import Fraction


class Subsets(Arrays):
    """The methods of a split that return a part of it, or join two."""

    def filter(
        self, condition: Callable[..., Any] | Sequence[bool] | Array, *, features: Sequence[str] | None = None
    ) -> Self:
        """Return the examples that fulfil a condition, in their order.

        Parameters
        ----------
        condition
            A function of an example that returns whether to keep it, called for each example now, with the values of a
            tuple one by one if it needs several; or an array or list with a boolean for each example, such as
            `split["label"] == 3`.
        features
            The features that the function needs: only these are decoded, and it is given a dict of these.

        Raises
        ------
        ArgumentError
            The condition is neither, has another length, or returned an array; or `features` are given with a mask.
        NotFoundError
            There is no such feature.

        Examples
        --------
        >>> import loader
        >>> info, test = loader.load("mnist", "test")
        >>> len(test.filter(lambda example: example["label"] == 3, features=["label"]))
        1010
        """
        if not callable(condition):
            if features is not None:
                raise ArgumentError("features= needs a function as the condition")
            mask = np.asarray(condition)
            if mask.shape != (len(self),) or (mask.dtype != bool and mask.size):
                raise ArgumentError(
                    f"filter() takes a function, or one boolean for each of the {len(self):,} examples of {self.name}, "
                    f"not values of shape {mask.shape} and dtype {mask.dtype}"
                )
        else:
            examples: Any = self if features is None else self._only(features)
            keep = unpacking(condition)
            mask = np.fromiter((_truth(keep(example)) for example in examples), bool, len(self))
        return self._part(chosen(self._positions, np.flatnonzero(mask)), ".filter(...)")

    def take(self, count: int) -> Self:
        """Return the first `count` examples, or all if there are fewer; the error is an ArgumentError."""
        return self.part(slice(0, check_integer("count", count, least=0)))

    def skip(self, count: int) -> Self:
        """Return the examples after the first `count`; the error is an ArgumentError."""
        return self.part(slice(check_integer("count", count, least=0), None))

    def sample(self, count: int, *, seed: int | None = None) -> Self:
        """Return `count` different examples at random: the first ones of `shuffle(seed)`.

        Parameters
        ----------
        count
            How many, at most all.
        seed
            Decides which ones, the same on every machine; by default a random one.

        Raises
        ------
        ArgumentError
            There are fewer examples, or the seed is negative.
        """
        if check_integer("count", count, least=0) > len(self):
            raise ArgumentError(f"{self.name} has {len(self):,} examples, of which no {count:,} can be drawn")
        return self.shuffle(seed).take(count)

    def split_by(self, feature: str, fractions: Sequence[float], *, seed: int) -> list[Self]:
        """Split into random parts with the same distribution of a feature: a stratified split.

        Of the examples with each value, every part has its fraction, up to rounding; so has it of all examples. The
        parts are the same on every machine, share no example, together have all, and keep the order of the examples.

        Parameters
        ----------
        feature
            A feature with one number or string for each example, mostly a label.
        fractions
            The size of each part, all greater than 0, with the sum 1.
        seed
            Decides which examples are in which part.

        Raises
        ------
        NotFoundError
            There is no such feature.
        ArgumentError
            The fractions do not have the sum 1, or the feature has arrays.

        Examples
        --------
        >>> import loader
        >>> info, train = loader.load("digit", "train")
        >>> most, rest = train.split_by("label", [0.9, 0.1], seed=0)
        >>> len(most), len(rest)
        (1215, 135)
        """
        seed = check_integer("seed", seed, least=0)
        parts = _exact(fractions)
        values = values_of(self._with_features([feature]), self._positions)[feature]
        if not isinstance(values, np.ndarray) or values.ndim != 1:
            raise ArgumentError(f"split_by() needs a feature with one value for each example, which {feature!r} is not")
        _, classes = np.unique(values, return_inverse=True)
        order = np.lexsort((np.random.PCG64(seed).random_raw(len(self)), classes))
        divided = _divide(order, classes, parts)
        steps = [f".split_by({feature!r}, ..., seed={seed})[{number}]" for number in range(len(parts))]
        return [
            self._part(chosen(self._positions, np.sort(part)), step) for part, step in zip(divided, steps, strict=True)
        ]

    def __add__(self, other: Self) -> Self:
        """Return the examples of this split and then those of another one, with the same features and format.

        Raises
        ------
        ArgumentError
            The features or formats differ.
        """
        if not isinstance(other, Subsets):
            return NotImplemented
        for what, ours, theirs in (
            ("features", dict(self.features), dict(other.features)),
            ("formats", _format(self), _format(other)),
        ):
            if ours != theirs:
                why = f"because they have different {what}"
                if self._source.is_mapped != other._source.is_mapped:
                    why = "because only one of them comes from map(); join them before it, or map both"
                raise ArgumentError(f"{self!r} and {other!r} cannot be joined, {why}")
        name, added = self.name + self._steps, other.name + other._steps
        dataset, _, added_part = added.partition(" ")
        name = f"{name}+{added_part if name.startswith(f'{dataset} ') else added}"
        positions = None
        if isinstance(self._source, RecordSource):
            positions = self._source.joined(self._positions, other._source, other._positions)
        source: Source = self._source
        if positions is None:
            source = JoinedSource([(each._source, each._positions) for each in (self, other)])
            positions = range(len(self) + len(other))
        joined = self._with("", name=name, _source=source, _positions=positions)
        joined._steps = ""  # they are in the name
        return joined

    def __radd__(self, other: Any) -> Self:
        """Return this split if `other` is 0, with which `sum` of several splits begins."""
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def _only(self, features: Sequence[str]) -> Self:
        """Return the same examples as dicts of only these features."""
        convert = self.convert.by_name() if isinstance(self.convert, Converter) else self.convert
        return self._with("", _source=self._with_features(features), convert=convert)


def _truth(value: Any) -> bool:
    try:
        return bool(value)
    except (ValueError, TypeError) as error:
        raise ArgumentError(f"the function of filter() returned {type(value).__name__}, not True or False") from error


def _format(split: Subsets) -> Any:
    convert = split.convert
    return convert.options if isinstance(convert, Converter) else None


def _exact(fractions: Sequence[float]) -> list[Fraction]:
    """Return fractions as they were written, so that 0.9 of 10 is 9 on every machine."""
    from fractions import Fraction

    try:
        exact = [Fraction(str(fraction)) for fraction in fractions]
        total = sum(exact, Fraction())
    except (TypeError, ValueError):
        exact, total = [], Fraction()
    if not exact or min(exact) <= 0 or abs(total - 1) > Fraction(1, 10**6):
        raise ArgumentError(f"fractions={fractions!r} are not numbers greater than 0 with the sum 1, like [0.9, 0.1]")
    return [fraction / total for fraction in exact]


def _divide(order: Array, classes: Array, fractions: list[Fraction]) -> list[Array]:
    """Divide `order`, which is sorted by class, into parts; each has its fraction of every class, up to rounding."""
    rest, parts, left = order, [], sum(fractions)
    for fraction in fractions[:-1]:
        share = fraction / left
        _, starts = np.unique(classes[rest], return_index=True)
        bounds = [*starts.tolist(), len(rest)]
        # rounded over all classes, so that the rounding of many small ones does not add up
        ends = [(2 * share.numerator * bound + share.denominator) // (2 * share.denominator) for bound in bounds]
        is_chosen = np.zeros(len(rest), bool)
        for number, start in enumerate(bounds[:-1]):
            is_chosen[start : start + ends[number + 1] - ends[number]] = True
        parts.append(rest[is_chosen])
        rest, left = rest[~is_chosen], left - fraction
    return [*parts, rest]
