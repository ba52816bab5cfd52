"""`python -m scripts fetch NAME...`: the source files of datasets, without a build."""

from __future__ import annotations

from typing import Annotated

import typer

from scripts._define.definition import ROOT
from scripts._tfds.fetch import fetch_sources


def command(names: Annotated[list[str], typer.Argument(help="The datasets.")]) -> None:
    """Get the source files of datasets, without building them."""
    for name in names:
        found = fetch_sources(name, root=ROOT)
        for source, path, location in found:
            place = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
            print(
                f"{name}: {place}, {source.size:,} bytes"
                + ("" if location.endswith(str(place)) else f", from {location}")
            )
        if not found:
            print(f"{name}: its builder asks for no source files")
