"""`python -m scripts repro NAME...`: run `dvc repro` for several datasets, in parallel if they are independent."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from loader._format.names import ARTIFACTS
from scripts._define.definition import PARAMS_FILE, ROOT, read_definition
from scripts._define.lineage import ancestors, group_related
from scripts._dvc.repro import run_repro
from scripts._dvc.stages import LOCK_FILE, STAGES_FILE
from scripts._process.errors import ScriptError
from scripts._process.git import changed_files

_RECORDS = (PARAMS_FILE, STAGES_FILE, LOCK_FILE, ARTIFACTS, "datasets")


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

    def parents(name: str) -> Iterable[str]:
        return read_definition(name, root=root).parents

    groups = group_related(names, parents)
    stages = {*names, *(ancestor for name in names for ancestor in ancestors(name, parents))}
    failed = run_repro(groups, stages=sorted(stages), overwrite=overwrite, root=root)
    if {*names} - {*failed}:
        _say_what_to_commit(root)
    if failed:
        raise ScriptError(f"not built: {', '.join(failed)}; see the output above for the reason")


def command(
    names: Annotated[list[str], typer.Argument(help="The datasets.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Build although nothing changed.")] = False,
) -> None:
    """Build datasets with `dvc repro`, in parallel if they are independent."""
    repro(names, overwrite=overwrite)


def _say_what_to_commit(root: Path) -> None:
    """Print the command that adds the record of what was built to git: DVC's own hint leaves out the manifests."""
    try:
        found = changed_files(root, *_RECORDS)
    except ScriptError:
        return  # not a git repository
    if changed := [path for path, state in found.items() if state[1] != " "]:
        print(f"to record what was built: git add {' '.join(changed)}", file=sys.stderr)
