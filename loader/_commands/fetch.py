"""`python -m loader fetch NAME`: have a dataset's artifacts on this machine."""

from __future__ import annotations

from typing import Annotated, Any

import typer

import loader
from loader._arguments import parse_name
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
    trust: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="A list of SSH keys, allowed_signers; refuse what none of them signed."),
    ] = None,
) -> None:
    """Fetch a dataset's artifacts if they are not on this machine, and print their paths.

    They go into the loader's cache, never into the work tree. With --trust, a key in FILE must have signed the release
    tag NAME@vVERSION, and each artifact is compared with the SHA-256 that the tag's commit records.
    """
    name, config, version = parse_name(name, config=config, version=version)
    options: dict[str, Any] = {"version": version, "rev": rev, "repo": repo, "offline": offline or None, "trust": trust}
    configs = [config] if config is not None else _configs(name, options)
    for each in configs:
        print_line(str(loader.ensure(name, config=each, **options)))


def _configs(name: str, options: dict[str, Any]) -> list[str | None]:
    """Return the recorded configs of a dataset, [None] if it has none."""
    return [entry.config for entry in find_artifact(name, **options).manifest.artifacts]
