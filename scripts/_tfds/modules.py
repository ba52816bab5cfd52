"""Importing the module of a builder from its source.

Beam's workers get this module by value, since they may have no copy of this repository: it needs nothing at its top but
the standard library.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any


def load_module(name: str, path: Path, source: str) -> types.ModuleType:
    """Import a builder's module from its source, whatever package is called `datasets`.

    TFDS does not register the builders that it defines, and looks for their files (checksums, README) beside it.

    Parameters
    ----------
    name
        What the module is called.
    path
        The file that the source is from.
    source
        The module's Python code.
    """
    import tensorflow_datasets as tfds

    module = types.ModuleType(name)
    vars(module).update(__file__=str(path), __builder_source__=source)
    sys.modules[name] = module
    try:
        with tfds.core.registered.skip_registration():
            exec(compile(source, str(path), "exec"), vars(module))
    except BaseException:
        del sys.modules[name]
        raise
    for builder_class in builder_classes(module):
        builder_class.pkg_dir_path = tfds.core.Path(path).parent
        builder_class.code_path = tfds.core.Path(path)
    return module


def is_loaded(name: str, source: str) -> bool:
    """Return whether the module was imported from this source; a cluster's workers outlive a build."""
    return getattr(sys.modules.get(name), "__builder_source__", None) == source


def builder_classes(module: types.ModuleType) -> list[Any]:
    """Return the builders that a module defines."""
    import tensorflow_datasets as tfds

    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and value.__module__ == module.__name__
        and issubclass(value, tfds.core.DatasetBuilder)
    ]
