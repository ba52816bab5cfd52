"""Builders that use Apache Beam: the pipeline that TFDS fills, on the runner that DATASETS_BEAM names.

A builder shows that it uses Beam only when it runs, so the place where TFDS makes the pipeline
(`SplitBuilder.beam_pipeline`) is where all of this begins; a build that never gets there does not import Beam.
"""

from __future__ import annotations

import functools
import os
import re
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from loader._fetch.places import OFFLINE_VARIABLE
from loader._fetch.repository import REPOSITORY_VARIABLE
from scripts._tfds import shards
from scripts._build.beam import options as beam_options
from scripts._build.beam.code import travelling
from scripts._build.beam.worker import quiet_prints
from scripts._tfds.builder import module_name
from scripts._define.definition import Definition
from scripts._process.errors import ScriptError

WORKERS_NEED = (REPOSITORY_VARIABLE, OFFLINE_VARIABLE)  # where a builder finds its parents
# an error at the end of a traceback, and the lines that its message goes on for
_ERROR = re.compile(r"^[A-Za-z_][\w.]*(?:: .*(?:\n(?!\s*$|Traceback |  File ).+)*|$)", re.MULTILINE)


@contextmanager
def pipelines(definition: Definition, *, keys: Path) -> Iterator[None]:
    """Make the pipelines that TFDS asks for inside, so that every runner gives the same bytes.

    Parameters
    ----------
    definition
        The dataset.
    keys
        The folder for the keys of the shards' records; every worker writes there, as it does into the data_dir.

    Raises
    ------
    ScriptError
        There is no such runner, its cluster cannot be reached, or a worker failed.
    """
    from tensorflow_datasets.core.split_builder import SplitBuilder

    started: list[Any] = []
    lost: list[str] = []
    given: dict[str, Path] = {}
    code = ExitStack()

    # told at once, before a source is fetched
    asked = beam_options.read() if os.environ.get(beam_options.VARIABLE) else None

    def make(splits: Any) -> Any:
        pipeline = _make_pipeline(definition, code, *(asked or beam_options.read()))
        started.append(pipeline.runner)
        splits._beam_pipeline = pipeline.__enter__()
        return pipeline

    def count(splits: Any, split_name: str, generator: Any, **options: Any) -> Any:
        import apache_beam

        given[split_name] = keys / f"{split_name}.given"
        label = f"{split_name}_count"
        counted = generator | label >> apache_beam.combiners.Count.Globally()
        _ = counted | f"{label}_kept" >> apache_beam.Map(shards.keep_count, given[split_name])
        return build(splits, split_name=split_name, generator=generator, **options)

    theirs, build = SplitBuilder.__dict__["beam_pipeline"], SplitBuilder._build_from_pcollection
    ours = functools.cached_property(make)
    ours.__set_name__(SplitBuilder, "beam_pipeline")
    SplitBuilder.beam_pipeline, SplitBuilder._build_from_pcollection = ours, count
    threads_hook = threading.excepthook
    # Beam's threads that serve a worker end with an exception each when it is lost
    threading.excepthook = lambda ended: lost.append(str(ended.exc_value))
    try:
        yield
        for split_name, path in given.items():
            _check_complete(definition, split_name, int(path.read_text()), keys)
    except ScriptError:
        raise
    except Exception as error:
        if not started:
            raise
        raise ScriptError(f"{definition.name}: its builder failed{_why(error, definition, started[0], lost)}") from error
    finally:
        SplitBuilder.beam_pipeline, SplitBuilder._build_from_pcollection = theirs, build
        threading.excepthook = threads_hook
        code.close()


def _make_pipeline(definition: Definition, code: ExitStack, runner: Any, options: Any) -> Any:
    from apache_beam import Pipeline
    from apache_beam.internal.cloudpickle.cloudpickle import register_pickle_by_value

    quiet_prints()
    register_pickle_by_value(shards)  # a worker elsewhere has no copy of this repository
    if definition.is_ours:
        module = sys.modules[module_name(definition)]
        code.enter_context(travelling(module, {name: os.environ[name] for name in WORKERS_NEED}))
    return Pipeline(runner=runner, options=options)


def _check_complete(definition: Definition, split_name: str, given: int, keys: Path) -> None:
    """Refuse a split that lacks examples: runners have lost some without a word, and TFDS counts what arrives."""
    files = keys.glob(f"{definition.name}-{split_name}.tfrecord-*")
    written = sum(path.stat().st_size for path in files) // shards.KEY_BYTES
    if written != given:
        raise ScriptError(
            f"{definition.name}: its builder gave {given:,} examples for {split_name}, and {written:,} were written; "
            f"the runner lost the others: build again, or on another runner"
        )


def _why(error: Exception, definition: Definition, runner: Any, lost: list[str]) -> str:
    """What went wrong, in one line, with the deepest place in the dataset's own code that the error came through.

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
