"""Fetching the source files of a dataset without building it."""

from __future__ import annotations

from concurrent.futures import as_completed
from pathlib import Path
from typing import Any, NamedTuple

from scripts._define.definition import read_definition
from scripts._process.scratch import scratch_folder
from scripts._sources.sources import Source, Sources
from scripts._tfds.downloads import registered_source
from scripts._tfds.gather import gather


class FoundSource(NamedTuple):
    """A source file, its path on this machine, and the location where it was found."""

    source: Source
    path: Path
    location: str


def fetch_sources(name: str, *, root: Path) -> list[FoundSource]:
    """Fetch the source files of a dataset, several at once, and resume interrupted downloads.

    Parameters
    ----------
    name
        The dataset.
    root
        The repository.

    Returns
    -------
    list of FoundSource
        The source files, sorted by URL.

    Raises
    ------
    ScriptError
        The definition is wrong, its builder fails, or a source file is found nowhere.
    """
    definition = read_definition(name, root=root)
    definition.check_toolchain()
    found: dict[Source, Path] = {}
    with Sources(definition) as sources, scratch_folder(root, f"fetch-{name}") as scratch:

        def fetch(builder: Any, urls: list[str]) -> dict[str, Path]:
            wanted = [registered_source(builder, url, definition) for url in urls]
            futures = {source: sources.submit(source) for source in wanted}
            for future in as_completed(futures.values()):
                future.result()  # raises the first failure at once
            found.update({source: future.result() for source, future in futures.items()})
            return {source.url: found[source] for source in wanted}

        gather(definition, fetch, scratch=scratch)
    by_url = sorted(found, key=lambda source: source.url)
    return [FoundSource(source, found[source], sources.locations[source.url]) for source in by_url]
