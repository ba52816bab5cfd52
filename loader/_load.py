"""`load`, `open`, `from_directory` and `ensure`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack, overload

from loader._errors import ArgumentError
from loader._fetch.access import current_access
from loader._fetch.places import expanded
from loader._fetch.reference import find_artifact
from loader._fetch.repository import PathLike
from loader._formats import Format, SplitFormat, check_format
from loader._info import DatasetInfo
from loader._open import SplitList, Splits, open_artifact, open_folder
from loader._prepared import find_prepared
from loader._split import Split
from loader._split_spec import SplitSpec


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
    return find_artifact(name, version=version, config=config, rev=rev, repo=repo, offline=offline).open().path


def open(  # noqa: A001  (people write loader.open, and no module imports it by itself)
    path: PathLike,
    *,
    hash: str | None = None,
    split: Splits = None,
    features: Sequence[str] | None = None,
    format: Format = "numpy",
    **as_dataset: Any,
) -> tuple[DatasetInfo, Any]:
    """Open an artifact by itself, without a repository: one from `dvc get`, say.

    Without `hash`, the tar is proved against itself only: every record has the digest that the tar's own record index
    gives, so damage is found, but not an artifact that somebody replaced.

    Parameters
    ----------
    path
        The tar.
    hash
        What the whole file must hash to: its MD5 (32 hex digits), as `dvc.lock` has it, or its SHA-256 (64), as the
        manifest has it. The file is read once for it.
    split, features, format, **as_dataset
        As in `loader.load`.

    Returns
    -------
    info, ds
        What the dataset is, and the split, or a dict of all splits by name, or a list for a list.

    Raises
    ------
    ArgumentError
        The hash is neither an MD5 nor a SHA-256, or arguments that make no sense together.
    NotFoundError
        There is no such file, split or feature.
    IntegrityError
        The file is no artifact of format 1, is damaged, or has another hash.
    DecodeError, UnsupportedError
        What it holds cannot be decoded, or a framework is not installed.

    Examples
    --------
    >>> import loader
    >>> info, ds = loader.open(loader.ensure("digit"))
    >>> len(ds["train"])
    1350
    """
    check_format(format, features=features, stream=False, keywords=as_dataset)
    path = expanded(path)
    _check_path(path)
    from loader._format.standalone import open_tar  # imports tarfile, which `load` does without

    return open_artifact(open_tar(path, hash=hash), split, features, format, as_dataset)


def _open_folder(
    folder: Path, split: Splits, features: Sequence[str] | None, format: Format, as_dataset: dict[str, Any]
) -> tuple[DatasetInfo, Any]:
    _check_path(folder)
    return open_folder(folder, split, features, format, as_dataset)


def _check_path(path: Path) -> None:
    access = current_access()
    if access is not None:
        access.check_path(path)
