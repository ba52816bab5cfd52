"""`python -m scripts build NAME`: from a definition to the artifact and its manifest."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from scripts.builder import prepare
from scripts.definition import ROOT, read_definition
from scripts.manifest import describe, write_manifest
from scripts.package import pack
from scripts.scratch import scratch_folder


def build(name: str, *, root: Path = ROOT, output: Path | None = None) -> Path:
    """Build a dataset from its sources.

    Parameters
    ----------
    name
        The dataset.
    root
        The repository.
    output
        The folder to put `<name>.tar` and `<name>.json` in; `artifacts/` by default.

    Returns
    -------
    Path
        The artifact.

    Raises
    ------
    ScriptError
        The definition is wrong, the toolchain is not the locked one, a source is to be had nowhere, the builder fails,
        or the disk is full. Nothing half-made is left.
    """
    definition = read_definition(name, root=root)
    definition.check_toolchain()
    tar = (output or definition.tar.parent) / definition.tar.name
    with scratch_folder(root, f"build-{name}") as scratch:
        _say(f"{name}: building {definition.version}")
        prepared = prepare(definition, scratch=scratch)
        _say(f"{name}: packing {tar}")
        packed = pack(prepared, tar, scratch=scratch)
        # last, because a manifest is what makes an artifact count
        write_manifest(tar.with_suffix(".json"), describe(definition, prepared, packed))
    examples = ", ".join(f"{split.name} {split.num_examples:,}" for split in packed.info.splits.values())
    _say(f"{name}: done, {packed.entry.size:,} bytes, {examples}")
    return tar


def command(name: Annotated[str, typer.Argument(help="The dataset, as params.yaml names it.")]) -> None:
    """Build a dataset into artifacts/ (the command of its stage; people say: dvc repro NAME)."""
    build(name)


def _say(line: str) -> None:
    print(line, file=sys.stderr)
