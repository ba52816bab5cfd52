"""What has to be done before a dataset of TFDS can be built here, found out by a look at its builder."""

from __future__ import annotations

import ast
import os
import re
import shutil
import sys
from collections.abc import Iterable
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field, replace
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from packaging.utils import canonicalize_name

from loader import LoaderError
from loader._errors import url_without_secrets
from scripts._build.lock_files import pinned_packages
from scripts._build.room import DISK_FACTOR
from scripts._build.workers import Workers
from scripts._define.definition import Definition
from scripts._define.packages import PACKAGES, PROJECT_LOCK
from scripts._process.errors import ScriptError
from scripts._process.scratch import scratch_folder
from scripts._sources.source import FOLDER
from scripts._tfds.catalog import BuilderFacts
from scripts._tfds.downloads import registered_urls
from scripts._tfds.gather import gather

ASK_SECONDS = 60
"""How long a builder may take to say which source files it wants; some try to reach servers of their own."""
MANUAL, CHECKSUMS, KAGGLE = "manual files", "checksums", "Kaggle"
"""The kinds of need after which `REGISTER=1` registers the files."""
SOURCES = "source files"
"""The kind of need that is in the way of any build."""
_BEAM = "apache_beam"
_LAZY = {"PIL_Image": "PIL", "PIL_ImageDraw": "PIL", "gcsfs_store": "gcsfs"}
"""The names in `tfds.core.lazy_imports` that are not those of the modules."""
_BUCKET = re.compile(r"gs://[^\s'\",;]+")


@dataclass
class _Code:
    """What the files of a builder name: modules that they import, places on Google Cloud Storage, and attributes."""

    modules: set[str] = field(default_factory=set)
    buckets: list[str] = field(default_factory=list)
    attributes: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class _Answer:
    """What a builder asks for, or why that cannot be known.

    Attributes
    ----------
    sizes
        The bytes of each URL; None without a checksum.
    manual
        Whether it asks for files that are downloaded by hand.
    problem
        Why the rest is not known.
    """

    sizes: dict[str, int | None]
    manual: bool = False
    problem: str = ""

    @property
    def size(self) -> int:
        """The known bytes."""
        return sum(filter(None, self.sizes.values()))


class _AskedError(Exception):
    """Ends a builder as soon as it has asked for its source files."""


@dataclass(frozen=True)
class Needs:
    """What has to be done before a dataset can be built here.

    Attributes
    ----------
    sentences
        A sentence for each kind of need.
    size
        The number of bytes of the source files that TFDS has checksums for.
    """

    sentences: dict[str, str]
    size: int


def find_needs(datasets: Iterable[tuple[Definition, BuilderFacts]]) -> list[Needs]:
    """Return what has to be done before each dataset can be built here.

    A builder runs until it asks for source files, in a process that ends after ASK_SECONDS. What a builder wants only
    later, while it generates examples, is not known here.

    Parameters
    ----------
    datasets
        Datasets with builders of TFDS, each with the facts about its builder.
    """
    found = []
    with _Asking() as asking:
        for definition, facts in datasets:
            code = _read_code(facts.files)
            needs, answer = _needed_packages(definition, code), _Answer({})
            if "download_kaggle_data" in code.attributes:  # to ask would start the download
                needs[KAGGLE] = (
                    "its builder downloads from Kaggle with your key: "
                    "save it as ~/.kaggle/kaggle.json from https://www.kaggle.com/settings"
                )
            else:
                answer = asking.ask(definition)
                needs |= _needed_files(definition, facts, code, answer)
            found.append(Needs(needs, answer.size))
    return found


def _needed_files(definition: Definition, facts: BuilderFacts, code: _Code, answer: _Answer) -> dict[str, str]:
    """Return the needs for source files, for their checksums, and for disk space."""
    name, needs = definition.name, {}
    unregistered = [url for url, size in answer.sizes.items() if size is None]
    is_asking = answer.sizes and not answer.problem
    if answer.manual or (facts.manual and "manual_dir" in code.attributes):
        needs[MANUAL] = (
            f"its builder {'reads' if answer.manual else 'may read'} files that only a person can download: "
            f"put them into {FOLDER}/{name}/manual/; its instructions:\n{facts.manual}"
        )
    elif not is_asking and (bucket := next(iter([*_BUCKET.findall(answer.problem), *code.buckets]), "")):
        needs[SOURCES] = (
            f"its builder reads {bucket} by itself instead of downloading it through TFDS, so nothing checks or keeps "
            f"these files; write a builder that downloads them, with checksums: make new NAME=my_{name}"
        )
    elif not is_asking:
        needs[SOURCES] = answer.problem or "its builder asks for none, so it must get its data in another way"
    if unregistered:
        needs[CHECKSUMS] = (
            f"TFDS has none for {len(unregistered):,} of its {len(answer.sizes):,} source files, like "
            f"{url_without_secrets(unregistered[0])}: REGISTER=1 shows the files and registers them in "
            f"datasets/standard/{name}/checksums.tsv"
        )
    free = shutil.disk_usage(definition.root).free
    if answer.size * DISK_FACTOR > free:
        needs["disk space"] = (
            f"its source files have {answer.size:,} bytes, and a build takes about {DISK_FACTOR} times as much, but "
            f"{definition.root} has {free:,} left: make room, or use a clone on a larger disk"
        )
    return needs


def _needed_packages(definition: Definition, code: _Code) -> dict[str, str]:
    """Return the needs for Beam and for packages that this project's environment does not have."""
    needs = {}
    if _BEAM in code.modules and find_spec(_BEAM) is None:
        needs["Beam"] = "its builder uses Apache Beam; add it to .venv with: make beam"
    packages = sorted(_missing_packages(code.modules - {_BEAM}, definition.root))
    if packages:
        folder = f"datasets/standard/{definition.name}"
        lines = "".join(f"{package}\\n" for package in packages)
        needs["packages"] = (
            f"its builder imports {', '.join(packages)}, which .venv does not have; add it with: mkdir -p {folder} && "
            f"printf '{lines}' >> {folder}/requirements.txt && make lock DATASET={definition.name}"
        )
    return needs


def _missing_packages(modules: set[str], root: Path) -> set[str]:
    """Return the packages of these modules that are not in `requirements.lock`, by which every environment is made.

    That another lock file has added one to this environment does not count. Without that file, nothing is missing.
    """
    pinned = pinned_packages(root, PROJECT_LOCK)
    if not pinned:
        return set()
    owners = metadata.packages_distributions()
    missing = set()
    for module in modules - sys.stdlib_module_names:
        if not any(canonicalize_name(owner) in pinned for owner in owners.get(module, ())):
            missing.add(PACKAGES.get(module) or canonicalize_name(module))
    return missing


def _read_code(files: tuple[Path, ...]) -> _Code:
    code = _Code()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                code.modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                lazy = node.module.endswith(".lazy_imports_utils")
                code.modules |= {alias.name for alias in node.names} if lazy else {node.module.partition(".")[0]}
            elif isinstance(node, ast.Attribute):
                code.attributes.add(node.attr)
                if getattr(node.value, "attr", getattr(node.value, "id", "")) == "lazy_imports":
                    code.modules.add(_LAZY.get(node.attr, node.attr))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("gs://"):
                code.buckets.append(node.value)
    return code


class _Asking:
    """A process that asks builders one after the other, so that only the first one waits for TensorFlow's import."""

    def __init__(self) -> None:
        self._workers = Workers(1, _asked)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._workers.stop()

    def ask(self, definition: Definition) -> _Answer:
        """Return the source files that a dataset's builder asks for in each of its configs."""
        try:
            return self._workers.submit(definition).result(timeout=ASK_SECONDS)  # type: ignore[no-any-return]
        except (ScriptError, FutureTimeoutError) as error:
            problem = str(error) or f"it has not asked for its source files within {ASK_SECONDS} seconds"
            self._workers.stop()
            self._workers = Workers(1, _asked)
            return _Answer({}, problem=problem)


def _asked(definition: Definition) -> _Answer:
    with Path(os.devnull).open("w") as nothing:  # builders print, and TFDS draws progress bars
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
    sizes: dict[str, int | None] = {}
    manual = False

    def fetch(builder: Any, urls: list[str]) -> dict[str, Path]:
        registered = registered_urls(builder, definition)
        sizes.update({url: int(registered[url].size) if url in registered else None for url in urls})
        raise _AskedError

    def manual_dir(_: Any) -> Path:
        nonlocal manual
        manual = True
        raise _AskedError

    problem = ""
    with scratch_folder(definition.root, f"add-{definition.name}") as scratch:
        for number, config in enumerate(definition.tars):
            own = scratch / str(number)
            own.mkdir()
            try:
                gather(replace(definition, configs=(config,) if config else ()), fetch, manual_dir, scratch=own)
            except _AskedError:
                continue
            except (ScriptError, LoaderError, OSError) as error:
                if not manual:
                    problem = " ".join(str(error).removeprefix(f"{definition.name}: ").split())
    return _Answer(sizes, manual, problem)
