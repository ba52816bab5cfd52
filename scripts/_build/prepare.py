"""Running a TFDS builder so that the same definition gives the same bytes."""

from __future__ import annotations

import shutil
import sys
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from loader import ManifestError
from loader._format.manifest import read_manifest
from scripts._build.beam.pipelines import BeamPipelines
from scripts._build.changes import describe_change
from scripts._build.encode import Encoder
from scripts._build.room import check_room_for_downloads
from scripts._build.undeclared import Watch, refusing_undeclared
from scripts._define.definition import Definition
from scripts._define.packages import locked_versions
from scripts._define.versions import raise_version
from scripts._process.errors import ScriptError
from scripts._process.scratch import temporary_files_in
from scripts._sources.extractions import Extractions
from scripts._sources.source import Source
from scripts._sources.sources import Sources
from scripts._tfds.builder import describe_error, make_builder, use_writer
from scripts._tfds.downloads import use_sources
from scripts._tfds.features import uses_zlib
from scripts._tfds.ffmpeg import INSTALL, features_needing_ffmpeg
from scripts._tfds.names import check_class_names
from scripts._tfds.own_features import write_plain_features
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
    rows
        A folder with one file per shard, with the shard's name: what the record index states of it; see `ShardWriter`.
    config, default_config
        The builder config, and TFDS's default one; None for a dataset without configs.
    sources
        The source files that the builder asked for.
    libraries
        The versions of the packages and libraries that determine the bytes, besides the toolchain.
    """

    data_dir: Path
    folder: Path
    rows: Path
    config: str | None
    default_config: str | None
    sources: tuple[Source, ...]
    libraries: dict[str, str] = field(default_factory=dict)


def prepare(definition: Definition, *, scratch: Path, extractions: Extractions, config: str | None = None) -> Prepared:
    """Run the dataset's builder into `scratch`.

    Parameters
    ----------
    definition
        The dataset.
    scratch
        An empty folder.
    extractions
        Extracts the archives among the source files.
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
    data_dir, rows = scratch / "data", scratch / "rows"
    rows.mkdir()
    with (
        definition.limit_reading(scratch, extractions.folder) as environment,
        temporary_files_in(scratch / "temporary"),
        Sources(definition) as sources,
        refusing_undeclared(definition, scratch, sources, extractions.folder) as watch,
    ):
        builder = make_builder(definition, data_dir=data_dir, config=config)
        watch.check()  # of the imports, before the work begins
        check_class_names(builder.info.features, definition.name)
        expect = partial(check_room_for_downloads, definition=definition, scratch=scratch)
        use_sources(builder, sources, definition, extractions, expect=expect)
        _check_ffmpeg(builder, definition)
        libraries = _libraries(builder, definition)
        use_writer(builder, ShardWriter(rows, {**definition.toolchain, **libraries}))
        _run(builder, definition, scratch, BeamPipelines(definition, keys=rows, environment=environment), watch)
        if sources.manual is not None:
            sources.manual.check_unchanged()
    write_plain_features(builder.info.features, Path(builder.data_dir))
    default = builder.get_default_builder_config()
    return Prepared(
        data_dir,
        Path(builder.data_dir),
        rows,
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
    """Return the versions of what determines the dataset's bytes and is no package of the toolchain.

    These are the packages that the builder asks for, and the zlib that Python is linked with, with which TFDS
    compresses. Other compressors are part of the packages that use them.
    """
    packages = {
        name: version for name, version in locked_versions(definition).items() if name not in definition.toolchain
    }
    if not uses_zlib(builder.info.features):
        return packages
    here = zlib.ZLIB_RUNTIME_VERSION
    with suppress(ManifestError):  # it has no manifest yet
        recorded = read_manifest(definition.manifest).raw.get("toolchain", {}).get("zlib", here)
        if recorded != here:
            print(
                f"{definition.name}: its features are compressed with zlib {here}, and were with zlib {recorded}; if "
                f"this changes bytes, {raise_version(definition)}, or use the encoding bytes",
                file=sys.stderr,
            )
    return {**packages, "zlib": here}


def _check_ffmpeg(builder: Any, definition: Definition) -> None:
    """Refuse to start a long build that will need ffmpeg if it is not installed; say so if it may need it."""
    always, for_files = features_needing_ffmpeg(builder.info.features)
    if (not always and not for_files) or shutil.which("ffmpeg"):
        return
    if always:
        raise ScriptError(
            f"{definition.name}: its feature {always[0]} is read with ffmpeg, which is not installed; "
            f"install it with: {INSTALL}"
        )
    print(
        f"{definition.name}: ffmpeg is not installed; if the builder yields files for its feature {for_files[0]}, "
        f"install it with: {INSTALL}",
        file=sys.stderr,
    )


def _run(builder: Any, definition: Definition, scratch: Path, beam: BeamPipelines, watch: Watch) -> None:
    import tensorflow_datasets as tfds

    config = tfds.download.DownloadConfig(
        extract_dir=scratch / "extracted",
        try_download_gcs=False,
    )
    try:
        with (
            beam,
            Encoder(check_path=watch.check_path) as encoder,
            building_splits(encoder, beam, dataset=definition.name),
        ):
            builder.download_and_prepare(download_dir=scratch / "downloads", download_config=config)
    except ScriptError:
        raise
    except (Exception, SystemExit) as error:
        raise ScriptError(f"{definition.name}: its builder failed: {describe_error(error, definition)}") from error
    for _, (key, change) in sorted((encoder.changes | beam.changes()).items()):
        print(f"{definition.name}: {describe_change(key, change)}", file=sys.stderr)
