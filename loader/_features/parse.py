"""Parse `features.json` without TFDS.

A connector that is not one of TFDS's own, or is stored in a way that only TFDS can read, becomes a TfdsFeature. Nothing
that the file names is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from loader._errors import DecodeError, UnsupportedError
from loader._features.connectors import (
    Audio,
    BBoxFeature,
    ClassLabel,
    Dataset,
    DType,
    Feature,
    FeaturesDict,
    Image,
    LabeledImage,
    Scalar,
    Sequence,
    Shape,
    Tensor,
    Text,
    TfdsFeature,
    Translation,
    TranslationVariableLanguages,
    Video,
)
from loader._features.features_json import Node, text

__all__ = ["Feature", "FeaturesDict", "parse_features"]

_MAX_DEPTH = 50
_DTYPES: dict[str, DType] = {
    **{name: np.dtype(object) for name in ("string", "object", "str", "bytes")},
    **{
        name: np.dtype(name)
        for name in [
            "bool",
            "int8",
            "int16",
            "int32",
            "int64",
            "uint8",
            "uint16",
            "uint32",
            "uint64",
            "float16",
            "float32",
            "float64",
        ]
    },
    "complex64": np.dtype(np.complex64),
    "complex128": np.dtype(np.complex128),
}
_IMAGE_DTYPES = (np.uint8, np.uint16, np.float32)
_ENCODINGS = ("none", "bytes", "zlib")


def parse_features(document: Any, read_file: Callable[[str], bytes]) -> FeaturesDict:
    """Parse the content of `features.json`.

    Parameters
    ----------
    document
        The parsed JSON.
    read_file
        Function from the name of a metadata file to its bytes (class names are stored in separate files); raises
        FileNotFoundError if there is no such file.

    Raises
    ------
    UnsupportedError
        The examples are not dicts.
    DecodeError
        The document is not a valid features.json.
    """
    try:
        features = _Parser(read_file).parse(document)
    except _UnknownError as error:
        raise UnsupportedError(f"features.json: the top level is a {error}, which this loader cannot read") from error
    except (LookupError, TypeError, ValueError, AttributeError, RecursionError, OverflowError) as error:
        raise DecodeError(f"features.json is not valid: {error!r}") from error
    if isinstance(features, Sequence) and not isinstance(features, Dataset):
        features = _to_dict(features)
    if not isinstance(features, FeaturesDict):
        raise UnsupportedError('features.json: the examples are not dicts; read the dataset with format="tf"')
    return features


def _to_dict(sequence: Sequence) -> Feature:
    """Turn a Sequence of a dict into a dict of Sequences, as TFDS stores and returns one at the top level."""
    inner = sequence.feature
    if not isinstance(inner, FeaturesDict):
        return sequence
    return FeaturesDict({name: _to_dict(Sequence(feature, sequence.length)) for name, feature in inner.items()})


class _UnknownError(Exception):
    """A feature that this loader leaves to TFDS; the message is the class that it cannot decode."""


class _Parser:
    def __init__(self, read_file: Callable[[str], bytes]) -> None:
        self._read_file = read_file

    def parse(self, document: Any, path: tuple[str, ...] = (), depth: int = 0, inside: str = "") -> Feature:
        """Return the feature at `path` (names) and `depth` (nodes); `inside` is "Sequence", "Dataset" or ""."""
        if depth > _MAX_DEPTH:
            raise ValueError(f"more than {_MAX_DEPTH} levels of features are nested")
        node = Node.of(document)
        if node.connector == "FeaturesDict":
            children = (node.get("features") or {}) if node.is_message else node.content
            return FeaturesDict(
                {name: self._child(children[name], (*path, name), depth + 1, inside) for name in sorted(children)}
            )
        if node.connector == "Sequence":
            return Sequence(self.parse(node.content["feature"], path, depth + 1, "Sequence"), node.length)
        if node.connector == "Dataset" and inside != "Sequence":
            return Dataset(self.parse(node.content["feature"], path, depth + 1, "Dataset"), node.length)
        feature = self._labelled(node, path) or _single(node)
        if feature is None:
            raise _UnknownError(node.class_name)
        return feature

    def _child(self, document: Any, path: tuple[str, ...], depth: int, inside: str) -> Feature:
        try:
            return self.parse(document, path, depth, inside)
        except _UnknownError as error:
            if inside:  # TFDS decodes a Sequence or a Dataset as a whole
                raise
            return TfdsFeature(str(error), document)

    def _labelled(self, node: Node, path: tuple[str, ...]) -> Feature | None:
        if node.connector == "ClassLabel":
            return ClassLabel(**self._labels(node.get("num_classes"), path))
        if node.connector == "LabeledImage":
            labels = (node.get("label") or {}).get("numClasses") if node.is_message else node.get("labels")
            image = _image(node, node.shape or (None, None, 1))
            if image is not None:
                return LabeledImage(**vars(image), **self._labels(labels, path))
        return None

    def _labels(self, labels: Any, path: tuple[str, ...]) -> dict[str, Any]:
        names = tuple(text(name) for name in labels) if isinstance(labels, list) else self._names(path)
        number = len(names) if isinstance(labels, list) else int(labels or len(names))
        return {"num_classes": number, "given_names": names}

    def _names(self, path: tuple[str, ...]) -> tuple[str, ...]:
        file = "-".join(name.replace("/", ".") for name in path) + ".labels.txt"
        try:
            lines = self._read_file(file).decode().split("\n")
        except OSError:  # there is no such file, or the name is not possible
            return ()
        return tuple(line.strip() for line in lines if line.strip())


def _single(node: Node) -> Feature | None:
    """Return the feature without nested features that `node` describes, None if only TFDS can decode it."""
    match node.connector:
        case "Tensor" | "Scalar" | "Audio":
            return _tensor(node)
        case "Text" if not node.get("use_encoder"):
            return Text()
        case "BBoxFeature":
            return BBoxFeature(bbox_format=node.get("bbox_format"))
        case "Image":
            return _image(node, node.shape or (None, None, 3))
        case "Video":
            frame = _image(node, node.shape[1:] or (None, None, 3))
            return frame and Video(frame, node.shape[0] if node.shape else None)
        case "Translation" if not node.get("use_encoder"):
            return Translation({text(language): Text() for language in sorted(node.content["languages"])})
        case "TranslationVariableLanguages":
            texts = FeaturesDict({"language": Text(), "translation": Text()})
            return TranslationVariableLanguages(texts, languages=sorted(map(text, node.get("languages") or ())) or None)
    return None


def _tensor(node: Node) -> Tensor | None:
    dtype = _DTYPES.get(text(node.get("dtype"))) or _bfloat16(node.get("dtype"))
    encoding = text(node.get("encoding", "")).lower() or "none"
    if dtype is None or encoding not in _ENCODINGS:
        return None
    if node.connector == "Scalar":
        return Scalar(dtype=dtype, optional=bool(node.get("optional")))
    if node.connector == "Tensor":
        return Tensor(shape=node.shape, dtype=dtype, encoding=encoding, optional=bool(node.get("optional")))
    file_format, lazy = node.get("file_format") or None, bool(node.get("lazy_decode"))
    if lazy and (encoding != "none" or str(file_format).lower() != "wav"):
        return None
    return Audio(
        shape=node.shape,
        dtype=dtype,
        encoding=encoding,
        sample_rate=int(node.get("sample_rate") or 0) or None,
        file_format=file_format,
        lazy_decode=lazy,
    )


def _image(node: Node, shape: Shape) -> Image | None:
    dtype = _DTYPES.get(node.get("dtype", "uint8"))
    channels = (1,) if dtype == np.float32 else (None, 1, 3, 4)
    if len(shape) != 3 or shape[-1] not in channels or dtype not in _IMAGE_DTYPES:  # GIF has four dimensions
        return None
    return Image(
        shape=shape,
        dtype=dtype,
        encoding_format=node.get("encoding_format") or None,
        use_colormap=bool(node.get("use_colormap")) or node.connector == "LabeledImage",
    )


def _bfloat16(name: Any) -> DType | None:
    """Return the dtype bfloat16 of the package ml_dtypes, which TensorFlow installs; NumPy has none."""
    if name != "bfloat16":
        return None
    try:
        import ml_dtypes
    except ImportError:
        return None
    dtype: DType = np.dtype(ml_dtypes.bfloat16)
    return dtype
