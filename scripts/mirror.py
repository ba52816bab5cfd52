"""`python -m scripts mirror NAME...`: store the source files of datasets in DVC, in case upstream disappears."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from scripts._define.consent import check_consent
from scripts._define.definition import ROOT, read_definition
from scripts._process.errors import ScriptError
from scripts._process.files import hash_file, replacing
from scripts._sources.download import log
from scripts._sources.sources import FOLDER
from scripts._sources.tracked_sources import dvc_file
from scripts._tfds.fetch import fetch_sources


def mirror(name: str, *, public: bool, root: Path = ROOT) -> list[str]:
    """Store the source files of a dataset on the remote of its visibility and record them in `sources/<name>.dvc`.

    The record is written last, when all files are on the remote.

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
        Consent is missing or refused, the dataset has no source files, or one of them is not found.
    FetchError
        The remote refuses, cannot be reached, or does not have an object afterwards.
    """
    definition = read_definition(name, root=root)
    check_consent(definition, public=public, action="mirror")
    from scripts._dvc.objects import open_repo_for_upload, remote_object
    from scripts._dvc.track import dvc_track

    repo = open_repo_for_upload(root)
    found = fetch_sources(name, root=root)
    if not found:
        raise ScriptError(f"{name}: its builder uses no source files, so there is nothing to mirror")
    urls = []
    paths = []
    for source, found_path, _ in found:
        path = root / FOLDER / name / source.filename
        if path != found_path:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as file, found_path.open("rb") as original:
                shutil.copyfileobj(original, file)
        if hash_file(path) != source.sha256:
            raise ScriptError(f"{name}: {path} changed after it was checked; run again: make mirror DATASET={name}")
        target = remote_object(repo, definition.visibility, md5=hash_file(path, "md5"), size=source.size)
        if not target.is_intact():
            log(f"{name}: storing {source.filename} on remote {definition.visibility!r}")
            target.put(path)
        urls.append(target.url)
        paths.append(path)
    dvc_track(repo, sorted(set(paths)), dvc_file(definition), remote=definition.visibility)
    return urls


def command(
    names: Annotated[list[str], typer.Argument(help="The datasets.")],
    public: Annotated[bool, typer.Option("--public", help="Consent to publish their source files.")] = False,
) -> None:
    """Store the source files of datasets on the remotes of their visibility, in case upstream disappears."""
    for name in names:
        for url in mirror(name, public=public):
            print(f"{name}: on the remote at {url}")
        record = f"{FOLDER}/{name}.dvc"
        print(f"{name}: recorded; commit it: git add {record} && git commit -m 'Mirror the sources of {name}'")
