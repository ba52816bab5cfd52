"""What a datasets repository says of itself, checked without any data: whether its records agree."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from loader import LoaderError
from loader._format.committed import is_committed
from loader._format.manifest import Manifest, read_manifest
from loader._format.names import ARTIFACTS
from scripts._define.definition import PARAMS_FILE, Definition, built_from_private, read_definitions
from scripts._define.history import commit_of, other_content, recorded_versions
from scripts._dvc.config import CONFIG_FILE, LOCAL_CONFIG_FILE, read_committed
from scripts._dvc.remotes import check_remotes
from scripts._dvc.stages import LOCK_FILE, STAGES_FILE, Stage, outputs, read_stage, read_stages
from scripts._process.errors import ScriptError
from scripts._process.files import hash_file
from scripts._process.git import git
from scripts._sources.tracked_sources import TrackedSources

_MERGE_MARKER = re.compile(rb"^(<{7} |={7}\r?$|>{7} )", re.MULTILINE)


def check_repository(root: Path) -> list[str]:
    """Return what is wrong with the records of a repository, a sentence each; an empty list if nothing is.

    A dataset that is defined and was never built is not wrong.
    """
    marked = list(_merge_markers(root))
    if marked:
        return marked  # nothing else can be read
    try:
        stages = read_stages(root / LOCK_FILE) if (root / LOCK_FILE).exists() else {}
        definitions = read_definitions(root=root)
    except ScriptError as error:
        return [str(error)]
    problems = [str(found) for found in definitions.values() if isinstance(found, ScriptError)]
    known = {name: found for name, found in definitions.items() if isinstance(found, Definition)}
    manifests: dict[str, Manifest] = {}
    for name, definition in known.items():
        if name in stages:
            problems += _record(definition, stages[name], manifests)
        problems += _sources(definition)
    if stages:
        problems += built_from_private(sorted(known.keys() & stages.keys()), root=root)
    for name in manifests:
        problems += _parents(manifests[name], manifests)
    problems += [
        f"{LOCK_FILE} records {name}, which {STAGES_FILE} does not define; remove it with: make remove DATASET={name}"
        for name in stages
        if name not in definitions
    ]
    return [*problems, *_remotes(root), *_committed(root, stages), *_versions(root, known)]


def _merge_markers(root: Path) -> Iterator[str]:
    files = [PARAMS_FILE, STAGES_FILE, LOCK_FILE, CONFIG_FILE]
    for path in [*(root / file for file in files), *sorted((root / ARTIFACTS).glob("*.json"))]:
        if path.is_file() and (found := _MERGE_MARKER.search(data := path.read_bytes())):
            line = data.count(b"\n", 0, found.start()) + 1
            yield f"{path.relative_to(root)}:{line} has a merge conflict that was not resolved"


def _record(definition: Definition, stage: Stage, manifests: dict[str, Manifest]) -> Iterator[str]:
    """What `dvc.lock`, the manifest and the definition of one dataset disagree on."""
    name, again = definition.name, f"build it with: make build DATASET={definition.name}"
    outs = {str(out.get("path")): out for out in stage.get("outs") or () if isinstance(out, dict)}
    expected = {
        path.relative_to(definition.root).as_posix() for path in (*definition.tars.values(), *definition.descriptions)
    }
    listed = outputs(read_stage(definition.root / STAGES_FILE, name))
    for path in sorted(expected - outs.keys()):
        if path not in listed:
            kind = "metrics" if path.endswith(".stats.json") else "outs"
            yield (
                f"{name}: {STAGES_FILE} does not list {path}; add it to the {kind} of the stage, with cache: false and "
                f"persist: true, and {again}"
            )
        else:
            yield f"{name}: {LOCK_FILE} does not record {path}; {again}"
    for path in sorted(outs.keys() - expected):
        yield f"{name}: {LOCK_FILE} records {path}, which {STAGES_FILE} does not list; {again}"
    recorded = ((stage.get("params") or {}).get(PARAMS_FILE) or {}).get(name)
    if recorded != definition.block:
        changed = ", ".join(_changed_keys(recorded, definition.block))
        yield f"{name}: {PARAMS_FILE} has changed since it was built ({changed}); {again}"
    try:
        manifest = read_manifest(definition.manifest)
    except LoaderError as error:
        yield str(error)
        return
    manifests[name] = manifest
    for described in definition.descriptions:
        path = described.relative_to(definition.root).as_posix()
        if path in outs and (not described.exists() or outs[path].get("md5") != hash_file(described, "md5")):
            yield f"{name}: {LOCK_FILE} records another {path}; restore both with: git checkout -- {path} {LOCK_FILE}"
            return
    yield from _statistics(definition, manifest)
    for entry in manifest.artifacts:
        out = outs.get(f"{ARTIFACTS}/{entry.filename}")
        if out is not None and out.get("size") != entry.size:
            yield f"{name}: {path} and {LOCK_FILE} record another size of {entry.filename}; {again}"


def _statistics(definition: Definition, manifest: Manifest) -> Iterator[str]:
    """Whether the statistics are those of the artifacts in the manifest."""
    if not definition.statistics.exists():
        return
    splits = [split for entry in manifest.raw["artifacts"].values() for split in entry["splits"].values()]
    try:
        statistics = json.loads(definition.statistics.read_bytes())
        agree = all(statistics[key] == sum(split[key] for split in splits) for key in ("examples", "bytes"))
    except (ValueError, KeyError, TypeError):
        agree = False
    if not agree or statistics.get("version") != manifest.version:
        path = definition.statistics.relative_to(definition.root)
        yield (
            f"{definition.name}: {path} has other examples or bytes than the manifest; write it again with: "
            f"rm {path} && make build DATASET={definition.name}"
        )


def _sources(definition: Definition) -> Iterator[str]:
    """Whether mirrored source files belong to the remote of the dataset's visibility."""
    try:
        TrackedSources.from_definition(definition)
    except ScriptError as error:
        yield f"{definition.name}: {error}"


def _changed_keys(recorded: Any, now: dict[str, Any]) -> list[str]:
    before = recorded if isinstance(recorded, dict) else {}
    return [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]


def _parents(manifest: Manifest, manifests: dict[str, Manifest]) -> Iterator[str]:
    """Whether a derived dataset was built from the artifacts that its parents record now."""
    for parent, recorded in manifest.raw.get("parents", {}).items():
        if parent in manifests:
            now = {entry.filename: entry.sha256 for entry in manifests[parent].artifacts}
            if any(now.get(filename) != sha256 for filename, sha256 in recorded["artifacts"].items()):
                yield (
                    f"{manifest.name} was built from another {parent} than the one that is recorded; "
                    f"build it with: make build DATASET={manifest.name}"
                )


def _remotes(root: Path) -> Iterator[str]:
    try:
        check_remotes(read_committed(root))
    except ScriptError as error:
        yield f"{CONFIG_FILE}: {error}"
    if is_committed(root / LOCAL_CONFIG_FILE):
        yield f"{LOCAL_CONFIG_FILE} is for one clone only, but is in git; remove it with: git rm -f {LOCAL_CONFIG_FILE}"


def _committed(root: Path, stages: dict[str, Stage]) -> Iterator[str]:
    """Whether git tracks the manifest of every recorded dataset, its statistics and its Croissant description."""
    try:
        tracked = set(git(root, "ls-files", "-z", "--", ARTIFACTS).decode(errors="replace").split("\0"))
    except ScriptError as error:
        yield str(error)
        return
    for name in stages:
        for suffix, use in (("json", "load it"), ("stats.json", "see it"), ("croissant.json", "see it")):
            path = f"{ARTIFACTS}/{name}.{suffix}"
            if (root / path).exists() and path not in tracked:
                yield f"{name}: {path} is not in git, so nobody else can {use}; add it with: git add {path}"


def _versions(root: Path, definitions: dict[str, Definition]) -> Iterator[str]:
    """Whether the history records one version of a dataset with two contents."""
    try:
        withdrawn = {name: definition.withdrawn for name, definition in definitions.items()}
        versions = recorded_versions(root, withdrawn=withdrawn)
    except ScriptError as error:
        yield str(error)
        return
    by_version: dict[tuple[str, str], list[Any]] = {}
    for version in versions:
        by_version.setdefault((version.name, version.version), []).append(version)
    for (name, number), same in by_version.items():
        for newer, older in pairwise(same):
            if other_content(newer, [older]):
                yield (
                    f"{name} {number} is recorded with two contents, in commits {commit_of(root, newer.blob)} and "
                    f"{commit_of(root, older.blob)}: a version names one content, so raise the version of one"
                )
                break
