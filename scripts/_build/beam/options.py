"""Reading DATASETS_BEAM, which contains Beam's own pipeline options, and refusing options that Beam does not know."""

from __future__ import annotations

import difflib
import os
import shlex
from typing import Any, NoReturn

from scripts._build.beam import worker
from scripts._process.errors import ScriptError

VARIABLE = "DATASETS_BEAM"
LOCAL_RUNNERS = {"directrunner", "fnapirunner", "switchingdirectrunner"}


def read() -> tuple[Any, Any]:
    """Return the runner and the pipeline options in DATASETS_BEAM.

    The default is the direct runner with a worker process for every core.

    Raises
    ------
    ScriptError
        Beam is not installed, it has no such runner or option, or a package that the runner needs is missing.
    """
    try:
        from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions, StandardOptions, TypeOptions
        from apache_beam.runners.runner import create_runner
    except ModuleNotFoundError as error:
        raise ScriptError("BEAM needs Apache Beam, which is not installed; add it with: make beam") from error

    text = os.environ.get(VARIABLE, "")
    try:
        flags = shlex.split(text)
    except ValueError as error:
        raise ScriptError(f"BEAM={text!r} cannot be read: {error}") from error
    if any("dask" in flag.lower() for flag in flags):
        _import_dask()  # Beam knows its options only once it is imported
    _check(flags)
    options = PipelineOptions(flags)
    # TFDS's transforms return more types than Beam can infer
    options.view_as(TypeOptions).pipeline_type_check = False
    name = options.view_as(StandardOptions).runner or "DirectRunner"
    if name.lower() in LOCAL_RUNNERS or f"{name.lower()}runner" in LOCAL_RUNNERS:
        return _local(options.view_as(DirectOptions), flags), options
    if name.lower() in ("daskrunner", "dask"):
        from scripts._build.beam.dask import DaskRunner

        return DaskRunner(), options
    try:
        return create_runner(name), options
    except (ValueError, ImportError, AttributeError) as error:
        known = StandardOptions.KNOWN_RUNNER_NAMES
        close = difflib.get_close_matches(name, known, n=1)
        if name in known:
            raise ScriptError(f"BEAM: the runner {name} cannot be created: {error}") from error
        hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(known)}"
        raise ScriptError(f"BEAM: Beam has no runner {name}; {hint}") from error


def _check(flags: list[str]) -> None:
    """Refuse options for which Beam would only log a warning, or would end the process."""
    from apache_beam.options.pipeline_options import PipelineOptions

    parsers: list[Any] = []
    PipelineOptions([]).get_all_options(add_extra_args_fn=parsers.append)
    parser = parsers[0]

    def refuse(message: str) -> NoReturn:
        raise ScriptError(f"BEAM: {message}")

    parser.error = refuse
    unknown = parser.parse_known_args(flags)[1]
    if unknown:
        option = unknown[0].partition("=")[0]
        close = difflib.get_close_matches(option, parser._option_string_actions, n=1)
        refuse(f"Beam has no option {option}" + (f"; did you mean {close[0]}?" if close else ""))


def _local(options: Any, flags: list[str]) -> Any:
    """Return the direct runner, with the number of workers in the options, or one for every core.

    Beam's own `DirectRunner` would first look for another runner, a program that it downloads.
    """
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner, worker_handlers
    from apache_beam.transforms.environments import SubprocessSDKEnvironment

    # Beam (2.77) flushes each of its streams every second, from a thread that shares no lock with the writing thread:
    # data written at the same time is lost. Without a time limit, streams are flushed only by size.
    worker_handlers.DATA_BUFFER_TIME_LIMIT_MS = 0
    given = {flag.partition("=")[0] for flag in flags}
    if "--direct_num_workers" not in given:
        options.direct_num_workers = len(os.sched_getaffinity(0))
    if "--direct_running_mode" in given and options.direct_running_mode != "multi_processing":
        return FnApiRunner()
    # the mode multi_processing, but with workers that are quiet and end with this process
    options.direct_running_mode = "in_memory"
    return FnApiRunner(default_environment=SubprocessSDKEnvironment.from_command_string(worker.command()))


def _import_dask() -> None:
    try:
        import apache_beam.runners.dask.dask_runner  # noqa: F401
        import dask.distributed  # noqa: F401
    except ImportError as error:
        raise ScriptError(f"BEAM: the runner DaskRunner lacks {error.name}; add it with: make beam") from error
