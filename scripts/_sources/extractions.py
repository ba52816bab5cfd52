"""The extracted archives of a build: shared by the configs of a dataset, and removed as soon as none needs them."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock
from typing import Self

from scripts._process.errors import ScriptError, UnavailableError
from scripts._process.files import hash_once
from scripts._sources.archives import ArchiveError, unpack
from scripts._sources.download import log

AT_ONCE = 4
LARGE_BYTES = 64 << 20  # of an archive, whose extraction takes a while
LONGEST_NAME = 200  # in characters; file systems allow 255 bytes


@dataclass
class _Extraction:
    """An extracted archive.

    Attributes
    ----------
    archive
        The path of the archive.
    sha256
        Its SHA-256.
    folder
        What holds the extraction and nothing else.
    state
        The names, sizes and times of the extracted files.
    """

    archive: Path
    sha256: str
    folder: Path
    state: str


class Extractions:
    """Extracts archives into a folder; entered once for a build, and with `config` for each config.

    An extraction is found by the archive's SHA-256 and the method, so that two archives of one name stay apart (TFDS
    takes the first one for both), and one archive is extracted once for all configs. It is extracted again if a builder
    has changed its files. What a config does not use is removed: before it extracts something else, or when it has
    been generated. A config that needs it after that extracts it again.

    A killed build leaves the folder, which is part of its scratch folder; the next build removes that.

    Parameters
    ----------
    folder
        The folder, which need not exist.
    dataset
        The dataset, for messages.
    """

    def __init__(self, folder: Path, *, dataset: str) -> None:
        self.folder = folder
        self._dataset = dataset
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="extraction")
        self._stopped = Event()
        self._lock = Lock()
        self._extracting: dict[str, Future[Path]] = {}  # of this config, by key
        self._earlier: dict[str, _Extraction] = {}  # those on disk, in the order in which they were extracted
        self._asked: set[str] = set()  # SHA-256 of the files that this config downloads

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._pool.shutdown(cancel_futures=True)

    @contextmanager
    def config(self, *, last: bool) -> Iterator[None]:
        """Hold the extractions of one config during a block; `last` says that no other config follows."""
        self._extracting, self._asked = {}, set()
        yield
        with self._lock:
            if last:
                self._earlier = {}
                shutil.rmtree(self.folder, ignore_errors=True)
            else:
                self._asked = set()
                self._remove_unused()

    def expect(self, sha256: str) -> None:
        """Take note that this config downloads a file, which it may extract."""
        with self._lock:
            self._asked.add(sha256)

    def submit(self, archive: Path, method: str) -> Future[Path]:
        """Extract an archive in a thread, and return the future path of the folder or file.

        Its error is a ScriptError that names the archive.

        Parameters
        ----------
        archive
            The archive.
        method
            The name of TFDS's extraction method.
        """
        return self._pool.submit(self._extract, archive, method)

    def _extract(self, archive: Path, method: str) -> Path:
        try:
            _, sha256 = hash_once(archive)
        except OSError as error:
            raise ScriptError(f"{self._dataset}: {archive} cannot be extracted: {error.strerror}") from error
        # a builder may use the name, which says what the file is
        name = f"{method}.{archive.name[-LONGEST_NAME:]}"
        key = hashlib.sha256(f"{sha256} {name}".encode(errors="surrogateescape")).hexdigest()[:32]
        with self._lock:
            future = self._extracting.get(key)
            is_mine = future is None
            if future is None:
                future = self._extracting[key] = Future()
        if is_mine:
            try:
                future.set_result(self._reuse(key, name) or self._unpack(key, name, archive, method, sha256))
            except BaseException as error:
                future.set_exception(error)
        return future.result()

    def _reuse(self, key: str, name: str) -> Path | None:
        """Return what an earlier config extracted, None if that is not there or was changed."""
        with self._lock:
            earlier = self._earlier.get(key)
        if earlier is None:
            return None
        if _state(earlier.folder) == earlier.state:
            return earlier.folder / name
        log(f"{self._dataset}: its builder has changed what it extracted from {earlier.archive.name}; doing it again")
        with self._lock:
            self._remove(key)
        return None

    def _unpack(self, key: str, name: str, archive: Path, method: str, sha256: str) -> Path:
        with self._lock:
            self._remove_unused()
        folder = self.folder / key
        if archive.stat().st_size >= LARGE_BYTES:
            log(f"{self._dataset}: extracting {archive.name}")
        try:
            folder.mkdir(parents=True)
            left_out = unpack(archive, method, folder / name, stopped=self._stopped)
        except UnavailableError as error:
            raise ScriptError(f"{self._dataset}: {error}") from error
        except (ArchiveError, OSError) as error:
            shutil.rmtree(folder, ignore_errors=True)
            reason = str(error) if isinstance(error, ArchiveError) else error.strerror
            raise ScriptError(f"{self._dataset}: {archive} cannot be extracted: {reason}") from error
        if left_out:
            more = f" and {len(left_out) - 1:,} more" if len(left_out) > 1 else ""
            log(f"{self._dataset}: {archive}: left out {left_out[0]}{more}, which leads to no file in it")
        extraction = _Extraction(archive, sha256, folder, _state(folder))
        with self._lock:
            self._earlier[key] = extraction
        return folder / name

    def _remove_unused(self) -> None:
        """Remove what this config has not asked for; an archive within an extraction that is kept is kept too."""
        kept: list[Path] = []
        for key, extraction in list(self._earlier.items()):
            is_inner = any(extraction.archive.is_relative_to(folder) for folder in kept)
            if key in self._extracting or extraction.sha256 in self._asked or is_inner:
                kept.append(extraction.folder)
            else:
                self._remove(key)

    def _remove(self, key: str) -> None:
        shutil.rmtree(self._earlier.pop(key).folder, ignore_errors=True)


def _state(folder: Path) -> str:
    """Return a hash of the names, sizes and times of the files below a folder."""
    state = hashlib.sha256()
    for path, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            with suppress(FileNotFoundError):
                status = os.lstat(os.path.join(path, name))  # noqa: PTH118 - a Path for each of a million files
                entry = (os.path.relpath(path, folder), name, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
                state.update(f"{entry}\n".encode(errors="surrogateescape"))
    return state.hexdigest()
