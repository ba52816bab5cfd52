"""The manifest of a dataset: `artifacts/<name>.json`, a small file in git that every check starts from."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loader._errors import ManifestError, NotFoundError
from loader._format.index import FORMAT


@dataclass(frozen=True)
class ArtifactEntry:
    """The manifest's entry for one tar.

    Attributes
    ----------
    filename
        The tar's name in `artifacts/`.
    config
        The builder config in it, or None for a dataset without configs.
    size, sha256
        The number of its bytes, and their SHA-256 (hex).
    index_offset, index_size, index_sha256
        The offset of the index header in the tar, the number of its bytes, and their SHA-256 (hex).
    """

    filename: str
    config: str | None
    size: int
    sha256: str
    index_offset: int
    index_size: int
    index_sha256: str


@dataclass(frozen=True)
class Manifest:
    """A parsed manifest.

    Attributes
    ----------
    label
        Its path, for messages.
    name, version
        The dataset.
    artifacts
        The entries of its tars.
    default_config
        The builder config that TFDS uses by default, or None for a dataset without configs.
    raw
        The whole document.
    """

    label: str
    name: str
    version: str
    artifacts: tuple[ArtifactEntry, ...]
    default_config: str | None
    raw: dict[str, Any]

    def artifact(self, config: str | None = None) -> ArtifactEntry:
        """Return the entry of `config`, which defaults to the only config or to the default config.

        Raises
        ------
        NotFoundError
            There is no entry of this config.
        """
        if config is None and len(self.artifacts) == 1:
            return self.artifacts[0]
        wanted = self.default_config if config is None else config
        for entry in self.artifacts:
            if entry.config == wanted:
                return entry
        configs = ", ".join(entry.config for entry in self.artifacts if entry.config) or "none"
        if config is None:
            raise NotFoundError(f"{self.name} is recorded without its default config {wanted!r}; name one: {configs}")
        raise NotFoundError(f"{self.name} has no config {config!r}; its configs: {configs}")


def read_manifest(path: Path) -> Manifest:
    """Read the manifest at `path`.

    Raises
    ------
    ManifestError
        It is missing, or is not a manifest of format 1.
    """
    fix = f"restore it with: git checkout -- artifacts/{path.name}"
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ManifestError(f"{path.stem}: the manifest {path} is missing; {fix}") from error
    except OSError as error:
        raise ManifestError(f"{path.stem}: {path} is not a usable manifest ({error}); {fix}") from error
    return parse_manifest(data, name=path.stem, label=str(path), fix=fix)


def parse_manifest(data: bytes, *, name: str, label: str, fix: str) -> Manifest:
    """Parse the bytes of the manifest of dataset `name`; `label` and `fix` are for messages.

    Raises
    ------
    ManifestError
        They are not a manifest of format 1.
    """
    try:
        raw = json.loads(data)
        if raw["format"] != FORMAT:
            raise ValueError(f"its format is {raw['format']!r}, this loader reads {FORMAT}")
        if raw["name"] != name:
            raise ValueError(f"it is the manifest of {raw['name']!r}")
        entries = tuple(_entry(filename, entry) for filename, entry in raw["artifacts"].items())
        if not entries:
            raise ValueError("it lists no artifact")
        default = raw.get("default_config")
        return Manifest(label, name, str(raw["version"]), entries, None if default is None else str(default), raw)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ManifestError(f"{name}: {label} is not a usable manifest ({reason}); {fix}") from error


def _entry(filename: str, entry: dict[str, Any]) -> ArtifactEntry:
    if not re.fullmatch(r"[\w-][\w.-]{0,200}", filename):
        raise ValueError(f"{filename!r} is not the name of a file in artifacts/")
    index = entry["index"]
    found = ArtifactEntry(
        filename,
        None if entry["config"] is None else str(entry["config"]),
        int(entry["size"]),
        str(entry["sha256"]),
        int(index["offset"]),
        int(index["size"]),
        str(index["sha256"]),
    )
    if not 0 <= found.index_offset <= found.index_offset + found.index_size <= found.size:
        raise ValueError("the record index is outside the tar")
    return found
