"""The recorded files on this machine: DVC's cache and the work tree."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from scripts._release.doctor.copies import Copies
from scripts._release.doctor.repair import DAMAGED, cached_aside, restore_by_pulling, restore_cached
from scripts._release.doctor.result import Problem, Result, counted, listed, quoted
from scripts._release.doctor.stored import named
from scripts._release.recorded_objects import Recorded

if TYPE_CHECKING:
    from dvc.repo import Repo


def check_files(
    root: Path,
    copies: Copies,
    records: Sequence[Recorded],
    *,
    history: Mapping[str, Sequence[Recorded]],
    on_remote: set[str],
) -> Result:
    """Check the copies of the recorded files in DVC's cache and in the work tree, by their bytes.

    Parameters
    ----------
    root
        The repository.
    copies
        The copies on this machine.
    records
        The recorded files.
    history
        What records each object in the whole history, to name an older version.
    on_remote
        The md5s of the objects that are proved to be on their remote.
    """
    result = Result()
    cached = here = 0
    missing = []
    for record in records:
        in_cache, in_tree = copies.md5(copies.cached(record)), copies.md5(copies.here(record))
        is_tracked = record.is_current and not record.is_source
        cached += in_cache == record.md5
        here += is_tracked and in_tree == record.md5
        if is_tracked and in_tree is None:
            missing.append(record.path)
        result.problems += _problems(root, copies, record, is_tracked=is_tracked, history=history, on_remote=on_remote)
    result.fine.append(f"{counted(cached, 'recorded file')} in DVC's cache and {here:,} in the work tree, by their md5")
    if missing:
        result.notes.append(
            f"{counted(len(missing), 'recorded artifact')} not in the work tree ({listed(missing)}); get one with: "
            f"make pull DATASET={next(each.dataset for each in records if each.path == missing[0])}"
        )
    return result


def check_cache(repo: Repo, root: Path) -> Result:
    """Check that DVC's cache can be written, and that a type of link that is configured works."""
    from dvc_objects.fs.generic import test_links

    from scripts._release.stored import cache_folder

    cache = cache_folder(repo)
    kinds = list(repo.cache.local.cache_types)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            pass
        links = test_links(kinds, repo.cache.local.fs, str(cache), repo.fs, str(root / "x"))
    except OSError as error:
        return Result(
            [Problem(f"DVC's cache cannot be written ({cache}: {error.strerror}); allow it with: chmod -R u+w {cache}")]
        )
    if not links:
        return Result(
            [
                Problem(
                    f"DVC cannot put files of its cache into the work tree by {' or '.join(kinds)}, as it is told to; "
                    f"allow it to copy with: dvc config --local cache.type reflink,hardlink,copy"
                )
            ]
        )
    twice = ", so an artifact takes its room twice" if links[0] == "copy" else ""
    return Result(fine=[f"DVC's cache at {cache} can be written; artifacts come out of it by {links[0]}{twice}"])


def _problems(
    root: Path,
    copies: Copies,
    record: Recorded,
    *,
    is_tracked: bool,
    history: Mapping[str, Sequence[Recorded]],
    on_remote: set[str],
) -> Iterator[Problem]:
    cached, here = copies.cached(record), copies.here(record)
    cached_md5, here_md5 = copies.md5(cached), copies.md5(here)
    rotten_cache = cached_md5 not in (None, record.md5)
    other_here = is_tracked and here_md5 not in (None, record.md5)
    if not rotten_cache and not other_here:
        return
    damaged: dict[Path, Path] = {}
    if rotten_cache:
        damaged[cached] = cached_aside(cached, record.md5)
    if other_here:
        damaged[here] = here.with_name(f".{here.name}{DAMAGED}")
    command = _command(record, damaged, found=bool(copies.proved(record)) or record.md5 in on_remote)
    fix: Callable[[], str] | None = None
    if rotten_cache and here_md5 == record.md5:
        fix = partial(restore_cached, cached, here, record.md5)
    elif not record.is_source and record.is_current and (cached_md5 == record.md5 or record.md5 in on_remote):
        fix = partial(restore_by_pulling, root, record, damaged)
    wrong = []
    if rotten_cache:
        wrong.append(f"is damaged in DVC's cache ({cached} has the md5 {cached_md5 or 'of no readable file'})")
    if other_here:
        older = next((each for each in history.get(here_md5 or "", ()) if each.dataset == record.dataset), None)
        what = f"is that of {older.dataset} {older.version}" if older else f"has the md5 {here_md5}"
        wrong.append(f"is not what dvc.lock records (the file in the work tree {what})")
    yield Problem(f"{named(record)} {' and '.join(wrong)}; {command}", fix)


def _command(record: Recorded, damaged: Mapping[Path, Path], *, found: bool) -> str:
    """Return how to replace damaged files."""
    if record.is_source:
        return f"replace it with: rm -f {quoted(damaged)} && make fetch DATASET={record.dataset}"
    if not record.is_current:
        return f"remove it, and DVC will fetch it when it is needed, with: rm -f {quoted(damaged)}"
    if found:
        return f"replace it with: rm -f {quoted(damaged)} && make pull DATASET={record.dataset}"
    return f"no right copy was found, so build it again with: make build DATASET={record.dataset} OVERWRITE=1"
