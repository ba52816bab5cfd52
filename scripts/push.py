"""`python -m scripts push NAME...`: push artifacts to the remote of their visibility and check that they arrived."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scripts._define.artifacts import read_built
from scripts._define.consent import check_consent, consent_for
from scripts._define.definition import ROOT, Definition, built_from_private
from scripts._define.published import check_not_on_remote, earlier_objects
from scripts._define.several import All, Names, chosen, for_each
from scripts._dvc.remotes import make_command
from scripts._process.errors import ScriptError
from scripts._process.files import hash_file
from scripts._process.scratch import waiting_for

if TYPE_CHECKING:
    from dvc.repo import Repo

    from scripts._dvc.remote_object import RemoteObject, Stored


def push(name: str, *, public: bool, deep: bool = False, root: Path = ROOT) -> list[Stored]:
    """Push a dataset's artifacts and check that they are on the remote.

    Parameters
    ----------
    name
        The dataset.
    public
        Consent to publish; required for a public dataset, refused for a private one.
    deep
        Whether to read the objects back and hash them instead of believing what the remote reports.
    root
        The repository.

    Returns
    -------
    list of Stored
        The URL of each object, and what proves that it has the right content.

    Raises
    ------
    ScriptError
        It was never built, consent is missing or refused, the license is unknown, an artifact is missing or not the
        recorded one, the remote has other bytes of the same version, its server gets no credentials, or a public
        dataset is or was derived from private data.
    FetchError
        The remote refuses, cannot be reached, or does not have the object afterwards.
    """
    with waiting_for(root, [f"repro-{name}"], report=_report_waiting):  # DVC removes what it builds again
        definition = read_built(name, root=root)
    check_consent(definition, public=public, action="push")
    from scripts._dvc.objects import artifact_object, open_repo_for_upload

    repo = open_repo_for_upload(root, definition.visibility)
    targets = [(tar, artifact_object(repo, tar)) for tar in definition.tars.values()]
    for tar, target in targets:
        _check_recorded(definition, tar, target)
    for problem in built_from_private([name], root=root):
        raise ScriptError(problem)
    _check_version(definition, repo)
    again = make_command("push", name, definition.visibility)
    # not with DVC, which would upload the file in its cache, and would believe an existing object by its name; this
    # uploads the file that was just checked, to the URL where DVC expects it
    return [target.store(tar, deep=deep, again=again) for tar, target in targets]


def _report_waiting(lock: str) -> None:
    name = lock.removeprefix("repro-")
    print(f"{name}: another command is building it; waiting until it has finished", file=sys.stderr)


def _check_recorded(definition: Definition, tar: Path, target: RemoteObject) -> None:
    name = definition.name
    if target.remote != definition.visibility:
        raise ScriptError(
            f"{name} is {definition.visibility}, but DVC would push {tar} to remote {target.remote!r}; "
            f"write the remote of this output in dvc.yaml as it is, without a variable"
        )
    try:
        found = hash_file(tar, "md5")
    except FileNotFoundError as error:
        raise ScriptError(f"{name}: {tar} is missing; build it with: make build DATASET={name}") from error
    if found != target.md5:
        raise ScriptError(
            f"{name}: {tar} is not what dvc.lock records (md5 {found} instead of {target.md5}); "
            f"restore that with: rm -f {shlex.quote(str(tar))} && make pull DATASET={name}, or build it again with: "
            f"make build DATASET={name}"
        )


def _check_version(definition: Definition, repo: Repo) -> None:
    """Check that the remote does not have this version with other bytes."""
    try:
        earlier = earlier_objects(definition)
    except ScriptError as error:
        name = definition.name
        print(f"{name}: not checked whether its version was pushed with other bytes: {error}", file=sys.stderr)
        return
    check_not_on_remote(definition, repo, earlier)


def command(
    names: Names = None,
    everything: All = False,
    public: Annotated[bool, typer.Option("--public", help="Consent to publish these public datasets.")] = False,
    deep: Annotated[bool, typer.Option("--deep", help="Read the objects back and compare every byte.")] = False,
) -> None:
    """Push datasets to the remotes of their visibility and check that they arrived.

    Those that fail are named at the end. With --all, private datasets are pushed, and public ones only with --public.
    """

    def push_one(name: str) -> None:
        consent = consent_for(name, public=public, everything=everything)
        for stored in push(name, public=consent, deep=deep):
            print(f"{name}: {stored.describe()}", flush=True)

    for_each(chosen(names, everything=everything), push_one, everything=everything)
