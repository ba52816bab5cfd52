"""Where an iterator stands, kept as values that JSON can hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from loader._errors import ArgumentError

State = Mapping[str, Any]
Item = TypeVar("Item")


class ResumableIterator(Iterator[Item]):
    """An iterator that says where it stands, so that another one can go on there, in another process too.

    Parameters
    ----------
    items
        What is left.
    of
        Names what the items are of, which a later iterator must be of too; called by `state` only.
    start
        The position of the first item.
    **more
        What else the state keeps.
    """

    def __init__(self, items: Iterator[Item], *, of: Callable[[], str], start: int, **more: Any) -> None:
        self._items = items
        self._of = of
        self._next = start
        self._more = more

    def __next__(self) -> Item:
        item = next(self._items)
        self._next += 1
        return item

    def state(self) -> dict[str, Any]:
        """Return where the iterator stands, as values that JSON can keep."""
        return {"of": self._of(), "next": self._next, **self._more}


def read_state(state: State, of: str, length: int) -> int:
    """Return the position at which `state` goes on.

    Raises
    ------
    ArgumentError
        It is not the state of an iterator over `of`, which has `length` positions.
    """
    if not isinstance(state, Mapping):
        raise ArgumentError(f"{state!r} is no state of an iterator")
    if state.get("of") != of:
        raise ArgumentError(f"the state is one of {state.get('of')!r}, this is {of!r}")
    position = state.get("next")
    if type(position) is not int or not 0 <= position <= length:
        raise ArgumentError(f"the state goes on at {position!r}, there are {length:,}")
    return position


def seed_of(state: State | None, default: int) -> int:
    """Return the seed that `state` keeps, `default` where it keeps none."""
    seed = state.get("seed") if isinstance(state, Mapping) else None
    return seed if type(seed) is int and seed >= 0 else default
