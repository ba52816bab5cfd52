"""`python -m scripts fetch NAME...`: fetch the source files of datasets without building them."""

from __future__ import annotations

from typing import Annotated

import typer

from scripts._define.definition import ROOT
from scripts._tfds.fetch import fetch_sources


def command(names: Annotated[list[str], typer.Argument(help="The datasets.")]) -> None:
    """Fetch the source files of datasets without building them."""
    for name in names:
        found = fetch_sources(name, root=ROOT)
        for source, path, location in found:
            shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
            print(
                f"{name}: {shown}, {source.size:,} bytes"
                + ("" if location.endswith(str(shown)) else f", from {location}")
            )
        if not found:
            print(f"{name}: its builder uses no source files")
