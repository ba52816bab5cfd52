"""Writing shards, in this process or in Beam's workers.

Workers, also on other machines, receive this module by value, since they may have no copy of this repository. Its
top-level imports are therefore from the standard library only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

KEY_BYTES = 16
PROTOBUF_IMPLEMENTATION = "upb"


class ShardWriter:
    """Replaces TFDS's ExampleWriter: writes the same TFRecord shards, serialized deterministically.

    TFDS serializes the map in an Example in the order of protobuf's hash table, which differs between processes.
    Serialized again with `deterministic=True`, the map is sorted, and the bytes are the same in every process with this
    version of protobuf. The keys by which TFDS sorted the examples are kept for the record index.

    Parameters
    ----------
    keys
        The folder for the keys: one file per shard, with the shard's name.
    toolchain
        The versions of the packages, and of zlib if it decides bytes. A worker with other versions fails.
    """

    def __init__(self, keys: Path, toolchain: dict[str, str]) -> None:
        self._keys = keys
        self._toolchain = toolchain

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Check the toolchain of a worker. Whatever a worker unpickles to encode or write examples holds a writer."""
        self.__dict__.update(state)
        for package, wanted in self._toolchain.items():
            if (found := _installed(package)) != wanted:
                who = "the build uses" if package == "zlib" else "params.yaml asks for"
                raise RuntimeError(f"{who} {package} {wanted}, on this worker it is {found}")
        if (found := protobuf_implementation()) != PROTOBUF_IMPLEMENTATION:
            raise RuntimeError(f"the build uses protobuf's {PROTOBUF_IMPLEMENTATION}, this worker {found}")

    def write(self, path: os.PathLike[str] | str, examples: Iterable[tuple[int, bytes]]) -> None:
        """Write a shard and its keys.

        Parameters
        ----------
        path
            The temporary file that TFDS renames to the shard.
        examples
            Keys and serialized examples, in order.
        """
        from tensorflow_datasets.core.file_adapters import TfRecordFileAdapter

        from loader._format.example import Example

        name = Path(path).name
        # a runner may write a shard twice, even at the same time: each attempt has its own name, then is renamed
        unfinished = self._keys / f"{name}.unfinished"
        with unfinished.open("wb") as keys:

            def serialized() -> Iterator[tuple[int, bytes]]:
                for key, data in examples:
                    keys.write(key.to_bytes(KEY_BYTES, "big"))
                    yield key, Example.FromString(data).SerializeToString(deterministic=True)

            TfRecordFileAdapter.write_examples(path, serialized())
        unfinished.replace(self._keys / re.sub(r"^incomplete\.[0-9a-f]{32}\.", "", name))


def protobuf_implementation() -> str:
    """Return which implementation of protobuf is in use; each sorts the map in an Example in another order."""
    from google.protobuf.internal import api_implementation

    return str(api_implementation.Type())


def _installed(package: str) -> str:
    import zlib
    from importlib import metadata

    if package == "zlib":  # the library that Python is linked with
        return zlib.ZLIB_RUNTIME_VERSION
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def write_count(count: int, path: Path) -> None:
    """Write the number of examples that the builder yielded for a split."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    unfinished.write_text(str(count))
    unfinished.replace(path)
