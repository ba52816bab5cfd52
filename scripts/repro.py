"""`python -m scripts repro NAME...`: run `dvc repro` for several datasets, in parallel if they are independent."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from scripts._define.definition import PARAMS_FILE, ROOT, read_definition
from scripts._define.lineage import ancestors, group_related
from scripts._define.packages import requirements_folder
from scripts._define.several import All, Names, chosen
from scripts._dvc.repro import run_repro
from scripts._dvc.stages import LOCK_FILE, STAGES_FILE
from scripts._process.errors import ScriptError
from scripts._process.git import changed_files

_RECORDS = (PARAMS_FILE, STAGES_FILE, LOCK_FILE)


def repro(names: Sequence[str], *, everything: bool = False, overwrite: bool = False, root: Path = ROOT) -> None:
    """Build datasets that are not up to date, with DVC.

    One DVC process builds datasets that share an ancestor, in order; each other dataset gets a process of its own. If
    one fails, the others are built all the same, unless they are derived from it.

    Parameters
    ----------
    names
        The datasets.
    everything
        Whether all datasets are meant: one whose definition is wrong then does not stop the others.
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

    wrong = _wrong_definitions(names, parents) if everything else []
    right = [name for name in names if name not in wrong]
    names = sorted(right, key=lambda name: len({*ancestors(name, parents)}))  # `--single-item` keeps the order
    groups = group_related(names, parents)
    stages = {*names, *(ancestor for name in names for ancestor in ancestors(name, parents))}
    failed = [*wrong, *run_repro(groups, stages=sorted(stages), overwrite=overwrite, root=root)]
    if {*names} - {*failed}:
        _say_what_to_commit(root, stages - {*failed})
    if failed:
        raise ScriptError(f"not built: {', '.join(failed)}; see the output above for the reason")


def command(
    names: Names = None,
    everything: All = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Build although nothing changed.")] = False,
) -> None:
    """Build datasets with `dvc repro`, in parallel if they are independent; those that fail are named at the end."""
    repro(chosen(names, everything=everything), everything=everything, overwrite=overwrite)


def _wrong_definitions(names: Sequence[str], parents: Callable[[str], Iterable[str]]) -> list[str]:
    """Print what is wrong with definitions; return the datasets that have a wrong one or are derived from such."""
    wrong = []
    for name in names:
        try:
            list(ancestors(name, parents))
        except ScriptError as error:
            print(f"{name}: FAILED: {str(error).removeprefix(f'{name}: ')}", file=sys.stderr)
            wrong.append(name)
    return wrong


def _say_what_to_commit(root: Path, built: Iterable[str]) -> None:
    """Print the command that adds the record of what was built to git: DVC's own hint leaves out the manifests."""
    try:
        definitions = [read_definition(name, root=root) for name in sorted(built)]
        own = [path for each in definitions for path in (*each.descriptions, requirements_folder(each))]
        found = changed_files(root, *_RECORDS, *(path.relative_to(root).as_posix() for path in own))
    except ScriptError:
        return  # not a git repository
    changed = dict.fromkeys(_to_add(path, state) for path, state in found.items() if state[1] != " ")
    if changed:
        print(f"to record what was built: git add {shlex.join(changed)}", file=sys.stderr)


def _to_add(path: str, state: str) -> str:
    """Return what to give to git for a file: a dataset's folder for a new one, because it may have thousands."""
    parents = PurePosixPath(path).parents
    return str(parents[-4]) if state == "??" and path.startswith("datasets/") and len(parents) > 3 else path
