"""What the files of one revision say of its datasets: `params.yaml`, `dvc.yaml`, `dvc.lock` and the manifests."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from loader._errors import ManifestError
from loader._fetch.revision import Revision, TrackedFile
from loader._fetch.safe_yaml import parse_yaml
from loader._format.manifest import ArtifactEntry, Manifest, parse_manifest
from loader._format.names import ARTIFACTS
from loader._registry.entry import ConfigEntry, DatasetEntry, SplitEntry, State

PARAMS_FILE, STAGES_FILE, LOCK_FILE = "params.yaml", "dvc.yaml", "dvc.lock"
TOOLCHAIN = "toolchain"
PRIVATE, PUBLIC = "private", "public"
_NAME = re.compile(r"[a-zA-Z]\w*")
_MD5 = re.compile("[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True)
class Records:
    """The records of a revision.

    Attributes
    ----------
    revision
        The revision.
    params
        `params.yaml`.
    stages, lock
        The stages of `dvc.yaml` and of `dvc.lock`, by name.
    manifests
        The manifest of each dataset that has one, or why it cannot be used.
    md5
        The MD5 (hex) of each manifest.
    """

    revision: Revision
    params: dict[Any, Any]
    stages: dict[Any, Any]
    lock: dict[Any, Any]
    manifests: dict[str, Manifest | ManifestError]
    md5: dict[str, str]

    @property
    def names(self) -> list[str]:
        """The datasets that are defined or recorded, sorted."""
        return sorted({*defined_names(self.params), *self.manifests})

    @cached_property
    def producers(self) -> dict[str, str]:
        """The dataset that makes each output."""
        return {path: str(name) for name, stage in self.stages.items() for path in outputs(stage)}

    @cached_property
    def children(self) -> dict[str, list[str]]:
        """The datasets that are derived from each dataset, sorted."""
        found: dict[str, list[str]] = {}
        for name in self.names:
            for parent in self.parents(name):
                found.setdefault(parent, []).append(name)
        return found

    def parents(self, name: str) -> dict[str, str]:
        """Return the datasets that a dataset is derived from, each with the version that it was built from.

        Those that it is not built from yet have the version that is recorded, or "" if they were never built.
        """
        recorded = {
            parent: as_text(as_mapping(value).get("version"))
            for parent, value in as_mapping(self._raw(name).get("parents")).items()
        }
        defined = dict.fromkeys(
            self.producers[path] for path in dependencies(self.stages.get(name)) if path in self.producers
        )
        return {parent: as_text(self._raw(parent).get("version")) for parent in defined} | recorded

    def locked_outputs(self, name: str) -> dict[str, dict[str, Any]]:
        """Return what `dvc.lock` records of the outputs of a dataset, by path."""
        return self._locked(name, "outs")

    def locked_dependencies(self, name: str) -> dict[str, dict[str, Any]]:
        """Return what `dvc.lock` records of the dependencies of a dataset, by path."""
        return self._locked(name, "deps")

    def _locked(self, name: str, key: str) -> dict[str, dict[str, Any]]:
        recorded = as_list(as_mapping(self.lock.get(name)).get(key))
        return {as_text(each.get("path")): each for each in recorded if isinstance(each, dict)}

    def tracked_file(self, name: str, entry: ArtifactEntry) -> TrackedFile | None:
        """Return what DVC knows of an artifact, None if `dvc.lock` does not record this one."""
        path = f"{ARTIFACTS}/{entry.filename}"
        out = self.locked_outputs(name).get(path, {})
        md5 = as_text(out.get("md5"))
        if not _MD5.fullmatch(md5) or out.get("size") != entry.size:  # the MD5 becomes a path
            return None
        remote = outputs(self.stages.get(name)).get(path)
        return TrackedFile(name, md5, entry.size, remote)

    def entry(self, name: str) -> DatasetEntry:
        """Return what the records say of a dataset; its artifacts are looked for elsewhere."""
        manifest, raw = self.manifests.get(name), self._raw(name)
        path = f"{ARTIFACTS}/{name}.json"
        if manifest is None and path in self.locked_outputs(name):
            manifest = ManifestError(f"{name}: {self.revision.label}/{path} is missing; {self.revision.fix(path)}")
        block, stage = as_mapping(self.params.get(name)), self.stages.get(name)
        remotes = set(outputs(stage).values())
        toolchain = raw.get(TOOLCHAIN) if raw else self.params.get(TOOLCHAIN)
        return DatasetEntry(
            name=name,
            kind=_kind(name, as_text(block.get("builder")), stage),
            builder=as_text(block.get("builder")),
            version=manifest.version if isinstance(manifest, Manifest) else None,
            visibility=PUBLIC if remotes == {PUBLIC} else PRIVATE,
            license=as_text(raw.get("license")) or as_text(block.get("license")),
            description=as_text(raw.get("description")) or as_text(block.get("description")),
            citation=as_text(raw.get("citation")),
            homepage=as_text(raw.get("homepage")),
            default_config=manifest.default_config if isinstance(manifest, Manifest) else None,
            configs=tuple(self._configs(name)),
            sources=tuple(source for source in as_list(raw.get("sources")) if isinstance(source, dict)),
            parents=self.parents(name),
            children=tuple(self.children.get(name, ())),
            toolchain={str(package): str(version) for package, version in as_mapping(toolchain).items()},
            statistics=None,
            state=State(problem=str(manifest) if isinstance(manifest, ManifestError) else None),
            withdrawn=tuple(map(str, as_list(block.get("withdrawn")))),
            revision=self.revision.label,
        )

    def _configs(self, name: str) -> Iterator[ConfigEntry]:
        manifest = self.manifests.get(name)
        for entry in manifest.artifacts if isinstance(manifest, Manifest) else ():
            raw = as_mapping(self._raw(name)["artifacts"][entry.filename])
            tracked = self.tracked_file(name, entry)
            yield ConfigEntry(
                entry.config,
                entry.filename,
                entry.size,
                entry.sha256,
                tracked.md5 if tracked else None,
                {
                    split: SplitEntry(*(_count(as_mapping(value).get(key)) for key in SplitEntry._fields))
                    for split, value in as_mapping(raw.get("splits")).items()
                },
                as_mapping(raw.get("features")),
                version=entry.version,
            )

    def _raw(self, name: str) -> dict[str, Any]:
        manifest = self.manifests.get(name)
        return manifest.raw if isinstance(manifest, Manifest) else {}


def read_records(revision: Revision) -> Records:
    """Read the records of a revision.

    Raises
    ------
    ManifestError
        `params.yaml`, `dvc.yaml` or `dvc.lock` cannot be read.
    FetchError
        The git repository is damaged.
    """
    paths = {name: f"{ARTIFACTS}/{name}.json" for name in revision.datasets()}
    data = revision.read_all([PARAMS_FILE, STAGES_FILE, LOCK_FILE, *paths.values()])
    params, stages, lock = (_parse(revision, file, data.get(file)) for file in (PARAMS_FILE, STAGES_FILE, LOCK_FILE))
    manifests = {name: _manifest(revision, name, path, data.get(path)) for name, path in paths.items()}
    md5 = {
        name: hashlib.md5(data[path], usedforsecurity=False).hexdigest() for name, path in paths.items() if path in data
    }
    return Records(revision, params, as_mapping(stages.get("stages")), as_mapping(lock.get("stages")), manifests, md5)


def read_names(revision: Revision) -> list[str]:
    """Return the datasets that are defined or recorded, sorted; the errors are those of `read_records`."""
    params = _parse(revision, PARAMS_FILE, revision.read_all([PARAMS_FILE]).get(PARAMS_FILE))
    return sorted({*defined_names(params), *revision.datasets()})


def defined_names(params: dict[Any, Any]) -> set[str]:
    """Return the datasets that `params.yaml` defines."""
    return {name for name in params if isinstance(name, str) and name != TOOLCHAIN and _NAME.fullmatch(name)}


def outputs(stage: Any) -> dict[str, str | None]:
    """Return the remote of each artifact of a stage of `dvc.yaml`, None for one that names none."""
    found = {}
    for path, options in _outputs(stage, "outs"):
        if options.get("cache", True):
            found[path] = as_text(options.get("remote")) or None
    return found


def output_paths(stage: Any) -> list[str]:
    """Return the paths of all outputs of a stage of `dvc.yaml`, with its metrics and those that git keeps."""
    return [path for key in ("outs", "metrics", "plots") for path, _ in _outputs(stage, key)]


def _outputs(stage: Any, key: str) -> Iterator[tuple[str, dict[Any, Any]]]:
    for out in as_list(as_mapping(stage).get(key)):
        for path, options in out.items() if isinstance(out, dict) else [(out, None)]:
            yield str(path), as_mapping(options)


def dependencies(stage: Any) -> list[str]:
    """Return the paths that a stage of `dvc.yaml` depends on, normalized."""
    deps = as_list(as_mapping(stage).get("deps"))
    return [posixpath.normpath(str(path)) for dep in deps for path in (dep if isinstance(dep, dict) else (dep,))]


def as_mapping(value: Any) -> dict[Any, Any]:
    """Return the value if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def as_list(value: Any) -> list[Any]:
    """Return the value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def as_text(value: Any) -> str:
    """Return the value if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def _count(value: Any) -> int:
    return value if type(value) is int else 0


def _kind(name: str, builder: str, stage: Any) -> str:
    """Return the folder of `datasets/` that a dataset belongs to; a builder of TFDS may have none."""
    for path in (builder, *dependencies(stage)):
        parts = path.split("/")
        if parts[0] == "datasets" and len(parts) >= 3 and (path == builder or parts[2] == name):
            return parts[1]
    return "standard"


def _parse(revision: Revision, file: str, data: bytes | None) -> dict[Any, Any]:
    try:
        return as_mapping(parse_yaml((data or b"").decode(errors="replace")))
    except ValueError as error:
        raise ManifestError(f"{file} of {revision.label} cannot be read: {error}; {revision.fix(file)}") from error


def _manifest(revision: Revision, name: str, path: str, data: bytes | None) -> Manifest | ManifestError:
    label, fix = f"{revision.label}/{path}", revision.fix(path)
    if data is None:
        return ManifestError(f"{name}: {label} cannot be read; {fix}")
    try:
        return parse_manifest(data, name=name, label=label, fix=fix)
    except ManifestError as error:
        return error
