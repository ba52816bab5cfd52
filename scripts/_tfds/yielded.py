"""Remembering what a generator has yielded, so that an error can name the example and the generator's line."""

from __future__ import annotations

import pickle
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, GeneratorType
from typing import Any, NamedTuple

Key = int | str | bytes
BATCH = 4096


class BuilderError(Exception):
    """What is wrong with a builder, in words that need no name of an exception."""


class Example(NamedTuple):
    """A yielded example: its number in the split, its key, and the generator's line like `/folder/digit.py:70`."""

    number: int
    key: Key
    line: str | None


class Yielded:
    """The keys of a split's examples in the order in which they were yielded, each with the generator's line.

    They are kept in a temporary file, because they may be many.

    Parameters
    ----------
    split
        The split.
    """

    def __init__(self, split: str) -> None:
        self.split = split
        self.count = 0
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        self._keys: list[Key] = []
        self._places: list[int] = []
        self._codes: list[tuple[CodeType, int]] = []

    def watch(self, generator: Iterable[tuple[Key, Any]]) -> Iterator[tuple[Key, Any]]:
        """Yield the examples of a generator.

        Its errors get a note with the split and the last key, and the place in `place_of` if it did not fail itself.
        """
        numbers: dict[tuple[int, int], int] = {}
        examples = iter(generator)
        innermost: Any = examples
        try:
            for example in examples:
                if isinstance(examples, GeneratorType):
                    innermost = examples
                    while isinstance(innermost.gi_yieldfrom, GeneratorType):
                        innermost = innermost.gi_yieldfrom
                    code, instruction = innermost.gi_code, innermost.gi_frame.f_lasti
                    place = numbers.setdefault((id(code), instruction), len(self._codes))
                    if place == len(self._codes):
                        self._codes.append((code, instruction))
                else:
                    place = -1
                try:
                    key, value = example
                except (TypeError, ValueError) as error:
                    kind = type(example).__name__
                    what = f"{kind} of {len(example)}" if isinstance(example, tuple | list) else f"value of type {kind}"
                    wrong = BuilderError(
                        f"the generator of the split {self.split} must yield pairs of key and example, not a {what}"
                    )
                    raise at_line(wrong, _line_of(self._codes, place)) from error
                self._keys.append(key)
                self._places.append(place)
                self.count += 1
                if len(self._keys) == BATCH:
                    self.flush()
                yield key, value
        except Exception as error:
            error.add_note(
                f"in the split {self.split}, {_after(self.find(lambda each: each.number == self.count - 1))}"
            )
            raise

    def explain(self, error: Exception, written: int) -> None:
        """Note the split and the generator's line in an error with an example that was yielded.

        Parameters
        ----------
        error
            Its message has the key, unless the generator itself failed.
        written
            The number of examples that were encoded and written before.
        """
        if getattr(error, "__notes__", None):
            return
        error.add_note(f"in the split {self.split}")
        text = str(error)
        # not always the next one, because examples are encoded ahead, many at once
        for example in self.find(lambda each: each.number >= written and _names_key(text, each.key))[:1]:
            at_line(error, example.line)

    def find(self, matches: Callable[[Example], bool]) -> list[Example]:
        """Return the examples for which a function returns True."""
        self.flush()
        self._file.seek(0)
        found, number = [], 0
        while batch := self._file.read(8):
            keys, places = pickle.loads(self._file.read(int.from_bytes(batch, "big")))
            for key, place in zip(keys, places, strict=True):
                if matches(example := Example(number, key, _line_of(self._codes, place))):
                    found.append(example)
                number += 1
        return found

    def flush(self) -> None:
        """Move the keys in memory to the file."""
        data = pickle.dumps((self._keys, self._places))
        self._file.seek(0, 2)
        self._file.write(len(data).to_bytes(8, "big") + data)
        self._keys, self._places = [], []


def _names_key(text: str, key: object) -> bool:
    """Return whether a message names a key: one of ours, or TFDS's about a key that is neither text nor a number."""
    return f"key {key!r} " in text or f"Invalid key type: {key!r} " in text


def _after(last: list[Example]) -> str:
    return f"after the example with key {last[0].key!r}" if last else "before its first example"


def _line_of(codes: list[tuple[CodeType, int]], place: int) -> str | None:
    if place < 0:
        return None
    code, instruction = codes[place]
    line = next(line for start, stop, line in code.co_lines() if start <= instruction < stop)
    return f"{code.co_filename}:{line}"


def at_line(error: Exception, line: str | None) -> Exception:
    """Set the line of a builder that an error is about, for one whose traceback does not have it; return the error."""
    error.builder_line = line  # type: ignore[attr-defined]
    return error


def line_of(error: BaseException) -> str | None:
    """Return the line of a builder that an error is about, None if only its traceback tells."""
    line: str | None = getattr(error, "builder_line", None)
    return line
