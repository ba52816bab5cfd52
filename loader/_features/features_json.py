"""The JSON in which TFDS describes a feature.

Source of the format: what `tfds.features.FeaturesDict.save_config` writes, protobuf's JSON of the message `Feature` in
TFDS's `core/proto/feature.proto`; and the form of older TFDS versions, `{"type": ..., "content": ...}`, which TFDS
still reads.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from loader._features.connectors import Shape

MODULES = "tensorflow_datasets.core.features."


@dataclass(frozen=True)
class Node:
    """A feature in the JSON: its class, and what that class saved, in the form of the message or an older one."""

    class_name: str
    content: dict[str, Any]
    is_message: bool
    document: Any

    @classmethod
    def of(cls, document: dict[str, Any]) -> Node:
        """Read a node of either form."""
        if "type" in document:
            content = document["content"]
            if isinstance(content, str):
                content = json.loads(content)
            return cls(text(document["type"]), content, bool(document.get("proto_cls")), document)
        name = text(_get(document, "python_class_name"))
        plain = _get(document, "json_feature")
        if plain is not None:
            return cls(name, json.loads(plain["json"]), False, document)
        said = ("pythonClassName", "python_class_name", "description", "valueRange", "value_range")
        [content] = [value for key, value in document.items() if key not in said]
        return cls(name, content, True, document)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field of what the class saved."""
        return _get(self.content, name, default)

    @property
    def shape(self) -> Shape:
        """The shape: {"dimensions": ["-1", "3"]}, or [null, 3] in the older form; () where there is none."""
        sizes = self.get("shape")
        if isinstance(sizes, dict):
            sizes = sizes.get("dimensions")
        return tuple(_size(size) for size in sizes or ())

    @property
    def length(self) -> int | None:
        """The length of a Sequence; the message's JSON leaves a zero out."""
        return _size(self.get("length", 0 if self.is_message else None))

    @property
    def connector(self) -> str | None:
        """The name of the class, None where it is not one of TFDS's own."""
        module, _, name = self.class_name.rpartition(".")
        return name if f"{module}.".startswith(MODULES) else None


def _size(size: Any) -> int | None:
    number = -1 if size is None else int(size)
    if not -1 <= number < 1 << 63:
        raise ValueError(f"{size!r} is no size")
    return None if number == -1 else number


def _get(content: dict[str, Any], name: str, default: Any = None) -> Any:
    """Return a field by its name in the message, which JSON may write like this or likeThis."""
    if name in content:
        return content[name]
    return content.get(re.sub("_(.)", lambda match: match[1].upper(), name), default)


def text(value: Any) -> str:
    """Return `value`, which must be a text."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
