"""What writes a shard, in this process or in a worker of Beam.

Workers, on other machines too, get this module by value, since they may have no copy of this repository: it needs
nothing at its top but the standard library.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

KEY_BYTES = 16


class ShardWriter:
    """Stands in for TFDS's ExampleWriter: writes the same TFRecord shards, serialized deterministically.

    TFDS serializes an Example with its map in whatever order protobuf's hash table has in this process. Serialized
    anew with `deterministic=True` the map is sorted, and the bytes are the same in every process with this protobuf.
    The keys that TFDS sorted by pass through here and are kept for the record index.

    Parameters
    ----------
    keys
        The folder for the keys: a file for every shard, called as the shard.
    toolchain
        The package versions that decide bytes. A worker that has others refuses to take part.
    """

    def __init__(self, keys: Path, toolchain: dict[str, str]) -> None:
        self._keys = keys
        self._toolchain = toolchain

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Arrive in a worker. All that encodes or writes examples there holds a writer, so this checks every worker."""
        from importlib import metadata

        self.__dict__.update(state)
        for package, wanted in self._toolchain.items():
            try:
                installed = metadata.version(package)
            except metadata.PackageNotFoundError:
                installed = "not installed"
            if installed != wanted:
                raise RuntimeError(f"params.yaml asks for {package} {wanted}, on this worker it is {installed}")

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
        # a runner may write a shard twice, even at the same time: each under a name of its own, then renamed
        unfinished = self._keys / f"{name}.unfinished"
        with unfinished.open("wb") as keys:

            def serialized() -> Iterator[tuple[int, bytes]]:
                for key, data in examples:
                    keys.write(key.to_bytes(KEY_BYTES, "big"))
                    yield key, Example.FromString(data).SerializeToString(deterministic=True)

            TfRecordFileAdapter.write_examples(path, serialized())
        unfinished.replace(self._keys / re.sub(r"^incomplete\.[0-9a-f]{32}\.", "", name))


def keep_count(count: int, path: Path) -> None:
    """Write down how many examples the builder gave for a split."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    unfinished.write_text(str(count))
    unfinished.replace(path)
