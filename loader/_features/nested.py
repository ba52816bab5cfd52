"""Datasets inside an example.

TFDS stores a nested dataset as a Sequence of its features. `tfds.as_numpy` returns it as an iterable of examples; the
loader returns a sequence of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np

from loader._errors import DecodeError, UnsupportedError
from loader._features import connectors
from loader._features.connectors import Dataset, Feature, FeaturesDict, Image, Tensor
from loader._features.encoded import encoded_keys, is_encoded
from loader._features.sequences import FLAT_VALUES, ROW_LENGTHS, row_lengths
from loader._features.values import ERRORS, Decoder, Fields, is_missing, list_of
from loader._format.example import Feature as Field

GetFields = Callable[[int], dict[str, Any]]  # from the number of an example to its fields
Column = Callable[[Fields], tuple[int, GetFields]]  # from a record's fields to the number of examples, and their fields


class Examples(Sequence[Any]):
    """The examples of a nested dataset, each decoded on access; `list(examples)` decodes them all.

    A slice is a list, and pickling produces a list.
    """

    def __init__(self, decode: Decoder, key: str, columns: list[GetFields], count: int) -> None:
        self._decode = decode
        self._key = key
        self._columns = columns
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, key: int, /) -> Any: ...
    @overload
    def __getitem__(self, key: slice, /) -> list[Any]: ...
    def __getitem__(self, key: int | slice, /) -> Any:
        """Return an example, or a list of several.

        Raises
        ------
        DecodeError
            An example cannot be decoded.
        """
        if isinstance(key, slice):
            return [self[number] for number in range(self._count)[key]]
        number = range(self._count)[key]
        fields: dict[str, Any] = {}
        for get_fields in self._columns:
            fields |= get_fields(number)
        try:
            return self._decode(fields)
        except ERRORS as error:
            raise DecodeError(f"feature {self._key!r}: {error}") from error

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)

    def __repr__(self) -> str:
        return f"<{self._count:,} examples>"


def dataset_decoder(feature: Dataset, key: str, decode_example: Decoder) -> Decoder:
    """Return a decoder of a nested dataset, given a decoder of one of its examples."""
    columns = _columns(feature.feature, key)

    def decode(fields: Fields) -> Examples:
        counted = [column(fields) for column in columns]
        counts = {count for count, _ in counted}
        if len(counts) != 1 or feature.length not in (None, *counts):
            raise ValueError(
                f"the nested features have {sorted(counts)} values, but {feature.length or 'equally many'} are declared"
            )
        return Examples(decode_example, key, [get_fields for _, get_fields in counted], counts.pop())

    return decode


def _columns(feature: Feature, key: str, depth: int = 0) -> list[Column]:
    """Return a Column for every list that a record stores under `key`.

    `depth` is the number of Sequences between the dataset and the feature, so its list has that many levels of rows.
    """
    if isinstance(feature, FeaturesDict):
        return [column for name, child in feature.items() for column in _columns(child, f"{key}/{name}", depth)]
    if isinstance(feature, connectors.Sequence):
        return _columns(feature.feature, key, depth + 1)
    assert isinstance(feature, (Tensor, Image))  # parse.py leaves a dataset with any other feature to TFDS
    if not is_encoded(feature):
        if None in feature.shape or 0 in feature.shape:
            raise UnsupportedError(f"feature {key!r}: shape {feature.shape} in a nested dataset needs an encoding")
        size = math.prod(size for size in feature.shape if size is not None)
        return [_column(key, list_of(feature.dtype, key), size, depth)]
    bytes_key, shape_key = encoded_keys(feature, key)
    columns = [_column(bytes_key, "bytes_list", 1, depth)]
    if shape_key is not None:
        columns.append(_column(shape_key, "int64_list", len(feature.shape), depth))
    return columns


def _column(key: str, kind: str, size: int, depth: int) -> Column:
    flat_key = key + FLAT_VALUES if depth else key
    names = [f"{key}{ROW_LENGTHS}{level}" for level in range(depth)]

    def field(values: Any, of: str = kind) -> Any:
        message = Field()
        getattr(message, of).value.extend(values)
        return message

    def column(fields: Fields) -> tuple[int, GetFields]:
        values = getattr(fields[flat_key], kind).value
        if not values:
            is_missing(fields, flat_key, kind)
        lengths = [row_lengths(fields, name) for name in names]
        counts = [*map(len, lengths), len(values) // size]
        for level, below in zip(lengths, counts[1:], strict=True):
            if (level < 0).any() or (level > below).any() or level.sum() != below:
                raise ValueError(f"the row lengths in {key!r} contradict each other")
        if len(values) % size:
            raise ValueError(f"{key!r} has {len(values)} values, which is not a multiple of {size}")
        bounds = [np.concatenate([[0], level.cumsum()]).tolist() for level in lengths]

        def get_fields(number: int) -> dict[str, Any]:
            start, end = number, number + 1
            found = {}
            for level, bound in enumerate(bounds):
                start, end = bound[start], bound[end]
                if level + 1 < depth:
                    found[f"{key}{ROW_LENGTHS}{level}"] = field(lengths[level + 1][start:end].tolist(), "int64_list")
            found[flat_key if depth > 1 else key] = field(values[start * size : end * size])
            return found

        return counts[0], get_fields

    return column
