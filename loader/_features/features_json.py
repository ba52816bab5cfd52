"""The JSON in which TFDS describes a feature.

Source of the format: the output of `tfds.features.FeaturesDict.save_config`, which is protobuf's JSON of the message
`Feature` in TFDS's `core/proto/feature.proto`; and the form of older TFDS versions, `{"type": ..., "content": ...}`,
which TFDS still reads.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from loader._features.connectors import Shape
from loader._format.description import get_field

MODULES = "tensorflow_datasets.core.features."


@dataclass(frozen=True)
class Node:
    """A feature in the JSON: its class, and the content that the class saved, as the message or in an older form."""

    class_name: str
    content: dict[str, Any]
    is_message: bool
    document: Any

    @classmethod
    def of(cls, document: dict[str, Any]) -> Node:
        """Parse a node of either form."""
        if "type" in document:
            content = document["content"]
            if isinstance(content, str):
                content = json.loads(content)
            return cls(text(document["type"]), content, bool(document.get("proto_cls")), document)
        name = text(get_field(document, "python_class_name"))
        plain = get_field(document, "json_feature")
        if plain is not None:
            return cls(name, json.loads(plain["json"]), False, document)
        common = ("pythonClassName", "python_class_name", "description", "valueRange", "value_range")
        [content] = [value for key, value in document.items() if key not in common]
        return cls(name, content, True, document)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a field of the content."""
        return get_field(self.content, name, default)

    @property
    def shape(self) -> Shape:
        """The shape, from {"dimensions": ["-1", "3"]}, or [null, 3] in the older form; () if there is none."""
        sizes = self.get("shape")
        if isinstance(sizes, dict):
            sizes = sizes.get("dimensions")
        return tuple(_size(size) for size in sizes or ())

    @property
    def length(self) -> int | None:
        """The length of a Sequence; the message's JSON omits a zero."""
        return _size(self.get("length", 0 if self.is_message else None))

    @property
    def connector(self) -> str | None:
        """The name of the class, None if it is not one of TFDS's own."""
        module, _, name = self.class_name.rpartition(".")
        return name if f"{module}.".startswith(MODULES) else None


def _size(size: Any) -> int | None:
    number = -1 if size is None else int(size)
    if not -1 <= number < 1 << 63:
        raise ValueError(f"{size!r} is not a size")
    return None if number == -1 else number


def text(value: Any) -> str:
    """Return `value`; TypeError if it is not a string."""
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return value
