"""Whether recorded objects are on their remotes, what else is there, and what lies on the wrong remote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from loader import FetchError
from loader._format.plain_table import size_text
from scripts._dvc.proof import Finding
from scripts._dvc.remote_object import RemoteObject
from scripts._dvc.remotes import PRIVATE, make_command
from scripts._release.doctor.copies import Copies
from scripts._release.doctor.remote import RemoteState
from scripts._release.doctor.repair import remove_misplaced, upload
from scripts._release.doctor.result import Problem, Result, counted, listed
from scripts._release.recorded_objects import Recorded

if TYPE_CHECKING:
    from dvc.repo import Repo

AT_ONCE, DEEP_AT_ONCE = 16, 4  # reading an object back moves several parts at once


@dataclass(frozen=True)
class Question:
    """What `check_objects` asks for.

    Attributes
    ----------
    repo
        The DVC repository.
    copies
        The copies on this machine.
    deep
        Whether to read objects back and hash them instead of believing what the remote reports.
    public
        Whether the user consents to publish what is not on the public remote.
    """

    repo: Repo
    copies: Copies
    deep: bool
    public: bool

    @property
    def root(self) -> Path:
        """The repository."""
        return Path(self.repo.root_dir)


def check_objects(question: Question, state: RemoteState, records: Sequence[Recorded]) -> tuple[Result, set[str]]:
    """Check recorded objects on one remote; return what was found, and the md5s that are proved there."""
    from scripts._dvc.objects import remote_object

    targets = [remote_object(question.repo, state.name, md5=each.md5, size=each.size) for each in records]
    with ThreadPoolExecutor(DEEP_AT_ONCE if question.deep else AT_ONCE) as threads:
        findings = list(threads.map(partial(_examine, question), targets, records))
    result = Result()
    proofs: Counter[str] = Counter()
    refusals: list[str] = []
    for record, target, finding in zip(records, targets, findings, strict=True):
        if isinstance(finding, FetchError):
            refusals.append(str(finding))
        elif finding.right is False:
            result.problems.append(_wrong(question, record, target, finding))
        else:
            proofs[finding.by if finding.right else ""] += 1
    if refusals:
        result.problems.append(Problem(refusals[0]))
        result.not_checked.append(
            f"{counted(len(refusals), 'recorded object')} on remote {state.name!r}: it does not say whether it has them"
        )
    by = [f"{number:,} by {proof}" for proof, number in sorted(proofs.items()) if proof]
    if unproved := proofs[""]:
        by.append(f"{unproved:,} by its size only (compare the bytes with: make doctor DEEP=1)")
    if proofs:
        result.fine.append(
            f"{counted(proofs.total(), 'recorded object')} on remote {state.name!r}, checked: {', '.join(by)}"
        )
    pairs = zip(records, findings, strict=True)
    return result, {record.md5 for record, finding in pairs if isinstance(finding, Finding) and finding.right}


def check_listing(
    question: Question,
    states: Sequence[RemoteState],
    recorded: Mapping[str, Sequence[Recorded]],
    *,
    names: Collection[str],
    complete: bool,
) -> Result:
    """Check what remotes have beside the recorded objects that belong there.

    Parameters
    ----------
    question
        What is asked for.
    states
        The remotes.
    recorded
        What records each object, in the whole history.
    names
        The datasets; all if there are none, and then what belongs to none is reported too.
    complete
        Whether the history is complete: a shallow clone does not know older commits, and no record names the files of a
        folder.
    """
    result = Result()
    for state in states:
        found = state.listed or {}
        unrecorded = [] if names else [each for md5, each in sorted(found.items()) if md5 not in recorded]
        if unrecorded and complete:
            named = [f"{each.url} ({size_text(each.size)}, {each.modified:%Y-%m-%d %H:%M} UTC)" for each in unrecorded]
            result.notes.append(
                f"remote {state.name!r} has {counted(len(unrecorded), 'unrecorded object')} "
                f"({size_text(sum(each.size for each in unrecorded))}), which no commit of a branch or tag of this "
                f"clone records: {listed(named)}; get what others committed with: git fetch --all --tags, and see what "
                f"can go with: make clean-up"
            )
        elif unrecorded:
            result.not_checked.append(
                f"{counted(len(unrecorded), 'object')} on remote {state.name!r} that no record names, because this "
                f"clone does not know all records"
            )
        for md5 in sorted(found.keys() & recorded.keys()):
            belongs = {remote for record in recorded[md5] for remote in record.remotes}
            if belongs and state.name not in belongs and (not names or recorded[md5][0].dataset in names):
                result.problems.append(_misplaced(question, state, recorded[md5][0]))
    return result


def _examine(question: Question, target: RemoteObject, record: Recorded) -> Finding | FetchError:
    try:
        if question.deep:
            return target.examine(question.copies.here(record), deep=True)
        head = target.head()
    except FetchError as error:
        return error
    if head is None:
        return Finding(False, "its absence")
    from scripts._dvc.proof import examine

    return examine(head, question.copies.proved(record), md5=record.md5, size=record.size)


def _wrong(question: Question, record: Recorded, target: RemoteObject, finding: Finding) -> Problem:
    copy = question.copies.proved(record)
    is_lost = finding.by == "its absence"
    what, judged = ("is not on", "") if is_lost else ("is damaged on", f", judged by {finding.by}")
    again = upload_command(record, target.remote)
    if not record.is_current and record.tags:
        tag = record.tags[-1]
        again = f"git checkout {tag} && dvc checkout {record.path} && {again} && git checkout -"
    command = f"upload it with: {again}" if copy else f"in a clone that has it, run: {again}"
    if copy is None and record.is_current:
        command += f"; or build it again with: make build DATASET={record.dataset} OVERWRITE=1"
    text = f"{named(record)} {what} remote {target.remote!r} ({target.url}{judged}); {command}"
    if copy is None:
        return Problem(text)
    consent = question.public or not is_lost  # what is damaged there was published
    upload_it = partial(upload, question.repo, question.root, record, copy)
    return Problem(text, partial(upload_it, remote=target.remote, deep=question.deep, consent=consent))


def _misplaced(question: Question, state: RemoteState, record: Recorded) -> Problem:
    assert state.listed is not None
    where = state.listed[record.md5].url
    right = sorted(record.remotes)[0]
    danger = ", where others may read it" if PRIVATE in record.remotes else ""
    return Problem(
        f"{named(record)} belongs to remote {right!r}, but lies on remote {state.name!r} too ({where}){danger}; remove "
        f"it there, once the other remote has it, with: make doctor FIX=1",
        partial(
            remove_misplaced,
            question.repo,
            record,
            question.copies.proved(record),
            wrong=state.name,
            right=right,
            deep=question.deep,
        ),
    )


def named(record: Recorded) -> str:
    """Return a recorded file with its dataset and version, for messages."""
    tags = f", tag {record.tags[-1]}" if record.tags and not record.is_current else ""
    version = " source file" if record.is_source else f" {record.version}"
    return f"{record.path} ({record.dataset}{version}{tags})"


def upload_command(record: Recorded, remote: str) -> str:
    """Return the command that uploads a recorded file again."""
    return make_command("mirror" if record.is_source else "push", record.dataset, remote)
