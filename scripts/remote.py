"""`python -m scripts remote`: where the remotes `public` and `private` are."""

from __future__ import annotations

from typing import Annotated

import typer

from scripts._define.definition import ROOT
from scripts._dvc.remotes import point


def command(
    public: Annotated[str, typer.Option(help="Where public datasets go, s3://bucket[/folder].")],
    private: Annotated[str, typer.Option(help="Where private datasets go, in another bucket.")],
    endpoint: Annotated[str | None, typer.Option(help="The server's URL where it is not AWS.")] = None,
) -> None:
    """Point the remotes at real buckets, in .dvc/config."""
    point(ROOT, {"public": public, "private": private}, endpoint)
    print("remotes written to .dvc/config; commit it: git commit .dvc/config -m 'Point the remotes at our buckets'")
