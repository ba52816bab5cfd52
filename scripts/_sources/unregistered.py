"""Unregistered files: source files without a checksum, fetched for the user to decide whether to trust them."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from urllib.parse import unquote, urlsplit

from loader._errors import url_without_secrets
from scripts._define.definition import Definition
from scripts._process.errors import ScriptError, UnavailableError
from scripts._process.files import hash_file
from scripts._sources.accepted import is_html
from scripts._sources.download import discard, download
from scripts._sources.file_info import FileInfo
from scripts._sources.parts import Parts
from scripts._sources.source import FOLDER, Source
from scripts._sources.sources import mirror_location


@dataclass(frozen=True)
class UnregisteredFile:
    """A fetched file without a registered checksum.

    Attributes
    ----------
    source
        The source file that would be registered.
    path
        Its path on this machine.
    location
        The location where it was found.
    content_type
        The media type that the server states, empty if it states none.
    is_html
        Whether it is an HTML page.
    """

    source: Source
    path: Path
    location: str
    content_type: str
    is_html: bool


class UnregisteredFiles:
    """Fetches files of URLs without a checksum, and stores them as partial files until they are trusted.

    Parameters
    ----------
    definition
        The dataset.
    parts
        The dataset's partial files.
    locks
        Holds the locks of the downloaded files until it is closed.
    """

    def __init__(self, definition: Definition, parts: Parts, locks: ExitStack) -> None:
        self._definition = definition
        self._folder = definition.root / FOLDER / definition.name
        self._parts = parts
        self._locks = locks
        self.stopped = Event()

    def find(self, url: str, *, ambiguous: Container[str]) -> UnregisteredFile:
        """Fetch the file from upstream or else from `sources/<name>/` or the mirror.

        An HTML page is returned only if no location has another file.

        Parameters
        ----------
        url
            The file.
        ambiguous
            File names of several URLs, for which only upstream is used.

        Raises
        ------
        ScriptError
            No location has the file; the message lists each with its reason.
        """
        reasons = []
        page = None
        for location, origin in self._locations(url, ambiguous):
            try:
                found = self._fetch(url, location, origin)
            except UnavailableError as unavailable:
                reasons.append(f"  {location}: {unavailable}")
                continue
            if not found.is_html:
                return found
            page = page or found
        if page is None:
            raise ScriptError(
                f"{self._definition.name}: source file not found: {url_without_secrets(url)}:\n"
                + "\n".join(reasons)
                + self._how_to_supply(url, ambiguous)
            )
        return page

    def _how_to_supply(self, url: str, ambiguous: Container[str]) -> str:
        name, filename = self._definition.name, basename(url)
        if not filename or filename in ambiguous:
            return ""
        place = f"{FOLDER}/{name}/{filename}"
        return f"\nto supply it by hand, put it at {place}, and run: make build DATASET={name} REGISTER=1"

    def accept(self, file: UnregisteredFile) -> None:
        """Move a trusted file to its final path."""
        target = self._folder / file.source.filename
        if file.path.parent == self._folder and file.path != target:
            file.path.replace(target)
            discard(file.path)

    def _locations(self, url: str, ambiguous: Container[str]) -> Iterator[tuple[str, Path | str]]:
        yield f"upstream {url_without_secrets(url)}", url
        filename = basename(url)
        if filename and filename not in ambiguous:
            yield f"{FOLDER}/{self._definition.name}/{filename}", self._folder / filename
            mirror = mirror_location(self._definition, filename)
            if mirror is not None:
                yield f"mirror {url_without_secrets(mirror) if isinstance(mirror, str) else mirror}", mirror

    def _fetch(self, url: str, location: str, origin: Path | str) -> UnregisteredFile:
        filename = basename(url)
        info = FileInfo(filename)
        if isinstance(origin, Path):
            path = origin
            if not path.is_file():
                raise UnavailableError("no such file")
        else:
            path = self._locks.enter_context(
                self._parts.open(origin, label=filename or url_without_secrets(url), stopped=self.stopped)
            )
            info = download(origin, path, label=filename or url_without_secrets(url), stopped=self.stopped)
        filename = (info.filename or filename).lstrip(".") or f"source-{url_hash(url)}"
        source = Source(url, filename, path.stat().st_size, hash_file(path))
        return UnregisteredFile(source, path, location, info.content_type, is_html(path, info))


def name_uniquely(unregistered: list[UnregisteredFile], registered: dict[str, str]) -> list[UnregisteredFile]:
    """Give different files with the same name different names.

    Parameters
    ----------
    unregistered
        The files.
    registered
        The SHA-256 of the registered files, by name.
    """
    named = []
    for file in sorted(unregistered, key=lambda each: each.source.url):
        source = file.source
        if registered.get(source.filename, source.sha256) != source.sha256:
            source = replace(source, filename=f"{url_hash(source.url)}-{source.filename}")
        registered[source.filename] = source.sha256
        named.append(replace(file, source=source))
    return named


def basename(url: str) -> str:
    """Return the last part of a URL's path, empty if it cannot be a file name."""
    name = Path(unquote(urlsplit(url).path)).name
    return "" if name.startswith(".") else name


def url_hash(url: str) -> str:
    """Return 8 hex digits that tell a URL from others."""
    return hashlib.sha256(url.encode()).hexdigest()[:8]
