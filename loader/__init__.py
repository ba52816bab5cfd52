"""Read datasets directly from their artifacts: every example is verified, and TensorFlow is not needed.

import loader
info, ds = loader.load("digit")
ds["train"][0]
"""

import typing as _typing

from loader import cache
from loader._batches import Batches
from loader._datasets import info, names, versions
from loader._diff import Difference, diff
from loader._errors import (
    AccessError,
    ArgumentError,
    DecodeError,
    FetchError,
    IntegrityError,
    LoaderError,
    ManifestError,
    NotFoundError,
    UnsupportedError,
)
from loader._fetch.access import reading_only
from loader._files import from_directory, open  # noqa: A004  (its public name is loader.open)
from loader._format.description import SplitInfo
from loader._info import DatasetInfo
from loader._load import ensure, load
from loader._registry.entry import ConfigEntry, DatasetEntry, VersionEntry
from loader._split import Split
from loader._split_spec import EvenSplit, even_splits

__all__ = [
    "AccessError",
    "ArgumentError",
    "Batches",
    "ConfigEntry",
    "DatasetEntry",
    "DatasetInfo",
    "DecodeError",
    "Difference",
    "EvenSplit",
    "FetchError",
    "IntegrityError",
    "LoaderError",
    "ManifestError",
    "NotFoundError",
    "Split",
    "SplitInfo",
    "UnsupportedError",
    "VersionEntry",
    "cache",
    "diff",
    "ensure",
    "even_splits",
    "from_directory",
    "info",
    "load",
    "names",
    "open",
    "reading_only",
    "versions",
]

for _name in __all__:
    if _name != "cache":
        globals()[_name].__module__ = "loader"  # the public name, for tracebacks and pickles

if _typing.TYPE_CHECKING:
    __version__: str
else:

    def __getattr__(name: str) -> str:
        if name != "__version__":
            raise AttributeError(f"module 'loader' has no attribute {name!r}")
        from importlib.metadata import PackageNotFoundError, version  # only whoever asks for it waits for this import

        try:
            return version("versioned-datasets")
        except PackageNotFoundError:
            raise AttributeError("the package versioned-datasets is not installed, so it has no version") from None
