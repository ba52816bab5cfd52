"""Sequences: decoded to one array if they are not nested, to lists of arrays if they are.

A nested sequence is ragged: its rows differ in length. TFDS stores the values of all rows in one list, under the key
with `/ragged_flat_values`, and the lengths of the rows of each level, outermost first, under `/ragged_row_lengths_0`
and so on. `tfds.as_numpy` returns a tf.RaggedTensor. The loader returns nested lists whose innermost rows are arrays:
`[array([1, 2]), array([])]` for `[[1, 2], []]`, as `tfds.data_source` does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from loader._features.connectors import Image, Tensor
from loader._features.encoded import EncodedValues, is_encoded
from loader._features.values import Array, Decoder, Fields, array_decoder, is_missing

FLAT_VALUES, ROW_LENGTHS = "/ragged_flat_values", "/ragged_row_lengths_"

MAX_SEQUENCE_BYTES = 1 << 32
"""The most bytes that the images, or other encoded values, of one sequence may decode to."""


def sequence_decoder(feature: Tensor | Image, key: str, lengths: tuple[int | None, ...]) -> Decoder:
    """Return a decoder of a feature inside Sequences of these `lengths`, outermost first."""
    is_ragged = len(lengths) > 1
    suffix, length = (FLAT_VALUES, None) if is_ragged else ("", lengths[0])
    if is_encoded(feature):
        encoded = EncodedValues(feature, key)
        flat, key = _stack_decoder(feature, encoded, suffix, length), encoded.key
    else:
        flat = array_decoder((length, *feature.shape), feature.dtype, key + suffix)
    return _ragged_decoder(flat, key, lengths) if is_ragged else flat


def _stack_decoder(feature: Tensor | Image, encoded: EncodedValues, suffix: str, length: int | None) -> Decoder:
    empty = (0, *(size or 0 for size in feature.shape))  # TFDS uses 0 for unknown sizes
    key = encoded.key + suffix

    def decode(fields: Fields) -> Array:
        count = len(fields[key].bytes_list.value)
        if not count:
            is_missing(fields, key, "bytes_list")
        if length not in (None, count):
            raise ValueError(f"{length} values are declared, but the record has {count}")
        stacked = np.empty(empty, feature.dtype)
        for number, value in enumerate(encoded.read(fields, suffix)):
            if number == 0:
                if value.nbytes * count > MAX_SEQUENCE_BYTES:
                    raise ValueError(f"{count} values of {value.nbytes:,} bytes are too many to decode")
                stacked = np.empty((count, *value.shape), feature.dtype)
            if value.shape != stacked.shape[1:]:
                raise ValueError(f"one sequence has values of shapes {stacked.shape[1:]} and {value.shape}")
            stacked[number] = value
        return stacked

    return decode


def _ragged_decoder(flat: Decoder, key: str, lengths: tuple[int | None, ...]) -> Decoder:
    levels = [(f"{key}{ROW_LENGTHS}{level}", length) for level, length in enumerate(lengths[1:])]
    levels.reverse()

    def decode(fields: Fields) -> list[Any]:
        rows = flat(fields)
        for name, length in levels:
            rows = split_rows(rows, row_lengths(fields, name), length)
        if lengths[0] not in (None, len(rows)):
            raise ValueError(f"{lengths[0]} rows are declared, but the record has {len(rows)}")
        return rows  # type: ignore[no-any-return]

    return decode


def row_lengths(fields: Fields, key: str) -> Array:
    """Return the row lengths that the record stores under `key`."""
    return np.array(fields[key].int64_list.value, np.int64)


def split_rows(values: Any, lengths: Array, declared: int | None = None) -> list[Any]:
    """Split an array or a list into rows of these `lengths`.

    Raises
    ------
    ValueError
        The lengths do not add up to the length of `values`, or differ from the `declared` one.
    """
    if ((lengths < 0) | (lengths > len(values))).any() or lengths.sum() != len(values):
        raise ValueError(f"the record has {len(values)} values, which the row lengths contradict")
    if declared is not None and (lengths != declared).any():
        raise ValueError(f"rows of {declared} values are declared, but the record has rows of other lengths")
    ends = lengths.cumsum()
    return [values[start:end] for start, end in zip((ends - lengths).tolist(), ends.tolist(), strict=True)]
