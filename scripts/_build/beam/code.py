"""Sending the code of a dataset's own builder to Beam's workers.

The builder's module was imported from its file, under a name that no worker can import. So each of its classes and
functions is sent as the module's name and source, from which a worker imports the module once. (If cloudpickle sent a
class by value, TFDS would reject it as already registered.)
"""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts._tfds.modules import is_loaded, load_module


@contextmanager
def sending_module(module: types.ModuleType, environment: dict[str, str]) -> Iterator[None]:
    """Let Beam send the classes and functions of `module`.

    Parameters
    ----------
    module
        A builder's module, imported from a file.
    environment
        The environment variables that it needs in a worker.
    """
    from apache_beam.internal.cloudpickle.cloudpickle import CloudPickler, register_pickle_by_value

    register_pickle_by_value(sys.modules[__name__])
    sent = (module.__name__, Path(module.__file__ or ""), vars(module)["__builder_source__"], environment)
    reduce = CloudPickler.reducer_override

    def reducer_override(pickler: Any, value: Any) -> Any:
        if isinstance(value, (type, types.FunctionType)) and value.__module__ == module.__name__:
            found: Any = module
            for part in value.__qualname__.split("."):
                found = getattr(found, part, None)
            if found is value:  # and not a nested function, which cloudpickle sends by value
                return receive, (*sent, value.__qualname__)
        return reduce(pickler, value)

    CloudPickler.reducer_override = reducer_override
    try:
        yield
    finally:
        CloudPickler.reducer_override = reduce


def receive(name: str, path: Path, source: str, environment: dict[str, str], qualname: str) -> Any:
    """Return the object `qualname` of the module `name` in a worker; import the module if it is not loaded."""
    from apache_beam.internal.cloudpickle_pickler import _pickle_lock

    with _pickle_lock:  # a worker's threads unpickle at the same time
        os.environ.update(environment)
        if not is_loaded(name, source):
            load_module(name, path, source)
    found: Any = sys.modules[name]
    for part in qualname.split("."):
        found = getattr(found, part)
    return found
