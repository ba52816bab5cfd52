"""Finding out which source files a dataset's builder asks for, without building the dataset."""

from __future__ import annotations

import hashlib
import inspect
import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from loader import LoaderError
from scripts._define.definition import Definition
from scripts._process.errors import ScriptError
from scripts._process.scratch import temporary_files_in
from scripts._sources.download import log
from scripts._sources.extractions import Extractions
from scripts._tfds.builder import describe_error, make_builder
from scripts._tfds.downloads import PendingPath, ready, registered_urls, replace_downloads
from scripts._tfds.quiet import quiet_tensorflow

MAX_RUNS = 50  # a builder that reads each file to find the URL of the next one runs once per file
Fetch = Callable[[Any, list[str]], dict[str, Path]]
ManualDir = Callable[[Any], Path]


def gather(definition: Definition, fetch: Fetch, manual_dir: ManualDir, *, scratch: Path) -> None:
    """Fetch every source file that the builder of a dataset asks for, for all its configs.

    The builder's `_split_generators` runs with paths of files that do not exist. This is enough for most builders: they
    pass the paths to their generators, which do not run here. Then all files that it asked for are fetched, all at
    once. A builder that reads a file to find out which others it needs fails at such a path, and runs again with the
    fetched files; archives are extracted only if it fails again. Generators run only if they can download files.

    Parameters
    ----------
    definition
        The dataset.
    fetch
        Called with a builder and the URLs that it asks for; returns the path of each file. Its name is the one that the
        file has in a build, because builders and TFDS look at the ending.
    manual_dir
        Called with a builder that asks for the files that are downloaded by hand; returns the folder that has them.
    scratch
        An empty folder.

    Raises
    ------
    ScriptError
        The builder cannot be created or fails. Errors of `fetch` are passed on.
    """
    quiet_tensorflow()
    with (
        definition.limit_reading(scratch),
        temporary_files_in(scratch / "temporary"),
        Extractions(scratch / "extracted", dataset=definition.name) as extractions,
    ):
        for config in definition.tars:
            builder = make_builder(definition, data_dir=scratch / "data", config=config)
            with extractions.config(last=False):
                _Gathering(definition, builder, fetch, manual_dir, scratch, extractions).run()


class _Gathering:
    """Fetches what the builder of one config asks for; the parameters are those of `gather`."""

    def __init__(
        self,
        definition: Definition,
        builder: Any,
        fetch: Fetch,
        manual_dir: ManualDir,
        scratch: Path,
        extractions: Extractions,
    ) -> None:
        self._definition = definition
        self._builder = builder
        self._fetch = fetch
        self._manual_dir = manual_dir
        self._scratch = scratch
        self._extractions = extractions
        self._fetched: dict[str, Path] = {}
        self._asked: dict[str, None] = {}
        self._generates = False
        self._extracts = False

    def run(self) -> None:
        """Run the builder until it asks for no other file."""
        for _ in range(MAX_RUNS):
            failure, is_complete = self.run_once()
            missing = [url for url in self._asked if url not in self._fetched]
            if missing:
                self._fetched |= self._fetch(self._builder, missing)
            elif failure is not None and not self._extracts:
                self._extracts = True
            elif failure is not None:
                raise ScriptError(f"{self._definition.name}: {_reason(failure, self._definition)}") from failure
            if is_complete:
                return
        raise ScriptError(
            f"{self._definition.name}: its builder asked for other source files each of the {MAX_RUNS} times it ran, "
            f"the last one {[*self._asked][-1]}; its URLs must be the same in every run"
        )

    def run_once(self) -> tuple[BaseException | None, bool]:
        """Run the builder; return its error if it failed, and whether it need not run again with the missing files."""
        self._asked, self._generates = {}, False
        manager = self.manager()
        builder = self._builder
        # only the few builders that compute with Beam before they generate examples use the pipeline
        pipeline = {"pipeline": None} if "pipeline" in inspect.signature(builder._split_generators).parameters else {}
        try:
            with _looks_noticed(self._scratch / "missing"):
                splits = builder._split_generators(manager, **pipeline)
            generators = _with_access(_generators(builder, splits), manager)
            if generators and self._extracts and self._asked.keys() <= self._fetched.keys():
                self._generates = True
                log(f"{self._definition.name}: running its generators, which download files themselves")
                for generator in generators:
                    deque(generator, maxlen=0)
                return None, True
        except ScriptError:
            raise
        except (Exception, SystemExit) as failure:
            return failure, False
        self._extracts = self._extracts or bool(generators)
        return None, not generators

    def manager(self) -> Any:
        """Return a download manager that takes down the URLs."""
        import tensorflow_datasets as tfds

        missing, missing_path = self._scratch / "missing", _missing_path_class()
        manager = tfds.download.DownloadManager(
            download_dir=self._scratch / "downloads",
            extract_dir=self._scratch / "extracted",
            url_infos=registered_urls(self._builder, self._definition),
            dataset_name=self._builder.name,
        )

        def download(url: str) -> PendingPath:
            self._asked[url] = None
            if self._generates and url not in self._fetched:
                self._fetched |= self._fetch(self._builder, [url])
            unique = hashlib.sha256(url.encode()).hexdigest()[:16]
            return ready(self._fetched.get(url) or missing_path(missing / unique / Path(url).name))

        def pretend(archive: Any) -> Any:
            is_missing = Path(archive).is_relative_to(missing)
            if not is_missing and (self._extracts or not Path(archive).exists()):
                return None  # extracting fails if the file does not exist
            unique = hashlib.sha256(os.fsencode(archive)).hexdigest()[:16]
            return missing_path(missing / unique / "extracted")

        manual_dir = partial(self._manual_dir, self._builder)
        replace_downloads(manager, download, manual_dir, self._extractions, pretend=pretend)
        return manager


def _generators(builder: Any, splits: Any) -> list[Any]:
    """Return the generators of what `_split_generators` returned, also of the older form, a list of SplitGenerators."""
    if isinstance(splits, dict):
        return [generator for generator in splits.values() if inspect.isgenerator(generator)]
    made = [
        builder._generate_examples(**split.gen_kwargs)
        for split in splits or ()
        if hasattr(builder, "_generate_examples")
    ]
    return [generator for generator in made if inspect.isgenerator(generator)]


def _with_access(generators: list[Any], manager: Any) -> list[Any]:
    """Return the generators that can use the download manager: by an argument, or an attribute of one."""

    def leads_to_manager(value: Any) -> bool:
        if isinstance(value, tuple):  # such as *arguments
            return any(map(leads_to_manager, value))
        attributes = getattr(value, "__dict__", {})
        return any(each is manager for each in (value, getattr(value, "__self__", None), *attributes.values()))

    return [each for each in generators if any(map(leads_to_manager, each.gi_frame.f_locals.values()))]


def _reason(failure: BaseException, definition: Definition) -> str:
    if isinstance(failure, LoaderError) and definition.parents:
        first = next(iter(definition.parents))
        return (
            f"its builder cannot read {', '.join(definition.parents)} to find its source files ({failure}); "
            f"pull or build it first: make pull DATASET={first}, or make build DATASET={first}"
        )
    return f"its builder failed: {describe_error(failure, definition)}"


class NotFetchedError(Exception):
    """A builder looks at a file that is not fetched yet; no OSError, because that would say that there is no file."""


def _missing_path_class() -> Any:
    """Return a path class for files that are not fetched yet: looking at one raises an error that says so."""
    from etils import epath

    def missing(self: Path, *_: object, **__: object) -> Any:
        raise NotFetchedError(f"{self} has not been fetched yet")

    methods = ("exists", "is_file", "is_dir", "glob", "rglob", "iterdir", "walk")
    return type("MissingPath", (type(epath.Path("/")),), dict.fromkeys(methods, missing))


@contextmanager
def _looks_noticed(missing: Path) -> Iterator[None]:
    """Raise NotFetchedError, in a block, where the functions that look for files would find none below a folder."""
    import tensorflow as tf

    def noticing(look: Callable[..., Any]) -> Callable[..., Any]:
        def noticing_look(path: Any = ".", *arguments: Any, **options: Any) -> Any:
            if isinstance(path, str | os.PathLike) and os.fspath(path).startswith(str(missing)):
                raise NotFetchedError(f"{path} has not been fetched yet")
            return look(path, *arguments, **options)

        return noticing_look

    with ExitStack() as patches:
        for module, names in ((os, ("stat", "lstat", "scandir")), (tf.io.gfile, ("exists", "glob", "isdir", "walk"))):
            for name in names:
                patches.callback(setattr, module, name, getattr(module, name))
                setattr(module, name, noticing(getattr(module, name)))
        yield
