"""From the bytes of a record to an example: the values that `tfds.as_numpy` gives.

A decoder is put together once from the features and then runs for every record. It gives the values, dtypes and shapes
of `tfds.as_numpy`, with these differences:

- A JPEG of a subsampling that hardly anyone uses may differ by a few of 255 steps: see `loader._features.images`.
- A nested Sequence, a tf.RaggedTensor there, is a list of rows: see `loader._features.sequences`.
- A nested dataset, an iterable there, is a sequence of examples: see `loader._features.nested`.

Numbers come as NumPy scalars or arrays, text and other strings as bytes, images as arrays of (height, width, channels).
A feature connector that is not one of TFDS's own is decoded by TFDS: see `loader._features.tfds`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError as ProtobufError

from loader._errors import DecodeError
from loader._features.cells import cell_leaf, is_cell
from loader._features.connectors import Dataset, Feature, FeaturesDict, Image, Sequence, TfdsFeature
from loader._features.nested import dataset_leaf
from loader._features.sequences import sequence_leaf
from loader._features.values import ERRORS, Fields, Leaf, values_leaf
from loader._format.example import Example


def make_decoder(features: FeaturesDict) -> Callable[[bytes], dict[str, Any]]:
    """Return a function from a record's bytes to its example.

    It raises DecodeError, which names the feature, where the record does not hold what is declared. What a record may
    ask for is bounded: an image or a compressed tensor decodes to at most 1 GiB, a sequence of those to at most 4 GiB.

    Raises
    ------
    UnsupportedError
        A feature's combination of dtype, shape and encoding cannot be decoded, or only TFDS can decode it, and TFDS is
        not installed or does not know it.
    """
    decode_fields, parse = _dict_leaf(features, "", ()), Example.FromString

    def decode(record: bytes) -> dict[str, Any]:
        try:
            fields = parse(record).features.feature
        except ProtobufError as error:
            raise DecodeError(f"it is no tf.train.Example ({error})") from error
        return decode_fields(fields)  # type: ignore[no-any-return]

    return decode


def _dict_leaf(features: FeaturesDict, prefix: str, lengths: tuple[int | None, ...]) -> Leaf:
    leaves = [(name, _leaf(feature, prefix + name, lengths)) for name, feature in features.items()]

    def decode(fields: Fields) -> dict[str, Any]:
        example = {}
        try:
            for name, leaf in leaves:
                example[name] = leaf(fields)
        except ERRORS as error:
            raise DecodeError(f"feature {prefix + name!r}: {error or 'not enough memory'}") from error
        return example

    return decode


def _leaf(feature: Feature, key: str, lengths: tuple[int | None, ...] = ()) -> Leaf:
    """Return a decoder of what is kept under `key`, inside of Sequences of these lengths, outermost first."""
    if isinstance(feature, FeaturesDict):
        return _dict_leaf(feature, f"{key}/", lengths)
    if isinstance(feature, Dataset):
        return dataset_leaf(feature, key, _leaf(feature.feature, key))
    if isinstance(feature, Sequence):
        return _leaf(feature.feature, key, (*lengths, feature.length))
    if isinstance(feature, TfdsFeature):
        from loader._features.tfds import tfds_leaf  # only who has such a feature pays for the import

        return tfds_leaf(feature, key)
    if lengths:
        return sequence_leaf(feature, key, lengths)
    if isinstance(feature, Image) or is_cell(feature):
        return cell_leaf(feature, key)
    return values_leaf(feature, key)
