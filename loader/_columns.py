"""The values of many examples in a few buffers, in memory or in files that are mapped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from loader._column import Buffer, Column, FixedColumn, ObjectColumn, RowsColumn, StringColumn, VaryingColumn
from loader._errors import UnsupportedError
from loader._features import connectors
from loader._features.connectors import Feature, FeaturesDict
from loader._format.records import Positions
from loader._source import Batch, Collator


class Columns(Column):
    """The values of several features, by name: of whole examples, or of a feature that holds others.

    Parameters
    ----------
    features
        The features.
    new_buffer
        Makes the buffers, always in the same order.
    lengths
        The lengths of the Sequences around the features, outermost first.
    path
        The name of the feature that holds them, for messages.
    in_memory
        Whether values that fit into no buffer are kept as objects.

    Raises
    ------
    UnsupportedError
        There is such a value, and it is not to be kept as an object.
    """

    def __init__(
        self,
        features: FeaturesDict,
        new_buffer: Callable[[], Buffer],
        lengths: tuple[int | None, ...] = (),
        path: str = "",
        in_memory: bool = True,
    ) -> None:
        self.features = features
        self.columns = {
            name: _column(feature, new_buffer, lengths, path + name, in_memory) for name, feature in features.items()
        }

    def __len__(self) -> int:
        return min(map(len, self.columns.values()), default=0)

    def reserve(self, count: int) -> None:
        """Get memory for this many examples."""
        for column in self.columns.values():
            column.reserve(count)

    def append(self, values: Any) -> None:
        """Append a batch of examples, or of feature values that are dicts a list of them."""
        for name, column in self.columns.items():
            column.append(values[name] if isinstance(values, dict) else [value[name] for value in values])

    def attach(self) -> None:
        """Read what was appended from now on."""
        for column in self.columns.values():
            column.attach()

    def one(self, row: int) -> Any:
        """Return an example."""
        return {name: column.one(row) for name, column in self.columns.items()}

    def batch(self, rows: Positions | None, collator: Collator) -> Batch:
        """Return a batch of examples, as `collator` joins them.

        Parameters
        ----------
        rows
            Which examples; None for all, whose arrays are then not copied.
        collator
            Joins the values that are not arrays of one shape.
        """
        batch: Batch = {}
        for name, column in self.columns.items():
            if isinstance(column, FixedColumn) and not column.is_optional:
                batch[name] = column.values if rows is None else column.take(rows)
            elif isinstance(column, Columns) and isinstance(self.features[name], FeaturesDict):
                batch[name] = column.batch(rows, collator)
            else:
                values = column.some(range(len(column)) if rows is None else rows)
                collate = collator(FeaturesDict({name: self.features[name]}))
                batch |= collate([{name: value} for value in values])
        return batch

    def select(self, names: Sequence[str]) -> Columns:
        """Return the columns of some features, without a copy."""
        selected = object.__new__(Columns)
        selected.features = FeaturesDict({name: self.features[name] for name in names})
        selected.columns = {name: self.columns[name] for name in names}
        return selected


def _column(
    feature: Feature, new_buffer: Callable[[], Buffer], lengths: tuple[int | None, ...], path: str, in_memory: bool
) -> Column:
    """Return a column for a feature inside Sequences of these lengths, outermost first."""
    if isinstance(feature, FeaturesDict):
        return Columns(feature, new_buffer, lengths, f"{path}/", in_memory)
    if isinstance(feature, connectors.Dataset | connectors.TfdsFeature):
        if in_memory:
            return ObjectColumn()
        kind = "a nested dataset" if isinstance(feature, connectors.Dataset) else "decoded by TFDS"
        raise UnsupportedError(f"feature {path!r} is {kind}, which no file of arrays can hold")
    if isinstance(feature, connectors.Sequence):
        return _column(feature.feature, new_buffer, (*lengths, feature.length), path, in_memory)
    if len(lengths) > 1:
        return RowsColumn(_column(feature, new_buffer, lengths[1:], path, in_memory), new_buffer)
    shape, dtype = (*lengths, *feature.shape), feature.dtype
    if dtype.kind == "O":
        return StringColumn(shape, isinstance(feature, connectors.Text), new_buffer)
    fixed = tuple(size for size in shape if size is not None)
    if len(fixed) == len(shape) and 0 not in fixed:
        return FixedColumn(fixed, dtype, not lengths and getattr(feature, "optional", False), new_buffer)
    return VaryingColumn(shape, dtype, new_buffer)
