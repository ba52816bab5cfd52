"""Running `dvc repro`, in parallel for independent stages."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from scripts._process.errors import TerminatedError
from scripts._process.processes import CLEAN_UP_SECONDS


def run_repro(groups: Sequence[Sequence[str]], *, overwrite: bool, root: Path) -> list[str]:
    """Run `dvc repro` once for each group of stages, in as many parallel processes as there are processors.

    The processes wait for each other's locks. DVC's output is printed.

    Parameters
    ----------
    groups
        Names of stages. DVC runs the stages of a group in order.
    overwrite
        Whether to run stages although nothing changed.
    root
        The repository.

    Returns
    -------
    list of str
        The stages of the groups in which DVC failed.
    """
    options = ["--force", "--single-item"] if overwrite else []
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", *options]
    if len(groups) == 1:
        with _terminating_children():
            codes = [subprocess.Popen([*command, *groups[0]], cwd=root, env=_environment()).wait()]
    else:
        with ThreadPoolExecutor(os.cpu_count()) as threads, _terminating_children():
            codes = list(threads.map(lambda group: _run_in_parallel([*command, *group], root), groups))
    return [name for group, code in zip(groups, codes, strict=True) if code for name in group]


@contextmanager
def _terminating_children() -> Iterator[None]:
    """Pass SIGTERM on to all processes started in the block, because DVC does not pass it on to its stages."""
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
                child.kill()  # the next run removes its scratch folder
        raise


def _environment() -> dict[str, str]:
    """Return an environment for DVC and its stages in which `python` is this interpreter."""
    return {**os.environ, "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))}


def _run_in_parallel(command: list[str], root: Path) -> int:
    """Run a command whose output is printed in whole lines and without progress bars, so that it does not mix."""
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
