"""`python -m scripts merge-file BASE OURS THEIRS PATH`: git's merge driver for params.yaml, dvc.yaml and dvc.lock."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scripts._define.definition import ROOT
from scripts._merge.parts import LAYOUTS
from scripts._merge.three_way import merge_texts
from scripts._process.errors import ScriptError
from scripts._process.files import replacing
from scripts._process.git import git

CONFLICT = 3
"""The exit code if entries are in conflict; any other but 0 means that the file is as it was."""

# Git runs it at the top of the work tree. A linked work tree uses the environment of the clone that it belongs to. If
# anything fails, even if there is no Python, git merges the file as text, so that no side is lost.
DRIVER = (
    '"$(git rev-parse --git-common-dir)"/../.venv/bin/python -m scripts merge-file %O %A %B %P; '
    f"case $? in 0) ;; {CONFLICT}) exit 1 ;; *) git merge-file -L ours -L base -L theirs %A %O %B ;; esac"
)


def merge_file(base: Path, ours: Path, theirs: Path, path: str) -> tuple[str, ...]:
    """Merge a file by entry and write the result to `ours`, completely or not at all.

    Parameters
    ----------
    base, ours, theirs
        The files with the three contents.
    path
        The file's path in the repository.

    Returns
    -------
    tuple of str
        The datasets in conflict, whose entries have conflict markers.

    Raises
    ------
    ScriptError
        It is no file that can be merged by entry. `ours` is unchanged.
    """
    if path not in LAYOUTS:
        raise ScriptError(f"{path} has no entries of datasets")
    try:
        merged = merge_texts(path, *(each.read_bytes().decode() for each in (base, ours, theirs)))
    except UnicodeDecodeError as error:
        raise ScriptError(f"{path} is not UTF-8 text ({error.reason})") from error
    with replacing(ours) as out:
        out.write(merged.text.encode())
    return merged.conflicts


def install(root: Path) -> None:
    """Configure the merge driver in a clone; an unpacked archive has no git to configure."""
    if (root / ".git").exists():
        git(root, "config", "--local", "merge.datasets.name", "params.yaml, dvc.yaml and dvc.lock by entry")
        git(root, "config", "--local", "merge.datasets.driver", DRIVER)


def command(
    files: Annotated[
        list[str] | None, typer.Argument(help="BASE OURS THEIRS PATH, as git calls it; the result is written to OURS.")
    ] = None,
    install_driver: Annotated[bool, typer.Option("--install", help="Configure this clone to use it.")] = False,
) -> None:
    """Merge params.yaml, dvc.yaml or dvc.lock by entry; git runs it."""
    if install_driver:
        install(ROOT)
        return
    if files is None or len(files) != 4:
        raise ScriptError("name the files as git does: python -m scripts merge-file BASE OURS THEIRS PATH")
    base, ours, theirs, path = files
    try:
        conflicts = merge_file(Path(base), Path(ours), Path(theirs), path)
    except ScriptError as error:
        raise ScriptError(f"{error}; git merges it as text") from error
    if conflicts:
        print(f"{path}: both sides changed {', '.join(conflicts)}; decide with: make resolve")
        raise typer.Exit(CONFLICT)
