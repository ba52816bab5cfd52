"""Read the repository's datasets: verified examples straight out of the artifact, without TensorFlow.

import loader
info, ds = loader.load("digit")
ds["train"][0]
"""

from loader._errors import (
    DecodeError,
    FetchError,
    IntegrityError,
    LoaderError,
    ManifestError,
    NotFoundError,
    UnsupportedError,
)
from loader._info import DatasetInfo, SplitInfo
from loader._load import ensure, from_directory, load
from loader._split import Split

__all__ = [
    "DatasetInfo",
    "DecodeError",
    "FetchError",
    "IntegrityError",
    "LoaderError",
    "ManifestError",
    "NotFoundError",
    "Split",
    "SplitInfo",
    "UnsupportedError",
    "ensure",
    "from_directory",
    "load",
]

for _name in __all__:
    globals()[_name].__module__ = "loader"  # the name that users know, in tracebacks and pickles
