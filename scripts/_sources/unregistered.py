"""Source files that no checksum proves yet: looked at, to be trusted by a person or not."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from urllib.parse import unquote, urlsplit

from scripts._define.definition import Definition
from scripts._process.errors import DoorClosedError, ScriptError
from scripts._process.files import hash_file
from scripts._sources.download import Answer, download, forget, shown
from scripts._sources.parts import Parts
from scripts._sources.sources import FOLDER, Source, is_page, mirror_of


@dataclass(frozen=True)
class Newcomer:
    """A file that a URL gave.

    Attributes
    ----------
    source
        What would be registered.
    path
        Where it is now.
    door
        Where it was found.
    content_type
        What the server calls it, empty where it says nothing.
    is_page
        Whether it is an HTML page.
    """

    source: Source
    path: Path
    door: str
    content_type: str
    is_page: bool


class Newcomers:
    """Looks at what URLs without a checksum give, and keeps it apart until it is trusted.

    Parameters
    ----------
    definition
        The dataset.
    parts
        Its unfinished files.
    locks
        Holds the places of what was downloaded, as long as they are of use.
    """

    def __init__(self, definition: Definition, parts: Parts, locks: ExitStack) -> None:
        self._definition = definition
        self._folder = definition.root / FOLDER / definition.name
        self._parts = parts
        self._locks = locks
        self.stopped = Event()

    def find(self, url: str, *, unclear: Container[str]) -> Newcomer:
        """Look at what a URL gives; where that is nothing, at the file supplied by hand, and the mirror's.

        Parameters
        ----------
        url
            The file.
        unclear
            The names under which a file at hand may be another URL's.

        Raises
        ------
        ScriptError
            No door has it; every door is listed with its reason.
        """
        reasons = []
        page = None
        for door, place in self._doors(url, unclear):
            try:
                found = self._look(url, door, place)
            except DoorClosedError as closed:
                reasons.append(f"  {door}: {closed}")
                continue
            if not found.is_page:
                return found
            page = page or found
        if page is None:
            raise ScriptError(f"{self._definition.name}: no door has {url}:\n" + "\n".join(reasons))
        return page

    def keep(self, newcomer: Newcomer) -> None:
        """Put a file that is trusted now where source files are kept."""
        target = self._folder / newcomer.source.filename
        if newcomer.path.parent == self._folder and newcomer.path != target:
            newcomer.path.replace(target)
            forget(newcomer.path)

    def _doors(self, url: str, unclear: Container[str]) -> Iterator[tuple[str, Path | str]]:
        yield f"upstream {url}", url
        filename = basename(url)
        if filename and filename not in unclear:
            yield f"{FOLDER}/{self._definition.name}/{filename}", self._folder / filename
            mirror = mirror_of(self._definition, filename)
            if mirror is not None:
                yield f"mirror {shown(mirror) if isinstance(mirror, str) else mirror}", mirror

    def _look(self, url: str, door: str, place: Path | str) -> Newcomer:
        filename = basename(url)
        answer = Answer(filename)
        if isinstance(place, Path):
            path = place
            if not path.is_file():
                raise DoorClosedError("no such file")
        else:
            path = self._locks.enter_context(self._parts.open(place, label=filename or url, stopped=self.stopped))
            answer = download(place, path, label=filename or url, stopped=self.stopped)
        filename = (answer.filename or filename).lstrip(".") or f"source-{_short(url)}"
        source = Source(url, filename, path.stat().st_size, hash_file(path))
        return Newcomer(source, path, door, answer.content_type, is_page(path, answer))


def name_apart(newcomers: list[Newcomer], taken: dict[str, str]) -> list[Newcomer]:
    """Give files of one name and different bytes names of their own.

    Parameters
    ----------
    newcomers
        The files.
    taken
        The SHA-256 of the files that are registered, by name.
    """
    named = []
    for newcomer in sorted(newcomers, key=lambda each: each.source.url):
        source = newcomer.source
        if taken.get(source.filename, source.sha256) != source.sha256:
            source = replace(source, filename=f"{_short(source.url)}-{source.filename}")
        taken[source.filename] = source.sha256
        named.append(replace(newcomer, source=source))
    return named


def basename(url: str) -> str:
    """Return the name that a URL gives its file, empty where that is none to keep it under."""
    name = Path(unquote(urlsplit(url).path)).name
    return "" if name.startswith(".") else name


def _short(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:8]
