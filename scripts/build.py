"""`python -m scripts build NAME`: build the artifacts and the manifest of a dataset."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from scripts._build.manifest import describe, write_manifest
from scripts._build.package import pack
from scripts._build.prepare import prepare
from scripts._build.update import updated_manifest
from scripts._define.definition import ROOT, Definition, read_definition
from scripts._define.history import commit_of, other_content, recorded_versions, version_of
from scripts._process.errors import ScriptError
from scripts._process.processes import end_with_dvc
from scripts._process.scratch import scratch_folder


def build(name: str, *, root: Path = ROOT, output: Path | None = None) -> list[Path]:
    """Build a dataset from its sources.

    Parameters
    ----------
    name
        The dataset.
    root
        The repository.
    output
        The folder to put the artifacts and `<name>.json` in; `artifacts/` by default.

    Returns
    -------
    list of Path
        The artifact of each config, or the only artifact.

    Raises
    ------
    ScriptError
        The definition is wrong, the toolchain is not the locked one, a source file is not found, the builder fails, or
        the disk is full. No incomplete file is left.
    """
    definition = read_definition(name, root=root)
    if output is None and (manifest := updated_manifest(definition)) is not None:
        _log(f"{name}: nothing that determines its bytes has changed; updating {definition.manifest.name}")
        write_manifest(definition.manifest, manifest)
        return list(definition.tars.values())
    definition.check_toolchain()
    folder = output or definition.manifest.parent
    with scratch_folder(root, f"build-{name}") as scratch:
        built = []
        for config, tar in definition.tars.items():
            title = f"{name}/{config}" if config else name
            _log(f"{title}: building {definition.version}")
            config_scratch = scratch / (config or name)
            config_scratch.mkdir()
            prepared = prepare(definition, scratch=config_scratch, config=config)
            _log(f"{title}: packing {folder / tar.name}")
            packed = pack(prepared, folder / tar.name, scratch=config_scratch)
            examples = ", ".join(f"{split.name} {split.num_examples:,}" for split in packed.info.splits.values())
            _log(f"{title}: packed, {packed.entry.size:,} bytes, {examples}")
            built.append((prepared, packed))
        # last, because artifacts are valid only with a manifest
        manifest = describe(definition, built)
        write_manifest(folder / definition.manifest.name, manifest)
    if output is None:
        _warn_of_other_content(definition, manifest)
    return [folder / tar.name for tar in definition.tars.values()]


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
                f"{definition.name}: WARNING: {definition.version} was recorded with other bytes in commit "
                f"{commit_of(definition.root, other.blob)}; raise the version in params.yaml and in the builder"
            )
    except ScriptError as error:
        _log(f"{definition.name}: its earlier versions are not known: {error}")


def _log(line: str) -> None:
    print(line, file=sys.stderr)
