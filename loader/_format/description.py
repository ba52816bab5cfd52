"""The description of a dataset, which TFDS writes to `dataset_info.json`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from loader._errors import DecodeError, UnsupportedError

_NO_FOLDERS = frozenset({"", ".", ".."})  # names of no folder below another one
ReadFile = Callable[[str], bytes]
"""Returns the bytes of a metadata file by name; raises FileNotFoundError if there is none."""


@dataclass(frozen=True)
class SplitInfo:
    """A split: its name, its number of examples, the bytes of their records, and the examples in each shard."""

    name: str
    num_examples: int
    num_bytes: int
    shard_lengths: tuple[int, ...]
    filepath_template: str

    @property
    def num_shards(self) -> int:
        """Number of shards."""
        return len(self.shard_lengths)

    def shard_names(self, dataset: str, *, may_have_folders: bool = False) -> list[str]:
        """Return the names of the shards, in order.

        Parameters
        ----------
        dataset
            The name of the dataset.
        may_have_folders
            Whether they may be paths below the folder of `dataset_info.json`, which they never are in an artifact.

        Raises
        ------
        UnsupportedError
            The template of their names is not one of TFDS, or leads out of the folder.
        """
        digits = max(len(str(self.num_shards)), 5)
        count = f"{self.num_shards:0{digits}d}"
        names = []
        for shard in range(self.num_shards):
            name = self.filepath_template
            for field, value in (
                ("DATASET", dataset),
                ("SPLIT", self.name),
                ("FILEFORMAT", "tfrecord"),
                ("SHARD_INDEX", f"{shard:0{digits}d}"),
                ("NUM_SHARDS", count),
                ("SHARD_X_OF_Y", f"{shard:0{digits}d}-of-{count}"),
            ):
                name = name.replace(f"{{{field}}}", value)
            folders = name.split("/")[:-1]
            if "{" in name or "\0" in name or (folders and not may_have_folders) or not _NO_FOLDERS.isdisjoint(folders):
                raise UnsupportedError(f"{dataset}: the shard names {self.filepath_template!r} are not supported")
            names.append(name)
        return names


@dataclass(frozen=True)
class Description:
    """The description of a dataset, without its features; fields are named as in `tfds.core.DatasetInfo`.

    Attributes
    ----------
    name, version, config_name
        The dataset; `config_name` is None for one without configs.
    description, citation, homepage
        As in its builder; empty if not given there.
    license
        As recorded in the repository, or else in `dataset_info.json`; empty if in neither.
    splits
        The splits by name.
    """

    name: str
    version: str
    config_name: str | None
    description: str
    citation: str
    homepage: str
    license: str
    splits: dict[str, SplitInfo]

    @property
    def full_name(self) -> str:
        """`name/version` or `name/config/version`."""
        return "/".join(part for part in (self.name, self.config_name, self.version) if part)


def read_description(read_file: ReadFile, *, license: str = "") -> Description:
    """Read `dataset_info.json`; the features are in `features.json`.

    Parameters
    ----------
    read_file
        Returns the bytes of a metadata file.
    license
        The licence that the repository records; if empty, that of `dataset_info.json` is used.

    Raises
    ------
    DecodeError
        `dataset_info.json` is missing or was not written by TFDS.
    UnsupportedError
        The records are not TFRecord.
    """
    try:
        raw: dict[str, Any] = parse_json(read_file("dataset_info.json"))
        file_format = get_field(raw, "file_format", "tfrecord")
        if file_format != "tfrecord":
            raise UnsupportedError(f"{raw['name']}: its records are {file_format}; only tfrecord can be read")
        splits = [_split(split) for split in raw["splits"]]
        return Description(
            name=_text(raw["name"]),
            version=_text(raw["version"]),
            config_name=_text(get_field(raw, "config_name", "")) or None,
            description=_text(raw.get("description", "")),
            citation=_text(raw.get("citation", "")),
            homepage=_text(next(iter(raw.get("location", {}).get("urls", ())), "")),
            license=license or _text(get_field(raw, "redistribution_info", {}).get("license", "")),
            splits={split.name: split for split in splits},
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise DecodeError(f"dataset_info.json is missing or was not written by TFDS: {error!r}") from error


def parse_json(data: bytes) -> Any:
    """Parse JSON; a lone surrogate, which terminals and paths do not accept, is a ValueError too."""
    document = json.loads(data.decode())
    if b"\\u" in data:
        json.dumps(document, ensure_ascii=False).encode()
    return document


def get_field(message: dict[str, Any], name: str, default: Any = None) -> Any:
    """Return a field by its name in protobuf, which JSON may write in snake_case or, as TFDS does, in camelCase."""
    if name in message:
        return message[name]
    return message.get(re.sub("_(.)", lambda match: match[1].upper(), name), default)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return value


def _split(raw: dict[str, Any]) -> SplitInfo:
    name, lengths = _text(raw["name"]), tuple(map(_count, get_field(raw, "shard_lengths", ())))
    if not lengths:  # TFDS writes no split without examples, and left the lengths out only until 2019
        raise ValueError(f"split {name!r} has no shardLengths, so its number of examples is unknown")
    template = get_field(raw, "filepath_template") or "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
    return SplitInfo(name, sum(lengths), _count(get_field(raw, "num_bytes", 0)), lengths, _text(template))


def _count(value: Any) -> int:
    number = int(value)
    if not 0 <= number < 1 << 63:
        raise ValueError(f"{value!r:.80} is not a number of records or bytes")
    return number
