"""`python -m scripts extract NAME...`: extract artifacts into a folder that TFDS reads."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from loader._format.exchange import exchange
from loader._format.extraction import extract_members, extractable, version_folder
from scripts._define.artifacts import open_artifact, read_built
from scripts._define.definition import ROOT, read_definition
from scripts._define.several import All, Names, chosen, for_each
from scripts._process.errors import ScriptError
from scripts._process.scratch import scratch_folder
from scripts._verify.artifact import check_tar


def extract(
    name: str, *, config: str | None = None, to: Path | None = None, overwrite: bool = False, root: Path = ROOT
) -> Path:
    """Extract a dataset's artifact.

    Only members that the record index lists are extracted, and the SHA-256 of each is checked; the tar's own headers
    are not used. The folder is created or replaced when the extraction is complete.

    Parameters
    ----------
    name
        The dataset.
    config
        The config; the default one by default.
    to
        The TFDS data_dir to extract into; `extracted/` in the repository by default.
    overwrite
        Whether to replace an existing folder.
    root
        The repository.

    Returns
    -------
    Path
        The folder `<to>/<name>/[<config>/]<version>`, for `tfds.builder_from_directory` and `loader.from_directory`.

    Raises
    ------
    ScriptError
        The dataset was never built, the folder already exists, or the disk has too little space.
    LoaderError
        The artifact is not the recorded one.
    """
    to = (to or root / "extracted").resolve()
    artifact = open_artifact(read_built(name, root=root), config=config)
    check_tar(artifact)
    members = extractable(artifact)
    version = version_folder(artifact)
    target = to / version
    if (target.exists() or target.is_symlink()) and not overwrite:
        raise ScriptError(f"{name}: {target} is already there; replace it with OVERWRITE=1")
    to.mkdir(parents=True, exist_ok=True)
    size = sum(member.size for member in members)
    if (free := shutil.disk_usage(to).free) < size:
        raise ScriptError(
            f"{name}: {to} needs {size:,} bytes and has {free:,} left; make room or choose another folder with TO="
        )
    with scratch_folder(root, f"extract-{name}", at=to / f".{name}.extracting") as scratch:
        extract_members(artifact, members, scratch)
        extracted = scratch / version
        extracted.chmod(0o755)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists() or target.is_symlink():
            exchange(extracted, target)
        else:
            extracted.rename(target)
        for member in members:  # TFDS has files outside the version folder too
            if not PurePosixPath(member.path).is_relative_to(version):
                (to / member.path).parent.mkdir(parents=True, exist_ok=True)
                (scratch / member.path).replace(to / member.path)
    return target


def command(
    names: Names = None,
    everything: All = False,
    to: Annotated[Path | None, typer.Option(help="The TFDS data_dir to extract into (extracted/ by default).")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing folder.")] = False,
) -> None:
    """Extract the artifacts of datasets into a folder that TFDS reads; those that fail are named at the end."""

    def extract_all(name: str) -> None:
        for config in read_definition(name).tars:
            print(f"{name}: {extract(name, config=config, to=to, overwrite=overwrite)}", flush=True)

    for_each(chosen(names, everything=everything), extract_all, everything=everything)
