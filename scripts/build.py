"""`python -m scripts build NAME`: build the artifacts of a dataset, and the files that describe them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from scripts._build.manifest import describe, write_descriptions
from scripts._build.package import pack
from scripts._build.prepare import prepare
from scripts._build.room import check_room
from scripts._build.statistics.compute import Statistician
from scripts._build.update import kept_artifacts
from scripts._define.definition import ROOT, Definition, read_definition
from scripts._define.history import commit_of, other_content, recorded_versions, version_of
from scripts._define.versions import builder_version, raise_version
from scripts._process.errors import ScriptError
from scripts._process.files import sync
from scripts._process.processes import end_with_dvc
from scripts._process.scratch import scratch_folder
from scripts._sources.extractions import Extractions


def build(name: str, *, root: Path = ROOT, output: Path | None = None) -> list[Path]:
    """Build a dataset from its sources.

    Parameters
    ----------
    name
        The dataset.
    root
        The repository.
    output
        The folder to put the artifacts and the files that describe them in; `artifacts/` by default.

    Returns
    -------
    list of Path
        The artifact of each config, or the only artifact.

    Raises
    ------
    ScriptError
        The definition is wrong, the toolchain is not the locked one, a source file is not found, the builder fails, or
        the disk is full. What was in the folder is left as it was.
    """
    definition = read_definition(name, root=root)
    folder = output or definition.manifest.parent
    # its processes are forked before the build imports TensorFlow
    with (
        Statistician() as statistician,
        scratch_folder(root, f"build-{name}") as scratch,
        _replacing_together(definition, folder) as part,
    ):
        kept = kept_artifacts(definition) if output is None else None
        if kept is not None:
            _log(f"{name}: nothing that determines its bytes has changed; only what describes them is written anew")
            manifest, statistics, tars = kept.manifest, kept.statistics, folder
        else:
            manifest, md5s = _built(definition, folder, part, scratch)
            statistics, tars = None, part
        if statistics is None:
            _log(f"{name}: computing statistics")
            statistics = statistician.statistics(manifest, tars, scratch=scratch)
        write_descriptions(definition, part, manifest, statistics)
    if output is None and kept is None:
        _warn_of_other_content(definition, manifest)
        if "DVC_STAGE" in os.environ:
            from scripts._dvc.cache import add_to_cache

            add_to_cache(root, {folder / filename: md5 for filename, md5 in md5s.items()})
    return [folder / tar.name for tar in definition.tars.values()]


@contextmanager
def _replacing_together(definition: Definition, folder: Path) -> Iterator[Path]:
    """Create a hidden folder in `folder`, whose files replace those of the dataset at the end of the block.

    So a build that fails or is killed leaves the earlier files, and no artifact without what describes it. The manifest
    is moved last, because artifacts are valid only with it.
    """
    part = folder / f".{definition.name}.part"
    shutil.rmtree(part, ignore_errors=True)  # of a killed build
    try:
        part.mkdir()
        yield part
        for tar in definition.tars.values():
            if (part / tar.name).exists():
                sync(part / tar.name)
        descriptions = (definition.statistics, definition.croissant, definition.manifest)
        for path in (*definition.tars.values(), *descriptions):
            if (part / path.name).exists():  # what was not built stays where it is
                (part / path.name).replace(folder / path.name)
        sync(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _built(definition: Definition, folder: Path, part: Path, scratch: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Build every config of a dataset for `folder`, pack it into `part`, and return the manifest and the tars' md5s."""
    definition.check_toolchain()
    check_room(definition, folder, scratch)
    built = []
    with Extractions(scratch / "extracted", dataset=definition.name) as extractions:
        for number, (config, tar) in enumerate(definition.tars.items(), start=1):
            title = f"{definition.name}/{config}" if config else definition.name
            _log(f"{title}: building {builder_version(definition, config) or ''}".rstrip())
            config_scratch = scratch / f"config-{config or definition.name}"
            config_scratch.mkdir()
            with extractions.config(last=number == len(definition.tars)):
                prepared = prepare(definition, scratch=config_scratch, extractions=extractions, config=config)
            _log(f"{title}: packing {folder / tar.name}")
            packed = pack(prepared, part / tar.name, scratch=config_scratch)
            examples = ", ".join(f"{split.name} {split.num_examples:,}" for split in packed.info.splits.values())
            _log(f"{title}: packed, {packed.entry.size:,} bytes, {examples}")
            built.append((prepared, packed))
    return describe(definition, built), {packed.entry.filename: packed.md5 for _, packed in built}


def command(name: Annotated[str, typer.Argument(help="The name of the dataset in params.yaml.")]) -> None:
    """Build a dataset into artifacts/ (run by its DVC stage; use: dvc repro NAME)."""
    if "DVC_STAGE" in os.environ:
        end_with_dvc()
    build(name)


def _warn_of_other_content(definition: Definition, manifest: dict[str, Any]) -> None:
    """Say so if git's history records the version with other bytes: a version names one content."""
    if not (definition.root / ".git").exists():
        return  # a copy, as in the sandbox of verify
    try:
        earlier = recorded_versions(
            definition.root, name=definition.name, withdrawn={definition.name: definition.withdrawn}
        )
        other = other_content(version_of(manifest), earlier)
        if other is not None:
            _log(
                f"{definition.name}: WARNING: {other.version} was recorded with other bytes in commit "
                f"{commit_of(definition.root, other.blob)}; {raise_version(definition)}"
            )
    except ScriptError as error:
        _log(f"{definition.name}: its earlier versions are not known: {error}")


def _log(line: str) -> None:
    print(line, file=sys.stderr)
