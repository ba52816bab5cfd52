"""`python -m scripts changed`: which datasets a branch changes, so that they can be rebuilt and compared."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from loader._format.names import ARTIFACTS
from scripts._define.definition import PARAMS_FILE, ROOT, TOOLCHAIN, read_names
from scripts._define.lineage import Lineage
from scripts._dvc.stages import LOCK_FILE, STAGES_FILE, Stage, dependencies, read_stages
from scripts._process.errors import ScriptError
from scripts._process.files import read_yaml
from scripts._process.git import git, read_blobs

FILES = (PARAMS_FILE, STAGES_FILE, LOCK_FILE)
LOCK_FILES = "requirements*.lock"
DESCRIPTIONS = (".json", ".stats.json", ".croissant.json")


def changed(base: str, *, root: Path = ROOT) -> list[str]:
    """Return the datasets whose definition or records differ from the commit at which the branch left `base`.

    These are the datasets whose folder, block of `params.yaml`, stage, record in `dvc.lock`, manifest or statistics
    differ, and those that depend on a file or an artifact that differs; all of them if the toolchain or a lock file
    does. What is not committed yet counts.

    Parameters
    ----------
    base
        A branch, commit or tag; a branch that only the remote `origin` has is found there.
    root
        The repository.

    Raises
    ------
    ScriptError
        There is no such revision, or the records of one side cannot be read.
    """
    start = _branching_point(root, base)
    now = _Records.read(root)
    with TemporaryDirectory() as folder:
        for name, data in read_blobs(root, [f"{start}:./{file}" for file in FILES]).items():
            (Path(folder) / name.partition(":./")[2]).write_bytes(data)
        before = _Records.read(Path(folder))
    names, paths = read_names(root=root), _changed_paths(root, start)
    if now.params.get(TOOLCHAIN) != before.params.get(TOOLCHAIN) or any(fnmatch(path, LOCK_FILES) for path in paths):
        return names
    lineage = Lineage.of(root, now.stages, {name: now.params[name] for name in names})
    return [name for name in names if now.of(name) != before.of(name) or _reads(name, lineage, paths)]


def command(
    base: Annotated[str, typer.Option(help="The branch that the pull request is for; also a commit or tag.")] = "main",
) -> None:
    """Print the datasets that this branch changes, in one line, as other commands take them.

    Those that were never built are named on stderr only: there is nothing to compare a build with.
    """
    built = read_stages(ROOT / LOCK_FILE) if (ROOT / LOCK_FILE).exists() else {}
    names = changed(base)
    for name in names:
        if name not in built:
            print(f"{name} was never built; build it with: make build DATASET={name}", file=sys.stderr)
    if recorded := [name for name in names if name in built]:
        print(" ".join(recorded))


@dataclass(frozen=True)
class _Records:
    """The content of `params.yaml`, and the stages of `dvc.yaml` and of `dvc.lock`."""

    params: dict[str, Any]
    stages: dict[str, Stage]
    lock: dict[str, Stage]

    @classmethod
    def read(cls, folder: Path) -> _Records:
        """Read them; a file that does not exist yet is empty."""
        params, stages, lock = (folder / file for file in FILES)
        return cls(
            read_yaml(params) if params.exists() else {},
            read_stages(stages) if stages.exists() else {},
            read_stages(lock) if lock.exists() else {},
        )

    def of(self, name: str) -> tuple[Any, ...]:
        """Return all that they say of a dataset, with what is recorded of the artifacts that its stage reads."""
        deps = {*dependencies(self.stages.get(name, {}))}
        outs = [out for stage in self.lock.values() for out in stage.get("outs") or () if _path(out) in deps]
        return self.params.get(name), self.stages.get(name), self.lock.get(name), outs


def _path(out: Any) -> str:
    return str(out.get("path")) if isinstance(out, dict) else ""


def _branching_point(root: Path, base: str) -> str:
    """Return the commit at which HEAD left `base`."""
    for revision in (base, f"refs/remotes/origin/{base}"):
        try:
            commit = git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        except ScriptError:
            continue
        return git(root, "merge-base", commit.decode().strip(), "HEAD").decode().strip()
    raise ScriptError(f"there is no branch, commit or tag {base!r} in {root}; name another with: make changed BASE=...")


def _changed_paths(root: Path, start: str) -> set[str]:
    """Return the files that differ between a commit and the work tree, and those that git does not have yet."""
    differing = git(root, "diff", "--name-only", "--relative", "--no-renames", "-z", start)
    untracked = git(root, "ls-files", "--others", "--exclude-standard", "-z")
    return {path for path in (differing + untracked).decode(errors="surrogateescape").split("\0") if path}


def _reads(name: str, lineage: Lineage, paths: set[str]) -> bool:
    """Return whether one of these files is of a dataset, or a dependency of its stage."""
    own = {*_roots(name, lineage)}
    return any(path in own or any(path.startswith(f"{folder}/") for folder in own) for path in paths)


def _roots(name: str, lineage: Lineage) -> Iterator[str]:
    """Yield the files and folders of a dataset, and those that its stage depends on."""
    yield from lineage.folders[name]
    yield from dependencies(lineage.stages.get(name, {}))
    yield from (f"{ARTIFACTS}/{name}{suffix}" for suffix in DESCRIPTIONS)
