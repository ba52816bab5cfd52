"""The facts of a dataset as HTML: its splits and its features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from loader._display.markup import TIMES, escape, name_html, note, table_html
from loader._features.connectors import Audio, ClassLabel, Feature, FeaturesDict, LabeledImage, Sequence, TfdsFeature
from loader._format.description import SplitInfo

_MOST_FEATURES, _MOST_CLASSES = 100, 20


def splits_html(splits: Mapping[str, SplitInfo]) -> str:
    """Return a table of the splits: their names, examples, bytes and shards."""
    rows = (
        [name_html(name), f"{split.num_examples:,}", size_text(split.num_bytes), f"{split.num_shards:,}"]
        for name, split in splits.items()
    )
    return table_html(
        ["split", "examples", "size", "shards"], rows, label="splits", has_row_heads=True, numeric=(1, 2, 3)
    )


def features_html(features: FeaturesDict) -> str:
    """Return a table of the features, also of those in others: their paths, types, shapes, dtypes and classes."""
    found = [*_leaves(features)]
    rows = (
        [
            name_html(path),
            name_html(kind),
            f'<span class="dv-nowrap">{shape}</span>' if shape else "",
            escape(dtype),
            details,
        ]
        for path, kind, shape, dtype, details in found[:_MOST_FEATURES]
    )
    table = table_html(["feature", "type", "shape", "dtype", "details"], rows, label="features", has_row_heads=True)
    rest = len(found) - _MOST_FEATURES
    return table + (note(f"…and {rest:,} more features") if rest > 0 else "")


def link_html(address: str) -> str:
    """Return a link if the address is one of the web, which data may claim; otherwise its text."""
    if address.startswith(("https://", "http://")):
        return f'<a href="{escape(address)}" rel="noreferrer">{escape(address)}</a>'
    return escape(address)


def size_text(size: float) -> str:
    """Return a number of bytes in a unit in which it has few digits."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:,.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


def _leaves(feature: Feature, path: str = "", wrap: str = "{}") -> Iterator[tuple[str, str, str, str, str]]:
    """Yield path, type, shape, dtype and details of each feature that contains no named ones."""
    if isinstance(feature, FeaturesDict):
        for name, each in feature.items():
            yield from _leaves(each, f"{path}/{name}" if path else name, wrap)
        return
    if isinstance(feature, Sequence) and isinstance(feature.feature, FeaturesDict):
        yield from _leaves(feature.feature, path, wrap.format(f"{type(feature).__name__}({{}})"))
        return
    inner, kind = feature, wrap
    while isinstance(inner, Sequence) and not isinstance(inner.feature, FeaturesDict):
        kind, inner = kind.format(f"{type(inner).__name__}({{}})"), inner.feature
    if isinstance(inner, (FeaturesDict, Sequence)):
        yield from _leaves(inner, path, kind)
        return
    name = inner.python_class_name.rpartition(".")[2] if isinstance(inner, TfdsFeature) else type(inner).__name__
    shape = TIMES.join("any" if size is None else f"{size:,}" for size in feature.shape or ())
    dtype = "" if isinstance(inner, TfdsFeature) else "bytes" if inner.dtype == object else inner.dtype.name
    yield path, kind.format(name), shape, dtype, _details(inner)


def _details(feature: Feature) -> str:
    if isinstance(feature, (ClassLabel, LabeledImage)) and feature.num_classes:
        shown = ", ".join(name_html(name) for name in feature.given_names[:_MOST_CLASSES])
        rest = len(feature.given_names) - _MOST_CLASSES
        names = f": {shown}" + (f", {note(f'…and {rest:,} more')}" if rest > 0 else "") if shown else ""
        return f"{feature.num_classes:,} classes{names}"
    if isinstance(feature, Audio) and feature.sample_rate:
        return f"{feature.sample_rate:,} samples per second"
    return ""
