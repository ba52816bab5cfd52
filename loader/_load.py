"""`load`, `from_directory` and `ensure`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack, overload

import numpy as np

from loader._errors import ArgumentError, DecodeError, NotFoundError, UnsupportedError
from loader._features.parse import FeaturesDict
from loader._fetch.reference import find_source
from loader._fetch.repository import PathLike
from loader._format.artifact import Artifact
from loader._format.records import Records
from loader._format.tfrecord import TFRecordFiles
from loader._formats import Format, SplitFormat, check_format, converter
from loader._info import DatasetInfo, read_info
from loader._prepared import find_prepared
from loader._split import Convert, Positions, Split
from loader._split_spec import EvenSplit, Slice, SplitSpec, resolve

SplitList = list[str] | list[EvenSplit] | list[SplitSpec] | tuple[SplitSpec, ...]  # not Sequence, which a str is too
Splits = SplitSpec | SplitList | None


class Options(TypedDict, total=False):
    """The keywords of `load` that do not decide what it returns."""

    version: str | None
    config: str | None
    rev: str | None
    repo: PathLike | None
    data_dir: PathLike | None
    features: Sequence[str] | None
    stream: bool
    offline: bool | None


@overload
def load(
    name: str, *, split: SplitSpec, format: SplitFormat = "numpy", **options: Unpack[Options]
) -> tuple[DatasetInfo, Split]: ...
@overload
def load(
    name: str, *, split: None = None, format: SplitFormat = "numpy", **options: Unpack[Options]
) -> tuple[DatasetInfo, dict[str, Split]]: ...
@overload
def load(
    name: str, *, split: SplitList, format: SplitFormat = "numpy", **options: Unpack[Options]
) -> tuple[DatasetInfo, list[Split]]: ...
@overload
def load(name: str, *, split: Splits = None, format: Literal["tf"], **options: Any) -> tuple[DatasetInfo, Any]: ...
def load(
    name: str,
    *,
    split: Splits = None,
    version: str | None = None,
    config: str | None = None,
    rev: str | None = None,
    repo: PathLike | None = None,
    data_dir: PathLike | None = None,
    features: Sequence[str] | None = None,
    format: Format = "numpy",
    stream: bool = False,
    offline: bool | None = None,
    **as_dataset: Any,
) -> tuple[DatasetInfo, Any]:
    """Open a dataset, fetching its artifact first where it is not on this machine.

    Examples are read straight out of the tar and proved on their way: the manifest vouches for the record index, the
    index for every record. Opening reads a few kilobytes, whatever the artifact's size. An artifact in the work tree or
    in a DVC cache of this machine is used where it is; what is fetched goes into `loader.cache`, never into the work
    tree.

    Parameters
    ----------
    name
        The dataset.
    split
        What to read: a split string of TFDS ("train", "train[:10%]", "train[100:200]+test", "all"), a part that
        `loader.even_splits` gives, or a list of these; every split by default.
    version
        The version of the dataset. Where the revision has another one, the newest commit before it that recorded this
        version is read.
    config
        One of its builder configs; the default one by default.
    rev
        The commit, branch or tag of the repository; by default what is checked out, or the default branch of a URL.
    repo
        The datasets repository, a folder or a URL. By default DATASETS_REPO, or the working folder or one of its
        parents, or the checkout this package is installed from.
    data_dir
        A TFDS folder to read instead of a repository, with `<name>/[<config>/]<version>` in it.
    features
        Names of the features to decode; all by default.
    format
        "numpy"; "torch" or "jax" for tensors or arrays of theirs; "tf" for a `tf.data.Dataset` made by TFDS, from a
        folder that is extracted once into the cache.
    stream
        Read from the remote what is asked for, and fetch nothing else.
    offline
        Never use the network; DATASETS_OFFLINE=1 says the same.
    **as_dataset
        With `format="tf"`, keywords of TFDS's `as_dataset`: batch_size, shuffle_files, as_supervised, decoders,
        read_config.

    Returns
    -------
    info, ds
        What the dataset is, and the split, or a dict of all splits by name, or a list for a list.

    Raises
    ------
    ArgumentError
        Arguments that make no sense, alone or together.
    NotFoundError
        No such repository, revision, dataset, version, config, split or feature.
    ManifestError
        The manifest is missing, unreadable, or belongs to another artifact.
    FetchError
        The repository or the artifact could not be fetched.
    IntegrityError
        The artifact is not the one recorded.
    DecodeError, UnsupportedError
        What it holds cannot be decoded, or a framework is not installed.

    Examples
    --------
    >>> import loader
    >>> info, train = loader.load("digit", split="train")
    >>> len(train), int(train[0]["label"])
    (1350, 3)
    >>> info, (most, rest) = loader.load("digit", split=["train[:90%]", "train[90%:]"], features=["label"])
    >>> len(most), len(rest), rest
    (1215, 135, <digit/1.0.8 train[90%:]: 135 examples of label>)
    """
    if data_dir is not None:
        if rev is not None or repo is not None or stream:
            raise ArgumentError("data_dir= is read instead of a repository: leave out repo=, rev= and stream=")
        folder = find_prepared(Path(data_dir), name, config=config, version=version)
        return _open_folder(folder, split, features, format, as_dataset)
    check_format(format, features=features, stream=stream, keywords=as_dataset)
    source = find_source(name, version=version, config=config, rev=rev, repo=repo, offline=offline)
    artifact: Artifact = source.stream() if stream else source.open()
    info = _read(artifact.read_file, artifact.label, license=str(artifact.manifest.raw.get("license", "")))
    # in order too: the order of the splits is the order of the index's rows
    recorded = [(split_info.name, split_info.num_examples) for split_info in info.splits.values()]
    if recorded != list(artifact.header.splits.items()):
        raise artifact.error("contradicts itself: its record index and its dataset_info.json differ")
    if format == "tf":
        from loader._tf import as_datasets, extracted

        return info, as_datasets(extracted(artifact), split, info, as_dataset)
    records, firsts = artifact.records(), {name: artifact.rows(name).start for name in info.splits}
    return info, _splits(split, info, features, converter(format), lambda _: (records, firsts))


@overload
def from_directory(
    path: PathLike, *, split: SplitSpec, features: Sequence[str] | None = None, format: SplitFormat = "numpy"
) -> tuple[DatasetInfo, Split]: ...
@overload
def from_directory(
    path: PathLike, *, split: None = None, features: Sequence[str] | None = None, format: SplitFormat = "numpy"
) -> tuple[DatasetInfo, dict[str, Split]]: ...
@overload
def from_directory(
    path: PathLike,
    *,
    split: SplitList,
    features: Sequence[str] | None = None,
    format: SplitFormat = "numpy",
) -> tuple[DatasetInfo, list[Split]]: ...
@overload
def from_directory(
    path: PathLike, *, split: Splits = None, format: Literal["tf"], **as_dataset: Any
) -> tuple[DatasetInfo, Any]: ...
def from_directory(
    path: PathLike,
    *,
    split: Splits = None,
    features: Sequence[str] | None = None,
    format: Format = "numpy",
    **as_dataset: Any,
) -> tuple[DatasetInfo, Any]:
    """Open a folder that TFDS prepared (`<name>/[<config>/]<version>`, with its `dataset_info.json`).

    There is no record index to prove the records by; each is checked against the CRC that TFRecord keeps of it.

    Parameters
    ----------
    path
        The folder.
    split, features, format, **as_dataset
        As in `loader.load`.

    Returns
    -------
    info, ds
        What the dataset is, and the split, or a dict of all splits by name, or a list for a list.

    Raises
    ------
    ArgumentError
        Arguments that make no sense, alone or together.
    NotFoundError
        There is no such folder, split or feature.
    IntegrityError
        A shard is missing or damaged.
    DecodeError, UnsupportedError
        The folder is not one of TFDS, or holds what cannot be decoded, or a framework is not installed.
    """
    return _open_folder(Path(path), split, features, format, as_dataset)


def ensure(
    name: str,
    *,
    version: str | None = None,
    config: str | None = None,
    rev: str | None = None,
    repo: PathLike | None = None,
    offline: bool | None = None,
) -> Path:
    """Bring a dataset's artifact to this machine where it is missing, and return its path.

    Parameters and errors are those of `loader.load`.

    Examples
    --------
    >>> import loader
    >>> loader.ensure("digit").name
    'digit.tar'
    """
    return find_source(name, version=version, config=config, rev=rev, repo=repo, offline=offline).open().path


def _open_folder(
    folder: Path, split: Splits, features: Sequence[str] | None, format: Format, as_dataset: dict[str, Any]
) -> tuple[DatasetInfo, Any]:
    check_format(format, features=features, stream=False, keywords=as_dataset)
    if not (folder / "dataset_info.json").is_file():
        raise NotFoundError(f"{folder} holds no dataset_info.json, so it is no folder that TFDS prepared")
    info = _read(lambda name: (folder / name).read_bytes(), str(folder))
    if format == "tf":
        from loader._tf import as_datasets

        return info, as_datasets(folder, split, info, as_dataset)

    def open_shards(names: Collection[str]) -> tuple[Records, dict[str, int]]:
        wanted = [split_info for split_info in info.splits.values() if split_info.name in names]
        paths = [folder / shard for split_info in wanted for shard in split_info.shard_names(info.name)]
        starts = accumulate((split_info.num_examples for split_info in wanted), initial=0)
        lengths = [length for split_info in wanted for length in split_info.shard_lengths]
        return TFRecordFiles(paths, lengths), dict(
            zip((split_info.name for split_info in wanted), starts, strict=False)
        )

    return info, _splits(split, info, features, converter(format), open_shards)


def _read(read_file: Callable[[str], bytes], whose: str, *, license: str = "") -> DatasetInfo:
    try:
        return read_info(read_file, license=license)
    except (DecodeError, UnsupportedError) as error:
        raise type(error)(f"{whose}: {error}") from error


def _splits(
    wanted: Splits,
    info: DatasetInfo,
    features: Sequence[str] | None,
    convert: Convert | None,
    open_records: Callable[[Collection[str]], tuple[Records, dict[str, int]]],
) -> Split | dict[str, Split] | list[Split]:
    """Open what is wanted; `open_records` gives the records of some splits, and where each of these begins."""
    chosen = _choose(info, features)
    if wanted is not None and not isinstance(wanted, str | EvenSplit | list | tuple):
        raise ArgumentError(f"split= takes a split string or a list of them, not {wanted!r}")
    specs = list(info.splits) if wanted is None else [wanted] if isinstance(wanted, str | EvenSplit) else list(wanted)
    parts = [resolve(spec, info.splits, dataset=info.full_name) for spec in specs]
    records, firsts = open_records({part.name for slices in parts for part in slices})
    opened = [
        Split(f"{info.full_name} {spec}", records, chosen, _positions(slices, firsts), convert)
        for spec, slices in zip(specs, parts, strict=True)
    ]
    if wanted is None:
        return dict(zip(info.splits, opened, strict=True))
    return opened[0] if isinstance(wanted, str | EvenSplit) else opened


def _positions(slices: list[Slice], firsts: dict[str, int]) -> Positions:
    ranges = [range(firsts[part.name] + part.start, firsts[part.name] + part.stop) for part in slices]
    joined = [ranges[0]]
    for following in ranges[1:]:
        if following.start == joined[-1].stop:
            joined[-1] = range(joined[-1].start, following.stop)
        else:
            joined.append(following)
    return joined[0] if len(joined) == 1 else np.concatenate([np.arange(r.start, r.stop) for r in joined])


def _choose(info: DatasetInfo, names: Sequence[str] | None) -> FeaturesDict:
    if names is None:
        return info.features
    if isinstance(names, str):
        raise ArgumentError(f"features= takes a list of names: features=[{names!r}]")
    for name in names:
        if name not in info.features:
            raise NotFoundError(f"{info.full_name} has no feature {name!r}; its features: {', '.join(info.features)}")
    return FeaturesDict({name: info.features[name] for name in names})
