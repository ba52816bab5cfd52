"""TFDS's download manager, with the dataset's source files in place of its downloads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any

from scripts._define.definition import Definition
from scripts._process.errors import ScriptError
from scripts._sources.sources import FILES_AT_ONCE, Source, Sources


class PendingPath:
    """A path that TFDS waits for: of a file that is being downloaded, or of an archive that is being extracted.

    It has the two methods of the package `promise` that TFDS calls. That package's promises sometimes fail with an
    AssertionError if their future completes in another thread while it is being waited for.

    Parameters
    ----------
    future
        Returns the path or raises the error.
    """

    def __init__(self, future: Future[Path]) -> None:
        self._future = future

    def get(self) -> Path:
        """Wait for the path and return it."""
        return self._future.result()

    def then(self, step: Callable[[Path], PendingPath]) -> PendingPath:
        """Return the result of `step`, which runs in a thread with this path as soon as the path is available."""
        return PendingPath(_threads().submit(lambda: step(self.get()).get()))


def ready(path: Path) -> PendingPath:
    """Return a pending path that is available at once."""
    future: Future[Path] = Future()
    future.set_result(path)
    return PendingPath(future)


def use_sources(builder: Any, sources: Sources, definition: Definition) -> None:
    """Make a builder take its downloads from `sources`; the files of one call are fetched concurrently."""
    make_manager = builder._make_download_manager

    def make(**options: Any) -> Any:
        manager = make_manager(**options)

        def download(url: str) -> PendingPath:
            source = registered_source(builder, url, definition)
            # count it as downloaded: dataset_info.json contains the size of all sources, wherever they were found
            manager._register_or_validate_checksums(url=url, url_info=builder.url_infos[url], path=None)
            return PendingPath(sources.submit(source))

        replace_downloads(manager, download, definition)
        return manager

    builder._make_download_manager = make


def replace_downloads(manager: Any, download: Callable[[str], PendingPath], definition: Definition) -> None:
    """Make a download manager call `download` for each URL, and refuse files that are downloaded by hand.

    TFDS still extracts archives, in its own threads.
    """
    manager._download = lambda resource: download(resource.url)
    manager._downloader.tqdm = nullcontext  # its progress bar would stay at zero
    extractor = manager._extractor

    def extract(path: Any, extract_method: Any, to_path: Any) -> PendingPath:
        return PendingPath(
            extractor._executor.submit(
                extractor._extract, from_path=Path(path), method=extract_method, to_path=Path(to_path)
            )
        )

    extractor.extract = extract
    _refuse_manual_dir(manager, definition)


def _refuse_manual_dir(manager: Any, definition: Definition) -> None:
    def manual_dir(_: Any) -> Any:
        raise ScriptError(
            f"{definition.name}: its builder needs files that are downloaded by hand, which cannot be checked; "
            f"write a builder that downloads them with: make new NAME=my_{definition.name}"
        )

    manager.__class__ = type("Manager", (type(manager),), {"manual_dir": property(manual_dir)})


def registered_source(builder: Any, url: str, definition: Definition) -> Source:
    """Return the source file that a dataset's checksums list for a URL.

    Raises
    ------
    ScriptError
        They do not list the URL.
    """
    info = (builder.url_infos or {}).get(url)
    if info is not None:
        return Source(url, info.filename or url.rpartition("/")[2], int(info.size), info.checksum)
    name = definition.name
    if definition.is_ours:
        raise ScriptError(
            f"{name}: {definition.builder}/checksums.tsv has no line for {url}, so the file cannot be checked; "
            f"review and register it with: make build DATASET={name} REGISTER=1"
        )
    raise ScriptError(
        f"{name}: the checksums that come with tensorflow-datasets have no line for {url}, so the file cannot "
        f"be checked; write a builder with checksums of its own with: make new NAME=my_{name}"
    )


@cache
def _threads() -> ThreadPoolExecutor:
    """Return the threads for the step after a download, the extraction."""
    return ThreadPoolExecutor(FILES_AT_ONCE, thread_name_prefix="extraction")
