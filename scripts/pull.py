"""`python -m scripts pull NAME`: pull the artifacts of a dataset and check them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from loader import FetchError
from scripts._define.artifacts import open_artifact
from scripts._define.definition import ROOT, read_definition


def pull(name: str, *, root: Path = ROOT) -> list[Path]:
    """Pull a dataset's artifacts, check them against the manifest, and return their paths.

    Raises
    ------
    ScriptError, LoaderError
        The dataset does not exist, or an artifact cannot be pulled or is not the recorded one.
    """
    definition = read_definition(name, root=root)
    from scripts._dvc.pull import dvc_pull

    for config, tar in definition.tars.items():
        try:
            dvc_pull(root, tar, name=name)
        except FetchError as error:
            raise FetchError(f"{name}: {error}") from error
        open_artifact(definition, config=config).header  # noqa: B018  (checks the size and the index header against the manifest)
    return list(definition.tars.values())


def command(names: Annotated[list[str], typer.Argument(help="The datasets.")]) -> None:
    """Pull the artifacts of datasets from their remotes."""
    for name in names:
        for tar in pull(name):
            print(f"{name}: {tar}")
