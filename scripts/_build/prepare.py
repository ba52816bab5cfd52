"""Running a TFDS builder so that the same definition gives the same bytes."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loader._fetch.places import OFFLINE_VARIABLE
from loader._fetch.repository import REPOSITORY_VARIABLE
from scripts._build.beam.pipelines import pipelines
from scripts._tfds.builder import make_builder, where
from scripts._build.encode import Encoder
from scripts._tfds.quiet import quiet_tensorflow
from scripts._tfds.shards import ShardWriter
from scripts._tfds.splits import encoding_in
from scripts._sources.sources import Source, Sources
from scripts._tfds.downloads import supply
from scripts._define.definition import Definition, read_definition
from scripts._process.errors import ScriptError


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
    with reading_parents(definition):
        builder = make_builder(definition, data_dir=data_dir, config=config)
        with Sources(definition) as sources:
            supply(builder, sources, definition)
            _inject(builder, ShardWriter(keys, definition.toolchain))
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
def reading_parents(definition: Definition) -> Iterator[None]:
    """Let `loader.load` find the artifacts of this repository that the stage depends on, and no others.

    What else a builder reads would neither be recorded nor built first, and might be private where it is public. The
    same is true of an artifact of another revision or repository.
    """
    loading: Any = importlib.import_module("loader._load")
    find_artifact = loading.find_artifact

    def find_parent(name: str, **options: Any) -> Any:
        if name not in definition.parents:
            raise ScriptError(
                f"{definition.name}: its builder reads the dataset {name}, on which its stage does not depend; "
                f"name the artifact of {name} among the deps of {definition.name} in dvc.yaml"
            )
        present = read_definition(name, root=definition.root).version
        for option, here in {"version": present, "rev": None, "repo": None}.items():
            value = options.get(option)
            if value not in (None, here):
                raise ScriptError(
                    f"{definition.name}: its builder reads the dataset {name} with {option}={value!r}; its stage depends "
                    f"on the artifact that is here, {name} {present}, so leave out {option}="
                )
        return find_artifact(name, **options)

    wanted = {REPOSITORY_VARIABLE: str(definition.root), OFFLINE_VARIABLE: "1"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    loading.find_artifact = find_parent
    try:
        yield
    finally:
        loading.find_artifact = find_artifact
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _inject(builder: Any, writer: ShardWriter) -> None:
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
        with pipelines(definition, keys=keys), encoding_in(Encoder()):
            builder.download_and_prepare(download_dir=scratch / "downloads", download_config=config)
    except ScriptError:
        raise
    except (Exception, SystemExit) as error:
        raise ScriptError(f"{definition.name}: its builder failed: {where(error, definition)}") from error
