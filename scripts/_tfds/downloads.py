"""Giving a TFDS builder its source files, in the place where TFDS asks for them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from scripts._define.definition import Definition
from scripts._process.errors import ScriptError
from scripts._sources.sources import FILES_AT_ONCE, Source, Sources


def supply(builder: Any, sources: Sources, definition: Definition) -> None:
    """Let a builder's download manager find what it downloads in `sources`, the files of one call at once."""
    make_manager = builder._make_download_manager

    def make(**options: Any) -> Any:
        manager = make_manager(**options)
        threads = take_over(manager, definition)

        def download(resource: Any) -> Promised:
            source = registered(builder, resource.url, definition)
            # registered as downloaded: dataset_info.json states the size of all sources, wherever they were found
            info = builder.url_infos[source.url]
            manager._register_or_validate_checksums(url=source.url, url_info=info, path=None)
            return Promised(sources.submit(source), threads)

        manager._download = download
        return manager

    builder._make_download_manager = make


class Promised:
    """The result of a future, as TFDS asks for it.

    The promises that TFDS makes of futures fail now and then, with an assertion, when the future is done in another
    thread at the moment it is waited for.

    Parameters
    ----------
    future
        The future.
    threads
        Where the steps after it run.
    """

    def __init__(self, future: Future[Any], threads: Executor) -> None:
        self._future = future
        self._threads = threads

    def get(self) -> Any:
        """Wait for the result."""
        return self._future.result()

    def then(self, step: Callable[[Any], Any]) -> Promised:
        """Promise what `step` promises, given the result."""
        return Promised(self._threads.submit(lambda: step(self.get()).get()), self._threads)


def take_over(manager: Any, definition: Definition) -> Executor:
    """Change in a download manager what is changed whatever brings the files.

    It promises in our way what it extracts, its progress bars for downloads do not stand beside ours, at zero, and it
    refuses the folder of files that were downloaded by hand. Return the threads for the promises of downloads.
    """
    manager._downloader.tqdm = nullcontext
    _refuse_manual(manager, definition)
    return _promise_extracted(manager)


def _promise_extracted(manager: Any) -> Executor:
    threads = ThreadPoolExecutor(FILES_AT_ONCE)
    extractor = manager._extractor

    def extract(path: Any, extract_method: Any, to_path: Any) -> Promised:
        future = extractor._executor.submit(
            extractor._extract, from_path=Path(path), method=extract_method, to_path=Path(to_path)
        )
        return Promised(future, threads)

    extractor.extract = extract
    return threads


def _refuse_manual(manager: Any, definition: Definition) -> None:
    def manual_dir(_: Any) -> Any:
        raise ScriptError(
            f"{definition.name}: its builder wants files that are downloaded by hand, which nothing here could prove; "
            f"a builder of ours can download them, and they are registered with REGISTER=1: "
            f"make new NAME=my_{definition.name}"
        )

    manager.__class__ = type("Manager", (type(manager),), {"manual_dir": property(manual_dir)})


def registered(builder: Any, url: str, definition: Definition) -> Source:
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
