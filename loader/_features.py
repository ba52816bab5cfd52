"""What an example is made of, read from `features.json` without TFDS.

Source of the format: the JSON that `tfds.features.FeaturesDict.save_config` writes. A class here is named as the
TFDS connector it stands for, and its attributes as that connector's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from loader._errors import DecodeError, NotFoundError, UnsupportedError

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class Tensor:
    """An array of `shape` (None: unknown) and `dtype` (object for bytes), kept as values or as "bytes" or "zlib"."""

    shape: Shape
    dtype: npt.DTypeLike
    encoding: str = "none"


@dataclass(frozen=True)
class Scalar(Tensor):
    """A single value of `dtype`."""


@dataclass(frozen=True)
class Text:
    """UTF-8 text, handed out as bytes."""

    shape: Shape = ()
    dtype: npt.DTypeLike = object


@dataclass(frozen=True)
class ClassLabel:
    """An int64 class number from 0 to `num_classes` - 1.

    Attributes
    ----------
    num_classes
        Number of classes.
    names
        Their names; empty where the dataset gives them none.
    """

    num_classes: int
    names: tuple[str, ...] = ()
    shape: Shape = ()
    dtype: npt.DTypeLike = np.int64

    def int2str(self, number: int) -> str:
        """Return the name of class `number`; the number as text where classes have no names."""
        return self.names[number] if self.names else str(number)

    def str2int(self, name: str) -> int:
        """Return the number of class `name`.

        Raises
        ------
        NotFoundError
            There is no such class.
        """
        if not self.names and name.isdecimal() and int(name) < self.num_classes:
            return int(name)
        try:
            return self.names.index(name)
        except ValueError as error:
            known = ", ".join(self.names) or f"0 to {self.num_classes - 1}"
            raise NotFoundError(f"there is no class {name!r}; the classes: {known}") from error


@dataclass(frozen=True)
class Image:
    """An image of `shape` (height, width, channels) and `dtype` uint8, uint16 or float32, kept as PNG or JPEG."""

    shape: Shape
    dtype: npt.DTypeLike
    encoding_format: str | None = None


@dataclass(frozen=True)
class Audio:
    """Samples of `shape` (length,) or (length, channels) and `dtype`, `sample_rate` of them a second."""

    shape: Shape
    dtype: npt.DTypeLike
    sample_rate: int | None = None
    encoding: str = "none"


class FeaturesDict(Mapping[str, "Feature"]):
    """Features by name."""

    def __init__(self, features: dict[str, Feature]) -> None:
        self._features = features

    def __getitem__(self, name: str) -> Feature:
        return self._features[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._features)

    def __len__(self) -> int:
        return len(self._features)

    def __repr__(self) -> str:
        return f"FeaturesDict({self._features!r})"


Feature = FeaturesDict | Tensor | Text | ClassLabel | Image | Audio


def parse_features(document: Any, read_file: Callable[[str], bytes]) -> FeaturesDict:
    """Parse the content of `features.json`.

    Parameters
    ----------
    document
        The parsed JSON.
    read_file
        Returns the bytes of a metadata file by name (class names are kept in files of their own); raises
        FileNotFoundError where there is none.

    Raises
    ------
    UnsupportedError
        It names a feature that this loader cannot decode.
    DecodeError
        It is no TFDS features.json.
    """
    try:
        features = _parse(document, (), read_file)
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise DecodeError(f"features.json is not one of TFDS: {error!r}") from error
    if not isinstance(features, FeaturesDict):
        raise UnsupportedError("features.json: only datasets whose top level is a FeaturesDict can be read")
    return features


def _parse(node: dict[str, Any], path: tuple[str, ...], read_file: Callable[[str], bytes]) -> Feature:
    connector = str(node["pythonClassName"]).rpartition(".")[2]
    if connector == "FeaturesDict":
        children = node["featuresDict"]["features"]
        return FeaturesDict({name: _parse(child, (*path, name), read_file) for name, child in children.items()})
    if connector in ("Tensor", "Scalar") and not node["tensor"].get("optional"):
        tensor = node["tensor"]
        shape, dtype, encoding = _shape(tensor), _dtype(tensor["dtype"]), tensor.get("encoding", "none").lower()
        return Scalar(shape, dtype, encoding) if connector == "Scalar" else Tensor(shape, dtype, encoding)
    if connector == "Text":
        return Text()
    if connector == "ClassLabel":
        return _class_label(int(node["classLabel"]["numClasses"]), path, read_file)
    if connector == "Image":
        image = node["image"]
        return Image(_shape(image), _dtype(image.get("dtype", "uint8")), image.get("encodingFormat"))
    if connector == "Audio" and not node["audio"].get("lazyDecode"):
        audio = node["audio"]
        rate = int(audio.get("sampleRate", 0)) or None
        return Audio(_shape(audio), _dtype(audio["dtype"]), rate, audio.get("encoding", "none").lower())
    raise UnsupportedError(f"feature {'/'.join(path) or '(top level)'} is a {connector}, which this loader cannot read")


def _class_label(num_classes: int, path: tuple[str, ...], read_file: Callable[[str], bytes]) -> ClassLabel:
    try:
        text = read_file("-".join(path) + ".labels.txt").decode()
    except FileNotFoundError:
        return ClassLabel(num_classes)
    return ClassLabel(num_classes, tuple(name.strip() for name in text.split("\n") if name.strip()))


def _shape(node: dict[str, Any]) -> Shape:
    sizes = (int(size) for size in node["shape"].get("dimensions", ()))
    return tuple(None if size < 0 else size for size in sizes)


def _dtype(name: str) -> npt.DTypeLike:
    return np.dtype(object) if name == "string" else np.dtype(name)
