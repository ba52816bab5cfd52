"""The dataset that an adversarial one is derived from, as its manifest describes it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loader import LoaderError
from loader._format.manifest import read_manifest
from loader._format.names import ARTIFACTS
from scripts._define.definition import read_definition
from scripts._process.errors import ScriptError


@dataclass(frozen=True)
class Features:
    """What of a dataset is perturbed.

    Attributes
    ----------
    split
        The split: "test", or the first one.
    image, shape
        The feature that holds an image of uint8, and its shape; None where a dimension varies.
    label, classes
        The feature that holds the class, and the number of classes.
    """

    split: str
    image: str
    shape: tuple[int | None, ...]
    label: str
    classes: int


@dataclass(frozen=True)
class Parent:
    """The dataset that another is derived from.

    Attributes
    ----------
    name, license
        The dataset and the licence of its data.
    described
        Where it is described: its folder or its manifest, relative to the root.
    artifacts
        Its artifacts, relative to the root.
    features
        What of it is perturbed.
    """

    name: str
    license: str
    described: str
    artifacts: tuple[str, ...]
    features: Features


def read_parent(name: str, *, root: Path) -> Parent:
    """Read what is recorded of dataset `name`.

    Raises
    ------
    ScriptError
        There is no such dataset, it was never built, or it has no image with a class.
    """
    try:
        definition = read_definition(name, root=root)
    except ScriptError as error:
        raise ScriptError(f"nothing can be derived from {name}: {error}; name another with PARENT=") from error
    try:
        manifest = read_manifest(definition.manifest)
        entry = manifest.raw["artifacts"][manifest.artifact().filename]
    except LoaderError as error:
        raise ScriptError(
            f"the parent {name} is not built, so its features are not known; build it with: make build DATASET={name}"
        ) from error
    features = entry["features"].get("featuresDict", {}).get("features", {})
    image, label = _first(features, "image"), _first(features, "classLabel")
    if image is None or label is None or features[image]["image"].get("dtype", "uint8") != "uint8":
        raise ScriptError(
            f"the parent {name} has no image of uint8 with a ClassLabel, which the scaffold perturbs; "
            f"name another with PARENT=, or start from KIND=standard"
        )
    shape = [int(side) for side in features[image]["image"]["shape"]["dimensions"]]
    splits = list(entry["splits"])
    folder = definition.folder
    return Parent(
        name,
        definition.license,
        folder.relative_to(root).as_posix() if folder else f"{ARTIFACTS}/{name}.json",
        tuple(f"{ARTIFACTS}/{tar.name}" for tar in definition.tars.values()),
        Features(
            "test" if "test" in splits else splits[0],
            image,
            tuple(None if side < 0 else side for side in shape),
            label,
            int(features[label]["classLabel"]["numClasses"]),
        ),
    )


def _first(features: dict[str, Any], kind: str) -> str | None:
    return next((name for name, feature in features.items() if kind in feature), None)
