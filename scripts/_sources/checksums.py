"""A dataset's own `checksums.tsv` in TFDS's format: lines of URL, size, SHA-256 and file name, sorted by URL."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from scripts._define.definition import Definition
from scripts._process.errors import ScriptError
from scripts._process.files import replacing
from scripts._sources.manual import is_manual, stored_name
from scripts._sources.source import Source

CHECKSUMS = "checksums.tsv"


def checksums_file(definition: Definition) -> Path:
    """Return the path of a dataset's own checksums, which a dataset of TFDS need not have.

    Those of a dataset of TFDS add to the ones that come with TFDS, and override them.
    """
    return (definition.folder or definition.root / "datasets/standard" / definition.name) / CHECKSUMS


def manual_sources(definition: Definition) -> list[Source]:
    """Return the files and trees that are downloaded by hand and registered.

    Raises
    ------
    ScriptError
        A line does not have TFDS's format, or names no path in the folder.
    """
    path, found = checksums_file(definition), []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        if is_manual(line):
            try:
                url, size, sha256 = line.split("\t")[:3]
                found.append(Source(url, stored_name(url), int(size), sha256))
            except ValueError as error:
                raise ScriptError(f"{path}: {line!r} is not a line of URL, size, SHA-256 and file name") from error
    return found


def has_line(definition: Definition, url: str) -> bool:
    """Return whether a dataset's own checksums have a line for a URL."""
    path = checksums_file(definition)
    return path.exists() and any(
        line.startswith((f"{url}\t", f"{url} ")) for line in path.read_text(encoding="utf-8").splitlines()
    )


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
    lines += map(checksums_line, sources)
    text = "".join(f"{line}\n" for line in comments + sorted(lines))
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        file.write(text.encode("utf-8"))


def checksums_line(source: Source) -> str:
    """Return the line of a source file; the name of a file downloaded by hand, which may have tabs, is encoded."""
    filename = quote(source.filename) if is_manual(source.url) else source.filename
    return f"{source.url}\t{source.size}\t{source.sha256}\t{filename}"
