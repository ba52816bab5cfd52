"""Where the datasets' repository is, and which manifest and tar belong to a name."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from loader._errors import ManifestError, NotFoundError
from loader._manifest import Manifest, read_manifest

ARTIFACTS = "artifacts"
REPOSITORY_VARIABLE = "DATASETS_REPO"


def find_repository(repo: str | os.PathLike[str] | None = None) -> Path:
    """Return the root of the datasets' repository.

    It is looked for in this order: the argument, the variable DATASETS_REPO, the working folder and its parents, the
    checkout that this package is installed from.

    Raises
    ------
    NotFoundError
        None of them is one, or the one that was named is not.
    """
    for origin, named in (("repo", repo), (REPOSITORY_VARIABLE, os.environ.get(REPOSITORY_VARIABLE))):
        if named:
            root = Path(named).expanduser().resolve()
            if not _is_repository(root):
                raise NotFoundError(
                    f"{origin}={os.fspath(named)} is not a datasets repository: "
                    f"it lacks dvc.yaml, artifacts/, or params.yaml with a toolchain"
                )
            return root
    try:
        here = [Path.cwd(), *Path.cwd().parents]
    except FileNotFoundError:  # the working folder was removed
        here = []
    for folder in (*here, Path(__file__).resolve().parent.parent):
        if _is_repository(folder):
            return folder
    raise NotFoundError(
        f"no datasets repository in the working folder or above it; "
        f"work inside one, or name it with repo= or {REPOSITORY_VARIABLE}"
    )


def find_manifest(root: Path, name: str) -> Manifest:
    """Return the manifest of dataset `name` in the repository `root`.

    Raises
    ------
    NotFoundError
        The repository has no such dataset.
    ManifestError
        It has, but the manifest is missing or cannot be used.
    """
    path = root / ARTIFACTS / f"{name}.json"
    recorded = {file.stem for file in (root / ARTIFACTS).glob("*.json")}
    if name in recorded:
        return read_manifest(path)
    if f"{ARTIFACTS}/{name}.json" in (root / "dvc.yaml").read_text(encoding="utf-8", errors="replace"):
        raise ManifestError(
            f"{name}: the manifest {path} is missing; restore it with: git checkout -- {ARTIFACTS}/{name}.json, "
            f"or build the dataset with: make build DATASET={name}"
        )
    close = difflib.get_close_matches(name, recorded, n=3)
    hint = f"did you mean {' or '.join(close)}?" if close else f"it has: {', '.join(sorted(recorded)) or 'none'}"
    raise NotFoundError(f"there is no dataset {name!r} in {root}; {hint}")


def _is_repository(folder: Path) -> bool:
    """Another project that uses DVC may have files and folders of these names too, but not a toolchain."""
    try:
        params = (folder / "params.yaml").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    has_toolchain = any(line.startswith("toolchain:") for line in params.splitlines())
    return has_toolchain and (folder / "dvc.yaml").is_file() and (folder / ARTIFACTS).is_dir()
