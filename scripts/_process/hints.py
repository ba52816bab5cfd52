"""Hints for names that do not exist."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

_MAX_LISTED = 10


def nearest(name: str, known: Sequence[str]) -> str:
    """Return a hint with the `known` names that are similar to `name`, or else with the first known names."""
    if close := difflib.get_close_matches(name, known, n=3):
        return f"did you mean {' or '.join(close)}?"
    more = f" and {len(known) - _MAX_LISTED:,} more" if len(known) > _MAX_LISTED else ""
    return f"it has: {', '.join(known[:_MAX_LISTED]) or 'none'}{more}"
