"""What TFDS stores is compared with what a builder gave: it converts many values without a word."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from scripts._build.changes import Change
from scripts._build.leaves import Leaf, leaves, value_at, values_at
from scripts._build.stored_files import compare_audio_files, compare_images, is_audio_file

Array = np.ndarray[Any, np.dtype[Any]]

Compare = Callable[[Leaf, list[Any], list[Any]], Change | None]

_NUMBERS = "biuf"  # the kinds of dtypes that are compared: bool, integers, floats


class StoredValues:
    """Compares examples with what TFDS made of them.

    Numbers are compared in TFDS's own features. What an own feature class of the builder makes of a value is its
    business, but what it returns must be stored.

    Parameters
    ----------
    features
        The dataset's features.
    """

    def __init__(self, features: Any) -> None:
        self._compared = [(leaf, compare) for leaf in leaves(features) for compare in _comparisons(leaf)]

    def check(self, examples: list[Any], encoded: list[Any]) -> list[Change]:
        """Return which values of some examples are stored as others.

        Parameters
        ----------
        examples
            Examples as the builder's generator yielded them.
        encoded
            What the features' `encode_example` returned for each.

        Raises
        ------
        ValueError
            An image cannot be decoded.
        """
        changes = [compare(leaf, examples, encoded) for leaf, compare in self._compared]
        return [change for change in changes if change is not None]


def _comparisons(leaf: Leaf) -> Iterator[Compare]:
    """Yield what compares the values of a feature; nothing if they are always stored as they are."""
    import tensorflow_datasets as tfds

    own = (tfds.features.Tensor, tfds.features.Scalar, tfds.features.ClassLabel, tfds.features.Audio)
    info = leaf.feature.get_serialized_info()
    is_of_tfds = type(leaf.feature).__module__.startswith("tensorflow_datasets.core.features.")
    if type(leaf.feature) in (tfds.features.Image, tfds.features.LabeledImage):
        yield compare_images
    elif type(leaf.feature) in own:
        if type(leaf.feature) is tfds.features.Audio:
            yield compare_audio_files
        dtype = np.dtype(leaf.feature.np_dtype)
        if _kind(dtype) in _NUMBERS:
            is_plain = not isinstance(info, dict) and np.dtype(info.np_dtype).kind in _NUMBERS
            yield _Comparison(dtype, is_plain=is_plain, is_optional=leaf.feature.get_tensor_info().optional)
    elif not (is_of_tfds or isinstance(info, dict) or leaf.depth) and np.dtype(info.np_dtype).kind in _NUMBERS:
        comparison = _Comparison(np.dtype(info.np_dtype), is_plain=True, is_optional=info.optional)
        yield lambda leaf, examples, encoded: comparison(leaf, encoded, encoded)


def _kind(dtype: np.dtype[Any]) -> str:
    """Return the kind of a dtype; bfloat16, which is not one of NumPy's own, is a float too."""
    return "f" if dtype.name == "bfloat16" else dtype.kind


class _Comparison:
    """Compares numbers with how they are stored.

    Parameters
    ----------
    declared
        The dtype of the feature.
    is_plain
        Whether they are stored in the lists of an Example, where all floats are float32, and not encoded as bytes.
    is_optional
        Whether an example may lack them.
    """

    def __init__(self, declared: np.dtype[Any], *, is_plain: bool, is_optional: bool) -> None:
        self._declared = declared
        self._kind = _kind(declared)
        self._is_optional = is_optional
        self._stored = np.dtype(np.float32) if is_plain and self._kind == "f" else self._declared
        self._is_cut = self._stored.itemsize < self._declared.itemsize
        self._narrowest = self._stored if self._is_cut else self._declared

    def __call__(self, leaf: Leaf, examples: list[Any], encoded: list[Any]) -> Change | None:
        first, count = None, 0
        for numbers, given in _columns(leaf, examples, self._kind):
            changed = self._changed(given)
            if changed is None or not changed.any():
                continue
            count += int(np.count_nonzero(changed))
            if first is None:
                at = np.unravel_index(int(np.argmax(changed)), changed.shape)
                value = given[at]
                number = numbers if isinstance(numbers, int) else numbers[int(at[0])]
                first = (number, str(value), str(self._convert(_number(value))))
        return None if first is None else Change(leaf.name, *first, count, self._advice(leaf, first[1]))

    def _convert(self, given: Array) -> Array:
        with np.errstate(all="ignore"):
            return given.astype(self._declared).astype(self._stored)

    def _changed(self, given: Array) -> Array | None:
        """Return which values are stored as others; None if none can be."""
        kind, declared = given.dtype.kind, self._declared
        if given.dtype == self._narrowest or not given.size or kind not in "biufOU":
            return None
        if kind == "O":
            return _each(self._changed_alone, given)
        if kind == "U":  # text, which NumPy reads as numbers
            return self._changed(given.astype(np.float64)) if self._kind == "f" else None
        if declared.kind == "b":
            return None if kind == "b" else np.asarray((given != 0) & (given != 1))
        if declared.kind in "iu":
            if kind != "f" and np.can_cast(given.dtype, declared):
                return None
            if kind == "f":
                return np.asarray(self._convert(given) != given)
            limits = np.iinfo(declared)
            return np.asarray((given < int(limits.min)) | (given > int(limits.max)))
        # for NumPy, float64 has every int64
        is_exact = kind == "f" or given.dtype.itemsize < self._narrowest.itemsize
        if kind == "b" or (is_exact and np.can_cast(given.dtype, self._narrowest)):
            return None
        stored = self._convert(given)
        if kind != "f":
            with np.errstate(all="ignore"):
                return np.asarray(stored.astype(given.dtype) != given)
        if self._is_cut:
            return np.asarray((stored != given) & ~np.isnan(given))
        # rounding to the declared dtype is what the builder asks for
        return np.asarray((np.isinf(stored) & np.isfinite(given)) | ((stored == 0) & (given != 0)))

    def _changed_alone(self, value: Any) -> bool:
        if value is None:
            return not self._is_optional  # it becomes NaN
        changed = self._changed(_number(value))
        return changed is not None and bool(changed.any())

    def _advice(self, leaf: Leaf, given: str) -> str:
        if given == "None":
            return "give NaN if that is meant"
        if self._kind != "f":
            return f"give values that {self._declared} has, or declare a dtype that has them"
        if self._declared == np.float64 and not self._is_cut:
            return "the feature is float64; to store integers as large exactly, declare np.int64 or np.uint64"
        exact = f'tfds.features.Tensor(shape={leaf.feature.shape}, dtype=np.float64, encoding="bytes")'
        reason = f"TFDS stores {self._declared} as float32" if self._is_cut else f"the feature is {self._declared}"
        return f"{reason}; to store such values exactly, declare {exact}"


def _number(value: Any) -> Array:
    """Return a value that may be an object of Python as an array of numbers; ints that no dtype has become floats."""
    array = np.asarray(value)
    return array.astype(np.float64) if array.dtype.kind == "O" else array


def _each(function: Callable[[Any], bool], values: Array) -> Array:
    return np.array([function(value) for value in values.flat], dtype=bool).reshape(values.shape)


def _columns(leaf: Leaf, examples: list[Any], kind: str) -> Iterator[tuple[int | list[int], Array]]:
    """Yield the given values of a feature as arrays, with the number of their example.

    The single values of one type are one array, with the number of the example of each. `kind` is that of the dtype
    of the feature; TFDS refuses an int of Python that an integer dtype does not have.
    """
    is_integer, with_text, is_audio = kind in "iu", kind == "f", type(leaf.feature).__name__ == "Audio"
    singles: dict[type, tuple[list[int], list[Any]]] = {}
    for number, example in enumerate(examples):
        for value in [value_at(leaf.path, example)] if leaf.depth == 0 else values_at(example, leaf.path):
            if isinstance(value, np.ndarray) and value.ndim:
                yield number, value
            elif is_audio and is_audio_file(value):
                continue
            elif isinstance(value, list | tuple):
                yield from ((number, array) for array in _arrays(value, is_integer=is_integer))
            elif with_text or not isinstance(value, str | bytes):
                numbers, values = singles.setdefault(type(value), ([], []))
                numbers.append(number)
                values.append(value)
    for kind_of_value, (numbers, values) in singles.items():
        if is_integer and kind_of_value is int:
            continue
        try:
            yield numbers, np.array(values, np.int64 if kind_of_value is int else None)
        except Exception:  # a larger int, or a class whose arrays NumPy does not join
            yield from ((number, np.asarray(value)) for number, value in zip(numbers, values, strict=True))


def _arrays(values: list[Any] | tuple[Any, ...], *, is_integer: bool) -> Iterator[Array]:
    """Yield the numbers in nested lists as arrays: one, unless the lists are of several lengths."""
    try:
        array = np.asarray(values)
        # of large ints, NumPy would make floats
        yield np.array(values, dtype=object) if is_integer and array.dtype.kind == "f" else array
    except ValueError:
        for value in values:
            if isinstance(value, list | tuple):
                yield from _arrays(value, is_integer=is_integer)
            else:
                yield np.asarray(value)
