"""`python -m scripts fetch NAME...`: fetch the source files of datasets without building them."""

from __future__ import annotations

from scripts._define.definition import ROOT
from scripts._define.several import All, Names, chosen, for_each
from scripts._tfds.fetch import fetch_sources


def command(names: Names = None, everything: All = False) -> None:
    """Fetch the source files of datasets without building them; those that fail are named at the end."""
    for_each(chosen(names, everything=everything), _fetch, everything=everything)


def _fetch(name: str) -> None:
    found = fetch_sources(name, root=ROOT)
    for source, path, location in found:
        shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        print(
            f"{name}: {shown}, {source.size:,} bytes" + ("" if location.endswith(str(shown)) else f", from {location}"),
            flush=True,
        )
    if not found:
        print(f"{name}: its builder uses no source files", flush=True)
