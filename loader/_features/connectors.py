"""The features of an example, as users see them in `info.features`.

Each class has the name of the TFDS feature connector that it represents, and its attributes too. `shape` is the shape
of one value, with None for a size that varies between examples. `dtype` is a NumPy dtype, `object` for bytes. A feature
with several values (FeaturesDict, or a Sequence of one) has neither.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, SupportsIndex, overload

import numpy as np

from loader._errors import ArgumentError, NotFoundError

Shape = tuple[int | None, ...]
DType = np.dtype[Any]

_OBJECT, _INT64, _FLOAT32 = np.dtype(object), np.dtype(np.int64), np.dtype(np.float32)


class _Value:
    """A feature with one value; its repr shows shape, dtype and the attributes that differ from their default."""

    shape: Shape
    dtype: DType

    def __repr__(self) -> str:
        shown = [f"shape={self.shape}", f"dtype={'string' if self.dtype == object else self.dtype.name}"]
        for attribute in fields(self):  # type: ignore[arg-type]
            value = getattr(self, attribute.name)
            if attribute.repr and attribute.name not in ("shape", "dtype") and value != attribute.default:
                shown.append(f"{attribute.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True, kw_only=True, repr=False)
class Tensor(_Value):
    """An array, or a single value if `shape` is ().

    Attributes
    ----------
    encoding
        How records store it: "none" as values, "bytes" as the bytes of the array, "zlib" as those bytes compressed.
    optional
        Whether examples may lack it. A missing value is the smallest of the dtype, False or b"", as in TFDS.
    """

    shape: Shape
    dtype: DType
    encoding: str = "none"
    optional: bool = False


@dataclass(frozen=True, kw_only=True, repr=False)
class Scalar(Tensor):
    """A single value."""

    shape: Shape = ()


@dataclass(frozen=True, kw_only=True, repr=False)
class Text(Tensor):
    """UTF-8 text, decoded as bytes."""

    shape: Shape = ()
    dtype: DType = _OBJECT


@dataclass(frozen=True, kw_only=True, repr=False)
class BBoxFeature(Tensor):
    """A bounding box, four float32: ymin, xmin, ymax, xmax; `bbox_format` is the format in the source data."""

    shape: Shape = (4,)
    dtype: DType = _FLOAT32
    bbox_format: str | None = None


@dataclass(frozen=True, kw_only=True, repr=False)
class Audio(Tensor):
    """Samples of shape (length,) or (length, channels), `sample_rate` of them per second.

    With `lazy_decode`, records store the audio file itself, in `file_format`.
    """

    sample_rate: int | None = None
    file_format: str | None = None
    lazy_decode: bool = False


@dataclass(frozen=True, kw_only=True, repr=False)
class _Labels:
    """Classes, numbered from 0, and their names if they have any."""

    num_classes: int
    given_names: tuple[str, ...] = field(default=(), repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes; as in TFDS, their numbers as text if they have no names."""
        return self.given_names or tuple(map(str, range(self.num_classes)))

    @overload
    def int2str(self, number: SupportsIndex) -> str: ...
    @overload
    def int2str(self, number: Iterable[SupportsIndex]) -> list[str]: ...
    def int2str(self, number: Any) -> Any:
        """Return the name of class `number`, or the number as text if classes have no names.

        Of a list, an array or a tensor of numbers, it is a list of names.

        Raises
        ------
        NotFoundError
            There is no such class.
        ArgumentError
            It is no number.
        """
        try:
            if np.ndim(number):  # first, because a tensor with one number has an index too
                return [self.int2str(each) for each in number]
            index = operator.index(number)
        except TypeError:
            raise ArgumentError(f"int2str() takes the number of a class, or several, not {number!r}") from None
        if not 0 <= index < (len(self.given_names) or self.num_classes):
            raise NotFoundError(f"there is no class {index}; the classes are {self._known}")
        return self.given_names[index] if self.given_names else str(index)

    def str2int(self, name: str) -> int:
        """Return the number of class `name`.

        Raises
        ------
        NotFoundError
            There is no such class.
        ArgumentError
            `name` is no string.
        """
        if not isinstance(name, str):
            raise ArgumentError(f"str2int() takes the name of a class, not {name!r}")
        if not self.given_names and name.isdecimal() and int(name) < self.num_classes:
            return int(name)
        try:
            return self.given_names.index(name)
        except ValueError as error:
            raise NotFoundError(f"there is no class {name!r}; the classes are {self._known}") from error

    @property
    def _known(self) -> str:
        return ", ".join(self.given_names) or f"0 to {self.num_classes - 1}"


@dataclass(frozen=True, kw_only=True, repr=False)
class ClassLabel(_Labels, Tensor):
    """An int64 class number from 0 to `num_classes` - 1, or -1 for an example without a label.

    Attributes
    ----------
    num_classes
        Number of classes.
    given_names
        Their names; empty if they have none. `names` are then the numbers as text.
    """

    shape: Shape = ()
    dtype: DType = _INT64


@dataclass(frozen=True, kw_only=True, repr=False)
class Image(_Value):
    """An image of shape (height, width, channels) and dtype uint8, uint16 or float32.

    Attributes
    ----------
    encoding_format
        "png" or "jpeg", the encoding of images that were arrays; images that were already encoded are unchanged.
    use_colormap
        Whether to show pixel values with a colour map.
    """

    shape: Shape
    dtype: DType
    encoding_format: str | None = None
    use_colormap: bool = False


@dataclass(frozen=True, kw_only=True, repr=False)
class LabeledImage(_Labels, Image):
    """An image whose pixels are class numbers; `num_classes`, `given_names` and `names` are as in ClassLabel."""


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
        return f"{type(self).__name__}({self._features!r})"


class Translation(FeaturesDict):
    """One text in several languages, by language code."""

    @property
    def languages(self) -> list[str]:
        """The language codes, sorted."""
        return sorted(self)


@dataclass(frozen=True)
class Sequence:
    """Any number of values of `feature`, or exactly `length`.

    It decodes to one array of shape (length, *shape), or to a dict of such arrays if `feature` is a FeaturesDict. A
    Sequence in a Sequence is ragged: it decodes to a list, with one decoded inner Sequence for each item.
    """

    feature: Feature
    length: int | None = None

    @property
    def shape(self) -> Shape | None:
        """The shape of the array, None if there are several arrays."""
        inner = None if isinstance(self.feature, FeaturesDict) else self.feature.shape
        return None if inner is None else (self.length, *inner)

    @property
    def dtype(self) -> DType | None:
        """The dtype of the array, None if there are several arrays."""
        return None if isinstance(self.feature, FeaturesDict) else self.feature.dtype

    def __getitem__(self, name: str) -> Feature:
        if isinstance(self.feature, (FeaturesDict, Sequence)):
            return self.feature[name]
        raise KeyError(name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # an instance that is being unpickled has no `feature` yet
            raise AttributeError(name)
        return getattr(self.feature, name)  # as TFDS: `info.features["labels"].names` of a Sequence(ClassLabel)


class Video(Sequence):
    """Frames of one size, each stored as an image; the shape is (frames, height, width, channels)."""


@dataclass(frozen=True)
class TranslationVariableLanguages(Sequence):
    """Texts and their languages: `language` and `translation`, two arrays of bytes, sorted by language code.

    Attributes
    ----------
    languages
        The possible language codes, None if unknown.
    """

    languages: list[str] | None = None

    @property
    def num_languages(self) -> int | None:
        """Number of possible languages, None if unknown."""
        return None if self.languages is None else len(self.languages)


class Dataset(Sequence):
    """A dataset inside an example: a sequence of examples, each decoded on access."""


@dataclass(frozen=True)
class TfdsFeature:
    """A feature that this loader leaves to TFDS, which imports TensorFlow to decode it.

    Attributes
    ----------
    python_class_name
        The class that only TFDS can decode, as named in `features.json`.
    document
        The feature's JSON in `features.json`.
    """

    python_class_name: str
    document: Any = field(repr=False)
    shape: Shape = field(default=(None,), init=False, repr=False)  # unknown
    dtype: DType = field(default=_OBJECT, init=False, repr=False)


Feature = FeaturesDict | Sequence | Tensor | Image | TfdsFeature
