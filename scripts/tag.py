"""`python -m scripts tag NAME`: release datasets with tags of git, which GTO and DVC read."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from scripts._define.definition import ROOT
from scripts._process.scratch import scratch_folder
from scripts._release.release import Release, plan_release
from scripts._release.tags import check_identity, make_tags


def tag(names: Sequence[str], *, sign: bool = False, root: Path = ROOT) -> list[Release]:
    """Release datasets: make an annotated tag `<name>@v<version>` on the commit that recorded each.

    An artifact whose name in GTO is not that of the dataset, as that of a config, gets a tag too. All datasets are
    checked before the first tag is made, and all tags are made or none.

    Parameters
    ----------
    names
        The datasets.
    sign
        Whether to sign the tags, as git is set up to.
    root
        The repository.

    Returns
    -------
    list of Release
        What was released, in the order of the names; nothing was to be made if it was released before.

    Raises
    ------
    ScriptError
        A dataset cannot be released: its records do not agree or are not committed, an artifact is not proved on its
        remote, the version was released or pushed with other bytes, or a parent is not released. Or git cannot make
        or sign a tag.
    ManifestError
        A manifest is missing or invalid.
    FetchError
        A remote refuses or cannot be reached.
    """
    names = list(dict.fromkeys(names))
    with scratch_folder(root, "tag"):  # one command tags at a time
        check_identity(root)
        releases = [plan_release(name, together=names, sign=sign, root=root) for name in names]
        make_tags(root, [each for release in releases for each in release.missing], sign=sign)
    return releases


def command(
    names: Annotated[list[str], typer.Argument(help="The datasets.")],
    sign: Annotated[bool, typer.Option("--sign", help="Sign the tags, as git is set up to.")] = False,
) -> None:
    """Release datasets: tag the commits that recorded them, if their artifacts are proved on their remotes."""
    releases = tag(names, sign=sign)
    for release in releases:
        for stored in release.stored:
            print(f"{release.name}: {stored.describe()}")
        for each in release.missing:
            print(f"{release.name}: tagged commit {each.commit[:7]} as {each.name}")
        if not release.missing:
            note = f"; {release.note}" if release.note else ""
            print(f"{release.name}: {release.tags[0]} exists already, with the same content{note}")
    print(f"publish with: git push origin {shlex.join(each for release in releases for each in release.tags)}")
