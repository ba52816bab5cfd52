"""Parse YAML of repositories that may be anybody's."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

MAX_BYTES = 16 << 20
MAX_NODES = 2_000_000
MAX_PLAIN_DEPTH = 100
# ruamel.yaml takes up to a minute for these
MAX_ODD_CHARACTERS = 1 << 19
MAX_ODD_SCALARS = 20_000

_COUNT = re.compile("0|[1-9][0-9]{0,17}", re.ASCII)
# What YAML 1.2 cannot take for a number, a date, a truth value or null: a word, an MD5, a short commit, a version
_TEXT = re.compile(
    r"(?!(?:true|false|null)\Z)[a-z_/].*"
    r"|(?!0b[01]+\Z|[0-9]+(?:e[0-9]+)?\Z)[0-9a-f]{32}(?:\.dir)?"
    r"|(?=[0-9e]*[a-df-z])[1-9][0-9a-z]*"
    r"|[0-9]+(?:\.[0-9]+){2,}",
    re.ASCII | re.IGNORECASE,
)
# Tabs; characters that end a line for libyaml, which reads YAML 1.1, but not in YAML 1.2; directives; odd anchors
_READ_DIFFERENTLY = re.compile("[\t\x85\u2028\u2029]|^%|[&*][^\\s,{}[\\]]*[^\\w\\s,{}[\\]-]", re.MULTILINE)


def parse_yaml(text: str) -> Any:
    """Parse a YAML 1.2 document as DVC does, within limits that no `dvc.yaml` or `dvc.lock` reaches.

    Plain documents are read with libyaml, which is much faster. What it could read differently, and what is wrong, is
    left to ruamel.yaml, which DVC reads with.

    An alias counts as often as it is used: a few lines of nested aliases stand for billions of nodes, which are walked
    one by one when the document is searched or printed.

    Raises
    ------
    ValueError
        It is not valid, too large, or too deeply nested.
    """
    if len(text) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES:,} characters")
    try:
        return _parse_plain(text)
    except _NotPlainError:
        if len(text) > MAX_ODD_CHARACTERS:
            raise ValueError(
                f"it is not valid, or has more than {MAX_ODD_CHARACTERS:,} characters and something that takes long to "
                f"read, such as a tab, a tag, a key that is no text, or more than {MAX_ODD_SCALARS:,} decimal numbers"
            ) from None
        return _parse_any(text)


class _NotPlainError(Exception):
    """A document has something that is left to ruamel.yaml."""


def _parse_plain(text: str) -> Any:
    """Parse a document of mappings with text as keys, lists and scalars; raise _NotPlainError if it has more."""
    try:
        from yaml import CLoader, YAMLError
    except ImportError:  # PyYAML without libyaml
        raise _NotPlainError from None

    if _READ_DIFFERENTLY.search(text):
        raise _NotPlainError
    document: list[Any] = []
    # the collections around the current one, each with its next key, and the anchor and start of the one in it
    stack: list[tuple[Any, Any, str | None, int]] = []
    current: Any = document
    key: Any = _NO_KEY
    anchors: dict[str, tuple[Any, int]] = {}  # the values with an anchor, and for how many values each stands
    count = odd = 0
    value: Any
    try:
        for event in iter(CLoader(text).get_event, None):
            kind = type(event).__name__
            if kind in _ENDS:
                value = current
                current, key, anchor, start = stack.pop()
                if anchor is not None:
                    anchors[anchor] = value, count - start
                continue
            if kind in _OUTSIDE:
                continue
            if kind == "AliasEvent":
                if event.anchor not in anchors:
                    raise _NotPlainError
                value, size = anchors[event.anchor]
                count += size
            elif event.tag is not None:
                raise _NotPlainError
            else:
                value = event.value if kind == "ScalarEvent" else _COLLECTIONS[kind]()
                if kind == "ScalarEvent" and event.implicit[0]:  # not quoted
                    value, is_odd = _plain_scalar(value)
                    odd += is_odd
                count += 1
                if kind == "ScalarEvent" and event.anchor is not None:
                    anchors[event.anchor] = value, 1
            if count > MAX_NODES or odd > MAX_ODD_SCALARS:
                raise _NotPlainError
            if type(current) is list:
                current.append(value)
            elif key is not _NO_KEY:
                current[key], key = value, _NO_KEY
            elif type(value) is not str or value in current or value in _SPECIAL_KEYS:
                raise _NotPlainError
            else:
                key = value
                continue
            if kind in _COLLECTIONS:
                stack.append((current, key, event.anchor, count - 1))
                if len(stack) > MAX_PLAIN_DEPTH:
                    raise _NotPlainError
                current, key = value, _NO_KEY
    except (YAMLError, UnicodeError, ValueError) as error:
        raise _NotPlainError from error
    if len(document) > 1:
        raise _NotPlainError
    return document[0] if document else None


_NO_KEY = object()
_ENDS = ("MappingEndEvent", "SequenceEndEvent")
_OUTSIDE = ("StreamStartEvent", "StreamEndEvent", "DocumentStartEvent", "DocumentEndEvent")
_COLLECTIONS: dict[str, type[dict[str, Any]] | type[list[Any]]] = {
    "MappingStartEvent": dict,
    "SequenceStartEvent": list,
}
_WORDS = {"": None, "null": None, "true": True, "false": False}
_SPECIAL_KEYS = ("<<", "=")


def _plain_scalar(text: str) -> tuple[Any, bool]:
    """Return what an unquoted scalar stands for, and whether ruamel.yaml was asked."""
    if _TEXT.fullmatch(text):
        return text, False
    if text in _WORDS:
        return _WORDS[text], False
    return (int(text), False) if _COUNT.fullmatch(text) else (_other_scalar(text), True)


@lru_cache(maxsize=4096)
def _other_scalar(text: str) -> Any:
    """Return what ruamel.yaml takes an unquoted scalar for."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError
    from ruamel.yaml.nodes import ScalarNode

    loader = YAML(typ="safe", pure=True)
    tag = loader.resolver.resolve(ScalarNode, text, (True, False))
    try:
        return loader.constructor.construct_object(ScalarNode(tag, text), deep=True)
    except YAMLError:
        raise _NotPlainError from None


def _parse_any(text: str) -> Any:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        if "*" in text:  # it may have aliases
            _check_size(YAML(typ="safe", pure=True).parse(text))
        return YAML(typ="safe", pure=True).load(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except YAMLError as error:
        raise ValueError(getattr(error, "problem", None) or str(error).partition("\n")[0]) from error


def _check_size(events: Any) -> None:
    """Raise ValueError if the events of a document stand for too many nodes."""
    from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, ScalarEvent

    sizes: dict[str, int] = {}  # of the nodes with an anchor, with all that is in them
    open_nodes: list[tuple[str | None, int]] = []  # the anchor of each collection, and the count at its start
    count = 0
    for event in events:
        if isinstance(event, CollectionEndEvent):
            anchor, start = open_nodes.pop()
            if anchor is not None:
                sizes[anchor] = count - start
        elif isinstance(event, CollectionStartEvent):
            open_nodes.append((event.anchor, count))
            count += 1
        elif isinstance(event, AliasEvent):
            if event.anchor not in sizes:
                raise ValueError(f"its alias *{event.anchor} is not defined, or contains itself")
            count += sizes[event.anchor]
        elif isinstance(event, ScalarEvent):
            count += 1
            if event.anchor is not None:
                sizes[event.anchor] = 1
        if count > MAX_NODES:
            raise ValueError(f"it stands for more than {MAX_NODES:,} values, because its aliases are nested")
