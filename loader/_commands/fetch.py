"""`python -m loader fetch NAME`: have a dataset's artifacts on this machine."""

from __future__ import annotations

from typing import Annotated, Any

import typer

import loader
from loader._commands.options import Name, Offline, Repo, Rev
from loader._commands.tables import print_line
from loader._fetch.reference import find_artifact


def command(
    name: Name,
    config: Annotated[str | None, typer.Option(help="One of its builder configs; by default all.")] = None,
    version: Annotated[str | None, typer.Option(help="Its version.")] = None,
    rev: Rev = None,
    repo: Repo = None,
    offline: Offline = False,
) -> None:
    """Fetch a dataset's artifacts if they are not on this machine, and print their paths.

    They go into the loader's cache, never into the work tree.
    """
    options: dict[str, Any] = {"version": version, "rev": rev, "repo": repo, "offline": offline or None}
    configs = [config] if config is not None else _configs(name, options)
    for each in configs:
        print_line(str(loader.ensure(name, config=each, **options)))


def _configs(name: str, options: dict[str, Any]) -> list[str | None]:
    """Return the recorded configs of a dataset, [None] if it has none."""
    return [entry.config for entry in find_artifact(name, **options).manifest.artifacts]
