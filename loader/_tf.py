"""Read a dataset as `tf.data.Dataset`, through TFDS."""

from __future__ import annotations

import functools
import inspect
import operator
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loader._errors import ArgumentError, FetchError, UnsupportedError
from loader._features.tfds import missing_class
from loader._fetch import store
from loader._fetch.places import CACHE_VARIABLE
from loader._format.artifact import Artifact
from loader._format.description import parse_json
from loader._format.extraction import extract_members, extractable, version_folder
from loader._info import DatasetInfo
from loader._selection import Selection
from loader._split_spec import SplitSpec, resolve
from loader._supervised import check_keys


def extracted(artifact: Artifact) -> Path:
    """Return the folder in the cache that TFDS reads; extract the artifact into it if that has not been done.

    Raises
    ------
    FetchError
        The cache cannot be written to.
    IntegrityError
        The artifact differs from its manifest.
    """
    target = store.entry_folder(store.EXTRACTED, artifact.entry.index_sha256)
    folder = target / version_folder(artifact)
    try:
        with store.lock(target.name):
            if not target.is_dir():
                target.parent.mkdir(parents=True, exist_ok=True)
                with store.scratch(target.name) as temporary:
                    extract_members(artifact, extractable(artifact), temporary)
                    temporary.rename(target)
            store.keep(target)  # TFDS reads its files for as long as the process has the dataset
    except OSError as error:
        raise FetchError(
            f"{artifact.manifest.name}: {target} cannot be written: {error.strerror or error}; "
            f"make room, or set {CACHE_VARIABLE} to another folder"
        ) from error
    store.mark_used(target)
    store.trim()
    return folder


def as_datasets(prepare: Callable[[], Path], selection: Selection, info: DatasetInfo) -> Any:
    """Return the result of TFDS's `as_dataset(split=..., **keywords)` for the folder that `prepare` returns.

    Raises
    ------
    ArgumentError
        `as_dataset` has no such keyword, or `supervised=True` cannot be used.
    UnsupportedError
        The class of a feature is not imported.
    """
    split, keywords = selection.split, selection.keywords
    if selection.supervised:
        check_keys(info.supervised_keys, info.full_name, info.features)
        keywords = {**keywords, "as_supervised": True}
    folder = prepare()
    import tensorflow_datasets as tfds

    def instruction(spec: SplitSpec) -> Any:
        # not as a string: TFDS reads no "all[:50%]", and no split whose name is not in its syntax
        slices = resolve(spec, info.splits, dataset=info.full_name)
        parts = [tfds.core.ReadInstruction(part.name, from_=part.start, to=part.stop, unit="abs") for part in slices]
        return functools.reduce(operator.add, parts)

    wanted: Any
    if split is None:
        wanted = {name: instruction(name) for name in info.splits}
    else:
        wanted = [instruction(spec) for spec in split] if isinstance(split, list | tuple) else instruction(split)
    if not keywords.get("shuffle_files"):  # keep the order of the records, as in the other formats
        keywords = {"read_config": tfds.ReadConfig(interleave_cycle_length=1), **keywords}
    if missing := missing_class(parse_json((folder / "features.json").read_bytes())):
        raise UnsupportedError(f"{info.full_name} has a feature of its own; {missing}")
    builder = tfds.builder_from_directory(os.fspath(folder))
    try:
        inspect.signature(builder.as_dataset).bind(split=wanted, **keywords)
    except TypeError as error:
        raise ArgumentError(f"TFDS's as_dataset takes other keywords: {error}") from None
    return builder.as_dataset(split=wanted, **keywords)
