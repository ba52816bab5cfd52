"""Showing a builder the files that are downloaded by hand, and finding those that are not registered yet."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import as_completed
from pathlib import Path

from scripts._define.definition import Definition
from scripts._process.errors import ScriptError
from scripts._sources import manual
from scripts._sources.advice import how_to_get
from scripts._sources.checksums import manual_sources
from scripts._sources.download import log
from scripts._sources.manual_folder import ManualFolder
from scripts._sources.source import FOLDER, Source
from scripts._sources.sources import Sources

_NAMED = 5


def show_manual(
    definition: Definition, sources: Sources, folder: Path, *, instructions: str, new: Iterable[Source] = ()
) -> Path:
    """Return a folder with exactly the registered files of those that are downloaded by hand.

    Parameters
    ----------
    definition
        The dataset.
    sources
        Finds the files, and keeps the folder, which is made once.
    folder
        The folder to make.
    instructions
        How to download them, in the builder's words.
    new
        Files and trees in `sources/<name>/manual/` that are about to be registered.

    Raises
    ------
    ScriptError
        None is registered, no location has one of them, or one that was put there is another one.
    """
    if sources.manual is None:
        sources.instructions = instructions
        wanted = [*manual_sources(definition), *new]
        _tell_of_others(definition, wanted, instructions)
        found = {sources.submit(source): source for source in wanted}
        for future in as_completed(found):
            future.result()  # raises the first failure at once
        shown = ManualFolder(folder, dataset=definition.name)
        for future, source in found.items():
            shown.add(manual.manual_path(source.url), future.result())
        shown.close()
        sources.manual = shown
    return sources.manual.folder


def new_manual_sources(definition: Definition) -> list[Source]:
    """Return the files and trees in `sources/<name>/manual/` without a line in `checksums.tsv`.

    Raises
    ------
    ScriptError
        One of them cannot be read or registered.
    """
    folder = _folder(definition)
    found = []
    for path in manual.unregistered(folder, _paths(manual_sources(definition))):
        url = manual.manual_url(path)
        found.append(Source(url, manual.stored_name(url), *manual.measure(folder / path, tree=manual.is_tree(url))))
    return found


def _tell_of_others(definition: Definition, wanted: list[Source], instructions: str) -> None:
    """Tell of files that the builder does not see, because they are not registered; it is an error if none is."""
    name, place = definition.name, f"{FOLDER}/{definition.name}/{manual.FOLDER}/"
    others = manual.unregistered(_folder(definition), _paths(wanted))
    register = f"make build DATASET={name} REGISTER=1"
    if others:
        named = ", ".join(map(manual.printable, others[:_NAMED])) + (
            f" and {len(others) - _NAMED:,} more" if others[_NAMED:] else ""
        )
        text = f"{name}: not registered in {place}: {named}; review and register with: {register}"
        if not wanted:
            raise ScriptError(text)
        log(f"{text}, or remove what its builder does not need, which it does not see")
    elif not wanted:
        text = how_to_get(name, f"{manual.FOLDER}/", instructions, register=True)
        raise ScriptError(f"{name}: its builder needs files in {place}, which has none\n{text}")


def _folder(definition: Definition) -> Path:
    return definition.root / FOLDER / definition.name / manual.FOLDER


def _paths(sources: Iterable[Source]) -> list[str]:
    return [manual.manual_path(source.url) for source in sources]
