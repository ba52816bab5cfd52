"""The features and classes of a dataset, from its records alone."""

from __future__ import annotations

from collections.abc import Iterator

from loader._errors import LoaderError
from loader._features.connectors import Feature, FeaturesDict, Sequence, TfdsFeature
from loader._features.parse import parse_features
from loader._registry.entry import ConfigEntry, DatasetEntry


def parsed(config: ConfigEntry) -> FeaturesDict | None:
    """Return the features of a config without the names of classes, which are in the artifact; None if unreadable."""
    try:
        return parse_features(config.features, _no_file)
    except LoaderError:
        return None


def features_of(config: ConfigEntry) -> dict[str, Feature]:
    """Return the features that contain no named ones, by path like "objects/bbox"."""
    features = parsed(config)
    return {} if features is None else dict(_leaves(features))


def type_names(feature: Feature) -> Iterator[str]:
    """Yield the type of a feature, and of what it is a sequence of."""
    if isinstance(feature, TfdsFeature):
        yield feature.python_class_name.rpartition(".")[2]
    elif isinstance(feature, Sequence):
        yield from type_names(feature.feature)
    else:
        yield type(feature).__name__.removesuffix("Feature")


def class_names(entry: DatasetEntry) -> list[str]:
    """Return the names of classes that the statistics count."""
    counts = entry.statistics.class_counts if entry.statistics else ()
    return list(dict.fromkeys(count.name for count in counts))


def _leaves(feature: Feature, path: str = "") -> Iterator[tuple[str, Feature]]:
    if isinstance(feature, FeaturesDict):
        for name, each in feature.items():
            yield from _leaves(each, f"{path}/{name}" if path else name)
    elif isinstance(feature, Sequence) and isinstance(feature.feature, FeaturesDict):
        yield from _leaves(feature.feature, path)
    else:
        yield path, feature


def _no_file(name: str) -> bytes:
    raise FileNotFoundError(name)
