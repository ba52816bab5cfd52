"""Where an iterator stands, kept as values that JSON can hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loader._errors import ArgumentError

State = Mapping[str, Any]


def make_state(of: str, position: int, **more: Any) -> dict[str, Any]:
    """Return the state of an iterator over `of` that goes on at `position`."""
    return {"of": of, "next": position, **more}


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
