"""Entries of the registry as JSON values and as words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from loader._errors import LoaderError
from loader._features.connectors import Feature, FeaturesDict, Sequence, TfdsFeature
from loader._features.parse import parse_features
from loader._registry.entry import ConfigEntry, DatasetEntry


def as_json(entry: DatasetEntry) -> dict[str, Any]:
    """Return an entry as JSON values; the state has its words too."""
    values = asdict(entry)
    for config, raw in zip(entry.configs, values["configs"], strict=True):
        raw["splits"] = {name: split._asdict() for name, split in config.splits.items()}
    return values | {"size": entry.size, "state": {"words": str(entry.state), **values["state"]}}


def default_config(entry: DatasetEntry) -> ConfigEntry | None:
    """Return the config that is loaded if none is named, None if the dataset was never built."""
    return next((config for config in entry.configs if config.name == entry.default_config), None) or next(
        iter(entry.configs), None
    )


def features_of(config: ConfigEntry) -> dict[str, Feature]:
    """Return the features that contain no named ones, by path like "objects/bbox"; none if they cannot be read."""
    try:
        return dict(_leaves(parse_features(config.features, _no_file)))
    except LoaderError:
        return {}


def type_names(feature: Feature) -> Iterator[str]:
    """Yield the type of a feature, and of what it is a sequence of."""
    if isinstance(feature, TfdsFeature):
        yield feature.python_class_name.rpartition(".")[2]
        return
    yield type(feature).__name__.removesuffix("Feature")
    if isinstance(feature, Sequence):
        yield from type_names(feature.feature)


def _leaves(feature: Feature, path: str = "") -> Iterator[tuple[str, Feature]]:
    if isinstance(feature, FeaturesDict):
        for name, each in feature.items():
            yield from _leaves(each, f"{path}/{name}" if path else name)
    elif isinstance(feature, Sequence) and isinstance(feature.feature, FeaturesDict):
        for name, each in feature.feature.items():
            yield from _leaves(Sequence(each, feature.length), f"{path}/{name}" if path else name)
    else:
        yield path, feature


def _no_file(name: str) -> bytes:
    """Raise FileNotFoundError: the names of classes are in the artifact."""
    raise FileNotFoundError(name)
