"""Finding out in Beam's workers which values TFDS stores as others.

Workers on other machines receive this module and those that it imports by value, like `scripts._tfds.shards`.
"""

from __future__ import annotations

import hashlib
import pickle
import uuid
from pathlib import Path
from typing import Any

from scripts._build import changes, leaves, stored, stored_files
from scripts._tfds import audio, images

Key = int | str | bytes
MODULES = (changes, leaves, stored, stored_files, audio, images)


class CheckedFeatures:
    """Stands for a dataset's features in TFDS's pipeline, and checks what they encode.

    Workers share no memory, so each writes the first change that it finds in a feature to a file, unless another has.

    Parameters
    ----------
    features
        The features.
    folder
        A folder that all workers can write to.
    """

    def __init__(self, features: Any, folder: Path) -> None:
        self._features = features
        self._values = stored.StoredValues(features)
        self._folder = folder
        self._noted: set[str] = set()

    def get_serialized_info(self) -> Any:
        """Return what TFDS asks the features for to serialize examples."""
        return self._features.get_serialized_info()

    def encode_example(self, pair: tuple[Key, Any]) -> Any:
        """Return the encoded example of a pair of key and example."""
        key, example = pair
        encoded = self._features.encode_example(example)
        try:
            found = self._values.check([example], [encoded])
        except ValueError as error:
            raise ValueError(f"the example with key {key!r} cannot be encoded: {error}") from error
        for change in found:
            if change.feature not in self._noted:
                self._noted.add(change.feature)
                self._note(key, change)
        return encoded

    def _note(self, key: Key, change: changes.Change) -> None:
        path = self._folder / f"{hashlib.sha256(change.feature.encode()).hexdigest()}.change"
        if not path.exists():
            unfinished = path.with_suffix(f".{uuid.uuid4().hex}")
            # as a plain tuple: a class that was sent by value is another one here
            unfinished.write_bytes(pickle.dumps((key, tuple(change._replace(total=0)))))
            unfinished.replace(path)


def with_key(pair: tuple[Key, Any]) -> tuple[Key, tuple[Key, Any]]:
    """Return a pair of key and example with the pair as the example, because TFDS encodes examples without the key."""
    return pair[0], pair


def noted_changes(folder: Path) -> dict[str, tuple[Key, changes.Change]]:
    """Return the changes in a folder, by feature, each with the key of its example."""
    noted = {}
    for path in folder.glob("*.change"):
        key, fields = pickle.loads(path.read_bytes())
        change = changes.Change(*fields)
        noted[change.feature] = key, change
    return noted
