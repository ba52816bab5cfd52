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
    """Print what the work tree changes of every dataset since it branched off, in Markdown for a pull request.

    For each changed dataset: what differs, whether its remote has its artifacts, what is left to do before the branch
    is merged (to build, to push, to raise the version), and the commands with which a reviewer looks at it.
    """
    from loader._commands.report_markdown import markdown
    from loader._report import report

    typer.echo(markdown(report(base, repo=repo, offline=offline or None)), nl=False)
