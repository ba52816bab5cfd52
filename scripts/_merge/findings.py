"""What a merge leaves to a person: entries that both sides changed, and what git merges without noticing."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from loader._format.names import ARTIFACTS, release_tag
from scripts._define.block import read_withdrawn
from scripts._define.definition import PARAMS_FILE
from scripts._define.history import RecordedVersion, commit_of, other_content, recorded_versions, version_of
from scripts._define.yaml_edits import parse
from scripts._dvc.stages import STAGES_FILE, STAGES_KEY, Stage, dependencies, outputs
from scripts._merge.sides import VERSIONS, Sides, Version
from scripts._merge.three_way import Side
from scripts._process.errors import ScriptError
from scripts._process.git import read_blobs

Entries = Mapping[Version, Mapping[str, Any]]
_OTHER: dict[Version, Version] = {"ours": "theirs", "theirs": "ours"}


def describe_conflict(name: str, blocks: Entries, stages: Entries) -> str:
    """Say what both sides changed of a dataset, and which command decides.

    Parameters
    ----------
    name
        The dataset, or another key of `params.yaml` or `dvc.yaml`.
    blocks, stages
        The blocks of `params.yaml` and the stages of `dvc.yaml` in each version.
    """
    if not any(name in blocks[each] or name in stages[each] for each in VERSIONS):
        return (
            f"both sides changed {name}; edit {PARAMS_FILE} or {STAGES_FILE}, then: git add {PARAMS_FILE} {STAGES_FILE}"
        )
    found = [f"{side} removed it, {other} changed it" for side, other in _OTHER.items() if name not in blocks[side]]
    for file, entries in ((PARAMS_FILE, blocks), (STAGES_FILE, stages)):
        base, ours, theirs = (entries[each].get(name) for each in VERSIONS)
        if isinstance(ours, dict) and isinstance(theirs, dict):
            before = base if isinstance(base, dict) else {}
            found += [
                f"{key} in {file} is {_shown(ours.get(key))} in ours, {_shown(theirs.get(key))} in theirs"
                for key in dict.fromkeys([*ours, *theirs])
                if ours.get(key) != theirs.get(key) and before.get(key) not in (ours.get(key), theirs.get(key))
            ]
    what = "; ".join(found) or "both sides changed its lines"
    return f"{name}: {what}; decide with: make resolve OURS={name} or: make resolve THEIRS={name}"


def find_orphans(root: Path, stages: Entries) -> Iterator[str]:
    """Find datasets of the work tree that are derived from what one side removed, a sentence each."""
    now = _read(root / STAGES_FILE).get(STAGES_KEY) or {}
    made = _made(now)
    for child, stage in now.items():
        missing = [path for path in dependencies(stage or {}) if path.startswith(f"{ARTIFACTS}/") and path not in made]
        for keeps, removes in _OTHER.items():
            parents = {parent for path in missing if (parent := _made(stages[keeps]).get(path))}
            for parent in sorted(parents - stages[removes].keys()):
                yield (
                    f"{child} is derived from {parent}, which {removes} removed; keep {parent} with: "
                    f"make resolve {keeps.upper()}={parent}, or remove {child} too with: make remove DATASET={child}"
                )


def find_two_contents(sides: Sides, blocks: Entries, choices: Mapping[str, Side]) -> Iterator[str]:
    """Find versions that both sides built since they parted, with other bytes, a sentence each.

    Parameters
    ----------
    sides
        The sides.
    blocks
        The blocks of `params.yaml` in each version.
    choices
        For some datasets, the side that is taken.
    """
    now = _read(sides.root / PARAMS_FILE)
    names = sorted(blocks["ours"].keys() & blocks["theirs"].keys())
    contents = sides.contents([_manifest(name) for name in names])
    for name in names:
        base, ours, theirs = (_recorded(contents.get((each, _manifest(name)))) for each in VERSIONS)
        block = now.get(name)
        if not ours or not theirs or not other_content(ours, [theirs]) or base in (ours, theirs):
            continue
        if isinstance(block, dict) and (steps := _to_one_content(sides, block, ours, theirs, choices.get(name))):
            yield (
                f"{name} {ours.version} was built with two contents, one on each side, but a version names one: "
                f"{', and '.join(steps)}, then: make build DATASET={name}"
            )


def _to_one_content(
    sides: Sides, block: Mapping[str, Any], ours: RecordedVersion, theirs: RecordedVersion, choice: Side | None
) -> list[str]:
    """Return what to do so that a version which both sides built names one content, in the history too."""
    name, version = ours.name, ours.version
    until = [sides.commits["ours"], *([sides.commits["theirs"]] if sides.joins else [])]
    withdrawn = read_withdrawn(name, block.get("withdrawn"))
    recorded = recorded_versions(sides.root, name=name, withdrawn={name: withdrawn}, until=until)
    contents = [each for each in recorded if each.version == version]
    tag = f"refs/tags/{release_tag(name, version)}:./{_manifest(name)}"
    released = _recorded(read_blobs(sides.root, [tag]).get(tag))
    chosen = {"ours": ours, "theirs": theirs}.get(choice or "")
    candidates = (each for each in (released, chosen, ours, theirs) if each)
    kept = next((each for each in candidates if any(each.sha256 == other.sha256 for other in contents)), None)
    steps = []
    if kept and block.get("version", version) == version and (chosen is None or chosen.sha256 != kept.sha256):
        steps.append(f"raise version in {PARAMS_FILE} and in the builder")
    others = {frozenset(each.sha256.items()): each.blob for each in contents if kept and other_content(kept, [each])}
    if others:
        commits = [commit_of(sides.root, blob, until=until) for blob in others.values()]
        listed = json.dumps([*withdrawn, *commits])
        which = "was released" if kept is released else "ours built" if kept is ours else "theirs built"
        steps.append(f"set withdrawn: {listed} in its block of {PARAMS_FILE}, so that {version} is what {which}")
    return steps


def _read(path: Path) -> dict[str, Any]:
    """Return a file's content, nothing if it has conflict markers, which are told already."""
    try:
        return parse(path.read_text(encoding="utf-8"), path)
    except (ScriptError, OSError, UnicodeDecodeError):
        return {}


def _made(stages: Mapping[str, Stage]) -> dict[str, str]:
    """Return the stage of each output."""
    return {posixpath.normpath(path): name for name, stage in stages.items() for path in outputs(stage or {})}


def _manifest(name: str) -> str:
    return f"{ARTIFACTS}/{name}.json"


def _recorded(data: bytes | None) -> RecordedVersion | None:
    """Return the version that a manifest records, None if it is none."""
    try:
        return version_of(json.loads(data or b""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _shown(value: Any) -> str:
    """Return a value in one short line."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
