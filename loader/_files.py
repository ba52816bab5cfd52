"""`open` and `from_directory`: datasets in files, without a repository."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypedDict, Unpack, overload

from loader._arguments import check_path, check_text
from loader._fetch.places import expand_user
from loader._fetch.repository import PathLike
from loader._formats import Format, SplitFormat, TextType
from loader._info import DatasetInfo
from loader._open import check_access, open_artifact, open_folder
from loader._selection import Selection
from loader._split import Split
from loader._split_spec import SplitList, Splits, SplitSpec


class Options(TypedDict, total=False):
    """The keywords of `from_directory` that do not affect its return type."""

    features: Sequence[str] | None
    supervised: bool
    text: TextType
    chw: bool


@overload
def from_directory(
    path: PathLike,
    split: Splits = None,
    *,
    supervised: Literal[True],
    format: SplitFormat = "numpy",
    text: TextType = "bytes",
    chw: bool = False,
) -> tuple[DatasetInfo, Any]: ...
@overload
def from_directory(
    path: PathLike, split: SplitSpec, *, format: SplitFormat = "numpy", **options: Unpack[Options]
) -> tuple[DatasetInfo, Split]: ...
@overload
def from_directory(
    path: PathLike, split: None = None, *, format: SplitFormat = "numpy", **options: Unpack[Options]
) -> tuple[DatasetInfo, dict[str, Split]]: ...
@overload
def from_directory(
    path: PathLike, split: SplitList, *, format: SplitFormat = "numpy", **options: Unpack[Options]
) -> tuple[DatasetInfo, list[Split]]: ...
@overload
def from_directory(
    path: PathLike, split: Splits = None, *, format: Literal["tf"], **options: Any
) -> tuple[DatasetInfo, Any]: ...
def from_directory(
    path: PathLike,
    split: Splits = None,
    *,
    features: Sequence[str] | None = None,
    supervised: bool = False,
    format: Format = "numpy",
    text: TextType = "bytes",
    chw: bool = False,
    **as_dataset: Any,
) -> tuple[DatasetInfo, Any]:
    """Open a folder that TFDS prepared (`<name>/[<config>/]<version>`, with its `dataset_info.json`).

    There is no record index to verify the records with; each record is checked against its CRC in the TFRecord file.

    Parameters
    ----------
    path
        The folder.
    split, features, supervised, format, text, chw, **as_dataset
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
    selection = Selection(
        split=split,
        features=features,
        supervised=supervised,
        format=format,
        text=text,
        chw=chw,
        keywords=as_dataset,
    )
    folder = expand_user(path)
    check_access(folder)
    return open_folder(folder, selection)


def open(  # noqa: A001  (used as loader.open, never imported by name)
    path: PathLike,
    split: Splits = None,
    *,
    hash: str | None = None,
    features: Sequence[str] | None = None,
    supervised: bool = False,
    format: Format = "numpy",
    text: TextType = "bytes",
    chw: bool = False,
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
    split, features, supervised, format, text, chw, **as_dataset
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
    selection = Selection(
        split=split,
        features=features,
        supervised=supervised,
        format=format,
        text=text,
        chw=chw,
        keywords=as_dataset,
    )
    path = expand_user(path)
    check_access(path)
    from loader._format.standalone import open_tar  # imports tarfile, which `load` does not need

    return open_artifact(open_tar(path, hash=hash), selection)
