"""`python -m scripts register NAME...`: checksums for source files that have none yet."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from scripts._define.definition import ROOT, Definition, read_definition
from scripts._process.errors import ScriptError
from scripts._process.scratch import scratch_folder
from scripts._sources.checksums import add_checksums
from scripts._sources.download import say
from scripts._sources.parts import Parts
from scripts._sources.sources import FILES_AT_ONCE, FOLDER, PAGE, Source, Sources
from scripts._sources.unregistered import UnregisteredFile, UnregisteredFiles, basename, name_uniquely
from scripts._tfds.downloads import registered_source


def register(name: str, *, root: Path = ROOT, trusts: Callable[[], bool] = lambda: True) -> list[Source]:
    """Write into a dataset's `checksums.tsv` what its builder asks for and has no line for.

    What is registered already is proved as ever: that a file changed is an error, never a new line. What is new is
    shown first, and all of it is written or nothing.

    Parameters
    ----------
    name
        The dataset.
    root
        The repository.
    trusts
        Asked when everything was shown.

    Returns
    -------
    list of Source
        What was registered.

    Raises
    ------
    ScriptError
        The checksums are TFDS's own, a file is to be had nowhere or is an HTML page, or it is not trusted.
    """
    definition = read_definition(name, root=root)
    if not definition.is_ours:
        raise ScriptError(
            f"{name} is TFDS's own dataset: its checksums come with the package tensorflow-datasets, "
            f"and there is nothing to register; build it with: make build DATASET={name}"
        )
    definition.check_toolchain()
    with (
        scratch_folder(root, f"register-{name}") as scratch,
        ExitStack() as locks,
        Sources(definition) as sources,
    ):
        unregistered = UnregisteredFiles(definition, Parts(root, root / FOLDER / name), locks)
        found = _find_all(definition, sources, unregistered, scratch)
        if found:
            _show(definition, found)
            _refuse_pages(definition, found)
            if not trusts():
                raise ScriptError(f"{name}: nothing was registered")
            add_checksums(root / definition.builder / "checksums.tsv", [each.source for each in found])
            for file in found:
                unregistered.keep(file)
    return [file.source for file in found]


def command(names: Annotated[list[str], typer.Argument(help="The datasets.")]) -> None:
    """Write checksums.tsv for source files that have no line there, after showing what will be trusted."""
    is_terminal = sys.stdin.isatty() and sys.stderr.isatty()
    for name in names:
        sources = register(name, trusts=_ask if is_terminal else lambda: True)
        if not sources:
            print(f"{name}: every source file has its line in checksums.tsv already")
        for source in sources:
            print(f"{name}: registered {source.url}")


def _find_all(
    definition: Definition, sources: Sources, unregistered: UnregisteredFiles, scratch: Path
) -> list[UnregisteredFile]:
    from scripts._tfds.gather import gather

    found: dict[str, UnregisteredFile] = {}
    registered_names: dict[str, str] = {}

    def fetch(builder: Any, urls: list[str]) -> dict[str, Path]:
        known = builder.url_infos or {}
        registered_names.update({info.filename or basename(url): info.checksum for url, info in known.items()})
        new = [url for url in urls if url not in known and url not in found]
        names = Counter(map(basename, [*new, *found]))
        ambiguous = {name for name, count in names.items() if count > 1} | registered_names.keys()
        futures = {url: sources.submit(registered_source(builder, url, definition)) for url in urls if url in known}
        try:
            with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
                found.update(
                    zip(new, pool.map(lambda url: unregistered.find(url, ambiguous=ambiguous), new), strict=True)
                )
        finally:
            unregistered.stopped.set()
        unregistered.stopped.clear()
        paths = {url: future.result() for url, future in futures.items()}
        return paths | {url: found[url].path for url in urls if url in found}

    gather(definition, fetch, scratch=scratch)
    return name_uniquely(list(found.values()), registered_names)


def _show(definition: Definition, found: list[UnregisteredFile]) -> None:
    say(f"{definition.name}: these files would be trusted from now on, as {definition.builder}/checksums.tsv:")
    for file in found:
        source = file.source
        say(f"  {source.url}")
        say(f"    {source.size:,} bytes, SHA-256 {source.sha256}")
        say(f"    kept as {source.filename}, {file.content_type or 'of no stated type'}, from {file.location}")


def _refuse_pages(definition: Definition, found: list[UnregisteredFile]) -> None:
    for file in found:
        source = file.source
        if file.is_page and not source.filename.lower().endswith((".html", ".htm")):
            raise ScriptError(
                f"{definition.name}: nothing was registered, for {source.url} gives {PAGE}; "
                f"name the file itself in {definition.builder}/{definition.name}.py, "
                f"or put it at {FOLDER}/{definition.name}/{basename(source.url) or source.filename}"
            )


def _ask() -> bool:
    return typer.confirm("Trust them?", err=True)
