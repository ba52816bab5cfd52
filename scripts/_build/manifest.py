"""Writing the manifest, which describes a dataset without its data (`loader._format.manifest` reads it), and the other
small files that a build makes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loader._format.index import FORMAT
from loader._format.manifest import read_manifest
from loader._format.names import ARTIFACTS
from scripts._build.croissant import croissant
from scripts._build.package import Packed
from scripts._build.prepare import Prepared
from scripts._build.statistics.compute import write_statistics
from scripts._define.definition import Definition
from scripts._define.versions import highest
from scripts._process.files import replacing


def describe(definition: Definition, built: Sequence[tuple[Prepared, Packed]]) -> dict[str, Any]:
    """Return the manifest of a dataset, as JSON values.

    Parameters
    ----------
    definition
        The dataset.
    built
        The builder's output and its artifact, for every config.
    """
    prepared, packed = built[0]
    info = packed.info
    version = definition.version or highest(packed.info.version for _, packed in built)
    has_own = any(packed.info.version != version for _, packed in built)
    libraries = {library: version for each, _ in built for library, version in each.libraries.items()}
    sources = {source.url: {**vars(source), "url": source.shown} for each, _ in built for source in each.sources}
    return {
        "format": FORMAT,
        "name": info.name,
        "version": version,
        "license": definition.license,
        "description": definition.description or info.description.strip(),
        "citation": info.citation.strip(),
        "homepage": info.homepage,
        "arguments": definition.arguments,
        "default_config": prepared.default_config,
        "sources": [sources[url] for url in sorted(sources)],
        "parents": {parent: _parent(definition, parent, filenames) for parent, filenames in definition.parents.items()},
        "toolchain": definition.toolchain | libraries,
        "artifacts": {
            packed.entry.filename: _artifact(prepared, packed, has_own_version=has_own) for prepared, packed in built
        },
    }


def _parent(definition: Definition, name: str, filenames: tuple[str, ...]) -> dict[str, Any]:
    manifest = read_manifest(definition.root / ARTIFACTS / f"{name}.json")
    sha256 = {entry.filename: entry.sha256 for entry in manifest.artifacts}
    return {"version": manifest.version, "artifacts": {filename: sha256[filename] for filename in sorted(filenames)}}


def _artifact(prepared: Prepared, packed: Packed, *, has_own_version: bool) -> dict[str, Any]:
    entry = packed.entry
    metadata = prepared.folder / "metadata.json"
    return {
        "config": entry.config,
        **({"version": packed.info.version} if has_own_version else {}),
        "size": entry.size,
        "sha256": entry.sha256,
        "index": {"offset": entry.index_offset, "size": entry.index_size, "sha256": entry.index_sha256},
        "splits": {
            split.name: {"examples": split.num_examples, "bytes": split.num_bytes, "shards": split.num_shards}
            for split in packed.info.splits.values()
        },
        "features": json.loads((prepared.folder / "features.json").read_bytes()),
        "metadata": json.loads(metadata.read_bytes()) if metadata.is_file() else None,
    }


def write_manifest(path: Path, manifest: dict[str, Any]) -> None:
    """Write a manifest, or a Croissant description, completely or not at all."""
    with replacing(path) as file:
        file.write(json.dumps(manifest, indent=2, ensure_ascii=False).encode("utf-8") + b"\n")


def write_descriptions(definition: Definition, folder: Path, manifest: dict[str, Any], statistics: Any) -> None:
    """Write the statistics, the Croissant description and the manifest of a dataset to a folder.

    Each is written completely or not at all; the manifest last, because artifacts are valid only with it.
    """
    write_statistics(folder / definition.statistics.name, statistics)
    write_manifest(folder / definition.croissant.name, croissant(manifest, statistics))
    write_manifest(folder / definition.manifest.name, manifest)
