"""What TFDS writes of a dataset beside its records, in `dataset_info.json`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from loader._errors import DecodeError, UnsupportedError

ReadFile = Callable[[str], bytes]
"""Returns the bytes of a metadata file by name; raises FileNotFoundError where there is none."""


@dataclass(frozen=True)
class SplitInfo:
    """A split's name, its number of examples, their bytes as records, and the examples in each shard."""

    name: str
    num_examples: int
    num_bytes: int
    shard_lengths: tuple[int, ...]
    filepath_template: str

    @property
    def num_shards(self) -> int:
        """Number of shards."""
        return len(self.shard_lengths)

    def shard_names(self, dataset: str) -> list[str]:
        """Return the file names of the shards, in order.

        Raises
        ------
        UnsupportedError
            They are named by a template that is not one of TFDS.
        """
        count = f"{self.num_shards:05d}"
        names = []
        for shard in range(self.num_shards):
            name = self.filepath_template
            for field, value in (
                ("DATASET", dataset),
                ("SPLIT", self.name),
                ("FILEFORMAT", "tfrecord"),
                ("SHARD_INDEX", f"{shard:05d}"),
                ("NUM_SHARDS", count),
                ("SHARD_X_OF_Y", f"{shard:05d}-of-{count}"),
            ):
                name = name.replace(f"{{{field}}}", value)
            if "{" in name or "/" in name or "\0" in name:
                raise UnsupportedError(f"{dataset}: shard names like {self.filepath_template!r} cannot be read")
            names.append(name)
        return names


@dataclass(frozen=True)
class Description:
    """A dataset, described but for its features; the names of the fields are those of `tfds.core.DatasetInfo`.

    Attributes
    ----------
    name, version, config_name
        Which dataset; `config_name` is None for one without configs.
    description, citation, homepage
        As its builder gives them; empty where it does not.
    license
        As the repository records it; empty where nothing is recorded.
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
    """Read `dataset_info.json`; the features stand in `features.json`.

    Parameters
    ----------
    read_file
        Returns the bytes of a metadata file.
    license
        The licence the repository records; without one, that of `dataset_info.json`.

    Raises
    ------
    DecodeError
        `dataset_info.json` is missing or not one of TFDS.
    UnsupportedError
        The records are not TFRecord.
    """
    try:
        raw: dict[str, Any] = parse_json(read_file("dataset_info.json"))
        if raw.get("fileFormat", "tfrecord") != "tfrecord":
            raise UnsupportedError(f"{raw['name']}: its records are {raw['fileFormat']}; only tfrecord can be read")
        splits = [_split(split) for split in raw["splits"]]
        return Description(
            name=_text(raw["name"]),
            version=_text(raw["version"]),
            config_name=_text(raw.get("configName", "")) or None,
            description=_text(raw.get("description", "")),
            citation=_text(raw.get("citation", "")),
            homepage=_text(next(iter(raw.get("location", {}).get("urls", ())), "")),
            license=license or _text(raw.get("redistributionInfo", {}).get("license", "")),
            splits={split.name: split for split in splits},
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise DecodeError(f"no dataset_info.json that TFDS wrote: {error!r}") from error


def parse_json(data: bytes) -> Any:
    """Parse JSON; half of a surrogate pair, which no terminal and no path takes, is a ValueError too."""
    document = json.loads(data.decode())
    if b"\\u" in data:
        json.dumps(document, ensure_ascii=False).encode()
    return document


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _split(raw: dict[str, Any]) -> SplitInfo:
    lengths = tuple(int(length) for length in raw.get("shardLengths", ()))
    template = raw.get("filepathTemplate") or "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
    if any(length < 0 for length in lengths):
        raise ValueError("a shard has a negative number of records")
    return SplitInfo(_text(raw["name"]), sum(lengths), int(raw.get("numBytes", 0)), lengths, _text(template))
