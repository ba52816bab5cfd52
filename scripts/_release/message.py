"""The message of a release tag: what is released, by name and hash, and what changed since the release before."""

from __future__ import annotations

from collections.abc import Iterator

import loader
from loader import LoaderError
from loader._format.manifest import Manifest
from scripts._define.definition import Definition
from scripts._process.files import hash_file


def message(definition: Definition, manifest: Manifest, *, commit: str, previous: str | None) -> str:
    """Return the message of a release tag.

    Parameters
    ----------
    definition, manifest
        The dataset, and its manifest as it is committed.
    commit
        The commit that is released.
    previous
        The tag of the release before; None if there is none.
    """
    path = definition.manifest.relative_to(definition.root).as_posix()
    lines = [f"{manifest.name} {manifest.version}", ""]
    for entry in manifest.artifacts:
        splits = manifest.raw["artifacts"][entry.filename]["splits"]
        label = f"{entry.config}: " if entry.config else ""
        lines.append(label + ", ".join(f"{split['examples']:,} examples in {each}" for each, split in splits.items()))
    lines.append("")
    lines += [f"{path.rpartition('/')[0]}/{entry.filename}: SHA-256 {entry.sha256}" for entry in manifest.artifacts]
    lines.append(f"{path}: SHA-256 {hash_file(definition.manifest)}")
    if previous and (changes := list(_changes(definition, previous, commit))):
        lines += ["", f"since {previous}:", *changes]
    return "\n".join(lines) + "\n"


def _changes(definition: Definition, old: str, new: str) -> Iterator[str]:
    """Yield a line for each config; none if the examples of one cannot be compared.

    The comparison reads record indexes only, from the remote if they are not on this machine.
    """
    try:
        difference = loader.diff(definition.name, old, new, repo=definition.root)
    except LoaderError:
        return
    if difference.note:
        return
    for config in difference.configs:
        counts = {"added": config.added, "removed": config.removed, "changed": config.changed}
        counts["moved"] = sum(split.moved for split in config.splits)
        parts = [f"{count:,} {what}" for what, count in counts.items() if count]
        if config.features:
            parts.append(f"other features ({', '.join(change.name for change in config.features)})")
        if config.files and not parts:
            parts.append(f"other files ({', '.join(config.files)})")
        yield f"{config.config or 'examples'}: {', '.join(parts) or config.status}"
