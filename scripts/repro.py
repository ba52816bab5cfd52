"""`python -m scripts repro NAME...`: run `dvc repro` for several datasets, in parallel if they are independent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from scripts._define.definition import ROOT, read_definition
from scripts._define.lineage import group_related
from scripts._dvc.repro import run_repro
from scripts._process.errors import ScriptError


def repro(names: Sequence[str], *, overwrite: bool = False, root: Path = ROOT) -> None:
    """Build datasets that are not up to date, with DVC.

    One DVC process builds datasets that share an ancestor, in order; each other dataset gets a process of its own.

    Parameters
    ----------
    names
        The datasets.
    overwrite
        Whether to build although nothing changed.
    root
        The repository.

    Raises
    ------
    ScriptError
        A dataset does not exist, or DVC failed; its output has been printed.
    """
    groups = group_related(names, lambda name: read_definition(name, root=root).parents)
    failed = run_repro(groups, overwrite=overwrite, root=root)
    if failed:
        raise ScriptError(f"not built: {', '.join(failed)}; see the output above for the reason")


def command(
    names: Annotated[list[str], typer.Argument(help="The datasets.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Build although nothing changed.")] = False,
) -> None:
    """Build datasets with `dvc repro`, in parallel if they are independent."""
    repro(names, overwrite=overwrite)
