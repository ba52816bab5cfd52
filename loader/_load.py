"""`load`, `open`, `from_directory` and `ensure`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack, overload

from loader._arguments import check_dataset, check_flags, check_path, check_text
from loader._errors import ArgumentError
from loader._fetch.access import current_access
from loader._fetch.places import expand_user
from loader._fetch.reference import find_artifact
from loader._fetch.repository import PathLike
from loader._formats import Format, SplitFormat, check_format
from loader._info import DatasetInfo
from loader._open import open_artifact, open_folder
from loader._prepared import find_prepared
from loader._split import Split
from loader._split_spec import SplitList, Splits, SplitSpec, check_split


class Options(TypedDict, total=False):
    """The keywords of `load` that do not affect its return type."""

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
    """Open a dataset. Its artifact is fetched first if it is not on this machine.

    Examples are read directly from the tar and verified as they are read: the manifest has the hash of the record
    index, which has the hash of every record. Opening reads a few kilobytes, whatever the artifact's size. An artifact
    in the work tree or in a DVC cache of this machine is used in place; a fetched one goes into `loader.cache`, never
    into the work tree.

    Parameters
    ----------
    name
        The dataset.
    split
        The splits to read: a TFDS split string ("train", "train[:10%]", "train[100:200]+test", "all"), a part from
        `loader.even_splits`, or a list of these; by default every split.
    version
        The version of the dataset. If the revision has another one, the newest earlier commit that recorded this
        version is read.
    config
        The builder config; by default the default config.
    rev
        A commit, branch or tag of the repository; by default the work tree, or the default branch of a URL.
    repo
        The datasets repository, a folder or a URL. By default DATASETS_REPO, or the working folder or one of its
        parents, or the checkout that this package is installed from.
    data_dir
        A TFDS data folder to read instead of a repository; it contains `<name>/[<config>/]<version>`.
    features
        Names of the features to decode; by default all.
    format
        "numpy"; "torch" or "jax" for their tensors or arrays; "tf" for a `tf.data.Dataset` made by TFDS, from a folder
        that is extracted once into the cache.
    stream
        Read only the requested bytes, from the remote, instead of fetching the artifact.
    offline
        Do not use the network; DATASETS_OFFLINE=1 has the same effect.
    **as_dataset
        With `format="tf"`, keywords of TFDS's `as_dataset`: batch_size, shuffle_files, as_supervised, decoders,
        read_config.

    Returns
    -------
    info, ds
        The description of the dataset, and the split. If `split` is a list, a list of splits; if it is None, a dict of
        all splits by name.

    Raises
    ------
    ArgumentError
        An argument is invalid, alone or together with others.
    NotFoundError
        There is no such repository, revision, dataset, version, config, split or feature.
    ManifestError
        The manifest is missing, unreadable, or belongs to another artifact.
    FetchError
        The repository or the artifact could not be fetched.
    IntegrityError
        The artifact is not the one recorded.
    DecodeError, UnsupportedError
        The data cannot be decoded, or a framework is not installed.

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
    check_dataset(name)
    check_text(version=version, config=config, rev=rev)
    check_path("repo", repo, optional=True)
    check_path("data_dir", data_dir, optional=True)
    check_flags(stream=stream, offline=offline)
    _check_selection(split, features)
    if data_dir is not None:
        if rev is not None or repo is not None or stream:
            raise ArgumentError("data_dir= is read instead of a repository: leave out repo=, rev= and stream=")
        folder = find_prepared(Path(data_dir), name, config=config, version=version)
        return _open_folder(folder, split, features, format, as_dataset)
    check_format(format, features=features, stream=stream, keywords=as_dataset)
    reference = find_artifact(name, version=version, config=config, rev=rev, repo=repo, offline=offline)
    return open_artifact(reference.stream() if stream else reference.open(), split, features, format, as_dataset)


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

    There is no record index to verify the records with; each record is checked against its CRC in the TFRecord file.

    Parameters
    ----------
    path
        The folder.
    split, features, format, **as_dataset
        As in `loader.load`.

    Returns
    -------
    info, ds
        As in `loader.load`.

    Raises
    ------
    ArgumentError
        An argument is invalid, alone or together with others.
    NotFoundError
        There is no such folder, split or feature.
    IntegrityError
        A shard is missing or damaged.
    DecodeError, UnsupportedError
        TFDS did not prepare the folder, its data cannot be decoded, or a framework is not installed.
    """
    check_path("path", path)
    _check_selection(split, features)
    return _open_folder(expand_user(path), split, features, format, as_dataset)


def ensure(
    name: str,
    *,
    version: str | None = None,
    config: str | None = None,
    rev: str | None = None,
    repo: PathLike | None = None,
    offline: bool | None = None,
) -> Path:
    """Fetch a dataset's artifact if it is not on this machine, and return its path.

    In `loader.cache` it stays until this process ends.

    The parameters and errors are those of `loader.load`.

    Examples
    --------
    >>> import loader
    >>> loader.ensure("digit").name
    'digit.tar'
    """
    check_dataset(name)
    check_text(version=version, config=config, rev=rev)
    check_path("repo", repo, optional=True)
    check_flags(offline=offline)
    return find_artifact(name, version=version, config=config, rev=rev, repo=repo, offline=offline).ensure()


def open(  # noqa: A001  (used as loader.open, never imported by name)
    path: PathLike,
    *,
    hash: str | None = None,
    split: Splits = None,
    features: Sequence[str] | None = None,
    format: Format = "numpy",
    **as_dataset: Any,
) -> tuple[DatasetInfo, Any]:
    """Open an artifact file without a repository, for example one from `dvc get`.

    Without `hash`, records are only verified against the tar's own record index: damage is detected, but an artifact
    that somebody replaced is not.

    Parameters
    ----------
    path
        The tar.
    hash
        The expected MD5 (32 hex digits, as in `dvc.lock`) or SHA-256 (64, as in the manifest) of the whole file, which
        is then read once to check it.
    split, features, format, **as_dataset
        As in `loader.load`.

    Returns
    -------
    info, ds
        As in `loader.load`.

    Raises
    ------
    ArgumentError
        The hash is neither an MD5 nor a SHA-256, or another argument is invalid.
    NotFoundError
        There is no such file, split or feature.
    IntegrityError
        The file is not an artifact of format 1, is damaged, or has another hash.
    DecodeError, UnsupportedError
        The data cannot be decoded, or a framework is not installed.

    Examples
    --------
    >>> import loader
    >>> info, ds = loader.open(loader.ensure("digit"))
    >>> len(ds["train"])
    1350
    """
    check_path("path", path)
    check_text(hash=hash)
    _check_selection(split, features)
    check_format(format, features=features, stream=False, keywords=as_dataset)
    path = expand_user(path)
    _check_path(path)
    from loader._format.standalone import open_tar  # imports tarfile, which `load` does not need

    return open_artifact(open_tar(path, hash=hash), split, features, format, as_dataset)


def _check_selection(split: Any, features: Any) -> None:
    check_split(split)
    if isinstance(features, str):
        raise ArgumentError(f"features= takes a list of names: features=[{features!r}]")
    if features is not None and not (
        isinstance(features, Sequence) and all(isinstance(name, str) for name in features)
    ):
        raise ArgumentError(f"features= takes a list of names, not {features!r}")


def _open_folder(
    folder: Path, split: Splits, features: Sequence[str] | None, format: Format, as_dataset: dict[str, Any]
) -> tuple[DatasetInfo, Any]:
    _check_path(folder)
    return open_folder(folder, split, features, format, as_dataset)


def _check_path(path: Path) -> None:
    access = current_access()
    if access is not None:
        access.check_path(path)
