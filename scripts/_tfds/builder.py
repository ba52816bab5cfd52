"""Creating the TFDS builder of a dataset."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loader._errors import without_secrets
from scripts._define.definition import Definition
from scripts._process.errors import ScriptError
from scripts._tfds.modules import builder_classes, load_module

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

    from scripts._tfds.shards import ShardWriter

MAX_CHARACTERS = 500  # of an error message


def make_builder(
    definition: Definition, *, data_dir: Path, config: str | None = None
) -> tfds.core.GeneratorBasedBuilder:
    """Create the TFDS builder of a dataset.

    Parameters
    ----------
    definition
        The dataset.
    data_dir
        The folder that the builder writes to.
    config
        The builder config; the builder's default if None.

    Raises
    ------
    ScriptError
        There is no such builder or config, the builder rejects its arguments, or it has another name or version.
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
    except tfds.core.DatasetNotFoundError as error:
        raise ScriptError(
            f"params.yaml: TFDS has no builder {definition.builder!r}; name a builder of this repository by its folder"
        ) from error
    except ScriptError:
        raise
    except (Exception, SystemExit) as error:
        reason = describe_error(error, definition)
        raise ScriptError(f"{definition.name}: its builder cannot be created: {reason}") from error
    if builder.name != definition.name:
        raise ScriptError(f"{definition.name}: its builder is named {builder.name!r}; the two names must be the same")
    if str(builder.version) != definition.version:
        raise ScriptError(
            f"{definition.name}: params.yaml says version {definition.version}, but its builder has {builder.version}"
        )
    builder._original_state.update(definition.arguments)  # TFDS recreates the builder from these in Beam's workers
    if definition.is_ours:
        # dataset_info.json contains the module's name, which must not depend on how the module was imported
        name = f"{definition.builder.strip('/').replace('/', '.')}.{definition.name}"
        builder.info._identity.module_name = builder.info.as_proto.module_name = name
    return builder


def find_builder(definition: Definition) -> Any:
    """Return the class of a dataset's builder, from this repository or from TFDS.

    Raises
    ------
    ScriptError
        The dataset's folder has no such builder.
    DatasetNotFoundError
        TFDS has no such builder.
    """
    import tensorflow_datasets as tfds

    return _load_builder(definition) if definition.is_ours else tfds.builder_cls(definition.builder)


def module_name(definition: Definition) -> str:
    """Return the name under which the module of a builder of this repository is imported.

    TFDS derives the dataset's name from it if the class is named `Builder`. It has no dot, because unpickling a class
    of `datasets.x` would import `datasets`, which may be another package.
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


def use_writer(builder: Any, writer: ShardWriter) -> None:
    """Make a builder write its shards with `writer`, and record nothing of this machine in `dataset_info.json`."""
    builder._example_writer = lambda: writer
    # these would record times and absolute paths
    for name in ("add_file_data_source_access", "add_sql_data_source_access", "add_tfds_data_source_access"):
        setattr(builder.info, name, lambda *_, **__: None)
    builder._log_download_bytes = builder._log_download_done = lambda: None  # they would print the scratch folder


def describe_error(error: BaseException, definition: Definition) -> str:
    """Return an error as one line, with the innermost line of the dataset's own code in its traceback."""
    message = without_secrets(" ".join(f"{type(error).__name__}: {error}".split()))
    if len(message) > MAX_CHARACTERS:  # TFDS puts whole examples into its messages
        message = f"{message[: MAX_CHARACTERS // 2]} [...] {message[-MAX_CHARACTERS // 2 :]}"
    if isinstance(error, ImportError) and "apache_beam" in message:
        message = f"{message}; add it with: make beam"
    folder = definition.folder
    if folder is not None:
        for frame in reversed(traceback.extract_tb(error.__traceback__)):
            if Path(frame.filename).is_relative_to(folder):
                return f"{Path(frame.filename).relative_to(definition.root)}:{frame.lineno}: {message}"
    return message
