"""The parent of an adversarial dataset, as described by its manifest."""

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
class PerturbedFeatures:
    """The split and features of a parent from which adversarial examples are made.

    Attributes
    ----------
    split
        The split: "test", or the first one if there is no "test".
    image, shape
        The feature that holds a uint8 image, and its shape (None for a dimension that varies).
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
        The dataset and the license of its data.
    link
        Its folder or else its manifest, relative to the root.
    artifacts
        Its artifacts, relative to the root.
    features
        The split and features to perturb.
    """

    name: str
    license: str
    link: str
    artifacts: tuple[str, ...]
    features: PerturbedFeatures


def read_parent(name: str, *, root: Path) -> Parent:
    """Read the definition and the manifest of dataset `name`.

    Raises
    ------
    ScriptError
        The dataset does not exist, has not been built, or has no uint8 image with a class.
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
            f"the parent {name} has no uint8 image with a ClassLabel, which the adversarial template needs; "
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
        PerturbedFeatures(
            "test" if "test" in splits else splits[0],
            image,
            tuple(None if side < 0 else side for side in shape),
            label,
            int(features[label]["classLabel"]["numClasses"]),
        ),
    )


def _first(features: dict[str, Any], kind: str) -> str | None:
    return next((name for name, feature in features.items() if kind in feature), None)
