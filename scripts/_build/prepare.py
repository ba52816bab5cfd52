"""Running a TFDS builder so that the same definition gives the same bytes."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loader._features.example import Example
from loader._fetch.places import OFFLINE_VARIABLE
from loader._fetch.repository import REPOSITORY_VARIABLE
from scripts._build import beam, beam_worker
from scripts._build.builder import make_builder, where
from scripts._build.encode import Encoder, encoding_in
from scripts._sources.sources import Source, Sources
from scripts._sources.supply import supply
from scripts.definition import Definition
from scripts.errors import ScriptError

KEY_BYTES = 16


@dataclass(frozen=True)
class Prepared:
    """What a builder left behind.

    Attributes
    ----------
    data_dir
        The TFDS data_dir: `<name>/[<config>/]<version>/...` and nothing else.
    folder
        The version's folder inside it.
    keys
        A folder with a file for every shard, called as the shard: the 16-byte keys of its records, in order.
    config, default_config
        The builder config, and the one that TFDS takes where none is named; None for a dataset without configs.
    sources
        The source files that the builder asked for.
    """

    data_dir: Path
    folder: Path
    keys: Path
    config: str | None
    default_config: str | None
    sources: tuple[Source, ...]


def prepare(definition: Definition, *, scratch: Path, config: str | None = None) -> Prepared:
    """Run the dataset's builder into `scratch`.

    Parameters
    ----------
    definition
        The dataset.
    scratch
        An empty folder.
    config
        One of its builder configs, the default one by default.

    Raises
    ------
    ScriptError
        The builder cannot be found, fails, or gives another version; or a source file is to be had nowhere.
    """
    quiet_tensorflow()
    data_dir, keys = scratch / "data", scratch / "keys"
    keys.mkdir()
    with reading_from(definition.root):
        builder = make_builder(definition, data_dir=data_dir, config=config)
        with Sources(definition) as sources:
            supply(builder, sources, definition)
            _inject(builder, _DeterministicWriter(keys))
            _run(builder, definition, scratch, keys)
    default = builder.get_default_builder_config()
    return Prepared(
        data_dir,
        Path(builder.data_dir),
        keys,
        builder.builder_config.name if builder.builder_config else None,
        default.name if default else None,
        tuple(sources.used.values()),
    )


@contextmanager
def reading_from(root: Path) -> Iterator[None]:
    """Let `loader.load`, by which a builder reads its parents, find the artifacts of this repository and no others."""
    wanted = {REPOSITORY_VARIABLE: str(root), OFFLINE_VARIABLE: "1"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class _DeterministicWriter:
    """Stands in for TFDS's ExampleWriter: writes the same TFRecord shards, serialized deterministically.

    TFDS serializes an Example with its map in whatever order protobuf's hash table has in this process. Serialized
    anew with `deterministic=True` the map is sorted, and the bytes are the same in every process with this protobuf.
    The keys that TFDS sorted by pass through here and are kept for the record index.
    """

    def __init__(self, keys: Path) -> None:
        from tensorflow_datasets.core.file_adapters import FileFormat

        self.file_format = FileFormat.TFRECORD
        self._keys = keys

    def write(self, path: os.PathLike[str] | str, examples: Iterable[tuple[int, bytes]]) -> None:
        from tensorflow_datasets.core.file_adapters import TfRecordFileAdapter

        with (self._keys / Path(path).name).open("wb") as keys:

            def serialized() -> Iterator[tuple[int, bytes]]:
                for key, data in examples:
                    keys.write(key.to_bytes(KEY_BYTES, "big"))
                    yield key, Example.FromString(data).SerializeToString(deterministic=True)

            TfRecordFileAdapter.write_examples(path, serialized())


def quiet_tensorflow() -> None:
    """Import TensorFlow and TFDS without what they have to say, and without a GPU."""
    beam_worker.quiet_logs()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # no byte may depend on a GPU's presence
    with held_stderr():
        import absl.logging
        import tensorflow  # noqa: F401
        import tensorflow_datasets as tfds

    absl.logging.set_verbosity(absl.logging.ERROR)
    warnings.filterwarnings("ignore", "Couldn't find ffmpeg")  # pydub reads wav files without it
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()


@contextmanager
def held_stderr() -> Iterator[None]:
    """Hold back what is written to stderr, below Python too; let it out only if the body fails.

    TensorFlow's libraries greet with a dozen lines before any log level reaches them.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held, os.fdopen(os.dup(2), "wb") as stderr:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            stderr.write(held.read())
            raise
        finally:
            os.dup2(stderr.fileno(), 2)


def _inject(builder: Any, writer: _DeterministicWriter) -> None:
    """Give this builder our writer, in the place where TFDS asks for one."""
    builder._example_writer = lambda: writer
    for name in ("file", "sql", "tfds"):  # times and paths of this machine are no part of a dataset
        setattr(builder.info, f"add_{name}_data_source_access", lambda *_, **__: None)
    builder._log_download_bytes = builder._log_download_done = lambda: None  # they name the scratch folder


def _run(builder: Any, definition: Definition, scratch: Path, keys: Path) -> None:
    import tensorflow_datasets as tfds

    config = tfds.download.DownloadConfig(
        extract_dir=scratch / "extracted",
        try_download_gcs=False,
    )
    try:
        with beam.pipelines(definition, keys=keys), encoding_in(Encoder()):
            builder.download_and_prepare(download_dir=scratch / "downloads", download_config=config)
    except ScriptError:
        raise
    except (Exception, SystemExit) as error:
        raise ScriptError(f"{definition.name}: its builder failed: {where(error, definition)}") from error
