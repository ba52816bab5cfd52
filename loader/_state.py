"""The state of an iterator, as values that JSON can hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from loader._errors import ArgumentError

State = Mapping[str, Any]
Item = TypeVar("Item")

VERSION = 2
"""The version of states; 1 had no version and no epoch."""


class ResumableIterator(Iterator[Item]):
    """An iterator whose `state()` lets another iterator resume at its position, in another process too.

    Parameters
    ----------
    items
        The remaining items.
    source
        Returns text that identifies the source of the items; an iterator that resumes must have the same. Only `state`
        calls it.
    start
        The position of the first item.
    **more
        Other values to keep in the state.
    """

    def __init__(self, items: Iterator[Item], *, source: Callable[[], str], start: int, **more: Any) -> None:
        self._items = items
        self._source = source
        self._next = start
        self._more = more

    def __next__(self) -> Item:
        item = next(self._items)
        self._next += 1
        return item

    def state(self) -> dict[str, Any]:
        """Return the iterator's state, as values that JSON can hold."""
        return {"version": VERSION, "of": self._source(), "next": self._next, **self._more}


def read_state(state: State, source: str, length: int) -> int:
    """Return the position at which `state` resumes.

    Raises
    ------
    ArgumentError
        It is not the state of an iterator over the `length` items of `source`, or another version of the loader made
        it.
    """
    if not isinstance(state, Mapping):
        raise ArgumentError(f"{state!r} is not the state of an iterator")
    if state.get("version") != VERSION:
        raise ArgumentError(
            f"the state was not made by this version of the loader, whose states have the version {VERSION}: start the "
            f"iterator again without state="
        )
    if state.get("of") != source:
        raise ArgumentError(f"the state belongs to {state.get('of')!r}, not to {source!r}")
    return _integer(state, "next", length)


def read_order(state: State) -> tuple[int, int]:
    """Return the seed and the epoch that decide the order of shuffled batches.

    Raises
    ------
    ArgumentError
        The state has none.
    """
    return _integer(state, "seed"), _integer(state, "epoch")


def _integer(state: State, name: str, most: int | None = None) -> int:
    value = state.get(name)
    if type(value) is not int or value < 0 or (most is not None and value > most):
        limits = "not negative" if most is None else f"between 0 and {most:,}"
        raise ArgumentError(f"the state has {name}: {value!r}, which is not an integer that is {limits}")
    return value
