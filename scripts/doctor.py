"""`python -m scripts doctor [NAME...]`: what is broken in this clone and on its remotes, and how to repair it."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from loader import LoaderError
from loader._errors import printable, without_secrets
from scripts._define.definition import ROOT, check_names
from scripts._dvc.remotes import VISIBILITIES
from scripts._process.errors import ScriptError
from scripts._release.complete_clone import check_history
from scripts._release.doctor.environment import check_git, check_packages, check_records
from scripts._release.doctor.result import Problem, Result, counted
from scripts._release.recorded_objects import Recorded, current_records, recorded_objects

if TYPE_CHECKING:
    from scripts._release.doctor.stored import Question

FOLDER = ".dir"
"""The end of the md5 of a folder that DVC tracks, which no dataset has."""


def doctor(names: Sequence[str] = (), *, deep: bool = False, public: bool = False, root: Path = ROOT) -> Result:
    """Check everything that datasets need, on this machine and on the remotes.

    Parameters
    ----------
    names
        The datasets whose artifacts are checked; all by default.
    deep
        Whether to read objects back and hash them instead of believing what remotes report.
    public
        Consent to publish what is missing on the public remote, for the repairs.
    root
        The repository.

    Returns
    -------
    Result
        What is broken, with repairs that are safe, and what is not.

    Raises
    ------
    ScriptError
        There is no such dataset.
    """
    result = Result()
    check_names(names, root=root)
    result.add(_guarded(lambda: check_packages(root)))
    records = _guarded(lambda: check_records(root))
    result.add(records)
    result.add(_guarded(lambda: check_git(root, records_agree=not records.problems)))
    result.add(_guarded(lambda: _check_data(names, deep=deep, public=public, root=root)))
    result.problems = list({problem.text: problem for problem in result.problems}.values())
    return result


def _guarded(check: Callable[[], Result]) -> Result:
    """Run a check; an error that the user can fix is a problem, so that the other checks still run."""
    try:
        return check()
    except (ScriptError, LoaderError, OSError) as error:
        return Result([Problem(str(error))])


def _check_data(names: Sequence[str], *, deep: bool, public: bool, root: Path) -> Result:
    """Check the recorded files: on the remotes, in DVC's cache, in the work tree; and the disk."""
    from scripts._dvc.objects import open_repo
    from scripts._release.doctor.copies import Copies
    from scripts._release.doctor.disk import check_disk
    from scripts._release.doctor.interrupted import check_interrupted
    from scripts._release.doctor.local import check_cache, check_files
    from scripts._release.doctor.stored import Question
    from scripts._release.stored import cache_folder

    result = Result()
    try:
        current = current_records(root)
    except ScriptError as error:
        result.problems.append(Problem(str(error)))
        result.not_checked.append(f"the recorded files: {error}")
        current = []
    history, complete = _history(root, result)
    records = list(_to_check(names, current, history))
    try:
        repo = open_repo(root)
        objects = cache_folder(repo)
    except LoaderError as error:
        result.problems.append(Problem(str(error)))
        result.not_checked.append("the remotes, and whether DVC's cache can be written: DVC cannot be used")
        repo, objects = None, root / ".dvc/cache/files/md5"
    copies = Copies(root, objects, records)
    stored, on_remote = Result(), set[str]()
    if repo is not None:
        question = Question(repo, copies, deep, public)
        stored, on_remote = _check_remotes(question, records, history, names=names, complete=complete)
        result.add(_guarded(lambda: check_cache(repo, root)))
    # first what is on this machine, because remotes are repaired from it
    result.add(check_files(root, copies, records, history=history, on_remote=on_remote))
    result.add(stored)
    result.add(check_interrupted(root, objects))
    result.add(check_disk(root, objects, current))
    return result


def _check_remotes(
    question: Question,
    records: Sequence[Recorded],
    history: dict[str, list[Recorded]],
    *,
    names: Sequence[str],
    complete: bool,
) -> tuple[Result, set[str]]:
    """Check the remotes and what they have; return what was found, and the md5s that are proved there."""
    from scripts._release.doctor.remote import check_configuration, look_at
    from scripts._release.doctor.stored import check_listing, check_objects

    result = check_configuration(question.repo)
    by_remote: dict[str, list[Recorded]] = {name: [] for name in VISIBILITIES}
    for record in records:
        # of a version that was recorded as private and published later, the public remote has it
        name = "public" if "public" in record.remotes else min(record.remotes)
        by_remote.setdefault(name, []).append(record)
    with ThreadPoolExecutor() as threads:
        look = [threads.submit(look_at, question.repo, name, is_used=bool(used)) for name, used in by_remote.items()]
        states = [each.result() for each in look]
    on_remote: set[str] = set()
    for state in states:
        result.add(state.result)
        if state.answers and by_remote[state.name]:
            found, proved = check_objects(question, state, by_remote[state.name])
            result.add(found)
            on_remote |= proved
    result.add(check_listing(question, states, history, names=names, complete=complete))
    return result, on_remote


def _history(root: Path, result: Result) -> tuple[dict[str, list[Recorded]], bool]:
    """Return what records each object in all commits, and whether these are all that there are."""
    try:
        found = recorded_objects(root)
    except ScriptError as error:
        result.not_checked.append(f"what older commits record: {error}")
        return {}, False
    try:
        check_history(root)
    except ScriptError as error:
        result.not_checked.append(f"which objects no commit records: {error}")
        return found, False
    return found, not any(md5.endswith(FOLDER) for md5 in found)


def _to_check(
    names: Sequence[str], current: Sequence[Recorded], history: dict[str, list[Recorded]]
) -> Iterator[Recorded]:
    """Yield what is recorded now, and what a tag released."""
    released = [each for records in history.values() for each in records if each.tags and not each.is_current]
    for record in (*current, *released):
        if not record.md5.endswith(FOLDER) and record.dataset and (not names or record.dataset in names):
            yield record


def command(
    names: Annotated[list[str] | None, typer.Argument(help="The datasets; all by default.")] = None,
    deep: Annotated[bool, typer.Option("--deep", help="Read the objects back and compare every byte.")] = False,
    fix: Annotated[bool, typer.Option("--fix", help="Repair what can be repaired without losing anything.")] = False,
    public: Annotated[
        bool, typer.Option("--public", help="Consent to publish again what the public remote has lost.")
    ] = False,
) -> None:
    """Check everything that datasets need, on this machine and on the remotes, and say what is broken."""
    result = doctor(names or (), deep=deep, public=public)
    for label, lines in (("ok", result.fine), ("note", result.notes), ("not checked", result.not_checked)):
        for line in lines:
            _say(f"{label}: {line}")
    left = [problem for problem in result.problems if not _report(problem, fix=fix)]
    if not left:
        print("nothing is broken" if not result.not_checked else "nothing is broken in what was checked")
        return
    advice = ""
    if not fix and any(problem.fix for problem in left):
        chosen = f" DATASET={shlex.quote(' '.join(names))}" if names else ""
        advice = f"; repair what is safe with: make doctor{chosen}{' DEEP=1' if deep else ''} FIX=1"
    sys.exit(f"error: {counted(len(left), 'problem')} found{advice}")


def _report(problem: Problem, *, fix: bool) -> bool:
    """Print a problem, and repair it if that is asked for and safe; return whether it is repaired."""
    _say(f"problem: {problem.text}")
    if not fix or problem.fix is None:
        return False
    try:
        _say(f"  fixed: {problem.fix()}")
    except (ScriptError, LoaderError, OSError) as error:
        _say(f"  not fixed: {error}")
        return False
    return True


def _say(line: str) -> None:
    print(printable(without_secrets(line)))
