"""The description and the features of a dataset."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from loader._errors import DecodeError
from loader._features.parse import FeaturesDict, parse_features
from loader._format.description import Description, ReadFile, parse_json, read_description
from loader._supervised import Keys, read_keys, text


@dataclass(frozen=True)
class DatasetInfo(Description):
    """The description and the features of a dataset.

    Attributes
    ----------
    features
        The features of an example, by name.
    supervised_keys
        The features in the tuples of `supervised=True`, mostly ("image", "label"): an input, a target and possibly a
        weight, each a name, or a tuple or a dict of such; None if the builder names none.
    metadata
        What the builder recorded besides the examples, as JSON values; None if it recorded nothing.
    """

    features: FeaturesDict
    supervised_keys: tuple[Keys, ...] | None = None
    metadata: Any = None

    def __iter__(self) -> NoReturn:
        """Help whoever unpacks what `load` returns in the order of TFDS."""
        raise TypeError("a description has no examples; load() returns it first: info, ds = loader.load(...)")

    def __str__(self) -> str:
        """Return a page about the dataset: what it is, its splits and features, and what to do with it."""
        import textwrap

        facts = {
            "license": self.license,
            "homepage": self.homepage,
            "supervised": "" if self.supervised_keys is None else text(self.supervised_keys),
        }
        split = f"ds[{next(iter(self.splits), 'train')!r}]"
        usage = {
            f"{split}[0]": "the first example",
            f"{split}.batches(256, shuffle=True)": "batches, in another order each time they are iterated",
            "info.citation" if self.citation else "": "what to cite",
        }
        sections = {
            " ".join(filter(None, (self.name, self.config_name, self.version))): "",
            textwrap.fill(" ".join(self.description.split()), 100, break_on_hyphens=False): "",
            _table(facts): "",
            "splits": _table({name: f"{split.num_examples:,} examples" for name, split in self.splits.items()}),
            "features": _table({name: repr(feature) for name, feature in self.features.items()}),
            "after info, ds = loader.load(...)": _table(usage),
        }
        page = "\n\n".join(
            title + ("\n" + textwrap.indent(table, "  ") if table else "") for title, table in sections.items() if title
        )
        # a description may contain what a terminal would obey
        return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in page)

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
        `dataset_info.json` or `features.json` is missing, or one of them or `metadata.json` is not valid.
    UnsupportedError
        The records are not TFRecord, or a feature cannot be decoded.
    """
    read_file = functools.cache(read_file)  # a file may come over the network
    description = read_description(read_file, license=license)
    try:
        keys = read_keys(read_file)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DecodeError(f"dataset_info.json has supervised keys that TFDS did not write: {error!r}") from error
    try:
        features = parse_features(parse_json(read_file("features.json")), read_file)
    except (FileNotFoundError, ValueError, RecursionError) as error:
        raise DecodeError(f"features.json is missing or not valid JSON: {error!r}") from error
    try:
        metadata = parse_json(read_file("metadata.json"))
    except FileNotFoundError:
        metadata = None
    except (ValueError, RecursionError) as error:
        raise DecodeError(f"metadata.json is not valid JSON: {error!r}") from error
    return DatasetInfo(**vars(description), features=features, supervised_keys=keys, metadata=metadata)


def _table(rows: Mapping[str, str]) -> str:
    """Return rows of two columns as text, without those in which one is empty."""
    shown = {label: value for label, value in rows.items() if label and value}
    width = max(map(len, shown), default=0)
    return "\n".join(f"{label:<{width}}  {value}" for label, value in shown.items())
