"""How two records of one example differ: which features, and both values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from loader._format.example import Example

MAX_CHARACTERS = 60  # shown of a value
MAX_ITEMS = 3  # shown of the differences between two lists


@dataclass(frozen=True)
class ValueChange:
    """A feature that differs between two records of one example.

    Attributes
    ----------
    feature
        Its name; a nested one is like `outer/inner`.
    how
        What differs, in words: "label" "3 and 5".
    old, new
        Both values; None on the side that lacks the feature, and on both if it is not the value that differs.
    is_value
        Whether the value differs, not only the bytes that encode it.
    """

    feature: str
    how: str
    old: Any = None
    new: Any = None
    is_value: bool = True


@dataclass(frozen=True)
class Decoded:
    """A record's bytes and its example, which is None if the loader cannot decode it."""

    record: bytes
    example: dict[str, Any] | None


def compare_records(old: Decoded, new: Decoded, sides: tuple[str, str]) -> list[ValueChange]:
    """Return the features that differ; `sides` are the names of the two in messages, like "the recorded artifact"."""
    is_decoded = old.example is not None and new.example is not None
    found = list(compare_values(old.example, new.example, sides)) if is_decoded else []
    changed = [change.feature for change in found]
    for name, how in _compare_fields(old.record, new.record, sides):
        # a nested feature has several fields, whose names begin with its own name and a slash
        if any(name == other or name.startswith(f"{other}/") for other in changed):
            continue
        is_same = is_decoded and name.partition("/")[0] in (old.example or {})
        found.append(
            ValueChange(name, f"has the same value in another encoding: {how}", is_value=False)
            if is_same
            else ValueChange(name, f"differs in its bytes, and the loader cannot decode it: {how}")
        )
    return found or [
        ValueChange("serialization", "differs, with the same fields (another version of protobuf?)", is_value=False)
    ]


def compare_values(old: Any, new: Any, sides: tuple[str, str], name: str = "") -> Iterator[ValueChange]:
    """Yield the features that differ.

    Parameters
    ----------
    old, new
        Two decoded examples, or two values of one feature.
    sides
        The names of the two in messages.
    name
        The feature; empty for a whole example.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            path = f"{name}/{key}" if name else key
            if key in old and key in new:
                yield from compare_values(old[key], new[key], sides, path)
            else:
                side = sides[0] if key in old else sides[1]
                yield ValueChange(path, f"is only in {side}", old.get(key), new.get(key))
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        items = (f"[{n}] {each.how}" for n, pair in pairs for each in compare_values(*pair, sides))
        if shown := list(islice(items, MAX_ITEMS)):
            yield ValueChange(name, ", ".join(shown), old, new)
    elif isinstance(old, np.ndarray) and isinstance(new, np.ndarray):
        if how := _compare_arrays(old, new):
            yield ValueChange(name, how, old, new)
    elif not _same(old, new):
        yield ValueChange(name, _compare_scalars(old, new), old, new)


def brief(value: Any) -> str:
    """Return a value as one short line."""
    text = str(value.item()) if isinstance(value, np.generic) and not isinstance(value, bytes) else repr(value)
    text = " ".join(text.split())
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}..."


def _compare_fields(old_record: bytes, new_record: bytes, sides: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the fields of the records that differ, each with both sizes."""
    old, new = (Example.FromString(record).features.feature for record in (old_record, new_record))
    for name in sorted({*old, *new}):
        if name not in old or name not in new:
            yield name, f"it is a field only in {sides[0] if name in old else sides[1]}"
        elif old[name] != new[name]:
            yield name, f"{old[name].ByteSize():,} and {new[name].ByteSize():,} bytes"


def _compare_arrays(old: np.ndarray[Any, Any], new: np.ndarray[Any, Any]) -> str | None:
    if old.shape != new.shape:
        return f"has the shape {old.shape} and {new.shape}"
    if old.dtype != new.dtype:
        return f"has the type {old.dtype} and {new.dtype}"
    unequal = old != new
    if old.dtype.kind in "fcV":  # ml_dtypes' bfloat16 is of kind V
        unequal &= (old == old) | (new == new)  # two NaN count as equal
    count = int(np.count_nonzero(unequal))
    if not count:
        return None
    first = tuple(int(n) for n in np.unravel_index(int(np.argmax(unequal)), unequal.shape))
    text = f"{count:,} of {old.size:,} elements, first {list(first)}: {brief(old[first])} and {brief(new[first])}"
    if old.dtype.kind in "iuf":
        by = np.abs(old[unequal].astype(np.float64) - new[unequal].astype(np.float64))
        text += f", at most by {np.nanmax(by):g}" if not np.isnan(by).all() else ""
    return text


def _same(old: Any, new: Any) -> bool:
    if type(old) is not type(new):
        return False
    try:
        return bool(old == new) or bool(old != old and new != new)  # two NaN count as equal
    except ValueError:  # an object that contains arrays, such as a ragged tensor
        return repr(old) == repr(new)


def _compare_scalars(old: Any, new: Any) -> str:
    """Return both values; of long texts only the part where they begin to differ."""
    if isinstance(old, str | bytes) and type(old) is type(new) and max(len(old), len(new)) > MAX_CHARACTERS:
        pairs = zip(old, new, strict=False)
        at = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(old), len(new)))
        unit = "byte" if isinstance(old, bytes) else "character"
        start, end = max(0, at - 10), at + 30
        lengths = f"{len(old):,} and {len(new):,}"
        return f"from {unit} {at:,} on, of {lengths}: ...{old[start:end]!r} and ...{new[start:end]!r}"
    return f"{brief(old)} and {brief(new)}"
