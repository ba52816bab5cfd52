"""The state of an iterator, as values that JSON can hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from loader._errors import ArgumentError

State = Mapping[str, Any]
Item = TypeVar("Item")


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
        return {"of": self._source(), "next": self._next, **self._more}


def read_state(state: State, source: str, length: int) -> int:
    """Return the position at which `state` resumes.

    Raises
    ------
    ArgumentError
        It is not the state of an iterator over the `length` items of `source`.
    """
    if not isinstance(state, Mapping):
        raise ArgumentError(f"{state!r} is not the state of an iterator")
    if state.get("of") != source:
        raise ArgumentError(f"the state belongs to {state.get('of')!r}, not to {source!r}")
    position = state.get("next")
    if type(position) is not int or not 0 <= position <= length:
        raise ArgumentError(f"the state has the position {position!r}, which is not between 0 and {length:,}")
    return position


def seed_of(state: State | None, default: int) -> int:
    """Return the seed in `state`, or `default` if it has none."""
    seed = state.get("seed") if isinstance(state, Mapping) else None
    return seed if type(seed) is int and seed >= 0 else default
