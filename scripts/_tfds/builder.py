"""Making a dataset's TFDS builder."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts._define.definition import Definition
from scripts._process.errors import ScriptError
from scripts._tfds.modules import builder_classes, load_module

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

    from scripts._tfds.shards import ShardWriter

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
        The folder that it will write into.
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
        reason = describe_error(error, definition)
        raise ScriptError(f"{definition.name}: its builder cannot be made: {reason}") from error
    if builder.name != definition.name:
        raise ScriptError(f"{definition.name}: its builder is called {builder.name!r}; the two names must be the same")
    if str(builder.version) != definition.version:
        raise ScriptError(
            f"{definition.name}: params.yaml says version {definition.version}, its builder gives {builder.version}"
        )
    builder._original_state.update(definition.arguments)  # from which TFDS makes the builder again in Beam's workers
    if definition.is_ours:
        # dataset_info.json states the module's name, which must not depend on how the module was imported here
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

    return _load_builder(definition) if definition.is_ours else tfds.builder_cls(definition.builder)


def module_name(definition: Definition) -> str:
    """Return the name under which the module of a builder of ours is imported.

    TFDS takes the dataset's name from it where the class is called `Builder`. It has no dot, because unpickling a class
    of `datasets.x` would import `datasets`, whichever package is called that.
    """
    return f"{definition.name}_dataset_builder"


def _load_builder(definition: Definition) -> Any:
    path = definition.root / definition.builder / f"{definition.name}.py"
    if not path.is_file():
        raise ScriptError(
            f"{definition.name}: params.yaml names the builder {definition.builder}, but {path} is missing"
        )
    module = load_module(module_name(definition), path, path.read_text(encoding="utf-8"))
    for builder_class in builder_classes(module):
        if builder_class.name == definition.name:
            return builder_class
    raise ScriptError(f"{definition.name}: {path} defines no TFDS builder of that name")


def write_with(builder: Any, writer: ShardWriter) -> None:
    """Have a builder write its shards with `writer`, and record nothing of this machine in `dataset_info.json`."""
    builder._example_writer = lambda: writer
    for name in ("file", "sql", "tfds"):  # these record times and absolute paths
        setattr(builder.info, f"add_{name}_data_source_access", lambda *_, **__: None)
    builder._log_download_bytes = builder._log_download_done = lambda: None  # their messages name the scratch folder


def describe_error(error: BaseException, definition: Definition) -> str:
    """Return an error in one line, with the innermost line of the dataset's own code that it came through."""
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
