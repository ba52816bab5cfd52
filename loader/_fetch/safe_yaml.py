"""Parse YAML of repositories that may be anybody's."""

from __future__ import annotations

from typing import Any

MAX_BYTES = 16 << 20
MAX_NODES = 2_000_000


def parse_yaml(text: str) -> Any:
    """Parse a YAML document, within limits that no `dvc.yaml` or `dvc.lock` reaches.

    An alias counts as often as it is used: a few lines of nested aliases stand for billions of nodes, which are walked
    one by one when the document is searched or printed.

    Raises
    ------
    ValueError
        It is not valid, too large, or too deeply nested.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if len(text) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES:,} characters")
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
