"""Running a TFDS builder so that the same definition gives the same bytes."""

from __future__ import annotations

import sys
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loader import ManifestError
from loader._format.manifest import read_manifest
from scripts._build.beam.pipelines import BeamPipelines
from scripts._build.encode import Encoder
from scripts._build.undeclared import Watch, refusing_undeclared
from scripts._define.definition import Definition
from scripts._process.errors import ScriptError
from scripts._process.scratch import temporary_files_in
from scripts._sources.sources import Source, Sources
from scripts._tfds.builder import describe_error, make_builder, use_writer
from scripts._tfds.downloads import use_sources
from scripts._tfds.features import uses_zlib
from scripts._tfds.quiet import quiet_tensorflow
from scripts._tfds.shards import PROTOBUF_IMPLEMENTATION, ShardWriter, protobuf_implementation
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
    libraries
        The versions of the libraries that determine the bytes, besides the packages of the toolchain.
    """

    data_dir: Path
    folder: Path
    keys: Path
    config: str | None
    default_config: str | None
    sources: tuple[Source, ...]
    libraries: dict[str, str] = field(default_factory=dict)


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
        The builder cannot be found, fails, has another version, or reads what is not declared; or a source file is
        found nowhere.
    """
    _check_protobuf(definition)
    quiet_tensorflow()
    data_dir, keys = scratch / "data", scratch / "keys"
    keys.mkdir()
    with (
        definition.limit_reading(scratch) as environment,
        temporary_files_in(scratch / "temporary"),
        Sources(definition) as sources,
        refusing_undeclared(definition, scratch, sources) as watch,
    ):
        builder = make_builder(definition, data_dir=data_dir, config=config)
        watch.check()  # of the imports, before the work begins
        use_sources(builder, sources, definition)
        libraries = _libraries(builder, definition)
        use_writer(builder, ShardWriter(keys, {**definition.toolchain, **libraries}))
        _run(builder, definition, scratch, BeamPipelines(definition, keys=keys, environment=environment), watch)
    default = builder.get_default_builder_config()
    return Prepared(
        data_dir,
        Path(builder.data_dir),
        keys,
        builder.builder_config.name if builder.builder_config else None,
        default.name if default else None,
        tuple(sources.used.values()),
        libraries,
    )


def _check_protobuf(definition: Definition) -> None:
    if (found := protobuf_implementation()) != PROTOBUF_IMPLEMENTATION:
        raise ScriptError(
            f"{definition.name}: protobuf runs its implementation {found!r} here, which gives other bytes than "
            f"{PROTOBUF_IMPLEMENTATION!r}; unset PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION, or install the locked "
            f"protobuf with: make setup"
        )


def _libraries(builder: Any, definition: Definition) -> dict[str, str]:
    """Return the versions of the libraries that determine the dataset's bytes and are no Python packages.

    TFDS compresses with the zlib that Python is linked with. Other compressors are part of the packages that use them.
    """
    if not uses_zlib(builder.info.features):
        return {}
    here = zlib.ZLIB_RUNTIME_VERSION
    with suppress(ManifestError):  # it has no manifest yet
        recorded = read_manifest(definition.manifest).raw.get("toolchain", {}).get("zlib", here)
        if recorded != here:
            print(
                f"{definition.name}: its features are compressed with zlib {here}, and were with zlib {recorded}; if "
                f"this changes bytes, raise the version in params.yaml and in the builder, or use the encoding bytes",
                file=sys.stderr,
            )
    return {"zlib": here}


def _run(builder: Any, definition: Definition, scratch: Path, beam: BeamPipelines, watch: Watch) -> None:
    import tensorflow_datasets as tfds

    config = tfds.download.DownloadConfig(
        extract_dir=scratch / "extracted",
        try_download_gcs=False,
    )
    try:
        with beam, Encoder(check_path=watch.check_path) as encoder, building_splits(encoder, beam):
            builder.download_and_prepare(download_dir=scratch / "downloads", download_config=config)
    except ScriptError:
        raise
    except (Exception, SystemExit) as error:
        raise ScriptError(f"{definition.name}: its builder failed: {describe_error(error, definition)}") from error
