"""Find the values of many `tf.train.Example` at once, with NumPy.

Records of one split are mostly alike: the same features, each with one value. Finding their values together takes less
than half of the time that protobuf takes for each by itself. Only what protobuf's deterministic serializer writes is
accepted, byte for byte, so that the values found are those that protobuf would find.

Source of the encoding: protobuf.dev/programming-guides/encoding. Every message and string is the byte of its field's
number and kind, then its length as a varint, then its bytes; the field numbers are in `loader._format.example`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

BYTES, INT64 = b"\n", b"\x1a"
"""The lists of a feature, by the byte with which each begins."""

_FIRST, _SECOND = b"\n", b"\x12"  # fields 1 and 2: of a map the key and the value, of all others the only field
_VARINT_BYTES = 10  # at most


class DifferentError(Exception):
    """The records have other features, or other numbers of values."""


def find_values(records: list[bytes], lists: Mapping[str, bytes | None]) -> dict[str, Any]:
    """Return the only value that each record has for each feature: an array of int64, or a list of bytes.

    Parameters
    ----------
    records
        The records.
    lists
        The features of a record in their order, each with its list, BYTES or INT64. The values of one with None are
        not read.

    Raises
    ------
    DifferentError
        They cannot be found at once.
    """
    try:
        return _find(_Cursor(records), lists)
    except (IndexError, ValueError) as error:  # a place is behind the last record, or a name is very long
        raise DifferentError from error


def _find(cursor: _Cursor, lists: Mapping[str, bytes | None]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    cursor.enter(_FIRST, cursor.ends)
    for name, kind in lists.items():
        key = name.encode()
        entry = cursor.enter(_FIRST)
        cursor.skip(_FIRST + bytes([len(key)]) + key)
        if kind is None:
            cursor.go_to(entry)
            continue
        for tag in (_SECOND, kind, _FIRST):
            cursor.enter(tag, entry)
        found[name] = cursor.bytes_until(entry) if kind == BYTES else cursor.number()
        cursor.finish(entry)
    cursor.finish(cursor.ends)
    return found


class _Cursor:
    """A place in each of the records; it only goes forward.

    Attributes
    ----------
    at, ends
        Arrays of the places, and of the ends of the records.
    """

    def __init__(self, records: list[bytes]) -> None:
        self._text = b"".join((*records, bytes(_VARINT_BYTES)))  # so that a varint may be read at the end
        self._data = np.frombuffer(self._text, np.uint8)
        lengths = np.array([len(record) for record in records])
        self.ends = lengths.cumsum()
        self.at = self.ends - lengths

    def skip(self, text: bytes) -> None:
        """Go behind a text, which all records must have here."""
        windows = np.ndarray((len(self._text) - len(text),), f"V{len(text)}", self._text, strides=(1,))
        if windows[self.at].tobytes() != text * len(self.at):
            raise DifferentError
        self.at = self.at + len(text)

    def enter(self, tag: bytes, end: Array | None = None) -> Array:
        """Go to where the bytes of a field begin, and return where they end: at `end`, if it is given."""
        self.skip(tag)
        length = self.number()
        found: Array = self.at + length
        wrong = found > self.ends if end is None else found != end
        if (wrong | (found < self.at)).any():  # the sum may have overflowed
            raise DifferentError
        return found

    def go_to(self, end: Array) -> None:
        """Go forward to `end`."""
        if (self.at > end).any():
            raise DifferentError
        self.at = end

    def number(self) -> Array:
        """Go behind a varint, and return it as int64."""
        byte = self._data[self.at]
        value: Array = (byte & 0x7F).astype(np.int64)
        is_longer, shift = byte > 0x7F, 0
        self.at = self.at + 1
        while is_longer.any():
            shift += 7
            byte = np.where(is_longer, self._data[self.at], 0)
            if shift == 7 * (_VARINT_BYTES - 1) and (byte > 1).any():  # more than 64 bits
                raise DifferentError
            value |= (byte & 0x7F).astype(np.int64) << shift
            self.at = self.at + is_longer
            is_longer = byte > 0x7F
        return value

    def bytes_until(self, end: Array) -> list[bytes]:
        """Go forward to `end`, and return the bytes before it."""
        text, start = self._text, self.at
        self.at = end
        return [text[first:last] for first, last in zip(start.tolist(), end.tolist(), strict=True)]

    def finish(self, end: Array) -> None:
        """Check that this is `end`."""
        if (self.at != end).any():
            raise DifferentError
