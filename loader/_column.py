"""The kinds of columns: the values of one feature of many examples, in a few buffers.

A value of a fixed shape takes its bytes and nothing else, so that the values of any examples are one copy away. Other
values lie one behind the other, beside their shapes and lengths.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from io import UnsupportedOperation
from typing import Any

import numpy as np

from loader._features.connectors import DType, Shape
from loader._features.values import Array
from loader._format.records import Positions, integers

_INT64 = np.dtype(np.int64)


class Buffer:
    """Bytes that are written, or read, or first written and then read."""

    def append(self, data: Any) -> None:
        """Append the bytes of an object."""
        raise UnsupportedOperation("append")

    def array(self) -> Array:
        """Return all bytes as an array of uint8; nothing is appended afterwards."""
        raise UnsupportedOperation("array")


class Memory(Buffer):
    """A buffer in memory."""

    def __init__(self) -> None:
        self._data = bytearray()

    def append(self, data: Any) -> None:
        """Append the bytes of an object."""
        self._data += data

    def array(self) -> Array:
        """Return all bytes; an array over a bytearray is writable."""
        return np.frombuffer(self._data, np.uint8)


class _Reserved(Buffer):
    """A buffer in memory of a known size, which NumPy gets in huge pages: much sooner than one that grows."""

    def __init__(self, size: int) -> None:
        self._data, self._end = np.empty(size, np.uint8), 0

    def append(self, data: Any) -> None:
        """Append the bytes of an object."""
        added = np.frombuffer(data, np.uint8)
        start, self._end = self._end, self._end + len(added)
        self._data[start : self._end] = added

    def array(self) -> Array:
        """Return all bytes."""
        return self._data[: self._end]


class Column(ABC):
    """The values of a feature, one for each example.

    Values are appended, then `attach` is called once, and then they are read; a column whose buffers are full already
    is only attached.
    """

    @abstractmethod
    def __len__(self) -> int: ...

    def reserve(self, count: int) -> None:
        """Get memory for this many values, if it is known how much that is."""
        return

    @abstractmethod
    def append(self, values: Any) -> None:
        """Append values: a list, or an array as a batch has."""

    @abstractmethod
    def attach(self) -> None:
        """Read what was appended from now on."""

    @abstractmethod
    def one(self, row: int) -> Any:
        """Return a value, as its decoder does; it may be modified."""

    def some(self, rows: Positions) -> list[Any]:
        """Return several values."""
        return list(map(self.one, integers(rows)))


class FixedColumn(Column):
    """Values of one shape.

    Attributes
    ----------
    values
        Array of shape (examples, *shape).
    is_optional
        Whether examples may lack it; batches list such values.
    """

    values: Array

    def __init__(
        self, shape: tuple[int, ...], dtype: DType, is_optional: bool, new_buffer: Callable[[], Buffer]
    ) -> None:
        self._shape, self._dtype, self.is_optional, self._buffer = shape, dtype, is_optional, new_buffer()

    def __len__(self) -> int:
        return len(self.values)

    def reserve(self, count: int) -> None:
        """Get memory for this many values."""
        self._buffer = _Reserved(count * math.prod(self._shape) * self._dtype.itemsize)

    def append(self, values: Any) -> None:
        """Append values."""
        self._buffer.append(_joined(values if self._shape else np.asarray(values, self._dtype), self._dtype))

    def attach(self) -> None:
        """Read what was appended from now on."""
        data = self._buffer.array()
        rows = len(data) // max(math.prod(self._shape) * self._dtype.itemsize, 1)
        self.values = data.view(self._dtype).reshape(rows, *self._shape)
        del self._buffer

    def one(self, row: int) -> Any:
        """Return a value: a copy of the array, or a NumPy scalar."""
        return self.values[row].copy()

    def take(self, rows: Positions) -> Array:
        """Return several values, an array of shape (rows, *shape) that may be modified."""
        if isinstance(rows, range):
            if rows.step > 0:
                return self.values[rows.start : rows.stop : rows.step].copy()
            rows = np.asarray(rows, np.intp)
        return self.values.take(rows, 0)


class VaryingColumn(Column):
    """Numeric arrays whose shapes vary, `declared` with None for what varies."""

    shapes: Array
    ends: Array
    values: Array

    def __init__(self, declared: Shape, dtype: DType, new_buffer: Callable[[], Buffer]) -> None:
        self.declared, self._dtype = declared, dtype
        self._buffers = (new_buffer(), new_buffer())

    def __len__(self) -> int:
        return len(self.ends)

    def append(self, values: Any) -> None:
        """Append values."""
        self._buffers[0].append(np.array([value.shape for value in values], _INT64).tobytes())
        self._buffers[1].append(_joined(values, self._dtype))

    def attach(self) -> None:
        """Read what was appended from now on."""
        shapes, values = (buffer.array() for buffer in self._buffers)
        self.shapes = shapes.view(_INT64).reshape(-1, len(self.declared))
        self.ends = self.shapes.prod(axis=1).cumsum()
        self.values = values.view(self._dtype)
        del self._buffers

    def one(self, row: int) -> Any:
        """Return a value."""
        return self.view(row).copy()

    def view(self, row: int) -> Array:
        """Return a value, which is part of the buffer."""
        start = int(self.ends[row - 1]) if row else 0
        return self.values[start : int(self.ends[row])].reshape(self.shapes[row])


class StringColumn(Column):
    """Strings, or arrays of them, as bytes; `is_text` says whether they are UTF-8."""

    shapes: Array
    ends: Array
    text_ends: Array
    data: Array

    def __init__(self, declared: Shape, is_text: bool, new_buffer: Callable[[], Buffer]) -> None:
        self.declared, self.is_text = declared, is_text
        self._buffers = (new_buffer(), new_buffer(), new_buffer())

    def __len__(self) -> int:
        return len(self.ends if self.declared else self.text_ends)

    def append(self, values: Any) -> None:
        """Append values."""
        texts = values if not self.declared else [text for value in values for text in value.flat]
        if self.declared:
            self._buffers[0].append(np.array([value.shape for value in values], _INT64).tobytes())
        self._buffers[1].append(np.array([len(text) for text in texts], _INT64).tobytes())
        self._buffers[2].append(b"".join(texts))

    def attach(self) -> None:
        """Read what was appended from now on."""
        shapes, lengths, self.data = (buffer.array() for buffer in self._buffers)
        self.text_ends = lengths.view(_INT64).cumsum()
        if self.declared:
            self.shapes = shapes.view(_INT64).reshape(-1, len(self.declared))
            self.ends = self.shapes.prod(axis=1).cumsum()
        del self._buffers

    def one(self, row: int) -> Any:
        """Return a value: bytes, or an array of bytes objects."""
        if not self.declared:
            return self._text(row)
        start, stop = int(self.ends[row - 1]) if row else 0, int(self.ends[row])
        value = np.empty(stop - start, object)
        value[:] = [self._text(number) for number in range(start, stop)]
        return value.reshape(self.shapes[row])

    def _text(self, number: int) -> bytes:
        start = self.text_ends[number - 1] if number else 0
        return self.data[start : self.text_ends[number]].tobytes()


class RowsColumn(Column):
    """Lists of values, as of a Sequence in a Sequence."""

    ends: Array

    def __init__(self, values: Column, new_buffer: Callable[[], Buffer]) -> None:
        self.values, self._buffer = values, new_buffer()

    def __len__(self) -> int:
        return len(self.ends)

    def append(self, values: Any) -> None:
        """Append values."""
        self._buffer.append(np.array([len(value) for value in values], _INT64).tobytes())
        self.values.append([row for value in values for row in value])

    def attach(self) -> None:
        """Read what was appended from now on."""
        self.ends = self._buffer.array().view(_INT64).cumsum()
        self.values.attach()
        del self._buffer

    def one(self, row: int) -> Any:
        """Return a value: a list."""
        return [self.values.one(each) for each in range(int(self.ends[row - 1]) if row else 0, int(self.ends[row]))]


class ObjectColumn(Column):
    """Values of any other kind, in memory only: nested datasets, and what TFDS decodes."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def __len__(self) -> int:
        return len(self.values)

    def append(self, values: Any) -> None:
        """Append values."""
        self.values += values

    def attach(self) -> None:
        """Do nothing."""

    def one(self, row: int) -> Any:
        """Return a value; it is the same object each time."""
        return self.values[row]


def _joined(values: list[Any] | Array, dtype: DType) -> Any:
    if isinstance(values, np.ndarray):
        return values.view(np.uint8).data
    if dtype.isbuiltin == 1:  # joining buffers takes a fifth of the time of np.stack
        return b"".join(values)
    return b"".join([value.tobytes() for value in values])  # bfloat16 has no buffer
