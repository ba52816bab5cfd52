"""Sending the code of a dataset's own builder to Beam's workers.

The builder's modules were imported from the dataset's folder, under names that no worker can import. So each of their
classes and functions is sent as a name and the source of the folder, from which a worker imports the modules once. (If
cloudpickle sent a class by value, TFDS would reject it as already registered.)
"""

from __future__ import annotations

import importlib
import os
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from scripts._tfds.modules import Code, is_loaded, load_module


@contextmanager
def sending_code(code: Code, environment: dict[str, str]) -> Iterator[None]:
    """Let Beam send the classes and functions of a builder's modules.

    Parameters
    ----------
    code
        The files of the builder, which is imported.
    environment
        The environment variables that it needs in a worker.
    """
    from apache_beam.internal.cloudpickle.cloudpickle import CloudPickler, register_pickle_by_value

    register_pickle_by_value(sys.modules[__name__])
    reduce = CloudPickler.reducer_override

    def reducer_override(pickler: Any, value: Any) -> Any:
        if not isinstance(value, (type, types.FunctionType)) or not code.has(module := str(value.__module__)):
            return reduce(pickler, value)
        found: Any = sys.modules.get(module)
        for part in value.__qualname__.split("."):
            found = getattr(found, part, None)
        if found is value:
            return receive, (code, environment, module, value.__qualname__)
        # nested in a function, so that cloudpickle sends it by value; it may import the modules when it runs
        make, arguments, *state = reduce(pickler, value)
        return receive_nested, (code, environment, make, arguments), *state

    CloudPickler.reducer_override = reducer_override
    try:
        yield
    finally:
        CloudPickler.reducer_override = reduce


def receive(code: Code, environment: dict[str, str], module: str, qualname: str) -> Any:
    """Return the object `qualname` of a module in a worker; import the builder's modules if they are not loaded."""
    _load(code, environment)
    found: Any = importlib.import_module(module)
    for part in qualname.split("."):
        found = getattr(found, part)
    return found


def receive_nested(
    code: Code, environment: dict[str, str], make: Callable[..., Any], arguments: tuple[Any, ...]
) -> Any:
    """Return what `make` makes in a worker; import the builder's modules before if they are not loaded."""
    _load(code, environment)
    return make(*arguments)


def _load(code: Code, environment: dict[str, str]) -> None:
    from apache_beam.internal.cloudpickle_pickler import _pickle_lock

    with _pickle_lock:  # a worker's threads unpickle at the same time
        os.environ.update(environment)
        if not is_loaded(code):
            load_module(code)
