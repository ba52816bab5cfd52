"""Decode a record into an example.

A decoder is built once from the features and then runs for every record. It returns the values, dtypes and shapes of
`tfds.as_numpy`, with these differences:

- A JPEG with a rare chroma subsampling may differ by a few of 255 steps: see `loader._features.images`.
- A nested Sequence is a list of rows, not a tf.RaggedTensor: see `loader._features.sequences`.
- A nested dataset is a sequence of examples, not an iterable: see `loader._features.nested`.

Numbers are NumPy scalars or arrays, text and other strings are bytes, images are arrays (height, width, channels).
TFDS decodes feature connectors that are not its own: see `loader._features.tfds`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import DecodeError as ProtobufError

from loader._errors import DecodeError
from loader._features.connectors import Dataset, Feature, FeaturesDict, Image, Sequence, TfdsFeature
from loader._features.encoded import encoded_decoder, is_encoded
from loader._features.nested import dataset_decoder
from loader._features.sequences import sequence_decoder
from loader._features.values import ERRORS, Decoder, Fields, values_decoder
from loader._format.example import Example


def make_decoder(features: FeaturesDict) -> Callable[[bytes], dict[str, Any]]:
    """Return a function from a record's bytes to its example.

    It raises DecodeError, which names the feature, if the record does not match the declared features. Memory is
    limited: an image or a compressed tensor decodes to at most 1 GiB, a sequence of them to at most 4 GiB.

    Raises
    ------
    UnsupportedError
        A feature's combination of dtype, shape and encoding cannot be decoded, or only TFDS can decode it, and TFDS is
        not installed or does not know it.
    """
    decode_fields, parse = _dict_decoder(features, "", ()), Example.FromString

    def decode(record: bytes) -> dict[str, Any]:
        try:
            fields = parse(record).features.feature
        except ProtobufError as error:
            raise DecodeError(f"the record is not a tf.train.Example ({error})") from error
        return decode_fields(fields)  # type: ignore[no-any-return]

    return decode


def _dict_decoder(features: FeaturesDict, prefix: str, lengths: tuple[int | None, ...]) -> Decoder:
    decoders = [(name, _decoder(feature, prefix + name, lengths)) for name, feature in features.items()]

    def decode(fields: Fields) -> dict[str, Any]:
        example = {}
        try:
            for name, decoder in decoders:
                example[name] = decoder(fields)
        except ERRORS as error:
            raise DecodeError(f"feature {prefix + name!r}: {error or 'not enough memory'}") from error
        return example

    return decode


def _decoder(feature: Feature, key: str, lengths: tuple[int | None, ...] = ()) -> Decoder:
    """Return a decoder of the feature under `key`, inside Sequences of these `lengths`, outermost first."""
    if isinstance(feature, FeaturesDict):
        return _dict_decoder(feature, f"{key}/", lengths)
    if isinstance(feature, Dataset):
        return dataset_decoder(feature, key, _decoder(feature.feature, key))
    if isinstance(feature, Sequence):
        return _decoder(feature.feature, key, (*lengths, feature.length))
    if isinstance(feature, TfdsFeature):
        from loader._features.tfds import tfds_decoder  # imported only for datasets with such a feature

        return tfds_decoder(feature, key)
    if lengths:
        return sequence_decoder(feature, key, lengths)
    if isinstance(feature, Image) or is_encoded(feature):
        return encoded_decoder(feature, key)
    return values_decoder(feature, key)
