"""`python -m scripts pull NAME...`: pull the artifacts of datasets and check them."""

from __future__ import annotations

from pathlib import Path

from loader import FetchError
from scripts._define.artifacts import open_artifact, read_built
from scripts._define.definition import ROOT
from scripts._define.several import All, Names, chosen, for_each


def pull(name: str, *, root: Path = ROOT) -> list[Path]:
    """Pull a dataset's artifacts, check them against the manifest, and return their paths.

    Raises
    ------
    ScriptError, LoaderError
        The dataset does not exist or was never built, or an artifact cannot be pulled or is not the recorded one.
    """
    definition = read_built(name, root=root)
    from scripts._dvc.pull import dvc_pull

    for config, tar in definition.tars.items():
        try:
            dvc_pull(root, tar, name=name)
        except FetchError as error:
            raise FetchError(f"{name}: {error}") from error
        open_artifact(definition, config=config).header  # noqa: B018  (checks the size and the index header against the manifest)
    return list(definition.tars.values())


def command(names: Names = None, everything: All = False) -> None:
    """Pull the artifacts of datasets from their remotes; those that fail are named at the end."""

    def pull_one(name: str) -> None:
        print(f"{name}: {', '.join(map(str, pull(name)))}", flush=True)

    for_each(chosen(names, everything=everything), pull_one, everything=everything)
