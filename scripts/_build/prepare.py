"""Running a TFDS builder so that the same definition gives the same bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts._build.beam.pipelines import BeamPipelines
from scripts._build.encode import Encoder
from scripts._define.definition import Definition
from scripts._process.errors import ScriptError
from scripts._sources.sources import Source, Sources
from scripts._tfds.builder import describe_error, make_builder, use_writer
from scripts._tfds.downloads import use_sources
from scripts._tfds.quiet import quiet_tensorflow
from scripts._tfds.shards import ShardWriter
from scripts._tfds.splits import building_splits


@dataclass(frozen=True)
class Prepared:
    """The output of a builder.

    Attributes
    ----------
    data_dir
        The TFDS data_dir: `<name>/[<config>/]<version>/...` and nothing else.
    folder
        The version folder in it.
    keys
        A folder with one file per shard, with the shard's name: the 16-byte keys of its records, in order.
    config, default_config
        The builder config, and TFDS's default one; None for a dataset without configs.
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
        The builder config; the builder's default if None.

    Raises
    ------
    ScriptError
        The builder cannot be found, fails, or has another version; or a source file is found nowhere.
    """
    quiet_tensorflow()
    data_dir, keys = scratch / "data", scratch / "keys"
    keys.mkdir()
    with definition.limit_reading(scratch) as environment:
        builder = make_builder(definition, data_dir=data_dir, config=config)
        with Sources(definition) as sources:
            use_sources(builder, sources, definition)
            use_writer(builder, ShardWriter(keys, definition.toolchain))
            _run(builder, definition, scratch, BeamPipelines(definition, keys=keys, environment=environment))
    default = builder.get_default_builder_config()
    return Prepared(
        data_dir,
        Path(builder.data_dir),
        keys,
        builder.builder_config.name if builder.builder_config else None,
        default.name if default else None,
        tuple(sources.used.values()),
    )


def _run(builder: Any, definition: Definition, scratch: Path, beam: BeamPipelines) -> None:
    import tensorflow_datasets as tfds

    config = tfds.download.DownloadConfig(
        extract_dir=scratch / "extracted",
        try_download_gcs=False,
    )
    try:
        with beam, Encoder() as encoder, building_splits(encoder, beam):
            builder.download_and_prepare(download_dir=scratch / "downloads", download_config=config)
    except ScriptError:
        raise
    except (Exception, SystemExit) as error:
        raise ScriptError(f"{definition.name}: its builder failed: {describe_error(error, definition)}") from error
