"""Fetching the source files of a dataset without building it."""

from __future__ import annotations

from concurrent.futures import as_completed
from pathlib import Path
from typing import Any, NamedTuple

from scripts._define.definition import read_definition
from scripts._process.scratch import scratch_folder
from scripts._sources.by_hand import show_manual
from scripts._sources.checksums import manual_sources
from scripts._sources.room import check_room_for_sources
from scripts._sources.source import Source
from scripts._sources.sources import Sources
from scripts._tfds.downloads import instructions, registered_source, registered_urls
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
        The definition is wrong, its builder fails, a source file is found nowhere, or they do not fit on the disk.
    """
    definition = read_definition(name, root=root)
    definition.check_toolchain()
    found: dict[Source, Path] = {}
    with Sources(definition) as sources, scratch_folder(root, f"fetch-{name}") as scratch:

        def fetch(builder: Any, urls: list[str]) -> dict[str, Path]:
            registered = registered_urls(builder, definition)
            wanted = [registered_source(registered, url, definition) for url in urls]
            check_room_for_sources(definition, wanted)
            futures = {source: sources.submit(source) for source in wanted}
            for future in as_completed(futures.values()):
                future.result()  # raises the first failure at once
            found.update({source: future.result() for source, future in futures.items()})
            return {source.url: found[source] for source in wanted}

        def manual_dir(builder: Any) -> Path:
            return show_manual(definition, sources, scratch / "manual", instructions=instructions(builder))

        gather(definition, fetch, manual_dir, scratch=scratch)
        by_hand = {source: sources.submit(source) for source in manual_sources(definition)}
        found.update({source: future.result() for source, future in by_hand.items()})
    by_url = sorted(found, key=lambda source: source.url)
    return [FoundSource(source, found[source], sources.locations[source.url]) for source in by_url]
