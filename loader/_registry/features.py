"""The features of datasets as `features.json` says, which the manifest holds: without an artifact."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from loader._errors import LoaderError
from loader._features.connectors import Feature, FeaturesDict, Sequence, TfdsFeature
from loader._features.parse import parse_features


def recorded_features(document: Any) -> FeaturesDict | None:
    """Return features without the names of classes, which only the artifact has; None if they cannot be read."""
    try:
        return parse_features(document, _no_file)
    except LoaderError:
        return None


def leaves(document: Any) -> dict[str, Feature]:
    """Return the features that contain no named ones, by path like "objects/bbox"; none if they cannot be read."""
    return dict(_leaves(recorded_features(document) or FeaturesDict({})))


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
    raise FileNotFoundError(name)
