"""`python -m scripts push NAME`: push artifacts to the remote of their visibility and check that they arrived."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scripts._define.consent import check_consent
from scripts._define.definition import ROOT, Definition, read_definition
from scripts._process.errors import ScriptError
from scripts._process.files import hash_file

if TYPE_CHECKING:
    from scripts._dvc.objects import RemoteObject


def push(name: str, *, public: bool, root: Path = ROOT) -> list[str]:
    """Push a dataset's artifacts and check that they are on the remote.

    Parameters
    ----------
    name
        The dataset.
    public
        Consent to publish; required for a public dataset, refused for a private one.
    root
        The repository.

    Returns
    -------
    list of str
        The URL of each object.

    Raises
    ------
    ScriptError
        Consent is missing or refused, the license is unknown, or an artifact is missing or not the recorded one.
    FetchError
        The remote refuses, cannot be reached, or does not have the object afterwards.
    """
    definition = read_definition(name, root=root)
    check_consent(definition, public=public, action="push")
    from scripts._dvc.objects import artifact_object, open_repo_for_upload

    repo = open_repo_for_upload(root)
    return [_push_one(definition, tar, artifact_object(repo, tar)) for tar in definition.tars.values()]


def _push_one(definition: Definition, tar: Path, target: RemoteObject) -> str:
    name = definition.name
    if target.remote != definition.visibility:
        raise ScriptError(
            f"{name} is {definition.visibility}, but dvc.yaml names remote {target.remote!r}; make the two agree"
        )
    _check_recorded(name, tar, target.md5)
    if not target.is_intact():
        # not with DVC, which would upload the file in its cache, and would trust an existing object by its name; this
        # uploads the file that was just checked, to the URL where DVC expects it
        target.put(tar)
    return target.url


def command(
    names: Annotated[list[str], typer.Argument(help="The datasets.")],
    public: Annotated[bool, typer.Option("--public", help="Consent to publish these public datasets.")] = False,
) -> None:
    """Push datasets to the remotes of their visibility and check that they arrived."""
    for name in names:
        for url in push(name, public=public):
            print(f"{name}: on the remote at {url}")


def _check_recorded(name: str, tar: Path, md5: str) -> None:
    try:
        found = hash_file(tar, "md5")
    except FileNotFoundError as error:
        raise ScriptError(f"{name}: {tar} is missing; build it with: make build DATASET={name}") from error
    if found != md5:
        raise ScriptError(
            f"{name}: {tar} is not what dvc.lock records (md5 {found} instead of {md5}); "
            f"restore it with: dvc checkout -f {name}, or build it again with: make build DATASET={name}"
        )
