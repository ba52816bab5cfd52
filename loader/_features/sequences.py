"""Sequences: one array where they are not nested, lists of arrays where they are.

A nested sequence is ragged: its rows differ in length. TFDS keeps the values of all rows in one list, under the key
with `/ragged_flat_values`, and the lengths of the rows of each level, outermost first, under `/ragged_row_lengths_0`
and so on. `tfds.as_numpy` hands out a tf.RaggedTensor; here it is the list of its rows, and of their rows, down to the
innermost, which are arrays: `[array([1, 2]), array([])]` for `[[1, 2], []]`, as `tfds.data_source` gives them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from loader._features.cells import Cells, is_cell
from loader._features.connectors import Image, Tensor
from loader._features.values import Array, Fields, Leaf, array_leaf, is_missing

FLAT_VALUES, ROW_LENGTHS = "/ragged_flat_values", "/ragged_row_lengths_"

MAX_SEQUENCE_BYTES = 1 << 32
"""The most bytes that the images, or other values kept as bytes, of one sequence may decode to."""


def sequence_leaf(feature: Tensor | Image, key: str, lengths: tuple[int | None, ...]) -> Leaf:
    """Return a decoder of a feature inside of Sequences of these lengths, outermost first."""
    is_ragged = len(lengths) > 1
    suffix, length = (FLAT_VALUES, None) if is_ragged else ("", lengths[0])
    if is_cell(feature):
        cells = Cells(feature, key)
        flat, key = _stack_leaf(feature, cells, suffix, length), cells.key
    else:
        flat = array_leaf((length, *feature.shape), feature.dtype, key + suffix)
    return _ragged_leaf(flat, key, lengths) if is_ragged else flat


def _stack_leaf(feature: Tensor | Image, cells: Cells, suffix: str, length: int | None) -> Leaf:
    empty = (0, *(size or 0 for size in feature.shape))  # TFDS puts 0 where the size is not known
    key = cells.key + suffix

    def decode(fields: Fields) -> Array:
        count = len(fields[key].bytes_list.value)
        if not count:
            is_missing(fields, key, "bytes_list")
        if length not in (None, count):
            raise ValueError(f"{length} values are declared, the record has {count}")
        stacked = np.empty(empty, feature.dtype)
        for number, value in enumerate(cells.read(fields, suffix)):
            if number == 0:
                if value.nbytes * count > MAX_SEQUENCE_BYTES:
                    raise ValueError(f"{count} values of {value.nbytes:,} bytes are too many to be decoded")
                stacked = np.empty((count, *value.shape), feature.dtype)
            if value.shape != stacked.shape[1:]:
                raise ValueError(f"values of shapes {stacked.shape[1:]} and {value.shape} are in one sequence")
            stacked[number] = value
        return stacked

    return decode


def _ragged_leaf(flat: Leaf, key: str, lengths: tuple[int | None, ...]) -> Leaf:
    levels = [(f"{key}{ROW_LENGTHS}{level}", length) for level, length in enumerate(lengths[1:])]
    levels.reverse()

    def decode(fields: Fields) -> list[Any]:
        rows = flat(fields)
        for name, length in levels:
            rows = split_rows(rows, row_lengths(fields, name), length)
        if lengths[0] not in (None, len(rows)):
            raise ValueError(f"{lengths[0]} rows are declared, the record has {len(rows)}")
        return rows  # type: ignore[no-any-return]

    return decode


def row_lengths(fields: Fields, key: str) -> Array:
    """Return the lengths of the rows that the record keeps under `key`."""
    return np.array(fields[key].int64_list.value, np.int64)


def split_rows(values: Any, lengths: Array, declared: int | None = None) -> list[Any]:
    """Cut an array or a list into rows of these lengths.

    Raises
    ------
    ValueError
        They do not add up to the length of `values`, or are not the `declared` one.
    """
    if ((lengths < 0) | (lengths > len(values))).any() or lengths.sum() != len(values):
        raise ValueError(f"the record has {len(values)} values, and lengths of rows that contradict that")
    if declared is not None and (lengths != declared).any():
        raise ValueError(f"rows of {declared} values are declared, the record has others")
    ends = lengths.cumsum()
    return [values[start:end] for start, end in zip((ends - lengths).tolist(), ends.tolist(), strict=True)]
