"""`python -m scripts clean-up [NAME...]`: list what is stored, and remove what nothing needs."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loader import FetchError
from loader._errors import printable
from loader._format.plain_table import size_text
from scripts._define.definition import ROOT, read_names
from scripts._dvc.remotes import VISIBILITIES
from scripts._process.errors import ScriptError
from scripts._process.hints import nearest
from scripts._release.complete_clone import check_branches, check_history
from scripts._release.versions import CACHE, UPLOAD, Version, garbage, named, removable

if TYPE_CHECKING:
    from scripts._release.remote_removal import Upload
    from scripts._release.survey import Survey

UNKNOWN_TO_US = (
    "what others need and have not pushed, what other repositories need that use the same remote, and who reads the "
    "public remote is unknown here; what is removed from a remote cannot be got back"
)

Choose = Callable[[list[Version], "list[Upload]"], Sequence[str]]


@dataclass(frozen=True)
class Removed:
    """What was removed from one place: its name, its size in bytes, what it freed, and what cannot be read any more."""

    name: str
    place: str
    frees: int
    note: str = ""

    def describe(self) -> str:
        """Return a line for the user."""
        return printable(f"{self.name}: removed from {self.place}, {size_text(self.frees)} freed{self.note}")


def remove_from_cache(names: Sequence[str] = (), *, yes: Sequence[str] = (), root: Path = ROOT) -> list[Removed]:
    """Remove from DVC's cache what no commit of any branch or tag records, and from disk what killed commands left.

    Objects that are not older than a day stay, and so does everything in a cache outside of the repository, because
    other repositories may use it, unless they are named.

    Parameters
    ----------
    names
        The datasets; all by default.
    yes
        The versions to remove besides, which a branch's earlier commits may record, or which are younger.
    root
        The repository.

    Raises
    ------
    ScriptError
        This clone does not know what is needed, or something named is needed. Nothing is removed.
    FetchError
        The DVC repository cannot be opened, or another DVC command does not release its lock.
    """
    from scripts._dvc.objects import open_repo
    from scripts._dvc.pull import wait_for_lock
    from scripts._release.leftovers import remove_leftover
    from scripts._release.survey import survey

    check_history(root)
    removed: list[Removed] = []

    def remove() -> None:
        with open_repo(root).lock:  # no command of DVC records or links an object meanwhile
            found = survey(root, remotes=())
            known = of_datasets(found.versions, names, root)
            chosen = named(known, (CACHE,), yes)
            if not found.shares_cache:
                chosen += [version for version in garbage(known, (CACHE,)) if version not in chosen]
            for version in chosen:
                copies = version.copies_in(CACHE)
                for copy in copies:
                    Path(copy.location).unlink(missing_ok=True)
                removed.append(_removed(version, "DVC's cache", sum(copy.frees for copy in copies)))
            for leftover in found.leftovers:
                if remove_leftover(root, leftover):
                    removed.append(Removed(leftover.path.name, str(leftover.path.parent), leftover.size))

    wait_for_lock(remove)
    return removed


def remove_from_remotes(
    names: Sequence[str] = (), *, yes: Sequence[str] = (), choose: Choose | None = None, root: Path = ROOT
) -> Iterator[Removed]:
    """Remove the named versions and unfinished uploads from the remotes, and yield each when it is removed.

    Parameters
    ----------
    names
        The datasets; all by default.
    yes
        The names of what to remove.
    choose
        Called if `yes` is empty, with the versions that nothing keeps alive and the unfinished uploads; returns the
        names of those to remove.
    root
        The repository.

    Raises
    ------
    ScriptError
        This clone does not know what is needed, or something named is needed. Nothing is removed.
    FetchError
        A remote cannot be listed, so that nothing is removed, or refuses to remove an object.
    """
    from scripts._dvc.objects import open_repo_for_upload
    from scripts._release.remote_listing import connection
    from scripts._release.remote_removal import abort_upload, remove_object

    check_history(root)
    check_branches(root)
    if choose and not yes:
        found = _complete_survey(root)
        yes = choose(removable(of_datasets(found.versions, names, root), VISIBILITIES), found.uploads)
    if not yes:
        return
    found = _complete_survey(root)  # after the choice, because a commit may have been made meanwhile
    known = of_datasets(found.versions, names, root)
    versions = named(known, VISIBILITIES, [each for each in yes if not each.startswith(UPLOAD)])
    uploads = [upload for upload in found.uploads if upload.name in yes]
    if unknown := {each for each in yes if each.startswith(UPLOAD)} - {upload.name for upload in uploads}:
        raise ScriptError(f"there is no unfinished upload {min(unknown)!r}; list them with: make clean-up")
    places = {copy.place for version in versions for copy in version.copies_in(*VISIBILITIES)}
    places |= {upload.remote for upload in uploads}
    remotes = {place: connection(open_repo_for_upload(root, place), place) for place in sorted(places)}
    for version in versions:
        for place in remotes:
            if copies := version.copies_in(place):
                for copy in copies:
                    remove_object(remotes[place], copy.location)
                yield _removed(version, f"the remote {place}", sum(copy.frees for copy in copies))
    for upload in uploads:
        abort_upload(remotes[upload.remote], upload)
        yield Removed(upload.name, f"the remote {upload.remote}", upload.size)


def _complete_survey(root: Path) -> Survey:
    from scripts._release.survey import survey

    found = survey(root)
    for remote, reason in found.unknown.items():
        raise FetchError(f"the remote {remote} cannot be listed, so nothing is removed from any remote: {reason}")
    return found


def of_datasets(known: Sequence[Version], names: Sequence[str], root: Path) -> list[Version]:
    """Return the versions of some datasets, none of one that was never built, or all if none is named.

    Raises
    ------
    ScriptError
        There is no such dataset, and nothing of one is stored.
    """
    datasets = sorted({version.dataset for version in known if version.dataset})
    for name in names:
        if name not in datasets and name not in read_names(root=root):
            raise ScriptError(f"nothing is stored of a dataset {name!r}; {nearest(name, datasets)}")
    return [version for version in known if not names or version.dataset in names]


def _removed(version: Version, place: str, frees: int) -> Removed:
    note = ""
    if version.commits:
        note = f"; where there is no other copy, version= and rev={version.commits[0][:7]} cannot be read any more"
    return Removed(version.name, place, frees, note)


def _ask(versions: Sequence[Version], uploads: Sequence[Upload]) -> list[str]:
    """Ask for each version and upload that is older than a day whether to remove it; return the names of those."""
    chosen = []
    for version in versions:
        if version.is_young(*VISIBILITIES):
            continue
        copies = version.copies_in(*VISIBILITIES)
        places = " and ".join(sorted({_described(copy.place) for copy in copies}))
        size = size_text(sum(copy.size for copy in copies))
        history = (
            f"; commit {version.commits[0][:7]} records it, and version= and rev= cannot read it any more afterwards"
            if version.commits
            else ""
        )
        if typer.confirm(printable(f"Remove {version.name} ({size}) from {places}{history}?")):
            chosen.append(version.name)
    for upload in uploads:
        if not upload.is_young and upload.name not in chosen:
            question = f"Remove {upload.name} ({size_text(upload.size)}), an unfinished upload to {upload.remote}?"
            if typer.confirm(question):
                chosen.append(upload.name)
    return chosen


def _refuse(versions: Sequence[Version], uploads: Sequence[Upload]) -> list[str]:
    """Choose nothing, because nobody can be asked; the error says how to name what there is."""
    known = [*(version.name for version in versions), *(upload.name for upload in uploads)]
    if known:
        raise ScriptError(
            f"name each version that is to be removed from a remote, as in: "
            f"make clean-up REMOTE=1 YES={shlex.quote(known[0])}"
        )
    return []


def _described(place: str) -> str:
    return "the public remote, where others may read it" if place == "public" else f"the {place} remote"


def command(
    names: Annotated[list[str] | None, typer.Argument(help="Only these datasets.")] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove from DVC's cache.")] = False,
    remote: Annotated[bool, typer.Option("--remote", help="Remove from the remotes.")] = False,
    yes: Annotated[list[str] | None, typer.Option(help="A version to remove, like digit@1.0.8.")] = None,
) -> None:
    """List which versions are in caches and on remotes and what keeps each alive, or remove what nothing needs.

    Without an option, nothing is removed. --remove removes from DVC's cache what no commit records and is older than a
    day, what --yes names, and what killed commands left. --remote removes from the remotes only what --yes names, or,
    on a terminal, what you agree to. What a branch, a tag, a work tree or a child needs is never removed. "linked"
    says that other files are hard links to the same bytes, so that removing one frees nothing.
    """
    datasets, agreed = names or [], yes or []
    if agreed and not (remove or remote):
        raise ScriptError("say where to remove it from: REMOVE=1 (this machine), or REMOTE=1 (the remotes)")
    if not (remove or remote):
        from scripts._release.clean_up_report import print_survey
        from scripts._release.survey import survey

        found = survey(ROOT)
        print_survey(found, of_datasets(found.versions, datasets, ROOT))
        return
    if remove and remote:
        raise ScriptError("remove from one place at a time: REMOVE=1 (this machine), or REMOTE=1 (the remotes)")

    if remote:
        print(f"note: {UNKNOWN_TO_US}", file=sys.stderr)
        removed: Iterable[Removed] = remove_from_remotes(
            datasets, yes=agreed, choose=_ask if sys.stdin.isatty() else _refuse, root=ROOT
        )
    else:
        removed = remove_from_cache(datasets, yes=agreed, root=ROOT)
    something = False
    for each in removed:
        print(each.describe(), flush=True)
        something = True
    if not something:
        print("nothing was removed: everything is needed, or less than a day old, or was not named")
