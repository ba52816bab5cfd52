"""A row of the table of all datasets."""

from __future__ import annotations

from dataclasses import dataclass

from loader._catalog.names import page_name
from loader._registry.entry import DatasetEntry
from loader._registry.features import leaves, type_names

_SUMMARY = 160  # characters
_TEXT = 600
_MOST_CLASSES = 200


@dataclass(frozen=True)
class Row:
    """A dataset as the table shows it.

    Attributes
    ----------
    name, kind, version, license, visibility
        As in its entry; the version is empty if it was never built.
    address
        Of its page.
    summary
        The beginning of its description.
    examples, size
        Number of examples, and of bytes, of all configs; None if it was never built.
    types
        The types of its features, of a sequence those of its items.
    text
        More text to search in: the description, the features and the classes.
    """

    name: str
    kind: str
    version: str
    license: str
    visibility: str
    address: str
    summary: str
    examples: int | None
    size: int | None
    types: tuple[str, ...]
    text: str


def index_row(entry: DatasetEntry) -> Row:
    """Return the row of a dataset."""
    description = " ".join(entry.description.split())
    features = {path: each for config in entry.configs for path, each in leaves(config.features).items()}
    configs = [config.name for config in entry.configs if config.name]
    counts = entry.statistics.class_counts if entry.statistics else ()
    classes = list(dict.fromkeys(count.name for count in counts))
    types = dict.fromkeys(name for feature in features.values() for name in type_names(feature) if name != "Sequence")
    texts = [description[:_TEXT], *features, *configs, *classes[:_MOST_CLASSES]]
    return Row(
        entry.name,
        entry.kind,
        entry.version or "",
        entry.license,
        entry.visibility,
        page_name(entry.name),
        shortened(description, _SUMMARY),
        sum(split.examples for config in entry.configs for split in config.splits.values()) if entry.configs else None,
        entry.size if entry.configs else None,
        tuple(types),
        " ".join(dict.fromkeys(texts)),
    )


def shortened(text: str, most: int) -> str:
    """Return the beginning of a text, up to the end of a word."""
    if len(text) <= most:
        return text
    return f"{text[:most].rpartition(' ')[0] or text[:most]}…"
