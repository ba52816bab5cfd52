"""Writing the manifest: what a dataset is, without the data (`loader._manifest` reads it)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from loader._index import FORMAT
from scripts.builder import Prepared
from scripts.definition import Definition
from scripts.files import replacing
from scripts.package import Packed


def describe(definition: Definition, prepared: Prepared, packed: Packed) -> dict[str, Any]:
    """Return the manifest of a dataset's artifact, as JSON values."""
    entry, info = packed.entry, packed.info
    return {
        "format": FORMAT,
        "name": info.name,
        "version": info.version,
        "visibility": definition.visibility,
        "license": definition.license,
        "description": info.description.strip(),
        "citation": info.citation.strip(),
        "homepage": info.homepage,
        "sources": [vars(source) for source in prepared.sources],
        "parents": {},
        "toolchain": definition.toolchain,
        "artifacts": {
            entry.filename: {
                "config": entry.config,
                "size": entry.size,
                "sha256": entry.sha256,
                "index": {"offset": entry.index_offset, "size": entry.index_size, "sha256": entry.index_sha256},
                "splits": {
                    split.name: {"examples": split.num_examples, "bytes": split.num_bytes, "shards": split.num_shards}
                    for split in info.splits.values()
                },
                "features": json.loads((prepared.folder / "features.json").read_bytes()),
            }
        },
    }


def write_manifest(path: Path, manifest: dict[str, Any]) -> None:
    """Write a manifest, all or nothing."""
    with replacing(path) as file:
        file.write(json.dumps(manifest, indent=2, ensure_ascii=False).encode("utf-8") + b"\n")
