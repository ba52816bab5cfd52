"""Open the requested splits of an artifact or of a folder."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from loader._errors import DecodeError, IntegrityError, NotFoundError, UnsupportedError
from loader._features.parse import FeaturesDict
from loader._fetch.access import current_access
from loader._format.artifact import Artifact
from loader._format.files import read_regular, reason
from loader._format.records import Positions, Records
from loader._formats import Converter
from loader._info import DatasetInfo, read_info
from loader._selection import Selection
from loader._split import Split
from loader._split_spec import Slice, resolve
from loader._splits import SplitsByName
from loader._supervised import Keys, check_keys
from loader._supervised import names as feature_names


def open_artifact(artifact: Artifact, selection: Selection) -> tuple[DatasetInfo, Any]:
    """Return the description of an artifact's dataset and the requested splits; see `loader.load`."""
    info = _read_info(artifact.read_file, artifact.label, license=str(artifact.manifest.raw.get("license", "")))
    # the order must be the same too: it is the order of the rows
    described = [(split_info.name, split_info.num_examples) for split_info in info.splits.values()]
    if described != list(artifact.header.splits.items()):
        raise artifact.error("contradicts itself: its record index and its dataset_info.json differ")
    if selection.format == "tf":
        from loader._tf import as_datasets, extracted

        return info, as_datasets(lambda: extracted(artifact), selection, info)
    records, firsts = artifact.records(), {name: artifact.rows(name).start for name in info.splits}
    return info, _open_splits(selection, info, lambda _: (records, firsts))


def open_folder(folder: Path, selection: Selection) -> tuple[DatasetInfo, Any]:
    """Return the description of a folder that TFDS prepared and the requested splits; see `loader.from_directory`."""
    if not (folder / "dataset_info.json").is_file():
        raise NotFoundError(f"{folder} contains no dataset_info.json, so TFDS did not prepare it")
    info = _read_info(lambda name: _read_metadata(folder / name), str(folder))
    if selection.format == "tf":
        from loader._tf import as_datasets

        return info, as_datasets(lambda: folder, selection, info)

    def open_shards(names: Collection[str]) -> tuple[Records, dict[str, int]]:
        from loader._format.tfrecord import TFRecordFiles  # an artifact is read without it

        wanted = [split_info for split_info in info.splits.values() if split_info.name in names]
        paths = [
            folder / shard
            for split_info in wanted
            for shard in split_info.shard_names(info.name, may_have_folders=True)
        ]
        starts = accumulate((split_info.num_examples for split_info in wanted), initial=0)
        lengths = [length for split_info in wanted for length in split_info.shard_lengths]
        return TFRecordFiles(paths, lengths), dict(
            zip((split_info.name for split_info in wanted), starts, strict=False)
        )

    return info, _open_splits(selection, info, open_shards)


def check_access(path: Path) -> None:
    """Check that a path may be read.

    Raises
    ------
    AccessError
        A build reads it, and its stage does not depend on it.
    """
    access = current_access()
    if access is not None:
        access.check_path(path)


def _read_metadata(path: Path) -> bytes:
    try:
        return read_regular(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise IntegrityError(f"{path} cannot be read ({reason(error)})") from error


def _read_info(read_file: Callable[[str], bytes], label: str, *, license: str = "") -> DatasetInfo:
    try:
        return read_info(read_file, license=license)
    except (DecodeError, UnsupportedError) as error:
        raise type(error)(f"{label}: {error}") from error


def _open_splits(
    selection: Selection,
    info: DatasetInfo,
    open_records: Callable[[Collection[str]], tuple[Records, dict[str, int]]],
) -> Split | dict[str, Split] | list[Split]:
    """Open the wanted splits; `open_records` returns the records of some splits and each one's first position."""
    wanted, keys, names = selection.split, None, selection.features
    if selection.supervised:
        keys = check_keys(info.supervised_keys, info.full_name, info.features)
        names = list(dict.fromkeys(feature_names(keys)))
    features = _select_features(info, names)
    specs = list(info.splits) if wanted is None else list(wanted) if isinstance(wanted, list | tuple) else [wanted]
    parts = [resolve(spec, info.splits, dataset=info.full_name) for spec in specs]
    records, firsts = open_records({part.name for slices in parts for part in slices})
    convert = _converter(selection, features, keys, info.full_name)
    opened = [
        Split(f"{info.full_name} {spec}", records, features, _positions(slices, firsts), convert)
        for spec, slices in zip(specs, parts, strict=True)
    ]
    if wanted is None:
        return SplitsByName(info.full_name, dict(zip(info.splits, opened, strict=True)))
    return opened if isinstance(wanted, list | tuple) else opened[0]


def _converter(selection: Selection, features: FeaturesDict, keys: Keys | None, name: str) -> Converter | None:
    """Return what converts the decoded values, None if they are handed out as they are."""
    assert selection.format != "tf"
    if (selection.format, selection.text, keys) == ("numpy", "bytes", None):
        return None
    return Converter(features, selection.format, selection.text, selection.chw, keys, name)


def _positions(slices: list[Slice], firsts: dict[str, int]) -> Positions:
    ranges = [range(firsts[part.name] + part.start, firsts[part.name] + part.stop) for part in slices]
    joined = [ranges[0]]
    for following in ranges[1:]:
        if following.start == joined[-1].stop:
            joined[-1] = range(joined[-1].start, following.stop)
        else:
            joined.append(following)
    return joined[0] if len(joined) == 1 else np.concatenate([np.arange(r.start, r.stop) for r in joined])


def _select_features(info: DatasetInfo, names: Sequence[str] | None) -> FeaturesDict:
    if names is None:
        return info.features
    for name in names:
        if name not in info.features:
            raise NotFoundError(f"{info.full_name} has no feature {name!r}; its features: {', '.join(info.features)}")
    return FeaturesDict({name: info.features[name] for name in names})
