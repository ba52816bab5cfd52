"""The manifest of a dataset: `artifacts/<name>.json`, a small file in git that every check starts from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from loader._errors import ManifestError, NotFoundError
from loader._format.files import read_regular
from loader._format.index import FORMAT
from loader._format.names import is_filename
from loader._format.strict_json import integer, mapping, optional_text, parse_object, sha256_of, text

MAX_BYTES = 64 << 20
"""Most bytes of a manifest and of an index header, which is enough for billions of records."""


class ArtifactEntry(NamedTuple):
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
    version
        The version of its config; None if the configs have no versions of their own, but that of the dataset.
    """

    filename: str
    config: str | None
    size: int
    sha256: str
    index_offset: int
    index_size: int
    index_sha256: str
    version: str | None = None


class Manifest(NamedTuple):
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

    def version_folder(self, entry: ArtifactEntry) -> str:
        """Return the folder of an artifact's files in its tar: `<name>/[<config>/]<version>`."""
        return "/".join(part for part in (self.name, entry.config, entry.version or self.version) if part)

    def versions(self, config: str | None) -> list[str]:
        """Return the version of the dataset, and the own one of the config that is asked for."""
        own = (entry.version for entry in self.artifacts if config is not None and entry.config == config)
        return [self.version, *(version for version in own if version is not None)]

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
        data = read_regular(path)
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
        if len(data) > MAX_BYTES:
            raise ValueError(f"it has {len(data):,} bytes, more than {MAX_BYTES:,}")
        raw = parse_object(data)
        if integer(raw, "format") != FORMAT:
            raise ValueError(f"its format is {raw['format']}, this loader reads {FORMAT}")
        if text(raw, "name") != name:
            raise ValueError(f"it is the manifest of {raw['name']!r}")
        entries = tuple(_entry(filename, entry) for filename, entry in mapping(raw, "artifacts").items())
        if not entries:
            raise ValueError("it lists no artifact")
        default = optional_text({"default_config": None, **raw}, "default_config")
        return Manifest(label, name, text(raw, "version"), entries, default, raw)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"{name}: {label} is not a usable manifest ({error}); {fix}") from error


def _entry(filename: str, entry: Any) -> ArtifactEntry:
    if not is_filename(filename):
        raise ValueError(f"{filename!r} is not the name of a file in artifacts/")
    index = mapping(entry, "index")
    found = ArtifactEntry(
        filename,
        optional_text(entry, "config"),
        integer(entry, "size"),
        sha256_of(entry, "sha256"),
        integer(index, "offset"),
        integer(index, "size"),
        sha256_of(index, "sha256"),
        optional_text({"version": None, **entry}, "version"),
    )
    if found.index_offset + found.index_size > found.size:
        raise ValueError("the record index is outside the tar")
    if found.index_size > MAX_BYTES:
        raise ValueError(f"the record index has {found.index_size:,} bytes, more than {MAX_BYTES:,}")
    return found
