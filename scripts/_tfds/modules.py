"""Importing a builder's module from its source.

Beam's workers receive this module by value, since they may have no copy of this repository. Its top-level imports are
therefore from the standard library only.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any


def load_module(name: str, path: Path, source: str) -> types.ModuleType:
    """Import a builder's module from its source, even if another package is named `datasets`.

    TFDS does not register the builders in it, and looks for their files (checksums, README) next to it.

    Parameters
    ----------
    name
        The module's name.
    path
        The file that contains the source.
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
    """Return whether the module was imported from this source. The workers of a cluster outlive a build."""
    return getattr(sys.modules.get(name), "__builder_source__", None) == source


def builder_classes(module: types.ModuleType) -> list[Any]:
    """Return the builder classes that a module defines."""
    import tensorflow_datasets as tfds

    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and value.__module__ == module.__name__
        and issubclass(value, tfds.core.DatasetBuilder)
    ]
