"""`python -m loader cache`: what the loader's cache holds."""

from __future__ import annotations

from datetime import datetime

import loader
from loader._commands.options import Json
from loader._commands.tables import print_json, print_line, print_table
from loader._format.plain_table import size_text

COLUMNS = ("name", "kind", "version", "revision", "arrived", "size", "used")


def command(json: Json = False) -> None:
    """List what the loader's cache holds, what was unused longest first.

    An artifact that is read from its remote with stream=True has arrived in part. The size is what it takes on the
    disk. All of it can be fetched again: loader.cache.clear() removes it, loader.cache.limit() keeps it small.
    """
    entries = loader.cache.entries()
    if json:
        print_json([each._asdict() | {"path": str(each.path)} for each in entries])
        return
    if entries:
        print_table(COLUMNS, [_row(each) for each in entries], numbers=("arrived", "size"), optional=("revision",))
        print()
    print_line(f"{loader.cache.folder()}: {size_text(sum(each.size for each in entries))}")


def _row(entry: loader.cache.Entry) -> tuple[str, ...]:
    return (
        entry.name,
        entry.kind,
        entry.version or "",
        (entry.revision or "")[:12],
        f"{int(entry.arrived * 100)} %",
        size_text(entry.size),
        datetime.fromtimestamp(entry.used).isoformat(" ", "minutes"),
    )
