"""Source files that have no checksum yet: fetched and shown, for a person to trust or not."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from urllib.parse import unquote, urlsplit

from scripts._define.definition import Definition
from scripts._process.errors import ScriptError, UnavailableError
from scripts._process.files import hash_file
from scripts._sources.download import Answer, download, forget, shown
from scripts._sources.parts import Parts
from scripts._sources.sources import FOLDER, Source, is_page, mirror_of


@dataclass(frozen=True)
class UnregisteredFile:
    """A file without a registered checksum.

    Attributes
    ----------
    source
        What would be registered.
    path
        Where it is now.
    location
        Where it was found.
    content_type
        What the server calls it, empty where it says nothing.
    is_page
        Whether it is an HTML page.
    """

    source: Source
    path: Path
    location: str
    content_type: str
    is_page: bool


class UnregisteredFiles:
    """Fetches what URLs without a checksum give, and keeps it apart until it is trusted.

    Parameters
    ----------
    definition
        The dataset.
    parts
        Its unfinished files.
    locks
        Keeps the locks of the downloaded files until it is closed.
    """

    def __init__(self, definition: Definition, parts: Parts, locks: ExitStack) -> None:
        self._definition = definition
        self._folder = definition.root / FOLDER / definition.name
        self._parts = parts
        self._locks = locks
        self.stopped = Event()

    def find(self, url: str, *, ambiguous: Container[str]) -> UnregisteredFile:
        """Fetch what a URL gives; where that fails, take the file supplied by hand, or the mirror's.

        Parameters
        ----------
        url
            The file.
        ambiguous
            File names that several URLs have, under which a local file may be another URL's.

        Raises
        ------
        ScriptError
            It was found at no location; each is listed with its reason.
        """
        reasons = []
        page = None
        for location, place in self._locations(url, ambiguous):
            try:
                found = self._fetch(url, location, place)
            except UnavailableError as unavailable:
                reasons.append(f"  {location}: {unavailable}")
                continue
            if not found.is_page:
                return found
            page = page or found
        if page is None:
            raise ScriptError(f"{self._definition.name}: source file not found: {url}:\n" + "\n".join(reasons))
        return page

    def keep(self, newcomer: UnregisteredFile) -> None:
        """Put a file that is trusted now where source files are kept."""
        target = self._folder / newcomer.source.filename
        if newcomer.path.parent == self._folder and newcomer.path != target:
            newcomer.path.replace(target)
            forget(newcomer.path)

    def _locations(self, url: str, ambiguous: Container[str]) -> Iterator[tuple[str, Path | str]]:
        yield f"upstream {url}", url
        filename = basename(url)
        if filename and filename not in ambiguous:
            yield f"{FOLDER}/{self._definition.name}/{filename}", self._folder / filename
            mirror = mirror_of(self._definition, filename)
            if mirror is not None:
                yield f"mirror {shown(mirror) if isinstance(mirror, str) else mirror}", mirror

    def _fetch(self, url: str, location: str, place: Path | str) -> UnregisteredFile:
        filename = basename(url)
        answer = Answer(filename)
        if isinstance(place, Path):
            path = place
            if not path.is_file():
                raise UnavailableError("no such file")
        else:
            path = self._locks.enter_context(self._parts.open(place, label=filename or url, stopped=self.stopped))
            answer = download(place, path, label=filename or url, stopped=self.stopped)
        filename = (answer.filename or filename).lstrip(".") or f"source-{_short(url)}"
        source = Source(url, filename, path.stat().st_size, hash_file(path))
        return UnregisteredFile(source, path, location, answer.content_type, is_page(path, answer))


def name_uniquely(unregistered: list[UnregisteredFile], registered: dict[str, str]) -> list[UnregisteredFile]:
    """Give files of one name and different bytes names of their own.

    Parameters
    ----------
    unregistered
        The files.
    registered
        The SHA-256 of the files that are registered, by name.
    """
    named = []
    for newcomer in sorted(unregistered, key=lambda each: each.source.url):
        source = newcomer.source
        if registered.get(source.filename, source.sha256) != source.sha256:
            source = replace(source, filename=f"{_short(source.url)}-{source.filename}")
        registered[source.filename] = source.sha256
        named.append(replace(newcomer, source=source))
    return named


def basename(url: str) -> str:
    """Return the file name that a URL ends in, empty where a file cannot be kept under it."""
    name = Path(unquote(urlsplit(url).path)).name
    return "" if name.startswith(".") else name


def _short(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:8]
