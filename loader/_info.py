"""The description and the features of a dataset."""

from __future__ import annotations

from dataclasses import dataclass

from loader._errors import DecodeError
from loader._features.parse import FeaturesDict, parse_features
from loader._format.description import Description, ReadFile, parse_json, read_description


@dataclass(frozen=True)
class DatasetInfo(Description):
    """The description and the features of a dataset.

    Attributes
    ----------
    features
        The features of an example, by name.
    """

    features: FeaturesDict

    def _repr_html_(self) -> str:
        """Return the description, the splits and the features, for a notebook."""
        from loader._display.notebook import info_html  # only a notebook needs it

        return info_html(repr(self), self, self.features)


def read_info(read_file: ReadFile, *, license: str = "") -> DatasetInfo:
    """Read the description and the features from the metadata files of TFDS.

    Parameters
    ----------
    read_file
        Function from the name of a metadata file to its bytes.
    license
        The licence in the manifest; if empty, the one in `dataset_info.json` is used.

    Raises
    ------
    DecodeError
        `dataset_info.json` or `features.json` is missing or not valid.
    UnsupportedError
        The records are not TFRecord, or a feature cannot be decoded.
    """
    description = read_description(read_file, license=license)
    try:
        features = parse_features(parse_json(read_file("features.json")), read_file)
    except (FileNotFoundError, ValueError, RecursionError) as error:
        raise DecodeError(f"features.json is missing or not valid JSON: {error!r}") from error
    return DatasetInfo(**vars(description), features=features)
