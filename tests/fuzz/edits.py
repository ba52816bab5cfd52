"""Small, printable edits of bytes and of JSON, and Hypothesis strategies that generate them."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]
Path = tuple[str | int, ...]

NUMBERS = sorted(
    {sign * 2**bits + more for bits in (0, 7, 8, 15, 16, 31, 32, 62, 63, 64) for sign in (1, -1) for more in (-1, 0, 1)}
)
WORDS = sorted(
    {
        struct.pack(order + code, 2**bits - 1 if bits else 0)
        for code, most in (("B", 8), ("H", 16), ("I", 32), ("Q", 64))
        for order in "<>"
        for bits in (0, most, most - 1)
    }
)
CLASSES = (
    "os.system",
    "subprocess.Popen",
    "builtins.eval",
    "antigravity.Antigravity",
    "tests.fuzz.canary.Canary",
    "tensorflow_datasets.core.features.tests.fuzz.canary.Canary",
    "tensorflow_datasets.core.features.text_feature.Text",
    "tensorflow_datasets.core.features.x.Tensor",
    "tensorflow_datasets.core.features.x.Image",
    "tensorflow_datasets.core.features.x.Sequence",
    "tensorflow_datasets.core.features.x.Dataset",
    "tensorflow_datasets.core.features.x.Audio",
    "tensorflow_datasets.core.features.x.Video",
    "tensorflow_datasets.core.features.x.FeaturesDict",
    "tensorflow_datasets.core.features.x.ClassLabel",
    "tensorflow_datasets.core.features.x.FeatureConnector",
    "..",
    "__main__.x",
)
DTYPES = (
    "int8",
    "uint64",
    "float16",
    "float64",
    "bool",
    "string",
    "complex64",
    "bfloat16",
    "object",
    "V8",
    "datetime64",
)
TEXTS = (
    *CLASSES,
    *DTYPES,
    "",
    "/",
    "..",
    "../../x",
    "a/b",
    "\0",
    "\n",
    "\x1b[2J",
    "\ud800",
    "\udc80",
    "x" * 300,
    "x" * 70_000,
    "bytes",
    "zlib",
    "png",
    "wav",
    "tfrecord",
    "array_record",
    "{DATASET}{SPLIT}",
    "{",
    "1e5",
    "٣",
    "-1",
    "1_0",
    "train",
    "test",
)
VALUES = (
    "null",
    "true",
    "false",
    "0",
    "-0.0",
    "1.5",
    "1e999",
    "-1e999",
    "NaN",
    "1e18",
    "1e300",
    "9" * 5000,
    "[]",
    "{}",
    "[[]]",
    "[null]",
    '{"": null}',
    "[" * 100_000,
    "[" * 900 + "]" * 900,
    '{"a":' * 400 + "1" + "}" * 400,
    *map(str, NUMBERS),
    *(f'"{number}"' for number in NUMBERS[::5]),
    *map(json.dumps, TEXTS),
)


@dataclass(frozen=True)
class Splice:
    """Replace `cut` bytes at `at` with `put`."""

    at: int
    cut: int
    put: bytes

    def apply(self, data: bytes) -> bytes:
        return data[: self.at] + self.put + data[self.at + self.cut :]


@st.composite
def splices(draw: Draw, data: bytes, most: int = 3) -> tuple[Splice, ...]:
    """Bytes that are overwritten, inserted, deleted, copied from elsewhere in `data`, or truncated."""
    found = []
    for _ in range(draw(st.integers(1, most))):
        at = draw(st.integers(0, len(data)))
        kind = draw(st.sampled_from(("write", "write", "insert", "delete", "copy", "end")))
        size = draw(st.integers(0, 64)) if kind in ("delete", "copy") else 0
        put = b""
        if kind in ("write", "insert"):
            put = draw(st.sampled_from(WORDS) | st.binary(min_size=1, max_size=8))
        if kind == "copy":
            start = draw(st.integers(0, len(data)))
            put = data[start : start + size]
        cut = {
            "write": len(put),
            "insert": 0,
            "delete": size,
            "copy": draw(st.sampled_from((0, size))),
            "end": len(data),
        }
        found.append(Splice(at, cut[kind], put))
    return tuple(found)


@st.composite
def spliced(draw: Draw, data: bytes, most: int = 3) -> bytes:
    """`data` with such edits applied."""
    return apply(data, draw(splices(data, most)))


def apply(data: bytes, edits: tuple[Splice, ...]) -> bytes:
    for edit in edits:
        data = edit.apply(data)
    return data


class Pairs(list[tuple[str, Any]]):
    """A JSON object that keeps the order of its names, and names that occur twice."""


@dataclass(frozen=True)
class Raw:
    """JSON text, valid or not, that is written unchanged."""

    text: str


@dataclass(frozen=True)
class Put:
    """Replace the value at `path` with the JSON `text`; with `double`, put it before the value under the same name."""

    path: Path
    text: str
    double: bool = False


@dataclass(frozen=True)
class Drop:
    """Remove the value at `path`."""

    path: Path


@dataclass(frozen=True)
class Rename:
    """Rename the value at `path`."""

    path: Path
    name: str


Edit = Put | Drop | Rename | Splice  # a Splice edits the rendered text


@st.composite
def json_edits(draw: Draw, text: bytes, most: int = 3) -> tuple[Edit, ...]:
    """Edits of a JSON text."""
    if draw(st.integers(0, 9)) == 0:
        return draw(splices(text, most))
    nodes = list(walk(parse(text)))
    values = st.sampled_from(VALUES)
    grafts = st.sampled_from(nodes).map(lambda node: render(node[1]))
    found: list[Edit] = []
    for _ in range(draw(st.integers(1, most))):
        path, _node = draw(st.sampled_from(nodes))
        kind = draw(st.sampled_from(("put", "put", "put", "graft", "double", "drop", "rename")))
        if kind == "drop":
            found.append(Drop(path))
        elif kind == "rename":
            found.append(Rename(path, draw(st.sampled_from(TEXTS) | st.text(max_size=5))))
        else:
            found.append(Put(path, draw(grafts if kind == "graft" else values), double=kind == "double"))
    return tuple(found)


def edit_json(text: bytes, edits: tuple[Edit, ...]) -> bytes:
    """Return a JSON text with the edits applied; an edit is skipped if an earlier one removed its path."""
    tree = parse(text)
    for edit in edits:
        if not isinstance(edit, Splice):
            tree = _edit(tree, edit.path, edit)
    rendered = render(tree).encode(errors="surrogatepass")
    return apply(rendered, tuple(edit for edit in edits if isinstance(edit, Splice)))


def parse(text: bytes) -> Any:
    return json.loads(text, object_pairs_hook=Pairs)


def render(node: Any) -> str:
    if isinstance(node, Raw):
        return node.text
    if isinstance(node, Pairs):
        return "{" + ", ".join(f"{json.dumps(name)}: {render(value)}" for name, value in node) + "}"
    if isinstance(node, list):
        return "[" + ", ".join(map(render, node)) + "]"
    return json.dumps(node)


def walk(node: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every value in a JSON value, and its path."""
    yield path, node
    for name, value in _items(node):
        yield from walk(value, (*path, name))


def _items(node: Any) -> list[tuple[str | int, Any]]:
    return list(node) if isinstance(node, Pairs) else list(enumerate(node)) if isinstance(node, list) else []


def _edit(node: Any, path: Path, edit: Put | Drop | Rename) -> Any:
    if not path:
        return Raw(edit.text) if isinstance(edit, Put) else node
    made: list[tuple[str | int, Any]] = []
    for name, value in _items(node):
        if name != path[0]:
            made.append((name, value))
        elif len(path) > 1:
            made.append((name, _edit(value, path[1:], edit)))
        elif isinstance(edit, Rename):
            made.append((edit.name, value))
        elif isinstance(edit, Put):
            made += [(name, Raw(edit.text)), *([(name, value)] if edit.double else [])]
    if isinstance(node, Pairs):
        return Pairs(made)  # type: ignore[arg-type]
    return [value for _, value in made] if isinstance(node, list) else node
