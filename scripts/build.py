"""`python -m scripts build NAME`: from a definition to the artifact and its manifest."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from scripts._build.manifest import describe, write_manifest
from scripts._build.package import pack
from scripts._build.prepare import prepare
from scripts._define.definition import ROOT, read_definition
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
        The artifact of each config, or the only one.

    Raises
    ------
    ScriptError
        The definition is wrong, the toolchain is not the locked one, a source is to be had nowhere, the builder fails,
        or the disk is full. Nothing half-made is left.
    """
    definition = read_definition(name, root=root)
    definition.check_toolchain()
    folder = output or definition.manifest.parent
    with scratch_folder(root, f"build-{name}") as scratch:
        built = []
        for config, tar in definition.tars.items():
            title = f"{name}/{config}" if config else name
            _say(f"{title}: building {definition.version}")
            space = scratch / (config or name)
            space.mkdir()
            prepared = prepare(definition, scratch=space, config=config)
            _say(f"{title}: packing {folder / tar.name}")
            packed = pack(prepared, folder / tar.name, scratch=space)
            examples = ", ".join(f"{split.name} {split.num_examples:,}" for split in packed.info.splits.values())
            _say(f"{title}: packed, {packed.entry.size:,} bytes, {examples}")
            built.append((prepared, packed))
        # last, because a manifest is what makes an artifact count
        write_manifest(folder / definition.manifest.name, describe(definition, built))
    return [folder / tar.name for tar in definition.tars.values()]


def command(name: Annotated[str, typer.Argument(help="The dataset, as params.yaml names it.")]) -> None:
    """Build a dataset into artifacts/ (the command of its stage; people say: dvc repro NAME)."""
    if "DVC_STAGE" in os.environ:
        end_with_dvc()
    build(name)


def _say(line: str) -> None:
    print(line, file=sys.stderr)
