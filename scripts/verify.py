"""`python -m scripts verify NAME...`: check artifacts against everything that is recorded about them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from loader._format.artifact import LocalArtifact
from loader._format.description import read_description
from loader._format.manifest import read_manifest
from scripts._define.artifacts import open_artifact, read_built
from scripts._define.definition import ROOT, Definition
from scripts._define.several import All, Names, chosen, for_each
from scripts._dvc.stages import recorded_output
from scripts._process.errors import ScriptError
from scripts._process.files import hash_file
from scripts._verify.artifact import check_lock, check_members, check_records, check_tar
from scripts._verify.compare import compare, compare_json
from scripts._verify.sandbox import rebuilt


def verify(name: str, *, rebuild: bool = False, root: Path = ROOT) -> list[str]:
    """Check a dataset's artifacts against `dvc.lock`, the manifest and their record indexes.

    With `rebuild`, build them from their source files too and compare. If they are not here, the hashes of what is
    built are compared with the recorded ones: nothing has to be pulled for that.

    Returns
    -------
    list of str
        The checks that passed.

    Raises
    ------
    ScriptError, LoaderError
        The first check that failed, or the dataset was never built.
    """
    definition = read_built(name, root=root)
    if rebuild and not all(tar.exists() for tar in definition.tars.values()):
        return [_check_rebuild_by_hash(definition)]
    artifacts = [open_artifact(definition, config=config) for config in definition.tars]
    checked = []
    for artifact in artifacts:
        lines = [check_lock(definition, artifact), check_tar(artifact), check_members(artifact)]
        lines.append(check_records(artifact, read_description(artifact.read_file)))
        config = artifact.entry.config if definition.configs else None
        checked += [f"{config}: {line}" if config else line for line in lines]
    if rebuild:
        checked.append(_check_rebuild(definition, artifacts))
    return checked


def command(
    names: Names = None,
    everything: All = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Also build from the sources and compare.")] = False,
) -> None:
    """Check artifacts: size, md5, structure, record index, every record; with --rebuild, against a new build.

    The new build runs in a sandbox: without network, except for fetching sources, at another path, as another user,
    with another host name, umask, clock, time zone, locale, home and hash seed.
    """

    def verify_one(name: str) -> None:
        for line in verify(name, rebuild=rebuild):
            print(f"{name}: ok: {line}", flush=True)

    for_each(chosen(names, everything=everything), verify_one, everything=everything)


def _check_rebuild_by_hash(definition: Definition) -> str:
    manifest = read_manifest(definition.manifest)
    recorded = {tar: recorded_output(definition.root, definition.name, tar)["md5"] for tar in definition.tars.values()}
    with rebuilt(definition, manifest) as fresh:
        differences = []
        for tar, md5 in recorded.items():
            if (found := hash_file(fresh.folder / tar.name, "md5")) != md5:
                differences.append(f"{tar.name} has md5 {found}, dvc.lock records {md5}")
        if differences:
            differences.append(f"to see what differs, pull it first: make pull DATASET={definition.name}")
        else:
            differences += _compare_descriptions(definition, fresh.folder)
        conditions = fresh.conditions()
    return _rebuild_result(definition, differences, conditions)


def _check_rebuild(definition: Definition, artifacts: list[LocalArtifact]) -> str:
    with rebuilt(definition, artifacts[0].manifest) as fresh:
        differences = []
        for config, artifact in zip(definition.tars, artifacts, strict=True):
            new = open_artifact(definition, config=config, folder=fresh.folder)
            differences += [f"{config}: {line}" if config else line for line in compare(artifact, new)]
        differences = differences or _compare_descriptions(definition, fresh.folder)
        conditions = fresh.conditions()
    return _rebuild_result(definition, differences, conditions)


def _compare_descriptions(definition: Definition, folder: Path) -> list[str]:
    """Return how the manifest, the statistics and the Croissant description differ from those of a new build."""
    differences = []
    for path in reversed(definition.descriptions):
        recorded, new = path.read_bytes(), (folder / path.name).read_bytes()
        if recorded != new:
            lines = compare_json(json.loads(recorded), json.loads(new)) or ["only in its layout"]
            differences += [f"{path.name} differs", *(f"  {line}" for line in lines)]
    return differences


def _rebuild_result(definition: Definition, differences: list[str], conditions: str) -> str:
    if differences:
        raise ScriptError(
            f"{definition.name}: a build from its sources ({conditions}) differs from the recorded artifact:\n  "
            + "\n  ".join(differences)
        )
    return f"a build from its sources gives the same bytes ({conditions})"
