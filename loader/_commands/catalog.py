"""`python -m loader catalog`: write a static site of the datasets."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from loader._commands.options import Offline, Repo, Rev
from loader._commands.tables import print_line
from loader._errors import UnsupportedError, printable


def command(
    output: Annotated[Path, typer.Option(help="The folder to write, which replaces a catalog that is there.")] = Path(
        "site"
    ),
    private: Annotated[bool, typer.Option("--private", help="Show private datasets too.")] = False,
    rev: Rev = None,
    repo: Repo = None,
    offline: Offline = False,
) -> None:
    """Write a static site of the datasets: a table to search and sort, and a page for each of them.

    It needs no server: open index.html. Nothing is fetched, so only datasets whose artifacts are on this machine have
    examples. Private datasets are left out, wherever they would be named, unless --private is given.
    """
    if find_spec("jinja2") is None:
        raise UnsupportedError("a catalog needs Jinja2, which is not installed; install it with: pip install jinja2")
    from loader._catalog.site import write_catalog

    written = write_catalog(output, private=private, rev=rev, repo=repo, offline=offline or None)
    for problem in written.problems:
        print(printable(f"warning: {problem}"), file=sys.stderr)
    datasets = "1 dataset" if written.datasets == 1 else f"{written.datasets:,} datasets"
    left_out = f"; {written.private:,} private left out" if written.private else ""
    print_line(f"{output / 'index.html'}: {datasets}, {written.with_examples:,} with examples{left_out}")
