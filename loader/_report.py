"""`report`: what a branch does to every dataset, and what is left to do before it is merged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from loader._arguments import check_flags, check_path, check_text
from loader._diff import Comparison, Difference, open_comparison
from loader._errors import NotFoundError
from loader._fetch.places import is_offline
from loader._fetch.repository import PathLike, Repository, open_repository
from loader._fetch.revision import TrackedFile
from loader._format.manifest import ArtifactEntry, Manifest
from loader._registry.differences.difference import CHANGED, NEVER_BUILT, NEW, REMOVED
from loader._registry.entry import NO_ANSWER, NOT_ON_REMOTE, ON_REMOTE, VersionEntry
from loader._registry.history import VersionHistory
from loader._registry.places import ask_remotes
from loader._registry.records import PUBLIC, Records, dependencies


class Step(NamedTuple):
    """What is wrong, and the command that puts it right."""

    reason: str
    command: str


@dataclass(frozen=True)
class BranchEntry:
    """What a branch does to a dataset.

    Attributes
    ----------
    difference
        What differs from the commit at which the branch left its base.
    is_recorded
        Whether the branch records artifacts anew: with other bytes, or on another remote.
    remotes
        What the remote has of each of these, as in `ConfigEntry.remote`, by file name; empty if it was not asked.
    notes
        What a reviewer should know.
    steps
        What is left to do before the branch is merged.
    review
        The commands with which a reviewer looks at the dataset.
    """

    difference: Difference
    is_recorded: bool
    remotes: dict[str, str]
    notes: tuple[str, ...]
    steps: tuple[Step, ...]
    review: tuple[str, ...]


def report(base: str = "main", *, repo: PathLike | None = None, offline: bool | None = None) -> list[BranchEntry]:
    """Compare every dataset of the work tree with the commit at which its branch left `base`.

    Where a record index can neither be read on this machine nor on its remote, or where the artifact in the work tree
    is that of another revision, the difference has a note that says so. Of artifacts that the branch records anew, the
    remote is asked whether it has them.

    Parameters
    ----------
    base
        A branch, commit or tag; a branch that only the remote `origin` has is found there.
    repo, offline
        As in `diff`.

    Raises
    ------
    LoaderError
        As `diff`.
    """
    check_text(base=base)
    check_path("repo", repo, optional=True)
    check_flags(offline=offline)
    repository = open_repository(repo, offline=is_offline(offline))
    base, tip, start = _branching_point(repository, base)
    comparison = replace(open_comparison(start, None, repo=repo, offline=offline), old_label=f"{base} ({start[:12]})")
    return _Branch(comparison, tip, start).entries()


def _branching_point(repository: Repository, base: str) -> tuple[str, str, str]:
    """Return the name of the base, its commit, and the commit at which HEAD left it; its own if they share none."""
    git = repository.git
    try:
        commit = git.commit(base)
    except NotFoundError as error:  # a clone of one branch has the others as branches of its remote
        try:
            base, commit = f"origin/{base}", git.commit(f"refs/remotes/origin/{base}")
        except NotFoundError:
            raise error from None
    return base, commit, git.merge_base(commit, git.commit("HEAD")) or commit


@dataclass(frozen=True)
class _Branch:
    """A branch, from the commit `start` at which it left its base; `tip` is the newest commit of the base."""

    comparison: Comparison
    tip: str
    start: str

    @property
    def old(self) -> Records:
        return self.comparison.old

    @property
    def new(self) -> Records:
        return self.comparison.new

    def entries(self) -> list[BranchEntry]:
        names = sorted({*self.old.names, *self.new.names})
        outdated = self.comparison.outdated(names)
        recorded = {name: list(self._recorded_anew(name)) for name in names}
        asked = [] if self.comparison.offline else [artifact for each in recorded.values() for artifact in each]
        answers = iter(ask_remotes(self.comparison.repository, asked) if asked else ())
        found = []
        for name in names:
            difference = self.comparison.compare(name, is_needed=False)
            difference = replace(difference, outdated=outdated.get(name, ()))
            remotes = dict(zip((entry.filename for entry, _ in recorded[name]), answers, strict=False))
            found.append(self._entry(difference, bool(recorded[name]), remotes))
        return found

    def _entry(self, difference: Difference, is_recorded: bool, remotes: dict[str, str]) -> BranchEntry:
        name = difference.name
        if difference.status == REMOVED:
            steps = [*self._children(name)]
        else:
            steps = [*self._build(difference), *self._version(difference), *_push(self.new, name, remotes)]
        notes, review = self._notes(name, is_recorded, remotes), self._review(difference, is_recorded)
        return BranchEntry(difference, is_recorded, remotes, tuple(notes), tuple(steps), tuple(review))

    def _recorded_anew(self, name: str) -> Iterator[tuple[ArtifactEntry, TrackedFile | None]]:
        """Yield the artifacts that the branch, and not its base, records with these hashes and on this remote."""
        before = {entry.filename: (entry, self.old.tracked_file(name, entry)) for entry in _artifacts(self.old, name)}
        for entry in _artifacts(self.new, name):
            tracked = self.new.tracked_file(name, entry)
            old, old_tracked = before.get(entry.filename, (None, None))
            if old is None or old.sha256 != entry.sha256 or old_tracked != tracked:
                yield entry, tracked

    def _build(self, difference: Difference) -> Iterator[Step]:
        """Yield why a dataset has to be built, again or for the first time."""
        name, build = difference.name, f"make build DATASET={difference.name}"
        if difference.status == NEVER_BUILT and name not in self.old.names:
            yield Step("it was never built", build)
        if difference.outdated:
            yield Step(f"it was built before these changes: {', '.join(difference.outdated)}", build)
        before = {entry.filename: entry for entry in _artifacts(self.old, name)}
        for entry in _artifacts(self.new, name):
            tracked, old = self.new.tracked_file(name, entry), before.get(entry.filename)
            old_tracked = self.old.tracked_file(name, old) if old else None
            if tracked is None:
                yield Step(f"dvc.lock does not record {entry.filename} as the manifest does", build)
            elif old and old_tracked and (old.sha256 == entry.sha256) != (old_tracked.md5 == tracked.md5):
                which = ("dvc.lock", "the manifest") if old.sha256 == entry.sha256 else ("the manifest", "dvc.lock")
                yield Step(f"{which[0]} records other bytes of {entry.filename}, and {which[1]} does not", build)

    def _version(self, difference: Difference) -> Iterator[Step]:
        """Yield where the same version is recorded with other bytes, by the branch or by its base."""
        manifest = self.new.manifests.get(difference.name)
        if difference.status not in (CHANGED, NEW) or not isinstance(manifest, Manifest):
            return
        now = {entry.filename: entry.sha256 for entry in manifest.artifacts}
        for each in self._recorded(difference.name):
            if each.version == manifest.version and any(
                now.get(filename, sha256) != sha256 for filename, sha256 in each.artifacts.items()
            ):
                tag = f", tagged {each.tags[0]}" if each.tags else ""
                yield Step(
                    f"version {each.version} has other bytes in commit {each.commit} of {each.date[:10]}{tag}: "
                    f"raise the version in params.yaml and in the builder",
                    f"make build DATASET={difference.name}",
                )
                return

    def _recorded(self, name: str) -> list[VersionEntry]:
        """Return what the base and the branch record of a dataset, those of the base first."""
        withdrawn = self.new.entry(name).withdrawn
        found = [each for history in self._histories for each in history.versions(name, withdrawn=withdrawn)]
        return [each for each in found if each.name == name]

    @cached_property
    def _histories(self) -> list[VersionHistory]:
        git = self.comparison.repository.git
        return [VersionHistory(git, end) for end in dict.fromkeys((self.tip, git.commit("HEAD")))]

    def _children(self, name: str) -> Iterator[Step]:
        """Yield the datasets that are derived from a dataset that the branch removes."""
        for child in self.new.names:
            deps = dependencies(self.new.stages.get(child))
            if name in self.new.parents(child) or any(self.old.producers.get(path) == name for path in deps):
                yield Step(
                    f"{child} is derived from it: remove {child} too, or keep it", f"make remove DATASET={child}"
                )

    def _notes(self, name: str, is_recorded: bool, remotes: dict[str, str]) -> Iterator[str]:
        if there := [filename for filename, answer in remotes.items() if answer == ON_REMOTE]:
            yield f"on its remote, with the recorded size: {', '.join(there)}"
        reasons = [answer for answer in remotes.values() if answer.startswith(NO_ANSWER)]
        yield from {reason.partition(" (")[0]: reason for reason in reasons}.values()  # one for each remote
        if is_recorded and not remotes:
            yield "its remote was not asked: offline"
        now, before = (
            {entry.filename: entry.sha256 for entry in _artifacts(side, name)} for side in (self.new, self.old)
        )
        if before and not now:
            yield "commits that record it stay readable, and its artifacts stay on their remote"
        elif before and now != before:
            for each in self._histories[0].versions(name, withdrawn=()):
                if each.artifacts == now:
                    yield f"it goes back to what commit {each.commit} of {each.date[:10]} records"

    def _review(self, difference: Difference, is_recorded: bool) -> Iterator[str]:
        """Yield the commands with which a reviewer looks at a dataset."""
        name = difference.name
        if difference.status == REMOVED:
            yield f"make info DATASET={name} REV={self.start[:12]}"
        if difference.status == NEW:
            yield f"make show DATASET={name}"
        if is_recorded or difference.status == CHANGED:
            if is_recorded and difference.status == CHANGED:
                yield f"make diff DATASET={name} FROM={self.start[:12]} SHOW=20"
            yield f"make verify DATASET={name} REBUILD=1"


def _artifacts(records: Records, name: str) -> tuple[ArtifactEntry, ...]:
    manifest = records.manifests.get(name)
    return tuple(manifest.artifacts) if isinstance(manifest, Manifest) else ()


def _push(records: Records, name: str, remotes: dict[str, str]) -> Iterator[Step]:
    """Yield what keeps readers from the artifacts that the branch records anew."""
    push = f"make push DATASET={name}" + (" PUBLIC=1" if records.entry(name).visibility == PUBLIC else "")
    answers: dict[str, list[str]] = {}
    for filename, answer in remotes.items():
        if answer == NOT_ON_REMOTE or answer.startswith(f"{ON_REMOTE} with "):
            answers.setdefault(answer, []).append(filename)
    for answer, filenames in answers.items():
        yield Step(f"{', '.join(filenames)}: {answer}", push)
