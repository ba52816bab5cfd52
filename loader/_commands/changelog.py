"""`python -m loader changelog NAME`: what changed in each version of a dataset."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from loader._commands.options import Json, Name, Offline, Repo, Rev
from loader._commands.tables import print_json, print_line
from loader._errors import printable, without_secrets


def command(
    name: Name,
    output: Annotated[Path | None, typer.Option(help="A file to write it to.")] = None,
    config: Annotated[str | None, typer.Option(help="One of its builder configs; by default all.")] = None,
    rev: Rev = None,
    repo: Repo = None,
    offline: Offline = False,
    json: Json = False,
) -> None:
    """Print what changed in each version of a dataset, newest first, in Markdown.

    Nothing is fetched: of an artifact that is not on this machine, only the record index is read from its remote. If
    it is not there either, the manifests are compared, a line says so, and a warning says why.
    """
    from loader._changelog import changelog
    from loader._display.output import write_output

    if json and output:
        raise typer.BadParameter("--json and --output exclude each other: choose one")
    found = changelog(name, config=config, rev=rev, repo=repo, offline=offline or None)
    if json:
        print_json(found.as_json())
    elif output:
        write_output(output, f"{found}\n".encode())
        print_line(f"{output}: the change log of {name}, versions: {len(found.versions)}")
    elif found.versions:
        typer.echo(str(found))
    notes = {each.entry.version: each.difference.note for each in found.versions if each.difference}
    if missing := [version for version, note in notes.items() if note]:
        others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        warning = f"warning: {missing[0]}{others}: {notes[missing[0]]}"
        print(without_secrets(printable(warning)), file=sys.stderr)
    if not found.versions:
        typer.echo(printable(f"no version of {name} is recorded: it was never built"), err=True)
