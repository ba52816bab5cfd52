"""A split as a sequence of examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, overload

import numpy as np
import numpy.typing as npt

from loader._decode import make_decoder
from loader._errors import DecodeError
from loader._features import FeaturesDict

Example = dict[str, Any]


class Records(Protocol):
    """Records of which only proved bytes come out."""

    def __len__(self) -> int: ...
    def reader(self) -> Callable[[int], bytes]: ...


class Split(Sequence[Example]):
    """The examples of a split, in record order, decoded and proved as they are asked for.

    `split[3]` is an example: a dict from feature name to value, as `tfds.as_numpy` gives it. `split[10:20]` and
    `split[[3, 1, 2]]` are splits of their own over the same data, without a copy. A split can be pickled and used after
    a fork; each process maps the artifact for itself.

    Parameters
    ----------
    name
        What it is, for messages: "digit/1.0.8 train".
    records
        The records.
    features
        What the records hold.
    """

    def __init__(self, name: str, records: Records, features: FeaturesDict) -> None:
        self.name = name
        self.features = features
        self._records = records
        self._positions: range | npt.NDArray[np.intp] = range(len(records))
        self._attach()

    def _attach(self) -> None:
        self._read = self._records.reader()
        self._decode = make_decoder(self.features)

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_read"], state["_decode"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._attach()

    def __repr__(self) -> str:
        return f"<{self.name}: {len(self):,} examples of {', '.join(self.features)}>"

    def __len__(self) -> int:
        return len(self._positions)

    @overload
    def __getitem__(self, key: int, /) -> Example: ...
    @overload
    def __getitem__(self, key: slice | Sequence[int] | npt.NDArray[Any], /) -> Split: ...
    def __getitem__(self, key: int | slice | Sequence[int] | npt.NDArray[Any], /) -> Example | Split:
        """Return an example (for an integer), or a part of the split (for a slice, a list or an array of integers).

        Raises
        ------
        IndexError
            The position is outside the split.
        TypeError
            The key is none of these.
        IntegrityError
            The record's bytes are not those recorded.
        DecodeError
            They do not decode.
        """
        if isinstance(key, (int, np.integer)):
            try:
                position = self._positions[key]
            except IndexError:
                raise IndexError(f"{self.name} has {len(self):,} examples, there is no number {key:,}") from None
            try:
                return self._decode(self._read(position))
            except DecodeError as error:
                raise self._error(position, error) from error
        if isinstance(key, slice):
            return self._part(self._positions[key])
        return self._part(self._select(key))

    def __iter__(self) -> Iterator[Example]:
        read, decode = self._read, self._decode
        for position in self._positions:
            try:
                yield decode(read(position))
            except DecodeError as error:
                raise self._error(position, error) from error

    def _part(self, positions: range | npt.NDArray[np.intp]) -> Split:
        """The same split with fewer records, and with its reader: what is proved stays proved."""
        part = Split.__new__(Split)
        part.__dict__.update(self.__dict__, _positions=positions)
        return part

    def _error(self, position: int, error: DecodeError) -> DecodeError:
        return DecodeError(f"{self.name}, record {position:,}: {error}")

    def _select(self, key: Sequence[int] | npt.NDArray[Any]) -> npt.NDArray[np.intp]:
        chosen = np.asarray(key)
        if chosen.size == 0:
            chosen = chosen.astype(np.intp)
        if chosen.ndim != 1 or chosen.dtype.kind not in "iu":
            raise TypeError(f"{self.name} takes an integer, a slice or a list of integers, not {key!r}")
        outside = (chosen < -len(self)) | (chosen >= len(self))
        if outside.any():
            raise IndexError(f"{self.name} has {len(self):,} examples, there is no number {chosen[outside][0]:,}")
        positions: npt.NDArray[np.intp] = np.asarray(self._positions, dtype=np.intp)
        return positions.take(chosen)
