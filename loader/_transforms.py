"""Examples that a function makes of other examples."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

import numpy as np

from loader._collate import make_collator
from loader._errors import ArgumentError, NotFoundError
from loader._features.connectors import FeaturesDict
from loader._format.records import Positions, integers
from loader._source import Batch, Collator, Example, ReadBatches, Source, chosen

Function = Callable[..., Any]

_CHUNK_EXAMPLES = 256


class MappedSource(Source):
    """What a function returns for each example, or for each batch of examples.

    Parameters
    ----------
    origin
        The examples.
    convert
        Converts them, before the function is given them.
    function
        The function.
    is_batched
        Whether it is given batches.
    names
        The values to hand out, of the dicts that it returns; None for all that it returns.
    """

    is_mapped = True

    def __init__(
        self,
        origin: Source,
        convert: Function | None,
        function: Function,
        *,
        is_batched: bool,
        names: Sequence[str] | None = None,
    ) -> None:
        self.features: FeaturesDict = origin.features
        self._origin = origin
        self._convert = convert
        self._function = function
        self._call = unpacking(function)
        self._is_batched = is_batched
        self._names = names

    def read(self, position: int) -> Example:
        """Return what the function makes of the example at a position."""
        if self._is_batched:
            return next(self.in_order(range(position, position + 1)))
        return self._apply(self._origin.read(position))  # type: ignore[no-any-return]

    def expect(self, positions: Positions, count: int) -> None:
        """Begin to fetch the examples at `positions`."""
        self._origin.expect(positions, count)

    def in_order(self, positions: Positions) -> Iterator[Example]:
        """Yield what the function makes of the examples at `positions`."""
        if not self._is_batched:
            yield from map(self._apply, self._origin.in_order(positions))
            return
        size = min(_CHUNK_EXAMPLES, max(len(positions), 1))
        batches = self.begin_batches(positions, size, make_collator)
        for batch in batches(range(-(-len(positions) // size))):
            yield from unbatch(batch)

    def begin_batches(self, positions: Positions, size: int, collator: Collator) -> ReadBatches:
        """Return what yields batches; a function of batches is given each as it is."""
        if not self._is_batched:
            return super().begin_batches(positions, size, lambda _: join)
        begun = self._origin.begin_batches(positions, size, collator)

        def batches(numbers: range) -> Iterator[Batch]:
            for number, batch in zip(numbers, begun(numbers), strict=False):
                made = self._apply(batch)
                expected = min(size, len(positions) - number * size)
                lengths = set(map(_length, leaves(made)))
                if lengths != {expected}:
                    raise ArgumentError(
                        f"the function of map(batched=True) returned {max(lengths - {expected}, default=0):,} values "
                        f"for {expected:,} examples: {function_name(self._function)}"
                    )
                yield made

        return batches

    def select(self, names: Sequence[str]) -> MappedSource:
        """Return only some of the values that the function returns."""
        return MappedSource(self._origin, self._convert, self._function, is_batched=self._is_batched, names=list(names))

    def identify(self, positions: Positions) -> str:
        """Return text that identifies the examples, their order and the name of the function."""
        kind = " in batches" if self._is_batched else ""
        return f"{self._origin.identify(positions)}, mapped{kind} by {function_name(self._function)}"

    @property
    def content_hash(self) -> None:
        """None, because a function may return anything."""
        return

    def _apply(self, values: Any) -> Any:
        made = self._call(values if self._convert is None else self._convert(values))
        if made is None:
            raise ArgumentError(
                f"the function of map() returned None; it must return the example: {function_name(self._function)}"
            )
        if self._names is None:
            return made
        missing = [name for name in self._names if not isinstance(made, dict) or name not in made]
        if missing:
            returned = ", ".join(map(str, made)) if isinstance(made, dict) else type(made).__name__
            raise NotFoundError(
                f"{function_name(self._function)} returned no {missing[0]!r}; what it returned: {returned}"
            )
        return {name: made[name] for name in self._names}


class KeptSource(Source):
    """What a function returned, in memory.

    Parameters
    ----------
    values
        The values of all examples: an array or a list, or a dict or tuple of such.
    origin, positions
        Where they came from: the examples of `origin` at `positions`.
    """

    is_mapped = True

    def __init__(self, values: Any, origin: Source, positions: Positions) -> None:
        self.features: FeaturesDict = origin.features
        self._values = values
        self._origin = origin
        self._positions = positions

    def read(self, position: int) -> Example:
        """Return the example at a position; an array is a copy."""
        return _each(lambda leaf: _copy(leaf[position]), self._values)  # type: ignore[no-any-return]

    def in_order(self, positions: Positions) -> Iterator[Example]:
        """Yield the examples at `positions`."""
        return map(self.read, integers(positions))

    def begin_batches(self, positions: Positions, size: int, collator: Collator) -> ReadBatches:
        """Return what yields batches."""

        def batch(number: int) -> Batch:
            rows = np.asarray(positions[number * size : (number + 1) * size], np.intp)

            def take(leaf: Any) -> Any:
                return [_copy(leaf[row]) for row in rows.tolist()] if isinstance(leaf, list) else leaf[rows]

            return _each(take, self._values)  # type: ignore[no-any-return]

        return lambda numbers: map(batch, numbers)

    def select(self, names: Sequence[str]) -> KeptSource:
        """Return the same examples with only some of their values."""
        for name in names:
            if not isinstance(self._values, dict) or name not in self._values:
                raise NotFoundError(f"the mapped examples have no {name!r}")
        return KeptSource({name: self._values[name] for name in names}, self._origin, self._positions)

    def identify(self, positions: Positions) -> str:
        """Return the text of the examples that were mapped."""
        return self._origin.identify(chosen(self._positions, positions))

    @property
    def content_hash(self) -> None:
        """None, because a function may return anything."""
        return


def unpacking(function: Function) -> Function:
    """Return a function of several arguments as one of a tuple, which is given its values one by one."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):  # of a function in C
        return function
    positional = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    needed = sum(each.kind in positional and each.default is each.empty for each in parameters)
    return partial(_unpacked, function) if needed > 1 else function


def _unpacked(function: Function, value: Any) -> Any:
    return function(*value) if isinstance(value, tuple) else function(value)


def function_name(function: Function) -> str:
    """Return the module and name of a function, for fingerprints and messages."""
    inner = getattr(function, "func", function)  # of a functools.partial
    named = inner if hasattr(inner, "__qualname__") else type(inner)
    return f"{named.__module__}.{named.__qualname__}"


def join(values: list[Any]) -> Any:
    """Join the values of several examples: numbers to an array, arrays of one shape to one, others to a list.

    Bytes and strings become an array of objects, tensors of PyTorch or JAX a tensor. In dicts and tuples, each value is
    joined by itself.

    Raises
    ------
    ArgumentError
        Dicts or tuples have different names or lengths.
    """
    first = values[0] if values else None
    if isinstance(first, dict | tuple):
        names = list(first) if isinstance(first, dict) else range(len(first))
        if any(type(value) is not type(first) or len(value) != len(first) for value in values) or (
            isinstance(first, dict) and any(value.keys() != first.keys() for value in values)
        ):
            raise ArgumentError("the function of map returned other names or numbers of values for other examples")
        joined = [join([value[name] for value in values]) for name in names]
        return dict(zip(names, joined, strict=True)) if isinstance(first, dict) else tuple(joined)
    if isinstance(first, bytes | str):
        texts = np.empty(len(values), object)
        texts[:] = values
        return texts
    if isinstance(first, bool | int | float | complex | np.generic):
        return np.array(values)
    if len({getattr(value, "shape", None) for value in values}) > 1:
        return values
    library = _library(first)
    return values if library is None else library.stack(values)


def all_values(source: Source, positions: Positions) -> Any:
    """Return what a function made of all examples: the values of its batches, one after the other."""
    size = _CHUNK_EXAMPLES
    batches = list(source.begin_batches(positions, size, make_collator)(range(-(-len(positions) // size))))
    return _concatenated(batches) if batches else {}


def _concatenated(parts: list[Any]) -> Any:
    first = parts[0]
    if isinstance(first, dict):
        return {name: _concatenated([part[name] for part in parts]) for name in first}
    if isinstance(first, tuple):
        return tuple([_concatenated(list(each)) for each in zip(*parts, strict=True)])
    if any(isinstance(part, list) for part in parts) or len({part.shape[1:] for part in parts}) > 1:
        return [value for part in parts for value in part]
    return _library(first).concatenate(parts)


def unbatch(batch: Any) -> Iterator[Any]:
    """Yield the examples of a batch."""
    for number in range(len(next(leaves(batch), ()))):
        yield _each(itemgetter(number), batch)


def leaves(values: Any) -> Iterator[Any]:
    """Yield what is in dicts and tuples."""
    if isinstance(values, dict | tuple):
        for value in values.values() if isinstance(values, dict) else values:
            yield from leaves(value)
    else:
        yield values


def _library(value: Any) -> Any:
    """Return the module whose `stack` and `concatenate` take such arrays, None if there is none."""
    name = type(value).__module__.partition(".")[0]
    modules = {"numpy": "numpy", "torch": "torch", "jax": "jax.numpy", "jaxlib": "jax.numpy"}
    return importlib.import_module(modules[name]) if name in modules else None


def _length(value: Any) -> int:
    try:
        return len(value)
    except TypeError:  # a number
        return 1


def _each(function: Function, values: Any) -> Any:
    """Return the same dicts and tuples of what a function makes of each value in them."""
    if isinstance(values, dict):
        return {name: _each(function, value) for name, value in values.items()}
    if isinstance(values, tuple):
        return tuple([_each(function, value) for value in values])
    return function(values)


def _copy(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.copy()
    return value.clone() if hasattr(value, "clone") else value  # a tensor of PyTorch
