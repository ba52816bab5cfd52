"""Running `dvc repro`, in parallel for independent stages."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from loader import FetchError
from scripts._dvc.stages import LOCK_FILE, STAGES_FILE, check_stages, read_stages
from scripts._process.errors import ScriptError, TerminatedError
from scripts._process.processes import CLEAN_UP_SECONDS
from scripts._process.scratch import waiting_for


def run_repro(groups: Sequence[Sequence[str]], *, stages: Collection[str], overwrite: bool, root: Path) -> list[str]:
    """Run `dvc repro` once for each group of stages, in as many parallel processes as there are processors.

    The processes wait for each other's locks, and for other processes that build one of the stages. DVC's output is
    printed. If a build fails or is stopped, the recorded artifacts, which DVC removed, are put back.

    Parameters
    ----------
    groups
        Names of stages. DVC runs the stages of a group in order; if one fails, those that do not depend on it run.
    stages
        All stages that DVC may run for these: they and their ancestors.
    overwrite
        Whether to run stages although nothing changed.
    root
        The repository.

    Returns
    -------
    list of str
        The stages that are not up to date, because DVC failed for them or for a stage that they depend on.

    Raises
    ------
    ScriptError
        `dvc.yaml` does not have DVC's format, or `dvc.lock` cannot be read; DVC itself does not say how to restore it.
    """
    check_stages(root / STAGES_FILE)
    if (root / LOCK_FILE).exists():
        read_stages(root / LOCK_FILE)
    options = ["--force", "--single-item"] if overwrite else []
    command = [sys.executable, "-m", "scripts._dvc.main", "--wait-for-lock", "repro", *options]
    locks = [f"repro-{name}" for name in stages]
    with waiting_for(root, locks, report=_report_waiting), _restoring_outputs(root, stages) as failed:
        if len(groups) == 1:
            with _terminating_children():
                codes = [subprocess.Popen([*command, *_targets(groups[0])], cwd=root, env=_environment()).wait()]
        else:
            with ThreadPoolExecutor(os.cpu_count()) as threads, _terminating_children():
                codes = list(threads.map(lambda group: _run_in_parallel([*command, *_targets(group)], root), groups))
        for group, code in zip(groups, codes, strict=True):
            failed += _not_built(group, root) if code else []
    return failed


def _targets(group: Sequence[str]) -> list[str]:
    """Return DVC's arguments for a group; the option would change the messages about a single stage."""
    return [*(["--keep-going"] if len(group) > 1 else []), *group]


def _not_built(group: Sequence[str], root: Path) -> list[str]:
    """Return the stages of a group, in which DVC failed, that are not up to date: all if DVC did not get that far."""
    from scripts._dvc.recorded import is_up_to_date

    if len(group) == 1:
        return list(group)
    try:
        return [name for name in group if not is_up_to_date(root, name)] or list(group)
    except (ScriptError, FetchError):
        return list(group)


@contextmanager
def _restoring_outputs(root: Path, stages: Collection[str]) -> Iterator[list[str]]:
    """Put the recorded artifacts back if the block fails, or adds the stages that failed to the list that it is given.

    DVC removes the outputs of a stage before it runs the stage.
    """
    failed: list[str] = []
    started = time.time()
    try:
        yield failed
    except BaseException:
        failed += stages
        raise
    finally:
        if failed:
            from scripts._dvc.recorded import restore_outputs

            for name in stages:
                try:
                    for path in restore_outputs(root, name, built_since=started):
                        print(f"{name}: the recorded {path.relative_to(root)} is back", file=sys.stderr)
                except ScriptError as error:
                    print(error, file=sys.stderr)


def _report_waiting(lock: str) -> None:
    name = lock.removeprefix("repro-")
    print(f"{name}: another command is building it; waiting until it has finished", file=sys.stderr)


@contextmanager
def _terminating_children() -> Iterator[None]:
    """Pass SIGTERM and SIGINT on to all processes started in the block: DVC does not pass SIGTERM on to its stages, and
    SIGINT may have been sent to this process only.
    """
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
