"""`python -m scripts mirror NAME...`: store the source files of datasets in DVC, in case upstream disappears."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from scripts._define.consent import check_consent, consent_for
from scripts._define.definition import ROOT, Definition, read_definition
from scripts._define.several import All, Names, NothingToDoError, chosen, for_each
from scripts._dvc.remotes import make_command
from scripts._process.errors import ScriptError
from scripts._process.files import hash_file, replacing
from scripts._sources.manual import digest_tree, is_tree
from scripts._sources.source import FOLDER, Source
from scripts._sources.tracked_sources import dvc_file
from scripts._sources.trees import pack_tree, tar_of_tree
from scripts._tfds.fetch import fetch_sources

if TYPE_CHECKING:
    from scripts._dvc.remote_object import Stored


def mirror(name: str, *, public: bool, deep: bool = False, root: Path = ROOT) -> list[Stored]:
    """Store the source files of a dataset on the remote of its visibility and record them in `sources/<name>.dvc`.

    The record is written last, when all files are on the remote.

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
        Consent is missing or refused, the dataset has no source files, one of them is not found, or the remote's
        server gets no credentials.
    FetchError
        The remote refuses, cannot be reached, or does not have an object afterwards.
    """
    definition = read_definition(name, root=root)
    check_consent(definition, public=public, action="mirror")
    from scripts._dvc.objects import open_repo_for_upload, remote_object
    from scripts._dvc.track import dvc_track

    repo = open_repo_for_upload(root, definition.visibility)
    found = fetch_sources(name, root=root)
    if not found:
        raise NothingToDoError(f"{name}: its builder uses no source files, so there is nothing to mirror")
    again = make_command("mirror", name, definition.visibility)
    stored = []
    paths = []
    for source, found_path, _ in found:
        path = _stored(definition, source, found_path, again=again)
        target = remote_object(repo, definition.visibility, md5=hash_file(path, "md5"), size=path.stat().st_size)
        stored.append(target.store(path, deep=deep, again=again))
        paths.append(path)
    dvc_track(repo, sorted(set(paths)), dvc_file(definition), remote=definition.visibility)
    return stored


def _stored(definition: Definition, source: Source, found: Path, *, again: str) -> Path:
    """Return the file to store of a source: itself in the folder of the dataset's source files, or the tar of a tree.

    Raises
    ------
    ScriptError
        It has changed, or cannot be written.
    """
    filename = tar_of_tree(source.sha256) if is_tree(source.url) else source.filename
    path = definition.root / FOLDER / definition.name / filename
    folder = path.parent
    folder.mkdir(parents=True, exist_ok=True)
    if folder.resolve() != (definition.root.resolve() / folder.relative_to(definition.root)):
        raise ScriptError(
            f"{definition.name}: {folder} is a link or behind one, where DVC records nothing; replace it by a "
            f"folder with links to the files, which are copied, and run again: {again}"
        )
    if is_tree(source.url):
        with replacing(path) as file:
            pack_tree(found, file)
        size, sha256 = digest_tree(found)
    else:
        if path != found or path.is_symlink():
            with replacing(path) as file, found.open("rb") as original:
                shutil.copyfileobj(original, file)
        size, sha256 = path.stat().st_size, hash_file(path)
    if (size, sha256) != (source.size, source.sha256):
        raise ScriptError(f"{definition.name}: {path} changed after it was checked; run again: {again}")
    return path


def command(
    names: Names = None,
    everything: All = False,
    public: Annotated[bool, typer.Option("--public", help="Consent to publish their source files.")] = False,
    deep: Annotated[bool, typer.Option("--deep", help="Read the objects back and compare every byte.")] = False,
) -> None:
    """Store the source files of datasets on the remotes of their visibility, in case upstream disappears.

    Those that fail are named at the end. With --all, the source files of private datasets are stored, and those of
    public ones only with --public.
    """

    def mirror_one(name: str) -> None:
        consent = consent_for(name, public=public, everything=everything)
        for stored in mirror(name, public=consent, deep=deep):
            print(f"{name}: {stored.describe()}", flush=True)
        record = f"{FOLDER}/{name}.dvc"
        print(f"{name}: recorded; commit it: git add {record} && git commit -m 'Mirror the sources of {name}'")

    for_each(chosen(names, everything=everything), mirror_one, everything=everything)
