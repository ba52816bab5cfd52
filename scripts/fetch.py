"""`python -m scripts fetch NAME...`: the source files of datasets, without a build."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from scripts._define.definition import ROOT, read_definition
from scripts._process.scratch import scratch_folder
from scripts._sources.sources import Source, Sources
from scripts._tfds.downloads import registered


class Found(NamedTuple):
    """A source file, where it is on this machine, and the door that it came through."""

    source: Source
    path: Path
    door: str


def fetch(name: str, *, root: Path = ROOT) -> list[Found]:
    """Get the source files of a dataset, several at once; what was interrupted is continued.

    Parameters
    ----------
    name
        The dataset.
    root
        The repository.

    Returns
    -------
    list of Found
        The source files, by URL.

    Raises
    ------
    ScriptError
        The definition is wrong, its builder fails, or a source is to be had nowhere.
    """
    from scripts._tfds.gather import gather

    definition = read_definition(name, root=root)
    definition.check_toolchain()
    found: dict[Source, Path] = {}
    with Sources(definition) as sources, scratch_folder(root, f"fetch-{name}") as scratch:

        def bring(builder: Any, urls: list[str]) -> dict[str, Path]:
            wanted = [registered(builder, url, definition) for url in urls]
            futures = {source: sources.submit(source) for source in wanted}
            found.update({source: future.result() for source, future in futures.items()})
            return {source.url: found[source] for source in wanted}

        gather(definition, bring, scratch=scratch)
    by_url = sorted(found, key=lambda source: source.url)
    return [Found(source, found[source], sources.doors[source.url]) for source in by_url]


def command(names: Annotated[list[str], typer.Argument(help="The datasets.")]) -> None:
    """Get the source files of datasets, without building them."""
    for name in names:
        found = fetch(name)
        for source, path, door in found:
            place = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
            print(f"{name}: {place}, {source.size:,} bytes" + ("" if door.endswith(str(place)) else f", from {door}"))
        if not found:
            print(f"{name}: its builder asks for no source files")
