"""All values of a split at once: as arrays, as tables, kept in a cache, or made by a function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from loader._arguments import check_flags
from loader._collate import make_collator
from loader._errors import ArgumentError, NotFoundError
from loader._examples import Examples
from loader._format.records import Positions
from loader._formats import Converter
from loader._source import Batch, Source
from loader._transforms import Function, KeptSource, MappedSource, all_values, function_name


class Arrays(Examples):
    """The methods of a split that return or keep all values."""

    def arrays(self) -> Any:
        """Return the whole split, as one batch: a dict from feature name to the values of all examples.

        As in a batch of `batches`, values of a fixed shape are an array of shape (examples, ...), text and other
        strings an array of bytes objects, and values whose shape varies a list of arrays. With `supervised=True` it is
        a tuple.

        Returns
        -------
        dict
            The values, in the format of the split.

        Raises
        ------
        ArgumentError
            They do not fit in the memory that is free.
        IntegrityError, DecodeError
            As for an example.

        Examples
        --------
        >>> import loader
        >>> info, test = loader.load("mnist", "test")
        >>> arrays = test.arrays()
        >>> arrays["image"].shape, arrays["label"].dtype
        ((10000, 28, 28, 1), dtype('int64'))
        """
        values = self._values(self._source)
        return values if self.convert is None else self.convert(values)

    def column(self, name: str) -> Any:
        """Return the values of a feature, as in `arrays`, without decoding the others; `split[name]` does the same.

        Raises
        ------
        NotFoundError
            There is no such feature.
        ArgumentError
            The values do not fit in the memory that is free.
        """
        values = self._values(self._with_features([name]))
        return (self.convert.values(values) if isinstance(self.convert, Converter) else values)[name]

    def to_arrow(self) -> Any:
        """Return the split as a `pyarrow.Table`, which polars, DuckDB and others read without a copy.

        A number is a number, text a `large_string`, other strings `large_binary`. An array is a list in lists, of fixed
        size for each dimension of known size: an image of shape (28, 28, 1) is of the type
        `fixed_size_list<fixed_size_list<fixed_size_list<uint8>[1]>[28]>[28]`. A dict is a struct.

        Raises
        ------
        UnsupportedError
            pyarrow is not installed, or a feature has no type in Arrow, as nested datasets have none.
        ArgumentError
            The values do not fit in the memory that is free.
        """
        from loader._arrow import check_package, to_table

        check_package("pyarrow", "to_arrow()")
        return to_table(self._by_name(), {} if self._source.is_mapped else self.features, self.name)

    def to_pandas(self) -> Any:
        """Return the split as a `pandas.DataFrame`, with a row for each example and the index 0, 1, 2 and so on.

        Numbers are columns of their dtype, text is `str`, other strings are `bytes`, and each array is one object. A
        feature in another one is the column `<outer>/<inner>`.

        Raises
        ------
        UnsupportedError
            pandas is not installed.
        ArgumentError
            The values do not fit in the memory that is free.
        """
        from loader._arrow import check_package, to_frame

        check_package("pandas", "to_pandas()")
        return to_frame(self._by_name(), {} if self._source.is_mapped else self.features, self.name)

    def decoded_size(self) -> int:
        """Return how many bytes `arrays` and `cache` take.

        It is exact if all values are numbers of fixed shapes. Otherwise it is estimated from 64 of the examples.
        """
        from loader._room import decoded_size  # these modules are imported by those who need all values

        return decoded_size(self._source, self._positions)

    def cache(self, *, disk: bool = False) -> Self:
        """Decode all examples now, and return the same split, which reads them from memory.

        Batches of values of a fixed shape are then copied from arrays, in any order, at the speed of memory. Order,
        states and values are those of the split without a cache, and every example was verified before it was kept.

        Parameters
        ----------
        disk
            Whether to keep the values in files below `loader.cache`, which are mapped into memory, so that all
            processes of this machine share them, and later runs find them. They are hashed when they are opened. If
            False, a forked process shares the memory, while a spawned one is sent a copy.

        Raises
        ------
        ArgumentError
            They do not fit in the memory that is free: `decoded_size()` says what they take.
        FetchError
            They do not fit on the disk, or the cache cannot be written to.
        UnsupportedError
            Only with `disk`: nothing proves later that these are the same examples, as after `map` or `data_dir=`; or a
            feature is a nested dataset, or one that TFDS decodes.

        Examples
        --------
        >>> import loader
        >>> info, train = loader.load("mnist", "train")
        >>> train.decoded_size()
        47520000
        >>> train = train.cache()
        >>> for batch in train.batches(256, shuffle=True, seed=0):
        ...     pass
        """
        from loader._cached import CachedSource, MappedFiles, decode, is_on_disk

        check_flags(disk=disk)
        source, positions = self._source, self._positions
        kept: Source
        if disk:
            if not is_on_disk(self.name, source, positions):
                from loader._room import check_disk

                check_disk(self.name, self.decoded_size())
            kept = MappedFiles(self.name, source, positions)
        else:
            from loader._room import check_memory

            check_memory(self.name, self.decoded_size())
            if source.is_mapped:
                kept = KeptSource(all_values(source, positions), source, positions)
            else:
                kept = CachedSource(decode(source, positions), source, positions)
        return self._with(".cache(disk=True)" if disk else ".cache()", _source=kept, _positions=range(len(self)))

    def map(self, function: Function, *, batched: bool = False) -> Self:
        """Return a split of what a function returns for each example, called whenever an example is read.

        `split.map(function)[i]` is `function(split[i])`, in every format. Batches join what it returned: numbers and
        arrays (or tensors) of one shape are stacked, others are listed. It runs on the threads that decode, and in the
        worker processes of a DataLoader.

        Parameters
        ----------
        function
            Takes an example, as this split returns it, and returns another one: a dict, a tuple or a single value. A
            function of several arguments, like `lambda image, label: ...`, is given the values of a tuple one by one.
            It is pickled with the split, so define it in a module if processes are spawned.
        batched
            Call the function with batches instead, as `batches` returns them; it returns as many values as there are
            examples. What it makes of an example must not depend on the others: an example by itself is a batch of one.

        Raises
        ------
        ArgumentError
            `function` is no function. When an example is read: it returned None, or another number of values than
            there are examples.

        Examples
        --------
        >>> import loader
        >>> info, test = loader.load("mnist", "test")
        >>> scaled = test.map(lambda example: {**example, "image": example["image"] / 255})
        >>> scaled[0]["image"].max(), next(iter(scaled.batches(32)))["image"].shape
        (np.float64(1.0), (32, 28, 28, 1))
        """
        check_flags(batched=batched)
        if not callable(function):
            raise ArgumentError(f"map() takes a function, not {function!r}")
        source = MappedSource(self._source, self.convert, function, is_batched=batched)
        name = function_name(function).rpartition(".")[2]
        return self._with(f".map({name})", _source=source, convert=None)

    def _values(self, source: Source) -> Batch:
        """Return the values of all examples of a source at the positions of this split, not converted."""
        from loader._room import check_memory, decoded_size

        check_memory(self.name, decoded_size(source, self._positions))
        return values_of(source, self._positions)

    def _by_name(self) -> Batch:
        values: Any = self._values(self._source)
        if isinstance(values, tuple):  # as a function of map() returned it
            return {str(number): value for number, value in enumerate(values)}
        return values if isinstance(values, dict) else {"value": values}

    def _with_features(self, names: Sequence[str]) -> Source:
        """Return a source of only these features.

        Raises
        ------
        NotFoundError
            There is no such feature.
        """
        if not self._source.is_mapped:
            for name in names:
                if name not in self.features:
                    from difflib import get_close_matches  # only whoever makes a mistake waits for it

                    near = get_close_matches(str(name), self.features, n=1)
                    advice = f"did you mean {near[0]!r}?" if near else f"its features: {', '.join(self.features)}"
                    raise NotFoundError(f"{self.name} has no feature {name!r}; {advice}")
        return self._source.select(names)


def values_of(source: Source, positions: Positions) -> Batch:
    """Return the values of examples, as one batch."""
    from loader._cached import CachedSource, decode

    if source.is_mapped:
        return all_values(source, positions)  # type: ignore[no-any-return]
    if isinstance(source, CachedSource):
        return next(source.begin_batches(positions, max(len(positions), 1), make_collator)(range(1)))
    return decode(source, positions).batch(None, make_collator)
