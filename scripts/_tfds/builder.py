"""Making a dataset's TFDS builder."""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts._define.definition import Definition
from scripts._process.errors import ScriptError

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

MESSAGE_CHARACTERS = 500


def make_builder(
    definition: Definition, *, data_dir: Path, config: str | None = None
) -> tfds.core.GeneratorBasedBuilder:
    """Make the TFDS builder of a dataset.

    Parameters
    ----------
    definition
        The dataset.
    data_dir
        The folder it is to write into.
    config
        One of its builder configs, the default one by default.

    Raises
    ------
    ScriptError
        There is no such builder or config, it refuses its arguments, or it gives another name or version.
    """
    import tensorflow_datasets as tfds

    try:
        builder_class = find_builder(definition)
        if config is not None and builder_class.get_builder_config(config, definition.version) is None:
            raise ScriptError(
                f"{definition.name}: its builder has no config {config!r}; it has: "
                f"{', '.join(builder_class.builder_configs) or 'none'}"
            )
        builder = builder_class(
            data_dir=os.fspath(data_dir),
            config=config,
            version=definition.version,
            file_format="tfrecord",
            **definition.arguments,
        )
    except tfds.core.registered.DatasetNotFoundError as error:
        raise ScriptError(
            f"params.yaml: TFDS has no builder {definition.builder!r} (one of ours is named by its folder)"
        ) from error
    except ScriptError:
        raise
    except (Exception, SystemExit) as error:
        raise ScriptError(f"{definition.name}: its builder cannot be made: {where(error, definition)}") from error
    if builder.name != definition.name:
        raise ScriptError(f"{definition.name}: its builder is called {builder.name!r}; the two names must be the same")
    if str(builder.version) != definition.version:
        raise ScriptError(
            f"{definition.name}: params.yaml says version {definition.version}, its builder gives {builder.version}"
        )
    if definition.is_ours:  # what dataset_info.json states, which must not depend on how the module is called here
        name = f"{definition.builder.strip('/').replace('/', '.')}.{definition.name}"
        builder.info._identity.module_name = builder.info.as_proto.module_name = name
    return builder


def find_builder(definition: Definition) -> Any:
    """Return the builder's class, TFDS's or ours.

    Raises
    ------
    ScriptError
        The dataset's folder holds none.
    DatasetNotFoundError
        TFDS has none of that name.
    """
    import tensorflow_datasets as tfds

    return _import_builder(definition) if definition.is_ours else tfds.builder_cls(definition.builder)


def module_name(definition: Definition) -> str:
    """Return the name under which the module of a builder of ours is imported.

    TFDS takes the dataset's name from it where the class is called `Builder`. And it has no dot: who unpickles something
    of `datasets.x` imports `datasets` first, whichever package is called that.
    """
    return f"{definition.name}_dataset_builder"


def _import_builder(definition: Definition) -> Any:
    """Import `<folder>/<name>.py` by its path.

    Not through `import datasets...`: another package of that name may be installed.
    """
    import tensorflow_datasets as tfds

    folder = definition.root / definition.builder
    path = folder / f"{definition.name}.py"
    if not path.is_file():
        raise ScriptError(
            f"{definition.name}: params.yaml names the builder {definition.builder}, but {path} is missing"
        )
    spec = importlib.util.spec_from_file_location(module_name(definition), path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    with tfds.core.registered.skip_registration():
        spec.loader.exec_module(module)
    classes: list[Any] = [value for value in vars(module).values() if isinstance(value, type)]
    for builder_class in classes:
        if issubclass(builder_class, tfds.core.DatasetBuilder) and builder_class.name == definition.name:
            # TFDS would look for both in whatever package `datasets` is installed, such as Hugging Face's
            builder_class.pkg_dir_path = tfds.core.Path(folder)
            builder_class.code_path = tfds.core.Path(path)
            return builder_class
    raise ScriptError(f"{definition.name}: {path} defines no TFDS builder of that name")


def where(error: BaseException, definition: Definition) -> str:
    """Return the error in one line, with the deepest place in the dataset's own code that it came through."""
    message = " ".join(f"{type(error).__name__}: {error}".split())
    if len(message) > MESSAGE_CHARACTERS:  # TFDS puts whole examples into its messages
        message = f"{message[: MESSAGE_CHARACTERS // 2]} [...] {message[-MESSAGE_CHARACTERS // 2 :]}"
    if isinstance(error, ImportError) and "apache_beam" in message:
        message = f"{message}; add it with: make beam"
    folder = definition.folder
    if folder is not None:
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if Path(frame.filename).is_relative_to(folder):
                return f"{Path(frame.filename).relative_to(definition.root)}:{frame.lineno}: {message}"
    return message
