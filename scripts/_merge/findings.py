"""What a merge leaves to a person: entries that both sides changed, and what git merges without noticing."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from loader._format.names import ARTIFACTS
from scripts._define.definition import PARAMS_FILE
from scripts._define.history import RecordedVersion, other_content, version_of
from scripts._define.yaml_edits import parse
from scripts._dvc.stages import STAGES_FILE, STAGES_KEY, Stage, dependencies, outputs
from scripts._merge.sides import VERSIONS, Sides, Version
from scripts._process.errors import ScriptError

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


def find_two_contents(sides: Sides, blocks: Entries) -> Iterator[str]:
    """Find versions that both sides built since they parted, with other bytes, a sentence each."""
    now = _read(sides.root / PARAMS_FILE)
    names = sorted(blocks["ours"].keys() & blocks["theirs"].keys())
    contents = sides.contents([f"{ARTIFACTS}/{name}.json" for name in names])
    for name in names:
        base, ours, theirs = (_recorded(contents.get((each, f"{ARTIFACTS}/{name}.json"))) for each in VERSIONS)
        if ours and theirs and other_content(ours, [theirs]) and base not in (ours, theirs):
            block = now.get(name)
            if isinstance(block, dict) and block.get("version", ours.version) == ours.version:
                yield (
                    f"{name} {ours.version} was built with two contents, one on each side, but a version names one: "
                    f"raise version in {PARAMS_FILE} and in the builder, then: make build DATASET={name}"
                )


def _read(path: Path) -> dict[str, Any]:
    """Return a file's content, nothing if it has conflict markers, which are told already."""
    try:
        return parse(path.read_text(encoding="utf-8"), path)
    except (ScriptError, OSError, UnicodeDecodeError):
        return {}


def _made(stages: Mapping[str, Stage]) -> dict[str, str]:
    """Return the stage of each output."""
    return {posixpath.normpath(path): name for name, stage in stages.items() for path in outputs(stage or {})}


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
