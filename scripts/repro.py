"""`python -m scripts repro NAME...`: `dvc repro` of several datasets, at once where none needs the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from scripts._define.definition import ROOT, read_definition
from scripts._define.lineage import related
from scripts._dvc.repro import run_repro
from scripts._process.errors import ScriptError


def repro(names: Sequence[str], *, overwrite: bool = False, root: Path = ROOT) -> None:
    """Bring datasets up to date with DVC.

    Datasets that share an ancestor are left to one DVC process, which builds them in order; the others get a process
    each.

    Parameters
    ----------
    names
        The datasets.
    overwrite
        Whether they are built although nothing changed.
    root
        The repository.

    Raises
    ------
    ScriptError
        There is no such dataset, or DVC failed; what it said has been printed.
    """
    groups = related(names, lambda name: read_definition(name, root=root).parents)
    failed = run_repro(groups, overwrite=overwrite, root=root)
    if failed:
        raise ScriptError(f"not built: {', '.join(failed)}; the reason is above")


def command(
    names: Annotated[list[str], typer.Argument(help="The datasets.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Build although nothing changed.")] = False,
) -> None:
    """Build datasets with `dvc repro`, at once where none needs the other."""
    repro(names, overwrite=overwrite)
