"""The options that commands have in common."""

from __future__ import annotations

from typing import Annotated

import typer

from loader._errors import LoaderError


def complete_dataset(incomplete: str) -> list[str]:
    """Return the datasets whose names begin with what is typed, for the shell; none if there is no repository."""
    from loader._registry.lookup import names

    try:
        return [name for name in names(offline=True) if name.startswith(incomplete)]
    except LoaderError:
        return []


Name = Annotated[str, typer.Argument(help="The dataset.", autocompletion=complete_dataset)]
Rev = Annotated[str | None, typer.Option(help="A commit, branch or tag of the repository; by default the work tree.")]
Repo = Annotated[
    str | None,
    typer.Option(
        help="The repository, a folder or a URL; by default DATASETS_REPO, else that of the working folder, else the "
        "checkout of this package."
    ),
]
Offline = Annotated[bool, typer.Option("--offline", help="Do not use the network.")]
Remote = Annotated[bool, typer.Option("--remote", help="Ask the remotes which artifacts they have.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
