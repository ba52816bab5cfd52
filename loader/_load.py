"""`load`, `from_directory` and `ensure`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import overload

from loader._artifact import Artifact
from loader._errors import DecodeError, IntegrityError, NotFoundError, UnsupportedError
from loader._info import DatasetInfo, SplitInfo, read_info
from loader._manifest import ArtifactEntry, Manifest
from loader._repository import ARTIFACTS, find_manifest, find_repository
from loader._split import Records, Split
from loader._tfrecord import TFRecordFiles

PathLike = str | os.PathLike[str]


@overload
def load(
    name: str, *, split: str, config: str | None = None, repo: PathLike | None = None
) -> tuple[DatasetInfo, Split]: ...
@overload
def load(
    name: str, *, split: None = None, config: str | None = None, repo: PathLike | None = None
) -> tuple[DatasetInfo, dict[str, Split]]: ...
def load(
    name: str, *, split: str | None = None, config: str | None = None, repo: PathLike | None = None
) -> tuple[DatasetInfo, Split | dict[str, Split]]:
    """Open a dataset, pulling its artifact first where it is missing.

    Examples are read straight out of the tar and proved on their way: the manifest vouches for the record index, the
    index for every record. Opening reads a few kilobytes, whatever the artifact's size.

    Parameters
    ----------
    name
        The dataset.
    split
        One of its splits; every split by default.
    config
        One of its builder configs; the default one by default.
    repo
        The datasets repository; see `loader.NotFoundError` for where it is looked for.

    Returns
    -------
    info, ds
        What the dataset is, and the split (or a dict of all splits by name).

    Raises
    ------
    NotFoundError
        No such repository, dataset, config or split. The repository is `repo`, or DATASETS_REPO, or the working
        folder or one of its parents, or the checkout this package is installed from.
    ManifestError
        The manifest is missing, unreadable, or belongs to another artifact.
    FetchError
        The artifact is missing and could not be pulled.
    IntegrityError
        The artifact is not the one recorded.
    DecodeError, UnsupportedError
        What it holds cannot be decoded.

    Examples
    --------
    >>> import loader
    >>> info, train = loader.load("digit", split="train")
    >>> len(train), int(train[0]["label"])
    (1350, 3)
    """
    path, manifest, entry = _ensure(name, config, repo)
    artifact = Artifact(path, manifest, entry)
    info = _read(artifact.read_file, str(path), license=str(manifest.raw.get("license", "")))
    # in order too: the order of the splits is the order of the index's rows
    recorded = [(split_info.name, split_info.num_examples) for split_info in info.splits.values()]
    if recorded != list(artifact.header.splits.items()):
        raise IntegrityError(f"{name}: {path} contradicts itself: its record index and its dataset_info.json differ")
    return info, _splits(info, lambda wanted: artifact.records(wanted.name), split)


@overload
def from_directory(path: PathLike, *, split: str) -> tuple[DatasetInfo, Split]: ...
@overload
def from_directory(path: PathLike, *, split: None = None) -> tuple[DatasetInfo, dict[str, Split]]: ...
def from_directory(path: PathLike, *, split: str | None = None) -> tuple[DatasetInfo, Split | dict[str, Split]]:
    """Open a folder that TFDS prepared (`<name>/<version>`, with its `dataset_info.json`).

    There is no record index to prove the records by; each is checked against the CRC that TFRecord keeps of it.

    Parameters
    ----------
    path
        The folder.
    split
        One of its splits; every split by default.

    Returns
    -------
    info, ds
        What the dataset is, and the split (or a dict of all splits by name).

    Raises
    ------
    NotFoundError
        There is no such folder or split.
    IntegrityError
        A shard is missing or damaged.
    DecodeError, UnsupportedError
        The folder is not one of TFDS, or holds what cannot be decoded.
    """
    folder = Path(path)
    if not (folder / "dataset_info.json").is_file():
        raise NotFoundError(f"{folder} holds no dataset_info.json, so it is no folder that TFDS prepared")
    info = _read(lambda name: (folder / name).read_bytes(), str(folder))

    def records(wanted: SplitInfo) -> Records:
        return TFRecordFiles([folder / name for name in wanted.shard_names(info.name)], wanted.shard_lengths)

    return info, _splits(info, records, split)


def ensure(name: str, *, config: str | None = None, repo: PathLike | None = None) -> Path:
    """Return the path of a dataset's artifact, pulling it first where it is missing.

    Parameters and errors are those of `load`; the bytes are proved when they are read.
    """
    path, _, _ = _ensure(name, config, repo)
    return path


def _ensure(name: str, config: str | None, repo: PathLike | None) -> tuple[Path, Manifest, ArtifactEntry]:
    root = find_repository(repo)
    manifest = find_manifest(root, name)
    entry = manifest.artifact(config)
    path = root / ARTIFACTS / entry.filename
    if not path.exists():
        from loader._fetch import fetch  # only who lacks an artifact pays for the import

        fetch(root, path, name)
    return path, manifest, entry


def _read(read_file: Callable[[str], bytes], whose: str, *, license: str = "") -> DatasetInfo:
    try:
        return read_info(read_file, license=license)
    except (DecodeError, UnsupportedError) as error:
        raise type(error)(f"{whose}: {error}") from error


def _splits(info: DatasetInfo, records: Callable[[SplitInfo], Records], wanted: str | None) -> Split | dict[str, Split]:
    def open_split(split_info: SplitInfo) -> Split:
        return Split(f"{info.full_name} {split_info.name}", records(split_info), info.features)

    if wanted is None:
        return {name: open_split(split_info) for name, split_info in info.splits.items()}
    if wanted not in info.splits:
        raise NotFoundError(f"{info.full_name} has no split {wanted!r}; its splits: {', '.join(info.splits)}")
    return open_split(info.splits[wanted])
