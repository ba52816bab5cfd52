"""What changed in a version, in a few words for each change."""

from __future__ import annotations

from collections.abc import Iterator

from loader._registry.differences.difference import DECODE_HINT, NEW, REMOVED, Change, Difference
from loader._registry.differences.text import as_text

_COUNTS = ("examples", "bytes", "features", "classes", "missing", "empty", "duplicates", "leaked")


def changes(difference: Difference, *, not_compared: str) -> Iterator[str]:
    """Yield what changed, in a few words for each change; `not_compared` if the difference has a note.

    The note itself tells of one machine and what to do there.
    """
    for change in difference.metadata:
        yield _change(change)
    for config in difference.configs:
        prefix = f"{config.config}: " if config.config else ""
        if config.status in (NEW, REMOVED):
            yield f"{prefix}this config is {config.status}"
        yield from (f"{prefix}feature {_change(change)}" for change in config.features)
    if difference.note:
        yield not_compared
        yield from (_change(change) for change in difference.statistics if change.name in _COUNTS)
    for remark in difference.remarks:
        if remark != difference.note and not remark.endswith(DECODE_HINT):
            yield remark


def _change(change: Change) -> str:
    old, new = as_text(change.old), as_text(change.new)
    if change.old is None:
        return f"{change.name}: {new}, new"
    if change.new is None:
        return f"{change.name}: {old}, removed"
    return f"{change.name}: {old} → {new}"
