"""The Beam pipelines that TFDS fills, on the runner that DATASETS_BEAM names."""

from __future__ import annotations

import os
import re
import threading
import traceback
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

from scripts._build.beam import checking
from scripts._build.beam import options as beam_options
from scripts._build.beam.code import sending_code
from scripts._build.beam.worker import quiet_prints
from scripts._build.changes import Change
from scripts._define.definition import Definition
from scripts._process.errors import ScriptError
from scripts._tfds import modules, shards

# an error at the end of a traceback, with all lines of its message
_ERROR = re.compile(r"^[A-Za-z_][\w.]*(?:: .*(?:\n(?!\s*$|Traceback |  File ).+)*|$)", re.MULTILINE)


class BeamPipelines:
    """Creates the pipelines that TFDS fills, so that every runner gives the same bytes.

    The build of a builder that does not use Beam never asks for a pipeline, and never imports Beam.

    Parameters
    ----------
    definition
        The dataset.
    keys
        The folder for the rows of the record index; every worker writes to it, as it does to the data_dir.
    environment
        The environment variables that the builder's code needs in a worker.

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
        self._worker_errors: list[str] = []
        self._cleanup = ExitStack()
        # read at once, so that a mistake in it is reported before any source file is fetched
        self._options = beam_options.read() if os.environ.get(beam_options.VARIABLE) else None

    def __enter__(self) -> Self:
        hook = threading.excepthook
        self._cleanup.callback(lambda: setattr(threading, "excepthook", hook))
        # if a worker dies, each of Beam's threads that serve it ends with an exception
        threading.excepthook = lambda ended: self._worker_errors.append(str(ended.exc_value))
        return self

    def __exit__(self, _: object, error: BaseException | None, traceback: object) -> None:
        with self._cleanup:
            if error is None:
                for split, path in self._counts.items():
                    _check_complete(self._definition, split, int(path.read_text()), self._keys)
            elif self._runner is not None and isinstance(error, Exception) and not isinstance(error, ScriptError):
                reason = _reason(error, self._definition, self._runner, self._worker_errors)
                raise ScriptError(f"{self._definition.name}: its builder failed{reason}") from error

    def start(self) -> tuple[Any, Any]:
        """Return a pipeline on the runner that DATASETS_BEAM names, and the result of its `__enter__`."""
        from apache_beam import Pipeline
        from apache_beam.internal.cloudpickle.cloudpickle import register_pickle_by_value

        self._runner, options = self._options or beam_options.read()
        quiet_prints()
        # a worker on another machine has no copy of this repository
        for module in (shards, modules, checking, *checking.MODULES):
            register_pickle_by_value(module)
        if (code := modules.loaded_code(modules.module_name(self._definition.name))) is not None:
            self._cleanup.enter_context(sending_code(code, self._environment))
        pipeline = Pipeline(runner=self._runner, options=options)
        return pipeline, pipeline.__enter__()

    def watch(self, split: str, examples: Any, features: Any) -> tuple[Any, Any]:
        """Make the pipeline count the examples that the builder yields for a split, and check what TFDS stores.

        Return the examples and the features to give to TFDS.
        """
        import apache_beam

        self._counts[split] = self._keys / f"{split}.count"
        counted = examples | f"{split}_count" >> apache_beam.combiners.Count.Globally()
        _ = counted | f"{split}_count_written" >> apache_beam.Map(shards.write_count, self._counts[split])
        keyed = examples | f"{split}_keyed" >> apache_beam.Map(checking.with_key)
        return keyed, checking.CheckedFeatures(features, self._keys)

    def changes(self) -> dict[str, tuple[checking.Key, Change]]:
        """Return by feature which values TFDS stored as others, and the key of an example that has one."""
        return checking.noted_changes(self._keys)


def _check_complete(definition: Definition, split_name: str, yielded: int, keys: Path) -> None:
    """Refuse a split that lacks examples: runners have lost some silently, and TFDS only counts those that arrive."""
    files = keys.glob(f"{definition.name}-{split_name}.tfrecord-*")
    written = sum(map(shards.count_records, files))
    if written != yielded:
        raise ScriptError(
            f"{definition.name}: its builder yielded {yielded:,} examples for {split_name}, but {written:,} were "
            f"written; the runner lost the others: build again, or on another runner"
        )


def _reason(error: Exception, definition: Definition, runner: Any, worker_errors: list[str]) -> str:
    """Return an error as one line, with the innermost line of the dataset's own code in its traceback.

    The traceback of an error in a worker is part of an exception's text.
    """
    text = "".join(traceback.format_exception(error))
    if definition.folder is not None:
        places = list(re.finditer(rf'File "{re.escape(os.fspath(definition.folder))}/([^"]+)", line (\d+)', text))
        if places:
            path = definition.folder.relative_to(definition.root) / places[-1][1]
            return f": {path}:{places[-1][2]}: {_message(_ERROR.search(text, places[-1].end()), error)}"
    code = re.compile(r"exited with return code (-?\d+)")
    ended = [int(found[1]) for reason in worker_errors if (found := code.search(reason))]
    if ended:
        how = f"was killed by signal {-ended[0]}" if ended[0] < 0 else f"ended with {ended[0]}"
        return f" on Beam's {type(runner).__name__}: a worker process {how}; is there enough memory?"
    if type(error).__name__ == "FutureTimeoutError":  # grpc's
        return f" on Beam's {type(runner).__name__}: the job server does not answer"
    *_, last = [None, *_ERROR.finditer(text)]
    return f" on Beam's {type(runner).__name__}: {_message(last, error)}"


def _message(found: re.Match[str] | None, error: Exception) -> str:
    return " ".join((found[0] if found else repr(error)).partition(" [while running")[0].split())
