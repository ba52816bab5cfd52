"""A dataset's `checksums.tsv` in TFDS's format: lines of URL, size, SHA-256 and file name, sorted by URL."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from scripts._process.files import replacing
from scripts._sources.sources import Source


def add_checksums(path: Path, sources: Iterable[Source]) -> None:
    """Add lines for source files atomically; existing lines and comments stay unchanged.

    Raises
    ------
    ScriptError
        The file cannot be written.
    """
    before = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    comments = [line for line in before if line.startswith("#")]
    lines = [line for line in before if line.strip() and not line.startswith("#")]
    lines += [f"{source.url}\t{source.size}\t{source.sha256}\t{source.filename}" for source in sources]
    text = "".join(f"{line}\n" for line in comments + sorted(lines))
    with replacing(path) as file:
        file.write(text.encode("utf-8"))
