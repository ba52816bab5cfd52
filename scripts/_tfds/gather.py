"""Finding out which source files a dataset's builder asks for, without building the dataset."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loader import LoaderError
from scripts._define.definition import Definition
from scripts._process.errors import ScriptError
from scripts._process.scratch import temporary_files_in
from scripts._tfds.builder import describe_error, make_builder
from scripts._tfds.downloads import PendingPath, ready, replace_downloads
from scripts._tfds.quiet import quiet_tensorflow

MAX_RUNS = 50  # a builder that reads each file to find the URL of the next one runs once per file
Fetch = Callable[[Any, list[str]], dict[str, Path]]


def gather(definition: Definition, fetch: Fetch, *, scratch: Path) -> None:
    """Fetch every source file that the builder of a dataset asks for, for all its configs.

    The builder's `_split_generators` runs with paths of files that do not exist. This is enough for most builders: they
    pass the paths to their generators, which do not run here. Then all files that it asked for are fetched, all at
    once. A builder that reads a file to find out which others it needs fails at such a path, and runs again with the
    fetched files.

    Parameters
    ----------
    definition
        The dataset.
    fetch
        Called with a builder and the URLs that it asks for; returns the path of each file.
    scratch
        An empty folder.

    Raises
    ------
    ScriptError
        The builder cannot be created or fails. Errors of `fetch` are passed on.
    """
    quiet_tensorflow()
    with definition.limit_reading(scratch), temporary_files_in(scratch / "temporary"):
        for config in definition.tars:
            builder = make_builder(definition, data_dir=scratch / "data", config=config)
            fetched: dict[str, Path] = {}
            for _ in range(MAX_RUNS):
                asked, failure = _run(builder, definition, fetched, scratch)
                missing = [url for url in asked if url not in fetched]
                if missing:
                    fetched |= fetch(builder, missing)
                elif failure is not None:
                    raise ScriptError(f"{definition.name}: {_reason(failure, definition)}") from failure
                if failure is None:
                    break
            else:
                raise ScriptError(
                    f"{definition.name}: its builder asked for other source files each of the {MAX_RUNS} times it ran, "
                    f"the last one {missing[-1]}; its URLs must be the same in every run"
                )


def _run(
    builder: Any, definition: Definition, fetched: dict[str, Path], scratch: Path
) -> tuple[list[str], BaseException | None]:
    """Run a builder's `_split_generators`; return the URLs that it asked for, and the error if it failed."""
    import tensorflow_datasets as tfds

    missing_path = _missing_path_class()
    asked: dict[str, None] = {}
    manager = tfds.download.DownloadManager(
        download_dir=scratch / "downloads",
        extract_dir=scratch / "extracted",
        url_infos=builder.url_infos,
        dataset_name=builder.name,
    )

    def download(url: str) -> PendingPath:
        asked[url] = None
        unique = hashlib.sha256(url.encode()).hexdigest()[:16]
        return ready(fetched.get(url) or missing_path(scratch / "missing" / unique / Path(url).name))

    replace_downloads(manager, download, definition)
    extract = manager._extract

    def extract_if_fetched(resource: Any) -> Any:
        path = getattr(resource, "path", resource)
        return ready(path / "extracted") if isinstance(path, missing_path) else extract(resource)

    manager._extract = extract_if_fetched
    # only the few builders that compute with Beam before they generate examples use the pipeline
    pipeline = {"pipeline": None} if "pipeline" in inspect.signature(builder._split_generators).parameters else {}
    try:
        builder._split_generators(manager, **pipeline)
    except ScriptError:
        raise
    except (Exception, SystemExit) as failure:
        return list(asked), failure
    return list(asked), None


def _reason(failure: BaseException, definition: Definition) -> str:
    if isinstance(failure, LoaderError) and definition.parents:
        first = next(iter(definition.parents))
        return (
            f"its builder cannot read {', '.join(definition.parents)} to find its source files ({failure}); "
            f"pull or build it first: make pull DATASET={first}, or make build DATASET={first}"
        )
    return f"its builder failed: {describe_error(failure, definition)}"


def _missing_path_class() -> Any:
    """Return a path class for files that are not fetched yet: looking at one raises an error that says so."""
    from etils import epath

    def missing(self: Path, *_: object, **__: object) -> Any:
        raise FileNotFoundError(f"{self} has not been fetched yet")

    methods = ("exists", "is_file", "is_dir", "glob", "rglob", "iterdir", "walk")
    return type("MissingPath", (type(epath.Path("/")),), dict.fromkeys(methods, missing))
