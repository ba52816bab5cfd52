"""Resolving the conflicts of a merge: definitions by entry, and the records that a build writes from one side."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loader._format.names import ARTIFACTS
from scripts._define.datasets import EDIT_LOCK
from scripts._define.definition import PARAMS_FILE
from scripts._define.yaml_edits import parse
from scripts._dvc.stages import LOCK_FILE, STAGES_FILE, STAGES_KEY, Stage
from scripts._merge.findings import describe_conflict, find_orphans, find_two_contents
from scripts._merge.parts import LAYOUTS
from scripts._merge.sides import VERSIONS, Sides, Version, read_unmerged
from scripts._merge.three_way import Side, merge_texts, without_conflicts
from scripts._process.errors import ScriptError
from scripts._process.files import replacing
from scripts._process.git import changed_files, git
from scripts._process.hints import nearest
from scripts._process.scratch import SCRATCH, scratch_folder

KEPT = f"{SCRATCH}/resolve"
"""The folder with the files as they were, and the decisions for conflicts that are not all decided."""
DEFINITIONS = (PARAMS_FILE, STAGES_FILE)


@dataclass(frozen=True)
class Resolution:
    """What was done and what remains.

    Attributes
    ----------
    staged
        The files that were merged and staged.
    rebuild
        The datasets to build again, because both sides changed them.
    open
        What remains to be decided or repaired, a sentence each.
    """

    staged: list[str] = field(default_factory=list)
    rebuild: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)


def resolve(sides: Sides, choices: Mapping[str, Side]) -> Resolution:
    """Merge what is in conflict, by entry, and stage what is resolved. It can be run again, and nothing is committed.

    Records (the entry of `dvc.lock`, the manifest, the statistics, the Croissant description) are taken from the side
    whose definition is taken; if both sides changed it, they are those of ours until the dataset is built again.

    Parameters
    ----------
    sides
        The sides.
    choices
        For some datasets, the side to take all of: definition, folder and records.

    Raises
    ------
    ScriptError
        A dataset of `choices` is on no side, a file cannot be merged by entry, or git fails.
    """
    with scratch_folder(sides.root, EDIT_LOCK):
        return _Merge.of(sides, choices).run()


@dataclass(frozen=True)
class _Merge:
    """The merge in progress.

    Attributes
    ----------
    sides
        The sides.
    given, decided
        The side to take datasets from, as given now, and as given now or before.
    texts
        The texts of the three files in each version.
    blocks, stages
        The blocks of `params.yaml` and the stages of `dvc.yaml` in each version.
    done
        The result.
    """

    sides: Sides
    given: Mapping[str, Side]
    decided: Mapping[str, Side]
    texts: dict[str, dict[Version, str]]
    blocks: dict[Version, dict[str, Any]]
    stages: dict[Version, dict[str, Stage]]
    done: Resolution = field(default_factory=Resolution)

    @classmethod
    def of(cls, sides: Sides, given: Mapping[str, Side]) -> _Merge:
        found = sides.contents([*LAYOUTS])
        try:
            texts = {file: {each: found.get((each, file), b"").decode() for each in VERSIONS} for file in LAYOUTS}
        except UnicodeDecodeError as error:
            raise ScriptError(f"a version of params.yaml, dvc.yaml or dvc.lock is not UTF-8 text: {error}") from error
        for versions in texts.values():
            versions["base"] = without_conflicts(versions["base"])
        blocks, pipelines = (
            {each: parse(texts[file][each], Path(f"{file} of {each}")) for each in VERSIONS} for file in DEFINITIONS
        )
        stages: dict[Version, dict[str, Stage]] = {each: pipelines[each].get(STAGES_KEY) or {} for each in VERSIONS}
        known = sorted({name for each in VERSIONS for name in (*blocks[each], *stages[each])})
        for name in given:
            if name not in known:
                raise ScriptError(f"neither side has a dataset {name!r}; {nearest(name, known)}")
        decisions = _decisions_file(sides)
        earlier = json.loads(decisions.read_bytes()) if decisions.exists() else {}
        return cls(sides, given, {**earlier, **given}, texts, blocks, stages)

    def run(self) -> Resolution:
        root = self.sides.root
        if self.given:
            decisions = _decisions_file(self.sides)
            decisions.parent.mkdir(parents=True, exist_ok=True)
            with replacing(decisions) as out:
                out.write(json.dumps(self.decided).encode())
        conflicts = {file: self._merged(file, self.decided)[1] for file in LAYOUTS}
        undecided = {name for file in DEFINITIONS for name in conflicts[file]}
        records = self._take_records({*conflicts[LOCK_FILE]}, undecided)
        for name in self.given:
            self._restore([*self._files(name), *_record_files(name)], self.given[name])
        for file in LAYOUTS:
            text, open_entries = self._merged(file, {**self.decided, **(records if file == LOCK_FILE else {})})
            self._write(file, text, is_resolved=not open_entries)
        self.done.open.extend(describe_conflict(name, self.blocks, self.stages) for name in sorted(undecided))
        explained = {*LAYOUTS, *(path for name in undecided for path in _record_files(name))}
        self.done.open.extend(
            f"{path} is still in conflict; edit it, then: git add {path}"
            for path in sorted(read_unmerged(root))
            if path not in explained
        )
        self.done.open.extend(find_orphans(root, self.stages))
        self.done.open.extend(find_two_contents(self.sides, self.blocks, self.decided))
        return self.done

    def _merged(self, file: str, choices: Mapping[str, Side]) -> tuple[str, tuple[str, ...]]:
        """Return a file's merged text and the datasets in conflict."""
        texts = self.texts[file]
        if file in self.sides.unmerged and not self._is_edited(file):
            merged = merge_texts(file, texts["base"], texts["ours"], texts["theirs"], choices=choices)
            return merged.text, merged.conflicts
        path = self.sides.root / file
        text = path.read_bytes().decode() if path.exists() else ""
        for name, side in self.given.items():  # git merged the file, and it may have been edited since
            text = merge_texts(file, texts[side], text, texts[side], choices={name: "theirs"}).text
        return text, ()

    def _is_edited(self, file: str) -> bool:
        """Return whether somebody resolved a file by hand: it has no conflict markers, and is none of the versions."""
        path = self.sides.root / file
        data = path.read_bytes() if path.exists() else b""
        has_markers = any(line.startswith((b"<<<<<<< ", b">>>>>>> ")) for line in data.splitlines())
        return not has_markers and data not in [text.encode() for text in (*self.texts[file].values(), "")]

    def _take_records(self, contested: set[str], undecided: set[str]) -> dict[str, Side]:
        """Take the records that both sides changed from one side, and return which, for each dataset."""
        names = {name for each in VERSIONS for name in self.blocks[each]}
        contested |= {name for name in names if not self.sides.unmerged.keys().isdisjoint(_record_files(name))}
        taken: dict[str, Side] = {}
        for name in sorted(contested - undecided):
            taken[name] = self.decided.get(name) or self._defining_side(name)
            if name not in self.given:
                self._restore(_record_files(name), taken[name])
            if name not in self.decided and name in self.blocks[taken[name]]:
                self.done.rebuild.append(name)
        return taken

    def _defining_side(self, name: str) -> Side:
        """Return the side that changed the definition of a dataset; ours if both did or neither."""
        base, ours, theirs = (
            (self.blocks[each].get(name), self.stages[each].get(name), self.sides.folders[each].get(name))
            for each in VERSIONS
        )
        return "theirs" if ours == base and theirs != base else "ours"

    def _files(self, name: str) -> list[str]:
        """Return the files of a dataset's folder, in any version."""
        folders = sorted({path for each in VERSIONS for path in self.sides.folders[each].get(name, ())})
        commits = self.sides.commits.values() if folders else ()
        return sorted({path for commit in commits for path in _listed(self.sides.root, commit, *folders)})

    def _restore(self, paths: list[str], side: Side) -> None:
        """Take files from one side and stage them; what this side does not have is removed."""
        root, commit = self.sides.root, self.sides.commits[side]
        before = changed_files(root, *paths)
        there = {*_listed(root, commit, *paths)}
        if present := [path for path in paths if path in there]:
            git(root, "checkout", commit, "--", *present)
        if absent := [path for path in paths if path not in there]:
            git(root, "rm", "--quiet", "--force", "--ignore-unmatch", "--", *absent)
        after = changed_files(root, *paths)
        self.done.staged.extend(path for path in paths if before.get(path) != after.get(path))

    def _write(self, file: str, text: str, *, is_resolved: bool) -> None:
        """Replace a file and stage it if it is resolved; what it had is kept."""
        path = self.sides.root / file
        before, after = path.read_bytes() if path.exists() else b"", text.encode()
        if before != after:
            copy = self.sides.root / KEPT / f"{file}.{hashlib.sha256(before).hexdigest()[:8]}"
            copy.parent.mkdir(parents=True, exist_ok=True)
            for target, data in ((copy, before), (path, after)):
                with replacing(target) as out:
                    out.write(data)
        if is_resolved and (before != after or file in self.sides.unmerged):
            git(self.sides.root, "add", "--", file)
            self.done.staged.append(file)


def _listed(root: Path, commit: str, *paths: str) -> list[str]:
    """Return the files at some paths in a commit."""
    listed = git(root, "ls-tree", "-r", "-z", "--name-only", commit, "--", *paths)
    return [path for path in listed.decode(errors="surrogateescape").split("\0") if path]


def _record_files(name: str) -> list[str]:
    """Return the records of a dataset that are files of git."""
    return [f"{ARTIFACTS}/{name}{suffix}" for suffix in (".json", ".stats.json", ".croissant.json")]


def _decisions_file(sides: Sides) -> Path:
    """Return the file with the decisions for this merge, of which each run adds some."""
    return sides.root / KEPT / f"{sides.commits['theirs'][:12]}-{sides.started}.json"
