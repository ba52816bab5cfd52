"""`python -m loader list`: what datasets there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from loader._commands.options import Json, Offline, Remote, Repo, Rev
from loader._commands.tables import print_json, print_table
from loader._errors import printable
from loader._format.plain_table import size_text
from loader._registry.entry import UNKNOWN, DatasetEntry, unknown_remotes
from loader._registry.features import leaves, type_names
from loader._registry.lookup import entries, nearest

OPTIONAL = ("kind", "configs", "visibility")
COLUMNS = ("name", "kind", "version", "configs", "license", "visibility", "splits", "size", "state")


def command(
    text: Annotated[
        str | None, typer.Argument(help="Only those with this text in their name, description, features or classes.")
    ] = None,
    kind: Annotated[str | None, typer.Option(help="Only this kind: standard or adversarial.")] = None,
    license: Annotated[str | None, typer.Option(help='Only those whose license begins so, like "CC BY".')] = None,
    feature: Annotated[str | None, typer.Option(help="Only those with a feature of this type, like Image.")] = None,
    rev: Rev = None,
    repo: Repo = None,
    offline: Offline = False,
    remote: Remote = False,
    json: Json = False,
) -> None:
    """List the datasets: their versions, licenses, splits, sizes and states.

    The state says where the artifacts are: here (in artifacts/), in a cache of this machine, or not on this machine;
    with --remote, also whether they are on their remote. It says what has changed since a dataset was built.
    """
    known = entries(rev=rev, repo=repo, offline=offline or None, ask_remote=remote, with_statistics=text is not None)
    found = [
        entry
        for entry in known
        if (kind is None or entry.kind == kind.casefold())
        and (license is None or entry.license.casefold().startswith(license.casefold()))
        and (feature is None or _has_type(entry, feature.casefold()))
        and (text is None or _has_text(entry, text.casefold()))
    ]
    if json:
        print_json([entry.as_json() for entry in found])
    elif found:
        print_table(COLUMNS, [_row(entry) for entry in found], numbers=("size",), optional=OPTIONAL)
        for reason in unknown_remotes(found):
            typer.echo(printable(f"{UNKNOWN}: {reason}"), err=True)
    if not found:
        typer.echo(printable(_nothing(known, text, kind, feature, rev, repo)), err=True)


def _row(entry: DatasetEntry) -> tuple[str, ...]:
    config = entry.loaded_config
    splits = config.splits if config else {}
    return (
        entry.name,
        entry.kind,
        entry.version or "",
        ",".join(config.name for config in entry.configs if config.name),
        entry.license,
        entry.visibility,
        ", ".join(f"{name} {split.examples}" for name, split in splits.items()),
        size_text(entry.size) if entry.configs else "",
        str(entry.state),
    )


def _has_type(entry: DatasetEntry, wanted: str) -> bool:
    return any(wanted.removesuffix("feature") == name.casefold() for name in _types(entry))


def _types(entry: DatasetEntry) -> Iterator[str]:
    for config in entry.configs:
        for feature in leaves(config.features).values():
            yield from type_names(feature)


def _has_text(entry: DatasetEntry, wanted: str) -> bool:
    texts = [entry.name, entry.description]
    texts += [path for config in entry.configs for path in leaves(config.features)]
    if entry.statistics is not None:
        texts += {count.name for count in entry.statistics.class_counts}
    return any(wanted in text.casefold() for text in texts)


def _nothing(
    known: list[DatasetEntry],
    text: str | None,
    kind: str | None,
    feature: str | None,
    rev: str | None,
    repo: str | None,
) -> str:
    """Return what no dataset matches, and what there is instead."""
    kinds = {entry.kind for entry in known}
    if known and kind is not None and kind.casefold() not in kinds:
        return f"no dataset is of the kind {kind!r}; the kinds are: {', '.join(sorted(kinds))}"
    if known and feature is not None and not any(_has_type(entry, feature.casefold()) for entry in known):
        types = {name for entry in known for name in _types(entry)}
        return f"no dataset has a feature of type {feature!r}; the types are: {', '.join(sorted(types))}"
    if known and text is not None and not any(_has_text(entry, text.casefold()) for entry in known):
        return f"no dataset matches {text!r}; {nearest(text, [entry.name for entry in known], rev=rev, repo=repo)}"
    return f"no dataset matches; there are {len(known)}"
