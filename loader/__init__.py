"""Read datasets directly from their artifacts: every example is verified, and TensorFlow is not needed.

import loader
info, ds = loader.load("digit")
ds["train"][0]
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING

from loader import cache
from loader._batches import Batches
from loader._errors import (
    AccessError,
    ArgumentError,
    DecodeError,
    FetchError,
    IntegrityError,
    LoaderError,
    ManifestError,
    NotFoundError,
    TrustError,
    UnsupportedError,
)
from loader._fetch.access import reading_only
from loader._files import from_directory, open  # noqa: A004  (its public name is loader.open)
from loader._format.description import SplitInfo
from loader._info import DatasetInfo
from loader._load import ensure, load
from loader._split import Split
from loader._split_spec import EvenSplit, even_splits

__all__ = [
    "AccessError",
    "ArgumentError",
    "Batches",
    "Changelog",
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
    "TrustError",
    "UnsupportedError",
    "VersionEntry",
    "cache",
    "changelog",
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

_REGISTRY = {  # where each name is that says something of datasets without their data; imported by who asks for one
    "Changelog": "loader._changelog",
    "ConfigEntry": "loader._registry.entry",
    "DatasetEntry": "loader._registry.entry",
    "Difference": "loader._diff",
    "VersionEntry": "loader._registry.entry",
    "changelog": "loader._changelog",
    "diff": "loader._diff",
    "info": "loader._datasets",
    "names": "loader._datasets",
    "versions": "loader._datasets",
}

for _name in set(__all__) - {"cache"} - _REGISTRY.keys():
    globals()[_name].__module__ = "loader"  # the public name, for tracebacks and pickles

if _TYPE_CHECKING:
    from loader._changelog import Changelog, changelog
    from loader._datasets import info, names, versions
    from loader._diff import Difference, diff
    from loader._registry.entry import ConfigEntry, DatasetEntry, VersionEntry

    __version__: str
else:

    def __getattr__(name: str) -> object:
        if name in _REGISTRY:
            for each, module in _REGISTRY.items():
                globals()[each] = value = getattr(_import_module(module), each)
                value.__module__ = "loader"
            return globals()[name]
        if name != "__version__":
            raise AttributeError(f"module 'loader' has no attribute {name!r}")
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version("versioned-datasets")
        except PackageNotFoundError:
            raise AttributeError("the package versioned-datasets is not installed, so it has no version") from None

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
