"""`python -m scripts repro NAME...`: `dvc repro` of several datasets, side by side where none needs the other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from scripts._define.definition import ROOT, read_definition
from scripts._process.errors import ScriptError, TerminatedError
from scripts._process.processes import CLEAN_UP_SECONDS


def repro(names: Sequence[str], *, overwrite: bool = False, root: Path = ROOT) -> None:
    """Bring datasets up to date with DVC.

    Datasets that share an ancestor are left to one DVC process, which builds them in order; the others get a process
    each, as many at once as there are processors. These wait for each other's locks.

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
    groups = _groups(names, root)
    options = ["--force", "--single-item"] if overwrite else []
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", *options]
    if len(groups) == 1:
        with _ending_children():
            codes = [subprocess.Popen([*command, *groups[0]], cwd=root, env=_environment()).wait()]
    else:
        with ThreadPoolExecutor(os.cpu_count()) as threads, _ending_children():
            codes = list(threads.map(lambda group: _run_beside([*command, *group], root), groups))
    failed = [name for group, code in zip(groups, codes, strict=True) if code for name in group]
    if failed:
        raise ScriptError(f"not built: {', '.join(failed)}; the reason is above")


def command(
    names: Annotated[list[str], typer.Argument(help="The datasets.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Build although nothing changed.")] = False,
) -> None:
    """Build datasets with `dvc repro`, side by side where none needs the other."""
    repro(names, overwrite=overwrite)


@contextmanager
def _ending_children() -> Iterator[None]:
    """Where this process is told to end, tell all that it started, too: DVC does not pass it on to its stages."""
    import psutil

    try:
        yield
    except TerminatedError:
        children = psutil.Process().children(recursive=True)
        for child in children:
            with suppress(psutil.NoSuchProcess):
                child.terminate()
        for child in psutil.wait_procs(children, timeout=CLEAN_UP_SECONDS)[1]:
            with suppress(psutil.NoSuchProcess):
                child.kill()  # what it leaves behind, its next run removes
        raise


def _environment() -> dict[str, str]:
    """What DVC and its stages run in: their `python` is this one."""
    return {**os.environ, "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))}


def _groups(names: Sequence[str], root: Path) -> list[list[str]]:
    """The datasets in their order, those that share an ancestor together."""
    groups: list[tuple[list[str], set[str]]] = []
    for name in dict.fromkeys(names):
        members, needed = [name], _ancestry(name, root)
        for group in [group for group in groups if group[1] & needed]:
            groups.remove(group)
            members, needed = group[0] + members, group[1] | needed
        groups.append((members, needed))
    return [members for members, _ in groups]


def _ancestry(name: str, root: Path) -> set[str]:
    names = [name]
    for each in names:  # the loop goes on with what is added, once each: of a circle DVC tells
        names += [parent for parent in read_definition(each, root=root).parents if parent not in names]
    return set(names)


def _run_beside(command: list[str], root: Path) -> int:
    """Run a command beside others, printing what it says line by line; no progress bars, which would mix."""
    with subprocess.Popen(
        command,
        cwd=root,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            sys.stderr.write(line)
    return process.returncode
