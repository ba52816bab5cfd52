"""Parse the JSON of the format, and refuse what a reader must refuse (docs/format.md, sections 1, 5, 10 and 16)."""

from __future__ import annotations

import json
import re
from typing import Any

_SHA256 = re.compile("[0-9a-f]{64}")


def parse_object(data: bytes) -> dict[str, Any]:
    """Parse a JSON object in UTF-8.

    Raises
    ------
    ValueError
        It is not one, or has a key twice, a number that is not finite, or an unpaired surrogate.
    RecursionError
        It is nested too deeply.
    """
    document = json.loads(data.decode(), object_pairs_hook=_unique, parse_constant=_refuse)
    if b"\\u" in data:
        json.dumps(document, ensure_ascii=False).encode()  # UnicodeEncodeError, a ValueError, for a lone surrogate
    if not isinstance(document, dict):
        raise ValueError("it is not a JSON object")
    return document


def text(document: Any, key: str) -> str:
    """Return the string of a key; raise ValueError if it has none."""
    value = _value(document, key)
    if not isinstance(value, str):
        raise ValueError(f"{key!r} is not a string: {value!r:.80}")
    return value


def optional_text(document: Any, key: str) -> str | None:
    """Return the string or null of a key; raise ValueError if it has neither."""
    return None if _value(document, key) is None else text(document, key)


def sha256_of(document: Any, key: str) -> str:
    """Return the SHA-256 of a key; raise ValueError if it has none."""
    return check_sha256(_value(document, key))


def check_sha256(value: Any) -> str:
    """Return the value if it is a SHA-256 in hex; raise ValueError if not."""
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise ValueError(f"{value!r:.80} is not a SHA-256")
    return value


def integer(document: Any, key: str) -> int:
    """Return the integer of a key; raise ValueError if it has none from 0 to 2^63 - 1."""
    value = _value(document, key)
    if type(value) is not int or not 0 <= value < 1 << 63:  # a bool is an int, but of another type
        raise ValueError(f"{key!r} is not a whole number from 0 to 2^63 - 1: {value!r:.80}")
    return value


def mapping(document: Any, key: str) -> dict[str, Any]:
    """Return the object of a key; raise ValueError if it has none."""
    value = _value(document, key)
    if not isinstance(value, dict):
        raise ValueError(f"{key!r} is not an object: {value!r:.80}")
    return value


def array(document: Any, key: str) -> list[Any]:
    """Return the array of a key; raise ValueError if it has none."""
    value = _value(document, key)
    if not isinstance(value, list):
        raise ValueError(f"{key!r} is not an array: {value!r:.80}")
    return value


def _value(document: Any, key: str) -> Any:
    if not isinstance(document, dict):
        raise ValueError(f"{document!r:.80} is not an object")
    if key not in document:
        raise ValueError(f"{key!r} is missing")
    return document[key]


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)!r} occurs twice")
    return found


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a number of JSON")
