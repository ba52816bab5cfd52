"""Commands for several datasets: which ones, and what happens to the others if one fails."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from loader import LoaderError
from scripts._define.definition import ROOT, check_names, read_names
from scripts._process.errors import ScriptError

Names = Annotated[list[str] | None, typer.Argument(help="The datasets.")]
All = Annotated[bool, typer.Option("--all", help="All datasets of params.yaml.")]


class NothingToDoError(ScriptError):
    """A command has nothing to do for a dataset: an error if the dataset is named, but not if all are meant."""


def chosen(names: Sequence[str] | None, *, everything: bool, root: Path = ROOT) -> list[str]:
    """Return the datasets that a command is for: those that are named, each once, or all.

    Raises
    ------
    ScriptError
        Datasets are named although all are meant, none are named, or one that is named does not exist.
    """
    if everything == bool(names):
        what = "either name datasets or take all of them, not both" if names else "name datasets, or take all of them"
        raise ScriptError(f"{what}: DATASET=mnist or ALL=1 (with python -m scripts: mnist or --all)")
    if everything:
        return read_names(root=root)
    check_names(names or (), root=root)
    return list(dict.fromkeys(names or ()))


def for_each(names: Sequence[str], action: Callable[[str], None], *, everything: bool = False) -> None:
    """Run an action for each dataset, even if it fails for some, and print how it ended if there are several.

    Parameters
    ----------
    names
        The datasets.
    action
        Called with each of them.
    everything
        Whether all datasets are meant, so that there may be nothing to do for some.

    Raises
    ------
    ScriptError
        It failed for some datasets; the message names them. If there is only one dataset, its own error is raised.
    """
    failed, left_out = [], []
    for name in names:
        try:
            action(name)
        except (ScriptError, LoaderError, OSError) as error:
            reason = str(error).removeprefix(f"{name}: ")
            if everything and isinstance(error, NothingToDoError):
                print(f"{name}: nothing to do: {reason}", flush=True)
                left_out.append(name)
            elif len(names) == 1 and not everything:
                raise
            else:
                print(f"{name}: FAILED: {reason}", file=sys.stderr, flush=True)
                failed.append(name)
    wanted = len(names) - len(left_out)
    if failed:
        raise ScriptError(
            f"{len(failed)} of {wanted} datasets failed: {', '.join(failed)}; each reason is in the output above"
        )
    if len(names) > 1 or everything:
        print(f"{wanted} of {wanted} datasets: ok")
