"""Where a builder's files come from: TFDS's download manager, with our source files in place of its downloads."""

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
    """A path that TFDS waits for: that of a file being downloaded or of an archive being extracted.

    It has the two methods of the package `promise` that TFDS calls. That package's own promises of futures fail now and
    then, with an assertion, when the future is done in another thread at the moment it is waited for.

    Parameters
    ----------
    future
        Holds the path, or the error.
    """

    def __init__(self, future: Future[Path]) -> None:
        self._future = future

    def get(self) -> Path:
        """Wait for the path."""
        return self._future.result()

    def then(self, step: Callable[[Path], PendingPath]) -> PendingPath:
        """Return the path that `step` will give, started with this path in a thread as soon as it is there."""
        return PendingPath(_threads().submit(lambda: step(self.get()).get()))


def ready(path: Path) -> PendingPath:
    """Return a path that nobody has to wait for."""
    future: Future[Path] = Future()
    future.set_result(path)
    return PendingPath(future)


def use_sources(builder: Any, sources: Sources, definition: Definition) -> None:
    """Have a builder's downloads come from `sources`; those of one call are fetched at once."""
    make_manager = builder._make_download_manager

    def make(**options: Any) -> Any:
        manager = make_manager(**options)

        def download(url: str) -> PendingPath:
            source = registered_source(builder, url, definition)
            # counts as downloaded: dataset_info.json states the size of all sources, wherever they were found
            manager._register_or_validate_checksums(url=url, url_info=builder.url_infos[url], path=None)
            return PendingPath(sources.submit(source))

        replace_downloads(manager, download, definition)
        return manager

    builder._make_download_manager = make


def replace_downloads(manager: Any, download: Callable[[str], PendingPath], definition: Definition) -> None:
    """Have a download manager call `download` for each URL, and refuse files that were downloaded by hand.

    Archives are extracted by TFDS, in its own threads.
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
            f"{definition.name}: its builder wants files that are downloaded by hand, which nothing here could prove; "
            f"a builder of ours can download them, and they are registered with REGISTER=1: "
            f"make new NAME=my_{definition.name}"
        )

    manager.__class__ = type("Manager", (type(manager),), {"manual_dir": property(manual_dir)})


def registered_source(builder: Any, url: str, definition: Definition) -> Source:
    """Return what the dataset's checksums say of a URL.

    Raises
    ------
    ScriptError
        They say nothing.
    """
    info = (builder.url_infos or {}).get(url)
    if info is not None:
        return Source(url, info.filename or url.rpartition("/")[2], int(info.size), info.checksum)
    name = definition.name
    if definition.is_ours:
        raise ScriptError(
            f"{name}: {definition.builder}/checksums.tsv has no line for {url}, so nothing can prove it; "
            f"look at what it gives and register it with: make build DATASET={name} REGISTER=1"
        )
    raise ScriptError(
        f"{name}: the checksums that come with tensorflow-datasets have no line for {url}, so nothing can prove it; "
        f"a builder of ours can have checksums of its own: make new NAME=my_{name}"
    )


@cache
def _threads() -> ThreadPoolExecutor:
    """Where the step after a download runs: the extraction."""
    return ThreadPoolExecutor(FILES_AT_ONCE, thread_name_prefix="extraction")
