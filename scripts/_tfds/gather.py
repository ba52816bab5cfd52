"""Learning which source files a dataset's builder asks for, without building the dataset."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from loader._errors import LoaderError
from scripts._build.prepare import reading_parents
from scripts._define.definition import Definition
from scripts._process.errors import ScriptError
from scripts._tfds.builder import make_builder, where
from scripts._tfds.downloads import Promised, take_over
from scripts._tfds.quiet import quiet_tensorflow

MAX_RUNS = 50  # one for each file that is looked into to learn of the next
Bring = Callable[[Any, list[str]], dict[str, Path]]


def gather(definition: Definition, bring: Bring, *, scratch: Path) -> None:
    """Bring every source file that the builder of a dataset asks for, in all its configs.

    The builder's `_split_generators` runs on paths at which nothing is, which is all that most builders need: they
    hand them on to their generators, which do not run. All that it asked for is then brought at once. One that looks
    into a file to learn what else it needs fails on such a path, and runs again with what was brought.

    Parameters
    ----------
    definition
        The dataset.
    bring
        Called with a builder and the URLs that it asks for; returns where each file is.
    scratch
        An empty folder.

    Raises
    ------
    ScriptError
        The builder cannot be made or fails; or what `bring` raises.
    """
    quiet_tensorflow()
    with reading_parents(definition):
        for config in definition.tars:
            builder = make_builder(definition, data_dir=scratch / "data", config=config)
            brought: dict[str, Path] = {}
            for _ in range(MAX_RUNS):
                asked, failure = _ask(builder, definition, brought, scratch)
                missing = [url for url in asked if url not in brought]
                if missing:
                    brought |= bring(builder, missing)
                elif failure is not None:
                    raise ScriptError(f"{definition.name}: {_reason(failure, definition)}") from failure
                if failure is None:
                    break
            else:
                raise ScriptError(
                    f"{definition.name}: its builder asked for other source files each of the {MAX_RUNS} times it ran, "
                    f"the last one {missing[-1]}; its URLs must be the same in every run"
                )


def _ask(
    builder: Any, definition: Definition, brought: dict[str, Path], scratch: Path
) -> tuple[list[str], BaseException | None]:
    """Return the URLs that a builder asks for until it is done or fails, and its failure."""
    import tensorflow_datasets as tfds

    nowhere = _missing_path()
    asked: dict[str, None] = {}
    config = tfds.download.DownloadConfig(extract_dir=scratch / "extracted", try_download_gcs=False)
    manager = builder._make_download_manager(download_dir=scratch / "downloads", download_config=config)
    threads = take_over(manager, definition)
    extract = manager._extract

    def promised(path: Path) -> Promised:
        future: Future[Path] = Future()
        future.set_result(path)
        return Promised(future, threads)

    def download(resource: Any) -> Any:
        asked[resource.url] = None
        unique = hashlib.sha256(resource.url.encode()).hexdigest()[:16]
        path = brought.get(resource.url) or nowhere(scratch / "nowhere" / unique / Path(resource.url).name)
        return promised(path)

    def extract_what_is_there(resource: Any) -> Any:
        path = getattr(resource, "path", resource)
        return promised(path / "extracted") if isinstance(path, nowhere) else extract(resource)

    manager._download, manager._extract = download, extract_what_is_there
    # a Beam pipeline is for the few builders that compute with it before they generate
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
            f"its builder reads {', '.join(definition.parents)} to know its sources, and cannot ({failure}); "
            f"get that first: make pull DATASET={first}, or make build DATASET={first}"
        )
    return f"its builder failed: {where(failure, definition)}"


def _missing_path() -> Any:
    """Return the class of paths at which nothing is, and who looks is told so."""
    from etils import epath

    def missing(self: Path, *_: object, **__: object) -> Any:
        raise FileNotFoundError(f"{self} has not been fetched yet")

    questions = ("exists", "is_file", "is_dir", "glob", "rglob", "iterdir", "walk")
    return type("MissingPath", (type(epath.Path("/")),), dict.fromkeys(questions, missing))
