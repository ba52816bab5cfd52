"""`python -m loader NAME`: print a dataset's description and first example."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import numpy as np
import typer

import loader

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="The dataset.")],
    config: Annotated[str | None, typer.Option(help="One of its builder configs.")] = None,
    version: Annotated[str | None, typer.Option(help="Its version.")] = None,
    rev: Annotated[str | None, typer.Option(help="A commit, branch or tag of the repository.")] = None,
    repo: Annotated[str | None, typer.Option(help="The repository, a folder or a URL.")] = None,
    stream: Annotated[bool, typer.Option("--stream", help="Read from the remote instead of fetching.")] = False,
) -> None:
    """Print a dataset's splits, features and first example. Its artifact is fetched if it is missing."""
    try:
        info, ds = loader.load(name, config=config, version=version, rev=rev, repo=repo, stream=stream)
        typer.echo(info.full_name + (f" ({info.license})" if info.license else ""))
        typer.echo(info.description.strip() + "\n")
        typer.echo("splits")
        for split_name, split in ds.items():
            typer.echo(f"  {split_name:<12} {len(split):>12,} examples {info.splits[split_name].num_bytes:>16,} bytes")
        typer.echo("features")
        width = max(map(len, info.features), default=0)
        for feature_name, feature in info.features.items():
            typer.echo(f"  {feature_name:<{width}} {feature}")
        for split_name, split in ds.items():
            if len(split):
                typer.echo(f"first example of {split_name}")
                for feature_name, value in split[0].items():
                    typer.echo(f"  {feature_name:<{width}} {_brief(value)}")
                break
    except loader.LoaderError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None


def _brief(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.size > 8:
        return f"{value.dtype} {value.shape}, {value.min()} to {value.max()}"
    return repr(value)


if __name__ == "__main__":
    sys.exit(app(prog_name="python -m loader"))
