"""`python -m scripts remote`: configure the remotes `public` and `private`."""

from __future__ import annotations

from typing import Annotated

import typer

from scripts._define.definition import ROOT
from scripts._dvc.remotes import point_committed


def command(
    public: Annotated[str, typer.Option(help="The URL for public datasets, s3://bucket[/folder].")],
    private: Annotated[str, typer.Option(help="The URL for private datasets, in another bucket.")],
    endpoint: Annotated[str | None, typer.Option(help="The server's URL if it is not AWS.")] = None,
) -> None:
    """Point the remotes at real buckets, in .dvc/config; an endpoint is also confirmed in .dvc/config.local."""
    point_committed(ROOT, {"public": public, "private": private}, endpoint)
    if endpoint:
        print(f"this clone sends credentials to {endpoint} (.dvc/config.local); other clones read it without any")
    print("remotes written to .dvc/config; commit it: git commit .dvc/config -m 'Point the remotes at our buckets'")
