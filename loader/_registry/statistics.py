"""The statistics of a dataset: `artifacts/<name>.stats.json`, written by its build, the DVC metrics of its stage.

The file is one JSON object. Its scalars are the columns of `dvc metrics show`, which leaves lists out:

    version      the dataset's version
    examples     in all splits of all configs
    bytes        of their records
    features     number of leaves: features that contain no others
    classes      of the ClassLabel with the most classes, 0 if there is none
    missing      values that examples lack: optional ones, labels of -1
    empty        values of no elements: texts, arrays, sequences
    duplicates   examples that repeat an earlier one of their split, by record or by a feature that identifies examples
    leaked       examples that repeat one of an earlier split of their config

Its other members are tables; `config` is null for a dataset without configs. `class_counts` is a list of objects,
which `dvc plots show` draws. The others are lists of rows, the first of which holds the names of the columns: DVC would
take objects for further points of the drawing.

    splits            config, split, examples, bytes, duplicates
    values            config, split, feature ("objects/bbox"), type ("Sequence(BBoxFeature)"), dtype, examples, and
                      count       elements in all values, missing ones left out
                      missing, empty
                      nan, infinite                 elements; min, max and mean are of the others
                      min, max, mean                of numbers; null for others, mean also for class numbers
                      shape       [smallest, largest] size of each axis; null if the number of axes varies
                      length      min, max, mean of the number of bytes of a text or string, or of items of a sequence
                                  or nested dataset; null for others
                      characters  the same of the characters of UTF-8 texts
                      A feature that only its builder's own code can decode has null in all of these but `examples`.
    class_counts      config, split, feature, class (its name, or its number as text), examples: how many labels there
                      are of it. Of more than 1,000 classes, the most frequent ones and a last line for all others
    duplicates_found  config, by ("record", or a feature), splits (one, or an earlier and a later one), examples (how
                      many of the last of these splits repeat an earlier one), sample: up to five contents, each as
                      places [split, position] of up to four examples that have it

Min and max of float16 and float32 are the shortest decimal numbers that name them; means are correctly rounded.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from loader._errors import ManifestError
from loader._format.strict_json import array, integer, mapping, optional_text, parse_object, text

MAX_BYTES = 64 << 20

Place = tuple[str, int]  # a split, and the position of an example in it


@dataclass(frozen=True)
class SplitStatistics:
    """The statistics of a split."""

    config: str | None
    split: str
    examples: int
    bytes: int
    duplicates: int


@dataclass(frozen=True)
class Range:
    """Smallest, largest and mean length."""

    min: int
    max: int
    mean: float


@dataclass(frozen=True)
class ValueStatistics:
    """The statistics of a leaf feature in a split; the module's documentation explains the attributes."""

    config: str | None
    split: str
    feature: str
    type: str
    dtype: str
    examples: int
    count: int | None
    missing: int | None
    empty: int | None
    nan: int | None
    infinite: int | None
    min: int | float | None
    max: int | float | None
    mean: float | None
    shape: tuple[tuple[int, int], ...] | None
    length: Range | None
    characters: Range | None


@dataclass(frozen=True)
class ClassCount:
    """The number of labels of a class in a split."""

    config: str | None
    split: str
    feature: str
    name: str
    examples: int


@dataclass(frozen=True)
class Duplicates:
    """Examples that have the same content; the module's documentation explains the attributes."""

    config: str | None
    by: str
    splits: tuple[str, ...]
    examples: int
    sample: tuple[tuple[Place, ...], ...]

    def __str__(self) -> str:
        is_one = self.examples == 1
        config = f" of config {self.config}" if self.config else ""
        examples = f"{self.examples:,} example{'' if is_one else 's'} of {self.splits[-1]}{config}"
        by = "" if self.by == "record" else f", by {self.by}"
        if len(self.splits) == 1:
            return f"{examples} {'repeats' if is_one else 'repeat'} an earlier one{by}"
        return f"{examples} {'is' if is_one else 'are'} in {self.splits[0]} too{by}"


@dataclass(frozen=True)
class Statistics:
    """The statistics of a dataset; the module's documentation explains the attributes."""

    version: str
    examples: int
    bytes: int
    features: int
    classes: int
    missing: int
    empty: int
    duplicates: int
    leaked: int
    splits: tuple[SplitStatistics, ...]
    values: tuple[ValueStatistics, ...]
    class_counts: tuple[ClassCount, ...]
    duplicates_found: tuple[Duplicates, ...]

    def class_totals(self, config: str | None) -> dict[str, dict[str, int]]:
        """Return how many labels there are of each class in all splits of a config, by feature and class."""
        found: dict[str, dict[str, int]] = {}
        for count in self.class_counts:
            if count.config == config:
                of_feature = found.setdefault(count.feature, {})
                of_feature[count.name] = of_feature.get(count.name, 0) + count.examples
        return found


def parse_statistics(data: bytes, label: str) -> Statistics:
    """Parse the bytes of a `stats.json`; `label` names them in messages.

    Raises
    ------
    ManifestError
        They are not statistics.
    """
    try:
        if len(data) > MAX_BYTES:
            raise ValueError(f"it has {len(data):,} bytes, more than {MAX_BYTES:,}")
        raw = parse_object(data)
        numbers = {
            key: integer(raw, key)
            for key in ("examples", "bytes", "features", "classes", "missing", "empty", "duplicates", "leaked")
        }
        return Statistics(
            **numbers,
            version=text(raw, "version"),
            splits=tuple(map(_split, _rows(raw, "splits"))),
            values=tuple(map(_values, _rows(raw, "values"))),
            class_counts=tuple(map(_class_count, array(raw, "class_counts"))),
            duplicates_found=tuple(map(_duplicates, _rows(raw, "duplicates_found"))),
        )
    except (ValueError, RecursionError) as error:
        raise ManifestError(
            f"{label} does not hold usable statistics ({error}); restore it with git, or remove it and build again"
        ) from error


def _rows(raw: Any, key: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table, each as an object."""
    header, *rows = array(raw, key) or [None]
    for row in (header, *rows):
        if not isinstance(row, list) or len(row) != len(header):
            raise ValueError(f"{key!r} is not a table: {row!r:.80}")
    if not all(isinstance(name, str) for name in header):
        raise ValueError(f"{key!r} has no names of columns")
    for row in rows:
        yield dict(zip(header, row, strict=True))


def _split(raw: Any) -> SplitStatistics:
    return SplitStatistics(
        optional_text(raw, "config"),
        text(raw, "split"),
        integer(raw, "examples"),
        integer(raw, "bytes"),
        integer(raw, "duplicates"),
    )


def _values(raw: Any) -> ValueStatistics:
    return ValueStatistics(
        config=optional_text(raw, "config"),
        split=text(raw, "split"),
        feature=text(raw, "feature"),
        type=text(raw, "type"),
        dtype=text(raw, "dtype"),
        examples=integer(raw, "examples"),
        count=_optional_integer(raw, "count"),
        missing=_optional_integer(raw, "missing"),
        empty=_optional_integer(raw, "empty"),
        nan=_optional_integer(raw, "nan"),
        infinite=_optional_integer(raw, "infinite"),
        min=_number(raw, "min"),
        max=_number(raw, "max"),
        mean=_number(raw, "mean"),
        shape=_shape(raw),
        length=_range(raw, "length"),
        characters=_range(raw, "characters"),
    )


def _class_count(raw: Any) -> ClassCount:
    return ClassCount(
        optional_text(raw, "config"),
        text(raw, "split"),
        text(raw, "feature"),
        text(raw, "class"),
        integer(raw, "examples"),
    )


def _duplicates(raw: Any) -> Duplicates:
    splits = tuple(array(raw, "splits"))
    if not 1 <= len(splits) <= 2 or not all(isinstance(split, str) for split in splits):
        raise ValueError(f"'splits' is not one split or two: {splits!r:.80}")
    sample = tuple(tuple(map(_place, places)) for places in array(raw, "sample") if isinstance(places, list))
    return Duplicates(optional_text(raw, "config"), text(raw, "by"), splits, integer(raw, "examples"), sample)


def _place(raw: Any) -> Place:
    match raw:
        case [str(split), int(position)] if position >= 0:
            return split, position
    raise ValueError(f"{raw!r:.80} is not a split and a position")


def _optional_integer(raw: Any, key: str) -> int | None:
    return integer(raw, key) if _present(raw, key) else None


def _number(raw: Any, key: str) -> int | float | None:
    if not _present(raw, key):
        return None
    value: int | float = raw[key]
    if type(value) not in (int, float):
        raise ValueError(f"{key!r} is not a number: {value!r:.80}")
    return value


def _shape(raw: Any) -> tuple[tuple[int, int], ...] | None:
    if not _present(raw, "shape"):
        return None
    axes = []
    for axis in array(raw, "shape"):
        match axis:
            case [int(smallest), int(largest)] if 0 <= smallest <= largest:
                axes.append((smallest, largest))
            case _:
                raise ValueError(f"{axis!r:.80} is not the smallest and the largest size of an axis")
    return tuple(axes)


def _range(raw: Any, key: str) -> Range | None:
    if not _present(raw, key):
        return None
    found = mapping(raw, key)
    mean = _number(found, "mean")
    if mean is None:
        raise ValueError(f"{key!r} has no mean")
    return Range(integer(found, "min"), integer(found, "max"), mean)


def _present(raw: Any, key: str) -> bool:
    if not isinstance(raw, dict) or key not in raw:
        raise ValueError(f"{key!r} is missing")
    return raw[key] is not None
