"""`python -m scripts register NAME...`: register the checksums of new source files."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from scripts._define.datasets import EDIT_LOCK, depend_on
from scripts._define.definition import ROOT, Definition, read_definition
from scripts._define.several import chosen, for_each
from scripts._process.errors import ScriptError
from scripts._process.scratch import scratch_folder
from scripts._sources.accepted import HTML_PAGE
from scripts._sources.by_hand import new_manual_sources, show_manual
from scripts._sources.checksums import add_checksums, checksums_file, checksums_line, has_line
from scripts._sources.download import log
from scripts._sources.manual import is_tree, printable, walk
from scripts._sources.parts import Parts
from scripts._sources.source import FOLDER, Source
from scripts._sources.sources import FILES_AT_ONCE, ChangedUpstreamError, Sources
from scripts._sources.unregistered import UnregisteredFile, UnregisteredFiles, basename, name_uniquely, url_hash
from scripts._tfds.downloads import instructions, registered_source, registered_urls


def register(name: str, *, root: Path = ROOT, confirm: Callable[[], bool] | None = None) -> list[Source]:
    """Add the unregistered files that a dataset's builder uses to its `checksums.tsv`.

    These are the files that it downloads, and what lies in `sources/<name>/manual/`. Registered files are checked as in
    a build: a changed file is an error and does not get a new line, unless its checksum comes with TFDS, whose lines
    nobody here can change. The unregistered files are shown first, and either all of them are registered or none.

    Parameters
    ----------
    name
        The dataset.
    root
        The repository.
    confirm
        Called after the files are shown; returns whether to register them. If there is nobody to ask, new files are
        registered, and none that replaces one of TFDS.

    Returns
    -------
    list of Source
        The files that were registered.

    Raises
    ------
    ScriptError
        A file is not found, is an HTML page or cannot be registered, or `confirm` returned False.
    """
    definition = read_definition(name, root=root)
    definition.check_toolchain()
    _depend(definition)  # a command that was killed may have registered files only
    with (
        scratch_folder(root, f"register-{name}") as scratch,
        ExitStack() as locks,
        Sources(definition, keeps_changed=not definition.is_ours) as sources,
    ):
        unregistered = UnregisteredFiles(definition, Parts(root, root / FOLDER / name), locks)
        by_hand = new_manual_sources(definition)
        found, replaced = _find_all(definition, sources, unregistered, by_hand, scratch)
        if sources.manual is not None:
            sources.manual.check_unchanged()
        new = [*by_hand, *(file.source for file in found)]
        if new:
            _show(definition, found, replaced, by_hand)
            _refuse_html_pages(definition, found)
            if confirm is None and replaced:
                raise _nobody_to_ask(definition, [file.source for file in found if file.source.url in replaced])
            if confirm is not None and not confirm():
                raise ScriptError(f"{name}: nothing was registered")
            add_checksums(checksums_file(definition), new)
            for file in found:
                unregistered.accept(file)
            _depend(definition)
    return new


def command(names: Annotated[list[str], typer.Argument(help="The datasets.")]) -> None:
    """Show the source files without a line in checksums.tsv, and add lines for them."""
    for_each(chosen(names, everything=False, root=ROOT), _register)


def _register(name: str) -> None:
    is_terminal = sys.stdin.isatty() and sys.stderr.isatty()
    sources = register(name, confirm=_ask if is_terminal else None)
    if not sources:
        print(f"{name}: every source file is registered")
    for source in sources:
        print(f"{name}: registered {source.shown}")


def _find_all(
    definition: Definition,
    sources: Sources,
    unregistered: UnregisteredFiles,
    by_hand: list[Source],
    scratch: Path,
) -> tuple[list[UnregisteredFile], dict[str, Source]]:
    """Return the files to register, and by URL those that TFDS has registered and that upstream has replaced."""
    from scripts._tfds.gather import gather

    found: dict[str, UnregisteredFile] = {}
    replaced: dict[str, Source] = {}
    registered_names: dict[str, str] = {}

    def fetch(builder: Any, urls: list[str]) -> dict[str, Path]:
        registered = registered_urls(builder, definition)
        registered_names.update({info.filename or basename(url): info.checksum for url, info in registered.items()})
        new = [url for url in urls if url not in registered and url not in found]
        names = Counter(map(basename, [*new, *found]))
        ambiguous = {name for name, count in names.items() if count > 1} | registered_names.keys()
        wanted = [
            registered_source(registered, url, definition) for url in urls if url in registered and url not in found
        ]
        known = {sources.submit(source): source for source in wanted}
        paths = {}
        with ThreadPoolExecutor(FILES_AT_ONCE) as pool:
            unknown = {pool.submit(unregistered.find, url, ambiguous=ambiguous): url for url in new}
            running: list[Future[Any]] = [*known, *unknown]
            try:
                for future in as_completed(running):  # the first failure is raised at once
                    if future in unknown:
                        found[unknown[future]] = future.result()
                        continue
                    source = known[future]
                    try:
                        paths[source.url] = future.result()
                    except ChangedUpstreamError:
                        if has_line(definition, source.url):
                            raise
                        replaced[source.url] = source
                        found[source.url] = unregistered.find(source.url, ambiguous={basename(source.url)})
            except BaseException:
                unregistered.stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return paths | {url: _named(found[url], scratch) for url in urls if url in found}

    def manual_dir(builder: Any) -> Path:
        return show_manual(definition, sources, scratch / "manual", instructions=instructions(builder), new=by_hand)

    gather(definition, fetch, manual_dir, scratch=scratch)
    for source in replaced.values():
        registered_names.pop(source.filename, None)
    return name_uniquely(list(found.values()), registered_names), replaced


def _named(file: UnregisteredFile, scratch: Path) -> Path:
    """Return a path with the name of a file that is stored as a partial file: builders look at the ending."""
    source = file.source
    if file.path.name == source.filename:
        return file.path
    named = scratch / "named" / url_hash(source.url) / source.filename
    named.parent.mkdir(parents=True, exist_ok=True)
    if not named.is_symlink():
        named.symlink_to(file.path)
    return named


def _show(
    definition: Definition, found: list[UnregisteredFile], replaced: dict[str, Source], by_hand: list[Source]
) -> None:
    where = checksums_file(definition).relative_to(definition.root)
    log(f"{definition.name}: files to trust and to register in {where}:")
    for source in by_hand:
        log(f"  {FOLDER}/{definition.name}/{printable(source.filename)}")
        what = "bytes, SHA-256"
        if is_tree(source.url):
            paths = walk(definition.root / FOLDER / definition.name / source.filename)
            count = sum(not path.endswith("/") for path in paths)
            what = f"bytes in {count:,} files, digest"
        log(f"    {source.size:,} {what} {source.sha256}")
    for file in found:
        source = file.source
        log(f"  {source.url}")
        log(f"    {source.size:,} bytes, SHA-256 {source.sha256}")
        if source.url in replaced:
            other = replaced[source.url]
            log(f"    REPLACES the file that TFDS has registered: {other.size:,} bytes, SHA-256 {other.sha256}")
        log(f"    stored as {source.filename}, {file.content_type or 'unknown type'}, from {file.location}")


def _nobody_to_ask(definition: Definition, sources: Iterable[Source]) -> ScriptError:
    """Return the error for files that replace those of TFDS, with the command that says yes to exactly these."""
    path = checksums_file(definition).relative_to(definition.root)
    fields = [shlex.quote(field) for source in sources for field in checksums_line(source).split("\t")]
    return ScriptError(
        f"{definition.name}: nothing was registered, because a file that TFDS has registered was replaced, and only a "
        f"person can say whether the new one is right; run this on a terminal, or register it with:\n"
        f"mkdir -p {path.parent} && printf '%s\\t%s\\t%s\\t%s\\n' {' '.join(fields)} >> {path}\n"
        f"make build DATASET={definition.name} REGISTER=1"
    )


def _depend(definition: Definition) -> None:
    """Make the stage of a dataset of TFDS depend on the folder with its own checksums, if it has some."""
    path = checksums_file(definition)
    if definition.is_ours or not path.exists():
        return
    with scratch_folder(definition.root, EDIT_LOCK):
        if depend_on(definition.name, path.parent, root=definition.root):
            folder = path.parent.relative_to(definition.root)
            log(f"{definition.name}: its stage in dvc.yaml now depends on {folder}, which has its checksums")


def _refuse_html_pages(definition: Definition, found: list[UnregisteredFile]) -> None:
    builder = f"{definition.builder}/{definition.name}.py"
    in_builder = f"use the URL of the file itself in {builder}, or " if definition.is_ours else ""
    for file in found:
        source = file.source
        if file.is_html and not source.filename.lower().endswith((".html", ".htm")):
            raise ScriptError(
                f"{definition.name}: nothing was registered, because {source.url} is {HTML_PAGE}; {in_builder}"
                f"put the file at {FOLDER}/{definition.name}/{basename(source.url) or source.filename}"
            )


def _ask() -> bool:
    return typer.confirm("Trust them?", err=True)
