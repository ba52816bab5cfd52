"""`python -m scripts push NAME`: an artifact to the remote of its visibility, and proof that it got there."""

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
    """Push a dataset's artifacts and look for them on the remote.

    Parameters
    ----------
    name
        The dataset.
    public
        Consent to publish; needed for a public dataset, refused for a private one.
    root
        The repository.

    Returns
    -------
    list of str
        The URL of each object.

    Raises
    ------
    ScriptError
        Consent is missing or out of place, the license is not known, or the artifact is missing or not the recorded
        one.
    FetchError
        The remote refuses, cannot be reached, or does not have the object afterwards.
    """
    definition = read_definition(name, root=root)
    check_consent(definition, public=public, action="push")
    from scripts._dvc.objects import artifact_object, open_repo_to_send

    repo = open_repo_to_send(root)
    return [_push_one(definition, tar, artifact_object(repo, tar)) for tar in definition.tars.values()]


def _push_one(definition: Definition, tar: Path, found: RemoteObject) -> str:
    name = definition.name
    if found.remote != definition.visibility:
        raise ScriptError(
            f"{name} is {definition.visibility}, dvc.yaml sends it to {found.remote!r}; make the two agree"
        )
    _check_recorded(name, tar, found.md5)
    if not found.is_sound():
        # not through DVC, which sends what is in its cache, and believes what is on the remote by its name: what was
        # just proved is what goes, to where DVC looks for it
        found.put(tar)
    return found.url


def command(
    names: Annotated[list[str], typer.Argument(help="The datasets.")],
    public: Annotated[bool, typer.Option("--public", help="Yes, publish these public datasets.")] = False,
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
            f"restore it with: dvc checkout -f {name}, or record it anew with: make build DATASET={name}"
        )
