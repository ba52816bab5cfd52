"""Builders that use Apache Beam: the pipeline that TFDS fills, on the runner that DATASETS_BEAM names."""

from __future__ import annotations

import os
import re
import sys
import threading
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from scripts._build.beam import options as beam_options
from scripts._build.beam.code import sending_module
from scripts._build.beam.worker import quiet_prints
from scripts._define.definition import Definition
from scripts._process.errors import ScriptError
from scripts._tfds import modules, shards
from scripts._tfds.builder import module_name


# an error at the end of a traceback, and the lines that its message goes on for
_ERROR = re.compile(r"^[A-Za-z_][\w.]*(?:: .*(?:\n(?!\s*$|Traceback |  File ).+)*|$)", re.MULTILINE)


class BeamPipelines:
    """Makes the pipelines that TFDS fills, so that every runner gives the same bytes.

    A build of a builder that does not use Beam never asks for one, and never imports Beam.

    Parameters
    ----------
    definition
        The dataset.
    keys
        The folder for the keys of the shards' records; every worker writes there, as it does into the data_dir.
    environment
        Environment variables that the builder's code needs in a worker.

    Raises
    ------
    ScriptError
        There is no such runner, its cluster cannot be reached, a worker failed, or examples were lost.
    """

    def __init__(self, definition: Definition, *, keys: Path, environment: dict[str, str]) -> None:
        self._definition = definition
        self._keys = keys
        self._environment = environment
        self._runner: Any = None
        self._counts: dict[str, Path] = {}
        self._lost_workers: list[str] = []
        self._cleanup = ExitStack()
        # read at once, so that a mistake in it is told before a source is fetched
        self._options = beam_options.read() if os.environ.get(beam_options.VARIABLE) else None

    def __enter__(self) -> Self:
        hook = threading.excepthook
        self._cleanup.callback(lambda: setattr(threading, "excepthook", hook))
        # when a worker is lost, each of Beam's threads that serve it ends with an exception
        threading.excepthook = lambda ended: self._lost_workers.append(str(ended.exc_value))
        return self

    def __exit__(self, _: object, error: BaseException | None, traceback: object) -> None:
        with self._cleanup:
            if error is None:
                for split, path in self._counts.items():
                    _check_complete(self._definition, split, int(path.read_text()), self._keys)
            elif self._runner is not None and isinstance(error, Exception) and not isinstance(error, ScriptError):
                reason = _reason(error, self._definition, self._runner, self._lost_workers)
                raise ScriptError(f"{self._definition.name}: its builder failed{reason}") from error

    def start(self) -> tuple[Any, Any]:
        """Return a pipeline on the runner that DATASETS_BEAM names, and what entering it gives."""
        from apache_beam import Pipeline
        from apache_beam.internal.cloudpickle.cloudpickle import register_pickle_by_value

        self._runner, options = self._options or beam_options.read()
        quiet_prints()
        for module in (shards, modules):  # a worker elsewhere has no copy of this repository
            register_pickle_by_value(module)
        if self._definition.is_ours:
            builder = sys.modules[module_name(self._definition)]
            self._cleanup.enter_context(sending_module(builder, self._environment))
        pipeline = Pipeline(runner=self._runner, options=options)
        return pipeline, pipeline.__enter__()

    def count(self, split: str, examples: Any) -> None:
        """Have the pipeline count the examples that the builder gives for a split."""
        import apache_beam

        self._counts[split] = self._keys / f"{split}.given"
        counted = examples | f"{split}_count" >> apache_beam.combiners.Count.Globally()
        _ = counted | f"{split}_count_kept" >> apache_beam.Map(shards.keep_count, self._counts[split])


def _check_complete(definition: Definition, split_name: str, given: int, keys: Path) -> None:
    """Refuse a split that lacks examples: runners have lost some without a word, and TFDS counts what arrives."""
    files = keys.glob(f"{definition.name}-{split_name}.tfrecord-*")
    written = sum(path.stat().st_size for path in files) // shards.KEY_BYTES
    if written != given:
        raise ScriptError(
            f"{definition.name}: its builder gave {given:,} examples for {split_name}, and {written:,} were written; "
            f"the runner lost the others: build again, or on another runner"
        )


def _reason(error: Exception, definition: Definition, runner: Any, lost: list[str]) -> str:
    """What went wrong, in one line, with the innermost line of the dataset's own code that the error came through.

    What happened in a worker is a traceback in the text of an exception.
    """
    text = "".join(traceback.format_exception(error))
    if definition.folder is not None:
        places = list(re.finditer(rf'File "{re.escape(os.fspath(definition.folder))}/([^"]+)", line (\d+)', text))
        if places:
            path = definition.folder.relative_to(definition.root) / places[-1][1]
            return f": {path}:{places[-1][2]}: {_message(_ERROR.search(text, places[-1].end()), error)}"
    ended = [int(found[1]) for reason in lost if (found := re.search(r"exited with return code (-?\d+)", reason))]
    if ended:
        how = f"was killed by signal {-ended[0]}" if ended[0] < 0 else f"ended with {ended[0]}"
        return f" on Beam's {type(runner).__name__}: a worker process {how}; has the machine enough memory?"
    if type(error).__name__ == "FutureTimeoutError":  # grpc's
        return f" on Beam's {type(runner).__name__}: no job server answers there"
    *_, last = [None, *_ERROR.finditer(text)]
    return f" on Beam's {type(runner).__name__}: {_message(last, error)}"


def _message(found: re.Match[str] | None, error: Exception) -> str:
    return " ".join((found[0] if found else repr(error)).partition(" [while running")[0].split())
