"""TFDS's download manager, with the dataset's source files in place of its downloads."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any

from loader._errors import url_without_secrets
from scripts._define.definition import Definition
from scripts._dvc.stages import STAGES_FILE, dependencies, read_stage
from scripts._process.errors import ScriptError
from scripts._process.files import note_hash
from scripts._sources.by_hand import show_manual
from scripts._sources.checksums import CHECKSUMS, checksums_file
from scripts._sources.extractions import Extractions
from scripts._sources.kaggle import kaggle_url
from scripts._sources.source import Source
from scripts._sources.sources import FILES_AT_ONCE, Sources


class PendingPath:
    """A path that TFDS waits for: of a file that is being downloaded, or of an archive that is being extracted.

    It has the two methods of the package `promise` that TFDS calls. That package's promises sometimes fail with an
    AssertionError if their future completes in another thread while it is being waited for.

    Parameters
    ----------
    future
        Returns the path or raises the error.
    found
        Called with the path; returns what the builder gets.
    """

    def __init__(self, future: Future[Any], found: Callable[[Any], Any] = lambda path: path) -> None:
        self._future = future
        self._found = found

    def get(self) -> Any:
        """Wait for the path and return it."""
        return self._found(self._future.result())

    def then(self, step: Callable[[Path], PendingPath]) -> PendingPath:
        """Return the result of `step`, which runs in a thread with this path as soon as the path is available."""
        return PendingPath(_threads().submit(lambda: step(self.get()).get()))


def ready(path: Path) -> PendingPath:
    """Return a pending path that is available at once."""
    future: Future[Path] = Future()
    future.set_result(path)
    return PendingPath(future)


def use_sources(
    builder: Any,
    sources: Sources,
    definition: Definition,
    extractions: Extractions,
    *,
    expect: Callable[[list[Source]], None],
) -> None:
    """Make a builder take its downloads from `sources`; the files of one call are fetched concurrently.

    `expect` is called with the files of a call before the first of them is fetched.
    """
    make_manager = builder._make_download_manager

    def make(**options: Any) -> Any:
        manager = make_manager(**options)
        manager._url_infos = registered = registered_urls(builder, definition)

        def download(url: str) -> PendingPath:
            source = registered_source(registered, url, definition)
            # count it as downloaded: dataset_info.json contains the size of all sources, wherever they were found
            manager._register_or_validate_checksums(url=url, url_info=registered[url], path=None)
            extractions.expect(source.sha256)

            def found(path: Path) -> Path:
                note_hash(path, source.sha256)
                return path

            return PendingPath(sources.submit(source), found)

        def manual_dir() -> Path:
            folder = Path(manager.download_dir) / "manual"
            return show_manual(definition, sources, folder, instructions=instructions(builder))

        def expect_urls(urls: list[str]) -> None:
            expect([registered_source(registered, url, definition) for url in urls])

        replace_downloads(manager, download, manual_dir, extractions, expect=expect_urls)
        return manager

    builder._make_download_manager = make


def replace_downloads(
    manager: Any,
    download: Callable[[str], PendingPath],
    manual_dir: Callable[[], Path],
    extractions: Extractions,
    *,
    pretend: Callable[[Any], Any] = lambda _: None,
    expect: Callable[[list[str]], None] = lambda _: None,
) -> None:
    """Replace what a download manager does with what is given here.

    Parameters
    ----------
    manager
        TFDS's download manager.
    download
        Called with each URL, also with that of Kaggle's data.
    manual_dir
        Returns the folder of the files that are downloaded by hand.
    extractions
        Extracts the archives.
    pretend
        Called with the path of an archive; returns a path to take for its extraction, or None to extract it.
    expect
        Called with all URLs of a call of the builder, before the first of them is downloaded.
    """
    import tensorflow as tf
    from etils import epath
    from tensorflow_datasets.core.download import resource as resources

    def extract(archive: Any) -> PendingPath:
        resource = archive if isinstance(archive, resources.Resource) else resources.Resource(path=archive)
        if (pretended := pretend(resource.path)) is not None:
            return ready(pretended)
        method = resource.extract_method
        if method is resources.ExtractMethod.NO_EXTRACT:
            return ready(resource.path)
        return PendingPath(extractions.submit(Path(resource.path), method.name), epath.Path)

    def download_kaggle_data(competition_or_dataset: str) -> Any:
        url = kaggle_url(competition_or_dataset)
        return manager.download_and_extract(resources.Resource(url=url, extract_method=resources.ExtractMethod.ZIP))

    manager._download = lambda resource: download(resource.url)
    manager._extract = extract
    manager.download_kaggle_data = download_kaggle_data
    manager._downloader.tqdm = manager._extractor.tqdm = nullcontext  # these progress bars would stay at zero

    def as_tfds_path(_: Any) -> Any:
        return epath.Path(manual_dir())

    def expecting(download_all: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def method(self: Any, url_or_urls: Any) -> Any:
            expect([getattr(each, "url", each) for each in tf.nest.flatten(url_or_urls)])
            return download_all(self, url_or_urls)

        return method

    its = type(manager)
    methods = {name: expecting(getattr(its, name)) for name in ("download", "download_and_extract")}
    manager.__class__ = type("Manager", (its,), {"manual_dir": property(as_tfds_path), **methods})


def instructions(builder: Any) -> str:
    """Return how to download by hand what a builder needs, in its own words; empty if it needs nothing."""
    return inspect.cleandoc(builder.MANUAL_DOWNLOAD_INSTRUCTIONS or "")


def registered_urls(builder: Any, definition: Definition) -> dict[str, Any]:
    """Return TFDS's record of each registered URL: those that come with the builder, and the dataset's own.

    The dataset's own `checksums.tsv` adds to the one that comes with a builder of TFDS, and overrides it.

    Raises
    ------
    ScriptError
        The dataset's own does not have TFDS's format, or its stage does not depend on it.
    """
    import tensorflow_datasets as tfds

    registered = dict(builder.url_infos or {})
    own = checksums_file(definition)
    if definition.is_ours or not own.exists():
        return registered
    folder = own.parent.relative_to(definition.root).as_posix()
    if folder not in dependencies(read_stage(definition.root / STAGES_FILE, definition.name)):
        raise ScriptError(
            f"{definition.name}: {STAGES_FILE}: its stage must depend on {folder}, which has a {CHECKSUMS}; "
            f"add it with: make build DATASET={definition.name} REGISTER=1"
        )
    try:
        registered.update(tfds.core.download.checksums.load_url_infos(own))
    except (AssertionError, ValueError) as error:
        raise ScriptError(f"{own} does not have TFDS's format: {error}") from error
    return registered


def registered_source(registered: Mapping[str, Any], url: str, definition: Definition) -> Source:
    """Return the source file that a dataset's checksums, as `registered_urls` returns them, list for a URL.

    Raises
    ------
    ScriptError
        They do not list the URL.
    """
    info = registered.get(url)
    if info is not None:
        return Source(url, info.filename or url.rpartition("/")[2], int(info.size), info.checksum)
    name = definition.name
    if definition.is_ours:
        where = f"{definition.builder}/{CHECKSUMS} has"
    else:
        where = "the checksums that come with tensorflow-datasets have"
    raise ScriptError(
        f"{name}: {where} no line for {url_without_secrets(url)}, so the file cannot be checked; "
        f"review and register it with: make build DATASET={name} REGISTER=1"
    )


@cache
def _threads() -> ThreadPoolExecutor:
    """Return the threads for the step after a download, the extraction."""
    return ThreadPoolExecutor(FILES_AT_ONCE, thread_name_prefix="extraction")
