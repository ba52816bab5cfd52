"""What a datasets repository says of itself, checked without any data: whether its records agree."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from loader import LoaderError
from loader._format.committed import is_committed
from loader._format.manifest import Manifest, read_manifest
from loader._format.names import ARTIFACTS
from scripts._define.artifact_entries import ENTRIES_KEY, TYPE, artifact_names, entries_of, read_entries
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


Finding = tuple[str, str]
"""The dataset that a finding is about, empty if it is about the repository, and a sentence that says what is wrong."""


def check_repository(root: Path, *, names: Collection[str] | None = None) -> list[str]:
    """Return what is wrong with the records of a repository, a sentence each; an empty list if nothing is.

    A dataset that is defined and was never built is not wrong.

    Parameters
    ----------
    root
        The repository.
    names
        The datasets whose records matter; by default all. What is wrong with the repository itself always counts.
    """
    return [problem for name, problem in _findings(root) if names is None or not name or name in names]


def _findings(root: Path) -> Iterator[Finding]:
    marked = [("", problem) for problem in _merge_markers(root)]
    if marked:
        yield from marked
        return  # nothing else can be read
    try:
        stages = read_stages(root / LOCK_FILE) if (root / LOCK_FILE).exists() else {}
        definitions = read_definitions(root=root)
    except ScriptError as error:
        yield "", str(error)
        return
    yield from ((name, str(found)) for name, found in definitions.items() if isinstance(found, ScriptError))
    known = {name: found for name, found in definitions.items() if isinstance(found, Definition)}
    manifests: dict[str, Manifest] = {}
    for name, definition in known.items():
        if name in stages:
            yield from ((name, problem) for problem in _record(definition, stages[name], manifests))
            yield from ((name, problem) for problem in _entries(definition))
        yield from ((name, problem) for problem in _sources(definition))
    if stages:
        for problem in built_from_private(sorted(known.keys() & stages.keys()), root=root):
            yield problem.partition(":")[0], problem
    for name in manifests:
        yield from ((name, problem) for problem in _parents(manifests[name], manifests))
    for name in stages:
        if name not in definitions:
            yield (
                name,
                f"{LOCK_FILE} records {name}, which {STAGES_FILE} does not define; "
                f"remove it with: make remove DATASET={name}",
            )
    yield from (("", problem) for problem in _remotes(root))
    yield from _committed(root, stages, known)
    yield from _versions(root, known)


def _merge_markers(root: Path) -> Iterator[str]:
    files = [PARAMS_FILE, STAGES_FILE, LOCK_FILE, CONFIG_FILE]
    for path in [*(root / file for file in files), *sorted((root / ARTIFACTS).glob("*.json"))]:
        if path.is_file() and (found := _MERGE_MARKER.search(data := path.read_bytes())):
            line = data.count(b"\n", 0, found.start()) + 1
            where = f"{path.relative_to(root)}:{line}"
            yield f"{where} has a merge conflict that was not resolved; make resolve says what is left"


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


def _entries(definition: Definition) -> Iterator[str]:
    """Whether `dvc.yaml` tells DVC's registry of each artifact, and of no other one."""
    entries = entries_of(definition.name, read_entries(definition.root))
    for config, name in artifact_names(definition.name, definition.configs).items():
        path = definition.tars[config].relative_to(definition.root).as_posix()
        entry = entries.pop(name, {})
        if (entry.get("path"), entry.get("type")) != (path, TYPE):
            yield (
                f"{definition.name}: {STAGES_FILE} does not list {path}, so that dvc artifacts get does not find it; "
                f"add to {ENTRIES_KEY}: {name}: {{path: {path}, type: {TYPE}}}"
            )
    for name, entry in entries.items():
        yield (
            f"{definition.name}: {STAGES_FILE} lists {entry['path']} as {name} under {ENTRIES_KEY}, which is not an "
            f"artifact of it by that name; remove that entry"
        )


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


def _committed(root: Path, stages: dict[str, Stage], definitions: dict[str, Definition]) -> Iterator[Finding]:
    """Whether git tracks the builder of every recorded dataset, its manifest, statistics and Croissant description."""
    builders = {
        name: builder.relative_to(root).as_posix()
        for name, found in definitions.items()
        if found.folder and (builder := found.folder / f"{name}.py").exists()
    }
    try:
        paths = [ARTIFACTS, *builders.values()]
        tracked = set(git(root, "ls-files", "-z", "--", *paths).decode(errors="replace").split("\0"))
    except ScriptError as error:
        yield "", str(error)
        return
    for name in stages:
        if (path := builders.get(name)) and path not in tracked:
            folder = path.rpartition("/")[0]
            yield name, f"{name}: {path} is not in git, so nobody else can build it; add it with: git add {folder}"
        for suffix, use in (("json", "load it"), ("stats.json", "see it"), ("croissant.json", "see it")):
            path = f"{ARTIFACTS}/{name}.{suffix}"
            if (root / path).exists() and path not in tracked:
                yield name, f"{name}: {path} is not in git, so nobody else can {use}; add it with: git add {path}"


def _versions(root: Path, definitions: dict[str, Definition]) -> Iterator[Finding]:
    """Whether the history records one version of a dataset with two contents."""
    try:
        withdrawn = {name: definition.withdrawn for name, definition in definitions.items()}
        versions = recorded_versions(root, withdrawn=withdrawn)
    except ScriptError as error:
        yield "", str(error)
        return
    by_version: dict[tuple[str, str], list[Any]] = {}
    for version in versions:
        by_version.setdefault((version.name, version.version), []).append(version)
    for (name, number), same in by_version.items():
        for newer, older in pairwise(same):
            if other_content(newer, [older]):
                commits = [commit_of(root, each.blob) for each in (newer, older)]
                yield (
                    name,
                    f"{name} {number} is recorded with two contents, in commits {' and '.join(commits)}: a version "
                    f"names one content, so raise the version of one, or, if one was never released, list its commit "
                    f'in params.yaml: withdrawn: ["{commits[1]}"]',
                )
                break
