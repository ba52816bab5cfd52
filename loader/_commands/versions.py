"""`python -m loader versions NAME`: the contents of a dataset that the history records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import typer

from loader._arguments import parse_name
from loader._commands.options import Json, Name, Offline, Repo, Rev
from loader._commands.tables import print_json, print_table
from loader._datasets import versions
from loader._errors import printable
from loader._format.plain_table import size_text
from loader._registry.entry import VersionEntry


def command(name: Name, rev: Rev = None, repo: Repo = None, offline: Offline = False, json: Json = False) -> None:
    """List the versions of a dataset that the repository's history records, newest first.

    Each has the date and the commit that recorded it first, and its tags. The one marked * is that of the work tree,
    or of --rev. To read one: loader.load(NAME, rev=COMMIT).
    """
    found = versions(name, rev=rev, repo=repo, offline=offline or None)
    name, _, _ = parse_name(name)
    if json:
        print_json([asdict(version) for version in found])
    elif found:
        print_versions(found, name)
    if not found:
        typer.echo(printable(f"no version of {name} is recorded: it was never built"), err=True)


def print_versions(found: Sequence[VersionEntry], name: str) -> None:
    """Print a table of the versions of a dataset."""
    rows = [
        (
            (version.version if version.name == name else f"{version.name} {version.version}")
            + (" *" if version.is_current else ""),
            version.date[:10] or "not committed",
            version.commit,
            size_text(version.size),
            ", ".join(version.tags),
        )
        for version in found
    ]
    print_table(("version", "date", "commit", "size", "tags"), rows, numbers=("size",))
