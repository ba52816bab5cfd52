"""A dataset's description with its features."""

from __future__ import annotations

from dataclasses import dataclass

from loader._errors import DecodeError
from loader._features.parse import FeaturesDict, parse_features
from loader._format.description import Description, ReadFile, parse_json, read_description


@dataclass(frozen=True)
class DatasetInfo(Description):
    """A dataset, described.

    Attributes
    ----------
    features
        What an example holds, by name.
    """

    features: FeaturesDict


def read_info(read_file: ReadFile, *, license: str = "") -> DatasetInfo:
    """Read the description that TFDS wrote beside the records, and the features.

    Parameters
    ----------
    read_file
        Returns the bytes of a metadata file.
    license
        The licence the repository records; without one, that of `dataset_info.json`.

    Raises
    ------
    DecodeError
        `dataset_info.json` or `features.json` is missing or not one of TFDS.
    UnsupportedError
        The records are not TFRecord, or a feature cannot be decoded.
    """
    description = read_description(read_file, license=license)
    try:
        features = parse_features(parse_json(read_file("features.json")), read_file)
    except (FileNotFoundError, ValueError, RecursionError) as error:
        raise DecodeError(f"no features.json that TFDS wrote: {error!r}") from error
    return DatasetInfo(**vars(description), features=features)
