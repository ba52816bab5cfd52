"""`python -m scripts register NAME...`: register the checksums of new source files."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from scripts._define.definition import ROOT, Definition, read_definition
from scripts._process.errors import ScriptError
from scripts._process.scratch import scratch_folder
from scripts._sources.checksums import add_checksums
from scripts._sources.download import log
from scripts._sources.parts import Parts
from scripts._sources.sources import FILES_AT_ONCE, FOLDER, HTML_PAGE, Source, Sources
from scripts._sources.unregistered import UnregisteredFile, UnregisteredFiles, basename, name_uniquely
from scripts._tfds.downloads import registered_source


def register(name: str, *, root: Path = ROOT, confirm: Callable[[], bool] = lambda: True) -> list[Source]:
    """Add the unregistered files that a dataset's builder uses to its `checksums.tsv`.

    Registered files are checked as in a build: a changed file is an error and does not get a new line. The unregistered
    files are shown first, and either all of them are registered or none.

    Parameters
    ----------
    name
        The dataset.
    root
        The repository.
    confirm
        Called after the files are shown; returns whether to register them.

    Returns
    -------
    list of Source
        The files that were registered.

    Raises
    ------
    ScriptError
        The checksums come from TFDS, a file is not found or is an HTML page, or `confirm` returned False.
    """
    definition = read_definition(name, root=root)
    if not definition.is_ours:
        raise ScriptError(
            f"{name} is a dataset of TFDS: its checksums come with the package tensorflow-datasets, "
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
            _refuse_html_pages(definition, found)
            if not confirm():
                raise ScriptError(f"{name}: nothing was registered")
            add_checksums(root / definition.builder / "checksums.tsv", [each.source for each in found])
            for file in found:
                unregistered.accept(file)
    return [file.source for file in found]


def command(names: Annotated[list[str], typer.Argument(help="The datasets.")]) -> None:
    """Show the source files without a line in checksums.tsv, and add lines for them."""
    is_terminal = sys.stdin.isatty() and sys.stderr.isatty()
    for name in names:
        sources = register(name, confirm=_ask if is_terminal else lambda: True)
        if not sources:
            print(f"{name}: every source file has a line in checksums.tsv")
        for source in sources:
            print(f"{name}: registered {source.shown}")


def _find_all(
    definition: Definition, sources: Sources, unregistered: UnregisteredFiles, scratch: Path
) -> list[UnregisteredFile]:
    from scripts._tfds.gather import gather

    found: dict[str, UnregisteredFile] = {}
    registered_names: dict[str, str] = {}

    def fetch(builder: Any, urls: list[str]) -> dict[str, Path]:
        registered = builder.url_infos or {}
        registered_names.update({info.filename or basename(url): info.checksum for url, info in registered.items()})
        new = [url for url in urls if url not in registered and url not in found]
        names = Counter(map(basename, [*new, *found]))
        ambiguous = {name for name, count in names.items() if count > 1} | registered_names.keys()
        known = {url: sources.submit(registered_source(builder, url, definition)) for url in urls if url in registered}
        with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
            unknown = {url: pool.submit(unregistered.find, url, ambiguous=ambiguous) for url in new}
            running: list[Future[Any]] = [*known.values(), *unknown.values()]
            try:
                for future in as_completed(running):
                    future.result()  # raises the first failure at once
            except BaseException:
                unregistered.stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        found.update({url: future.result() for url, future in unknown.items()})
        paths = {url: future.result() for url, future in known.items()}
        return paths | {url: found[url].path for url in urls if url in found}

    gather(definition, fetch, scratch=scratch)
    return name_uniquely(list(found.values()), registered_names)


def _show(definition: Definition, found: list[UnregisteredFile]) -> None:
    log(f"{definition.name}: files to trust and to register in {definition.builder}/checksums.tsv:")
    for file in found:
        source = file.source
        log(f"  {source.url}")
        log(f"    {source.size:,} bytes, SHA-256 {source.sha256}")
        log(f"    stored as {source.filename}, {file.content_type or 'unknown type'}, from {file.location}")


def _refuse_html_pages(definition: Definition, found: list[UnregisteredFile]) -> None:
    for file in found:
        source = file.source
        if file.is_html and not source.filename.lower().endswith((".html", ".htm")):
            raise ScriptError(
                f"{definition.name}: nothing was registered, because {source.url} is {HTML_PAGE}; "
                f"use the URL of the file itself in {definition.builder}/{definition.name}.py, "
                f"or put it at {FOLDER}/{definition.name}/{basename(source.url) or source.filename}"
            )


def _ask() -> bool:
    return typer.confirm("Trust them?", err=True)
