"""How the code of a dataset's own builder reaches the workers of Beam.

The builder's module was imported from its file, under a name that no worker can import. So each of its classes and
functions travels as the module's name and source, and a worker makes the module of it once. (By value, as cloudpickle
would have it, TFDS refuses the class: it is registered already.)
"""

from __future__ import annotations

import os
import types
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def travelling(module: types.ModuleType, environment: dict[str, str]) -> Iterator[None]:
    """Let Beam send what `module` defines.

    Parameters
    ----------
    module
        The module of a builder, imported from a file.
    environment
        Variables that it needs in a worker.
    """
    from apache_beam.internal.cloudpickle.cloudpickle import CloudPickler, register_pickle_by_value

    from scripts._build.beam import code

    register_pickle_by_value(code)
    path = Path(module.__file__ or "")
    source = path.read_text(encoding="utf-8")
    vars(module)["_source"] = source
    baggage = (module.__name__, os.fspath(path), source, environment)
    reduce = CloudPickler.reducer_override

    def reducer_override(pickler: Any, value: Any) -> Any:
        if isinstance(value, (type, types.FunctionType)) and value.__module__ == module.__name__:
            found: Any = module
            for part in value.__qualname__.split("."):
                found = getattr(found, part, None)
            if found is value:  # and not a function inside another one, which cloudpickle sends by value
                return arrive, (*baggage, value.__qualname__)
        return reduce(pickler, value)

    CloudPickler.reducer_override = reducer_override
    try:
        yield
    finally:
        CloudPickler.reducer_override = reduce


def arrive(name: str, path: str, source: str, environment: dict[str, str], qualname: str) -> Any:
    """Return what the module `name` calls `qualname`; make the module where it is not yet, or is of another source."""
    import os
    import sys
    import types

    import tensorflow_datasets as tfds
    from apache_beam.internal.cloudpickle_pickler import _pickle_lock

    with _pickle_lock:  # a worker's threads unpickle at the same time
        os.environ.update(environment)
        if getattr(sys.modules.get(name), "_source", None) != source:  # a cluster's workers outlive a build
            module = types.ModuleType(name)
            vars(module).update(__file__=path, _source=source)
            sys.modules[name] = module
            try:
                with tfds.core.registered.skip_registration():
                    exec(compile(source, path, "exec"), vars(module))
            except BaseException:
                del sys.modules[name]
                raise
            builders: list[Any] = [
                value
                for value in vars(module).values()
                if isinstance(value, type) and value.__module__ == name and issubclass(value, tfds.core.DatasetBuilder)
            ]
            for builder in builders:
                builder.pkg_dir_path = tfds.core.Path(path).parent
                builder.code_path = tfds.core.Path(path)
    found: Any = sys.modules[name]
    for part in qualname.split("."):
        found = getattr(found, part)
    return found
