"""What a name that does not exist may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

LISTED = 10


def nearest(name: str, known: Sequence[str]) -> str:
    """Say which of the `known` names may be meant, or which there are; a few of them."""
    if close := difflib.get_close_matches(name, known, n=3):
        return f"did you mean {' or '.join(close)}?"
    more = f" and {len(known) - LISTED:,} more" if len(known) > LISTED else ""
    return f"it has: {', '.join(known[:LISTED]) or 'none'}{more}"
