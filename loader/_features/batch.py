"""Decode many records at once, to the values of each feature."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError as ProtobufError

from loader._features.connectors import Dataset, DType, Feature, FeaturesDict, Image, Sequence, Tensor, TfdsFeature
from loader._features.encoded import EncodedValues, is_encoded
from loader._features.values import ERRORS, LARGE_BYTES, Array
from loader._format.example import Example
from loader._format.example_batch import BYTES, INT64, DifferentError, find_values

_LEAST_RECORDS = 128  # of fewer, each is parsed faster by itself
_LISTS = {BYTES: "bytes_list", INT64: "int64_list"}

_Convert = Callable[[Any], Any]


def make_batch_decoder(features: FeaturesDict) -> Callable[[list[bytes]], dict[str, Any] | None] | None:
    """Return a function from records to the values of each feature: an array, or a list.

    It returns None if the records have to be decoded one by one: they differ from each other, or from what is
    declared, and then the error has to name the record.

    Returns
    -------
    callable or None
        None if a feature is none of integers, strings and encoded values.
    """
    columns = {name: _column(feature, name) for name, feature in features.items()}
    known = {name: column for name, column in columns.items() if column is not None}
    if len(known) < len(columns):
        return None
    lists = {name: kind for name, (kind, _) in known.items()}

    def decode(records: list[bytes]) -> dict[str, Any] | None:
        try:
            found = _find(records, lists)
            return {name: convert(found[name]) for name, (_, convert) in known.items()}
        except (*ERRORS, LookupError, ProtobufError, DifferentError):
            return None

    return decode


def _find(records: list[bytes], lists: dict[str, bytes]) -> dict[str, Any]:
    """Return the only value of each record for each feature; DifferentError if one has none, or several."""
    if len(records) >= _LEAST_RECORDS:
        names = sorted(Example.FromString(records[0]).features.feature)
        try:
            return find_values(records, {name: lists.get(name) for name in names})
        except DifferentError:  # optional features, say, of which only others are asked for
            pass
    parsed = [Example.FromString(record).features.feature for record in records]
    found: dict[str, Any] = {}
    for name, kind in lists.items():
        attribute = _LISTS[kind]
        values = [getattr(fields[name], attribute).value for fields in parsed]
        if any(len(value) != 1 for value in values):
            raise DifferentError
        found[name] = [value[0] for value in values]
        if kind == INT64:
            found[name] = np.array(found[name], np.int64)
    return found


def _column(feature: Feature, name: str) -> tuple[bytes, _Convert] | None:
    """Return the list that holds a feature's value, and a function from all values in it to the decoded ones."""
    if isinstance(feature, FeaturesDict | Sequence | Dataset | TfdsFeature):
        return None
    if isinstance(feature, Image) or is_encoded(feature):
        encoded = EncodedValues(feature, name)
        return None if encoded.shape_key else (BYTES, _decoded(feature, encoded.decode))
    if feature.shape or feature.optional or feature.dtype.kind not in "Obiu":
        return None
    return (BYTES, _same) if feature.dtype.kind == "O" else (INT64, _integers(feature.dtype))


def _decoded(feature: Tensor | Image, decode: Callable[..., Array]) -> _Convert:
    shape = tuple(size for size in feature.shape if size is not None)
    is_fixed = len(shape) == len(feature.shape) and not getattr(feature, "optional", False)
    if not is_fixed or math.prod(shape) * feature.dtype.itemsize <= LARGE_BYTES:
        return lambda values: [decode(value) for value in values]

    def decode_large(values: list[bytes]) -> Array:
        # one by one, because to get memory for all of them beside the batch takes as long as to decode them
        stacked = np.empty((len(values), *shape), feature.dtype)
        for row, value in zip(stacked, values, strict=True):
            decoded = decode(value, row) if isinstance(feature, Image) else decode(value)
            if decoded is not row:
                row[...] = decoded
        return stacked

    return decode_large


def _same(values: list[bytes]) -> list[bytes]:
    return values


def _integers(dtype: DType) -> _Convert:
    if dtype in (np.int64, np.uint64):
        return lambda values: values.view(dtype)  # the bits of a uint64 are stored as int64

    def convert(values: Array) -> Array:
        converted = values.astype(dtype)
        if (converted != values).any():
            raise OverflowError
        return converted

    return convert
