"""`python -m loader diff NAME [OLD] [NEW]`: what differs between two revisions of a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loader._commands.options import Json, Name, Offline, Repo
from loader._commands.tables import print_json, print_line
from loader._errors import LoaderError, without_secrets

REVISION = "A commit, branch, tag or recorded version"
MOST_EXAMPLES = 1000
HTML_EXAMPLES = 20  # of each kind on a page, if none are asked for


def command(
    name: Name,
    old: Annotated[str | None, typer.Argument(help=f"{REVISION}; by default HEAD.")] = None,
    new: Annotated[str | None, typer.Argument(help=f"{REVISION}; by default the work tree.")] = None,
    config: Annotated[str | None, typer.Option(help="One of its builder configs; by default all.")] = None,
    repo: Repo = None,
    offline: Offline = False,
    show: Annotated[
        int,
        typer.Option(help="How many changed, removed and added examples to show.", min=0, max=MOST_EXAMPLES),
    ] = 0,
    html: Annotated[Path | None, typer.Option(help="A page to write, with 20 of each or --show.")] = None,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 if there are differences, and with 2 if there is an error.")
    ] = False,
    json: Json = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a pull request.")] = False,
) -> None:
    """Compare two revisions of a dataset: metadata, features, statistics, and examples, matched by their keys.

    Nothing is fetched: of an artifact that is not on this machine, only the record index is read from its remote, and
    with --show the examples that are shown.
    """
    try:
        is_different = _print(name, old, new, config, repo, offline, show, html, json, as_markdown)
    except (LoaderError, OSError) as error:
        if not exit_code:
            raise
        typer.echo(without_secrets(f"error: {error}"), err=True)
        raise typer.Exit(2) from None
    if exit_code and is_different:
        raise typer.Exit(1)


def _print(
    name: str,
    old: str | None,
    new: str | None,
    config: str | None,
    repo: str | None,
    offline: bool,
    show: int,
    html: Path | None,
    as_json: bool,
    as_markdown: bool,
) -> bool:
    """Print the difference, or write the page, and return whether anything differs."""
    from loader._diff import diff
    from loader._registry.differences import text

    if as_json and as_markdown:
        raise typer.BadParameter("--json and --markdown exclude each other: choose one")
    examples = show or (HTML_EXAMPLES if html else 0)
    found = diff(name, old, new, config=config, repo=repo, offline=offline or None, examples=examples)
    if html is not None:
        from loader._display.output import write_output
        from loader._registry.differences.html import difference_page

        write_output(html, difference_page(found).encode())
    if as_json:
        print_json(text.as_json(found))
    elif as_markdown:
        typer.echo(text.markdown(found), nl=False)
    else:
        for line in text.plain(found).split("\n"):
            print_line(line)
        if html is not None:
            shown = sum(
                len(each.examples) + len(each.removed_examples) + len(each.added_examples) for each in found.configs
            )
            print_line(f"{html}: the same as a page, with {shown} examples")
    return bool(found)
