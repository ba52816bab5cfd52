"""What differs between two manifests: metadata, features and statistics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from loader._features.connectors import FeaturesDict
from loader._format.manifest import Manifest
from loader._registry.differences.difference import Change
from loader._registry.features import recorded_features
from loader._registry.records import as_list, as_mapping
from loader._registry.statistics import Statistics, ValueStatistics

_TEXTS = ("version", "license", "description", "citation", "homepage", "default_config")


def compare_metadata(old: Manifest, new: Manifest) -> tuple[Change, ...]:
    """Return the metadata that differ, named like "license", "argument epsilon" or "toolchain numpy"."""
    return tuple(_compare(_metadata(old), _metadata(new)))


def one_sided_metadata(manifest: Manifest, *, is_new: bool) -> tuple[Change, ...]:
    """Return what there is to know first of a dataset that is new or removed."""
    found = ((name, _metadata(manifest).get(name)) for name in ("version", "license", "description"))
    return tuple(Change(name, *((None, value) if is_new else (value, None))) for name, value in found if value)


def compare_features(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Change, ...]:
    """Return the features that differ, each with its type on both sides.

    Parameters
    ----------
    old, new
        The entries of an artifact in the two manifests.
    """
    sides = [dict(_flatten(_features(entry))) for entry in (old, new)]
    return tuple(_compare(*sides))


def compare_statistics(old: Statistics | None, new: Statistics | None) -> tuple[Change, ...]:
    """Return the statistics that differ, named like "examples", "train audio max" or "train label: three".

    Nothing is compared if one side has none. The number of characters is left out where it is that of bytes.
    """
    if old is None or new is None:
        return ()
    found = {change.name: change for change in _compare(dict(_statistics(old)), dict(_statistics(new)))}
    for each in new.values:
        length, characters = (found.get(_value_name(each, figure)) for figure in ("length", "characters"))
        if length and characters and length[1:] == characters[1:]:
            del found[characters.name]
    return tuple(found.values())


def _compare(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    for name in {**old, **new}:
        if old.get(name) != new.get(name):
            yield Change(name, old.get(name), new.get(name))


def _metadata(manifest: Manifest) -> dict[str, Any]:
    raw = manifest.raw
    found = {name: raw.get(name) for name in _TEXTS if raw.get(name)}
    for word, key in (("argument", "arguments"), ("toolchain", "toolchain")):
        found |= {f"{word} {name}": value for name, value in as_mapping(raw.get(key)).items()}
    for source in map(as_mapping, as_list(raw.get("sources"))):
        found[f"source {source.get('url')}"] = f"{source.get('size')} bytes, SHA-256 {str(source.get('sha256'))[:12]}"
    for name, parent in as_mapping(raw.get("parents")).items():
        hashes = as_mapping(as_mapping(parent).get("artifacts")).values()
        found[f"parent {name}"] = (
            f"{as_mapping(parent).get('version')} ({', '.join(str(each)[:12] for each in hashes)})"
        )
    return found


def _features(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the features as the loader shows them, or, if it cannot parse them, as JSON."""
    document = entry.get("features")
    if (features := recorded_features(document)) is not None:
        return features
    inner = as_mapping(as_mapping(as_mapping(document).get("featuresDict")).get("features"))
    return inner or ({} if document is None else {"features": document})


def _flatten(features: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, feature in features.items():
        if isinstance(feature, FeaturesDict):
            yield from _flatten(feature, f"{prefix}{name}/")
        else:
            yield prefix + name, repr(feature)


def _statistics(statistics: Statistics) -> Iterator[tuple[str, Any]]:
    for name in ("examples", "bytes", "features", "classes", "missing", "empty", "duplicates", "leaked"):
        yield name, getattr(statistics, name)
    for count in statistics.class_counts:
        yield f"{_join(count.config, count.split, count.feature)}: {count.name}", count.examples
    for split in statistics.splits:
        yield _join(split.config, split.split, "bytes"), split.bytes
        yield _join(split.config, split.split, "duplicates"), split.duplicates
    for each in statistics.values:
        for figure in ("missing", "empty", "nan", "infinite", "min", "max", "mean", "shape", "length", "characters"):
            yield _value_name(each, figure), getattr(each, figure)


def _value_name(statistics: ValueStatistics, figure: str) -> str:
    return _join(statistics.config, statistics.split, statistics.feature, figure)


def _join(*parts: str | None) -> str:
    return " ".join(part for part in parts if part is not None)
