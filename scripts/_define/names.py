"""The names that a new dataset can have."""

from __future__ import annotations

import keyword
import os
import re
from pathlib import Path

from loader._format.names import MAX_FILENAME, tar_name
from scripts._define.definition import TOOLCHAIN
from scripts._process.errors import ScriptError

ADDED = 58
"""Most characters that a file name has besides the dataset's: a shard's, with 33 for its split, has most."""
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_RESERVED_SUFFIX = "_dataset_builder"  # TFDS removes it from a module's name to get the builder's name


def check_name(name: str, *, root: Path) -> None:
    """Check the name of a new dataset.

    Raises
    ------
    ScriptError
        It is not in snake_case, it is reserved, or it is too long for an artifact or for the repository's file system.
    """
    if not _NAME.fullmatch(name) or name.endswith(_RESERVED_SUFFIX):
        raise ScriptError(
            f"{name!r} is not a valid dataset name: it must be in snake_case (lowercase letters and digits in words "
            f"joined by one '_'), begin with a letter and not end in {_RESERVED_SUFFIX}"
        )
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or name == TOOLCHAIN:
        raise ScriptError(
            f"the name {name} is reserved: it is a keyword of {'params.yaml' if name == TOOLCHAIN else 'Python'}"
        )
    of_artifacts, of_disk = MAX_FILENAME - len(tar_name("")), os.pathconf(root, "PC_NAME_MAX")
    limit = min(of_artifacts, of_disk - ADDED)
    if len(name) > limit:
        reason = (
            f"the file name of an artifact has at most {MAX_FILENAME}"
            if limit == of_artifacts
            else f"this file system takes file names of {of_disk}, and those of shards have up to {ADDED} more"
        )
        raise ScriptError(f"the name {name[:20]}... has {len(name)} characters, and at most {limit} work: {reason}")
