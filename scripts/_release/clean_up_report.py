"""The listing of `clean-up`: what is stored where, what keeps it alive, and what could be freed."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import loader
from loader._format.plain_table import aligned_lines, size_text
from scripts._dvc.remotes import VISIBILITIES
from scripts._release.leftovers import size_of, unused_packages
from scripts._release.stored import cache_folder
from scripts._release.survey import Survey
from scripts._release.versions import CACHE, LOADER, Version, garbage, removable

_PLACES = (CACHE, LOADER, *VISIBILITIES)


def print_survey(found: Survey, shown: list[Version]) -> None:
    """Print a table of versions, then what could be freed in each place, with the command that does it."""
    root = found.root
    if shown:
        rows = [(version.name, *(_size_in(version, place) for place in _PLACES), _reason(version)) for version in shown]
        print("\n".join(aligned_lines(("version", *_PLACES, "kept by"), rows, numbers=_PLACES)))
    title = f"DVC's cache, {cache_folder(found.repo)}"
    if found.shares_cache:
        title += " (outside of this repository, so others may use it)"
    without_asking = [] if found.shares_cache else garbage(shown, [CACHE])
    _print_total(title, shown, CACHE, switch="REMOVE=1", without_asking=without_asking)
    for remote in VISIBILITIES:
        if remote in found.unknown:
            print(f"the remote {remote} is not listed: {found.unknown[remote]}", file=sys.stderr)
        else:
            _print_total(f"the remote {remote}", shown, remote, switch="REMOTE=1", without_asking=[])
    for remote, path in found.elsewhere.items():
        print(
            f"the remote {remote}, on which {path} is recorded, is not listed: this project's remotes are "
            f"{' and '.join(VISIBILITIES)}",
            file=sys.stderr,
        )
    for remote, reason in found.uploads_unknown.items():
        print(f"the unfinished uploads to the remote {remote} are not listed: {reason}", file=sys.stderr)
    for upload in found.uploads:
        again = f"make clean-up REMOTE=1 YES={upload.name}"
        age = "in the last day, perhaps still under way" if upload.is_young else "more than a day ago"
        print(f"an unfinished upload to the remote {upload.remote}, begun {age}: {size_text(upload.size)}; {again}")
    for leftover in found.leftovers:
        again = "make clean-up REMOVE=1"
        print(f"{_relative(leftover.path, root)}, left by a killed command: {size_text(leftover.size)}; {again}")
    _print_folders(root)


def _print_total(title: str, shown: list[Version], place: str, *, switch: str, without_asking: list[Version]) -> None:
    """Print how much a place has, how much of it could be freed, and with which command."""
    print(f"{title}: {size_text(sum(copy.size for version in shown for copy in version.copies_in(place)))}")
    others = [version for version in removable(shown, [place]) if version not in without_asking]
    if without_asking:
        print(f"    {_freed(without_asking, place)} could be freed, that no commit records: make clean-up {switch}")
    if others:
        command = f"make clean-up {switch} YES={shlex.quote(others[0].name)}"
        print(f"    {_freed(others, place)} could be freed, of what is named: {command}")


def _freed(some: list[Version], place: str) -> str:
    return size_text(sum(copy.frees for version in some for copy in version.copies_in(place)))


def _size_in(version: Version, place: str) -> str:
    copies = version.copies_in(place)
    linked = " (linked)" if any(copy.frees < copy.size for copy in copies) else ""
    return size_text(sum(copy.size for copy in copies)) + linked if copies else ""


def _reason(version: Version) -> str:
    is_fresh = not version.is_recorded and version.is_young(CACHE, *VISIBILITIES)
    return version.reason + (", less than a day old" if is_fresh else "")


def _print_folders(root: Path) -> None:
    """Print the sizes of what can be made again or fetched again, with the command that removes it."""
    for folder in sorted((root / "extracted").glob("*")):
        if folder.is_dir():
            print(
                f"extracted/{folder.name}: {size_text(size_of(folder))}; remove it with: rm -r extracted/{folder.name}"
            )
    for unused in unused_packages(root):
        folder = _relative(unused.path, root)
        print(
            f"{folder}, packages that no dataset here needs: {size_text(unused.size)}; remove it with: rm -r {folder}"
        )
    if entries := loader.cache.entries():
        size = size_text(sum(entry.size for entry in entries))
        print(
            f"the loader's cache, {loader.cache.folder()}, of all repositories: {size}; clear it with: "
            f"python -c 'import loader; loader.cache.clear()'"
        )


def _relative(path: Path, root: Path) -> Path:
    return path.relative_to(root) if path.is_relative_to(root) else path
