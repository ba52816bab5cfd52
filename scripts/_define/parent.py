"""The parent of an adversarial dataset, as described by its manifest and its artifact."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from loader import LoaderError
from loader._format.artifact import LocalArtifact
from loader._format.manifest import read_manifest
from loader._format.names import ARTIFACTS
from scripts._define.definition import read_definition
from scripts._process.errors import ScriptError

FEATURES_FILE = "features.json"
CLASS_NAMES = ".labels.txt"


@dataclass(frozen=True)
class PerturbedFeatures:
    """The split and features of a parent from which adversarial examples are made.

    Attributes
    ----------
    split
        The split: "test", or the first one if there is no "test".
    image, shape
        The feature that holds a uint8 image, and its shape (None for a dimension that varies).
    adversarial
        A name that no feature has, for the perturbed image.
    label
        The feature that holds the class; None if there is none.
    """

    split: str
    image: str
    shape: tuple[int | None, ...]
    adversarial: str
    label: str | None


@dataclass(frozen=True)
class Parent:
    """The dataset that another is derived from.

    Attributes
    ----------
    name, license
        The dataset and the license of its data.
    config
        The config to read; None for a dataset without configs, or if it is the one that is read by default.
    link
        Its folder or else its manifest, relative to the root.
    artifacts
        Its artifacts, relative to the root.
    features
        The split and features to perturb.
    files
        What TFDS restores its features from, by name: features.json and the class names.
    """

    name: str
    license: str
    config: str | None
    link: str
    artifacts: tuple[str, ...]
    features: PerturbedFeatures
    files: dict[str, bytes]


def read_parent(name: str, *, root: Path) -> Parent:
    """Read the definition, the manifest and the features of dataset `name`.

    Raises
    ------
    ScriptError
        The dataset does not exist, has not been built, is not here, or has no uint8 image.
    """
    try:
        definition = read_definition(name, root=root)
    except ScriptError as error:
        raise ScriptError(f"nothing can be derived from {name}: {error}; name another with PARENT=") from error
    try:
        manifest = read_manifest(definition.manifest)
    except LoaderError as error:
        raise ScriptError(
            f"the parent {name} is not built, so its features are not known; build it with: make build DATASET={name}"
        ) from error
    default = next((each for each in manifest.artifacts if each.config == manifest.default_config), None)
    entry = default or manifest.artifacts[0]
    raw = manifest.raw["artifacts"][entry.filename]
    features = raw["features"].get("featuresDict", {}).get("features", {})
    image = next((key for key, feature in features.items() if _is_image(feature)), None)
    if image is None:
        raise ScriptError(
            f"the parent {name} has no uint8 image, which the adversarial template needs; name another with PARENT=, "
            f"or leave out PARENT for a dataset with sources of its own"
        )
    adversarial = f"adversarial_{image}"
    while adversarial in features:
        adversarial = f"adversarial_{adversarial}"
    tar = definition.manifest.parent / entry.filename
    if not tar.exists():
        raise ScriptError(
            f"the parent {name} is not here, and its class names are in {ARTIFACTS}/{tar.name}; get it with: "
            f"make pull DATASET={name}, or build it with: make build DATASET={name}"
        )
    artifact = LocalArtifact(tar, manifest, entry)
    inside = [PurePosixPath(member.path).name for member in artifact.header.members]
    kept = [FEATURES_FILE, *(file for file in inside if file.endswith(CLASS_NAMES))]
    splits = list(raw["splits"])
    folder = definition.folder
    return Parent(
        name,
        definition.license,
        None if default or entry.config is None else entry.config,
        folder.relative_to(root).as_posix() if folder else f"{ARTIFACTS}/{name}.json",
        tuple(f"{ARTIFACTS}/{tar.name}" for tar in definition.tars.values()),
        PerturbedFeatures(
            "test" if "test" in splits else splits[0],
            image,
            tuple(None if int(side) < 0 else int(side) for side in features[image]["image"]["shape"]["dimensions"]),
            adversarial,
            next((key for key, feature in features.items() if "classLabel" in feature), None),
        ),
        {file: artifact.read_file(file) for file in kept},
    )


def _is_image(feature: dict[str, Any]) -> bool:
    return "image" in feature and feature["image"].get("dtype", "uint8") == "uint8"
