"""`python -m loader report`: what a branch does to every dataset, in Markdown for a pull request."""

from __future__ import annotations

from typing import Annotated

import typer

from loader._commands.options import Offline, Repo


def command(
    base: Annotated[str, typer.Option(help="The branch that the pull request is for; also a commit or tag.")] = "main",
    repo: Repo = None,
    offline: Offline = False,
) -> None:
    """Print what the work tree changes of every dataset since it branched off, in Markdown for a pull request."""
    from loader._registry.differences.text import markdown_report
    from loader._report import report

    typer.echo(markdown_report(report(base, repo=repo, offline=offline or None)), nl=False)
