"""`load` and `ensure`: datasets of a repository."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack, overload

from loader._arguments import check_flags, check_path, check_text, parse_name
from loader._errors import ArgumentError
from loader._fetch.reference import find_artifact
from loader._fetch.repository import PathLike
from loader._formats import Format, SplitFormat, TextType
from loader._info import DatasetInfo
from loader._open import check_access, open_artifact, open_folder
from loader._selection import Selection
from loader._split import Split
from loader._split_spec import SplitList, Splits, SplitSpec


class OptionsWithoutSupervised(TypedDict, total=False):
    """The keywords of `load` that do not affect its return type, without `supervised`."""

    version: str | None
    config: str | None
    rev: str | None
    repo: PathLike | None
    data_dir: PathLike | None
    features: Sequence[str] | None
    text: TextType
    chw: bool
    stream: bool
    offline: bool | None
    trust: PathLike | None


class Options(OptionsWithoutSupervised, total=False):
    """The keywords of `load` that do not affect its return type."""

    supervised: bool


@overload
def load(
    name: str,
    split: Splits = None,
    *,
    supervised: Literal[True],
    format: SplitFormat = "numpy",
    **options: Unpack[OptionsWithoutSupervised],
) -> tuple[DatasetInfo, Any]: ...
@overload
def load(
    name: str, split: SplitSpec, *, format: SplitFormat = "numpy", **options: Unpack[Options]
) -> tuple[DatasetInfo, Split]: ...
@overload
def load(
    name: str, split: None = None, *, format: SplitFormat = "numpy", **options: Unpack[Options]
) -> tuple[DatasetInfo, dict[str, Split]]: ...
@overload
def load(
    name: str, split: SplitList, *, format: SplitFormat = "numpy", **options: Unpack[Options]
) -> tuple[DatasetInfo, list[Split]]: ...
@overload
def load(name: str, split: Splits = None, *, format: Literal["tf"], **options: Any) -> tuple[DatasetInfo, Any]: ...
def load(
    name: str,
    split: Splits = None,
    *,
    version: str | None = None,
    config: str | None = None,
    rev: str | None = None,
    repo: PathLike | None = None,
    data_dir: PathLike | None = None,
    features: Sequence[str] | None = None,
    supervised: bool = False,
    format: Format = "numpy",
    text: TextType = "bytes",
    chw: bool = False,
    stream: bool = False,
    offline: bool | None = None,
    trust: PathLike | None = None,
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
        The dataset; a config and a version may follow, as in TFDS: "digit_speakers/theo", "mnist:3.0.1".
    split
        The splits to read: a TFDS split string ("train", "train[:10%]", "train[100:200]+test", "all[:50%]"), a part
        from `loader.even_splits`, a `tfds.core.ReadInstruction`, or a list of these; by default every split. "all" is
        all splits, one after the other.
    version
        The version of the dataset, or that of `config` if its configs have versions of their own. If the revision has
        another one, the newest earlier commit that recorded this version is read. A pattern like "1.*.*" is the highest
        recorded version that matches it.
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
    supervised
        Whether an example, or a batch, is a tuple instead of a dict: mostly (input, target), as `info.supervised_keys`
        says. Only its features are decoded.
    format
        "numpy"; "torch" or "jax" for their tensors or arrays; "tf" for a `tf.data.Dataset` made by TFDS, from a folder
        that is extracted once into the cache.
    text
        The type of Text features: "bytes" in UTF-8, or "str".
    chw
        With `format="torch"`, whether images have the shape (channels, height, width) instead of (height, width,
        channels); frames of videos too.
    stream
        If the artifact is not on this machine, read only the requested bytes from its remote instead of fetching it.
    offline
        Do not use the network; DATASETS_OFFLINE=1 has the same effect.
    trust
        A file of the SSH keys that may sign releases; see Notes. What none of them signed is refused.
    **as_dataset
        With `format="tf"`, keywords of TFDS's `as_dataset`: batch_size, shuffle_files, decoders, read_config.

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
    TrustError
        With `trust`, no listed key signed what is read, or this cannot be found out.
    DecodeError, UnsupportedError
        The data cannot be decoded, or a framework is not installed.

    Notes
    -----
    `trust` names a file in the format of git's `gpg.ssh.allowedSignersFile`, which `man ssh-keygen` describes under
    ALLOWED SIGNERS. One of its keys must have signed the annotated tag `<name>@v<version>` of the dataset's version,
    and the manifest that is read must be, byte for byte, the one in the commit that this tag names. From there, a chain
    of hashes leads to every example, so one signature vouches for all of them.

    - Get the file from someone you trust, and keep it yourself: never take it from the repository that it is to judge.
      A relative path is relative to the working folder.
    - A key vouches for each release that it signs, in any repository, also for old ones: `version` says which you want.
    - `valid-after` and `valid-before` in the file are compared with the date in the tag, as git does it, so that
      releases outlive their keys. Whoever has stolen a key can write any date: remove its line.
    - The signature is checked once, before anything else of the dataset is read. Splits contain the hashes that it
      proved, in other processes too, which check every example with them and ask neither git nor the file again.

    Examples
    --------
    >>> import loader
    >>> info, train = loader.load("digit", "train")
    >>> len(train), int(train[0]["label"])
    (1350, 3)
    >>> info, (most, rest) = loader.load("digit", split=["train[:90%]", "train[90%:]"], features=["label"])
    >>> len(most), len(rest), rest
    (1215, 135, <digit/1.0.8 train[90%:]: 135 examples of label>)
    """
    name, config, version = parse_name(name, config=config, version=version)
    check_text(rev=rev)
    check_path("repo", repo, optional=True)
    check_path("data_dir", data_dir, optional=True)
    check_path("trust", trust, optional=True)
    check_flags(offline=offline)
    selection = Selection(
        split=split,
        features=features,
        supervised=supervised,
        format=format,
        text=text,
        chw=chw,
        keywords=as_dataset,
        stream=stream,
    )
    if data_dir is not None:
        if rev is not None or repo is not None or stream:
            raise ArgumentError("data_dir= is read instead of a repository: leave out repo=, rev= and stream=")
        if trust is not None:
            raise ArgumentError(
                "data_dir= is a folder without git's tags, which trust= checks: leave out one of the two"
            )
        from loader._prepared import find_prepared  # a repository is read without it

        folder = find_prepared(Path(data_dir), name, config=config, version=version)
        check_access(folder)
        return open_folder(folder, selection)
    reference = find_artifact(name, version=version, config=config, rev=rev, repo=repo, offline=offline, trust=trust)
    return open_artifact(reference.stream() if stream else reference.open(), selection)


def ensure(
    name: str,
    *,
    version: str | None = None,
    config: str | None = None,
    rev: str | None = None,
    repo: PathLike | None = None,
    offline: bool | None = None,
    trust: PathLike | None = None,
) -> Path:
    """Fetch a dataset's artifact if it is not on this machine, and return its path.

    In `loader.cache` it stays until this process ends. With `trust`, the whole file is compared with the SHA-256 that
    was signed, because others than the loader may read it.

    The parameters and errors are those of `loader.load`.

    Examples
    --------
    >>> import loader
    >>> loader.ensure("digit").name
    'digit.tar'
    """
    name, config, version = parse_name(name, config=config, version=version)
    check_text(rev=rev)
    check_path("repo", repo, optional=True)
    check_path("trust", trust, optional=True)
    check_flags(offline=offline)
    reference = find_artifact(name, version=version, config=config, rev=rev, repo=repo, offline=offline, trust=trust)
    return reference.ensure(verify=trust is not None)
