"""Creating the TFDS builder of a dataset."""

from __future__ import annotations

import os
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loader._errors import without_secrets
from scripts._define.definition import Definition
from scripts._define.packages import missing_module, use_packages
from scripts._define.versions import builder_version
from scripts._process.errors import ScriptError
from scripts._tfds.ffmpeg import INSTALL, is_missing_ffmpeg
from scripts._tfds.modules import builder_classes, load_module, package_name, read_code
from scripts._tfds.versions import check_configs, other_version
from scripts._tfds.yielded import BuilderError, line_of

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
        There is no such builder or config, the builder rejects its arguments, it has another name or version, or a
        package that it needs cannot be installed.
    """
    import tensorflow_datasets as tfds

    version = builder_version(definition, config)
    try:
        builder_class = find_builder(definition)
        check_configs(builder_class, definition)
        create = partial(
            builder_class, data_dir=os.fspath(data_dir), config=config, file_format="tfrecord", **definition.arguments
        )
        try:
            builder = create(version=version)
        except AssertionError as error:
            if version is None or version in map(str, (own := create()).versions):
                raise
            raise other_version(builder_class, definition, own.builder_config, version=str(own.version)) from error
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
    if version not in (None, str(builder.version)):  # TFDS takes 1.*.* too
        raise other_version(builder_class, definition, builder.builder_config, version=str(builder.version))
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

    use_packages(definition)
    return _load_builder(definition) if definition.is_ours else tfds.builder_cls(definition.builder)


def _load_builder(definition: Definition) -> Any:
    folder = definition.root / definition.builder
    code = read_code(folder, name=definition.name, root=definition.root)
    if code is None:
        raise ScriptError(
            f"{definition.name}: params.yaml names the builder {definition.builder}, but "
            f"{folder / f'{definition.name}.py'} is missing"
        )
    for builder_class in builder_classes(load_module(code)):
        if builder_class.name == definition.name:
            return builder_class
    raise ScriptError(f"{definition.name}: {folder / code.main} defines no TFDS builder of that name")


def use_writer(builder: Any, writer: ShardWriter) -> None:
    """Make a builder write its shards with `writer`, and record nothing of this machine in `dataset_info.json`."""
    builder._example_writer = lambda: writer
    # these would record times and absolute paths
    for name in ("add_file_data_source_access", "add_sql_data_source_access", "add_tfds_data_source_access"):
        setattr(builder.info, name, lambda *_, **__: None)
    builder._log_download_bytes = builder._log_download_done = lambda: None  # they would print the scratch folder


def describe_error(error: BaseException, definition: Definition) -> str:
    """Return an error as one line, with the line of the builder's code where it arose."""
    try:
        text = str(error) if isinstance(error, BuilderError) else f"{type(error).__name__}: {error}"
    except Exception:  # a class of the builder's own
        text = f"{type(error).__name__}, whose message cannot be shown"
    message = without_secrets(" ".join(text.split()))
    if len(message) > MAX_CHARACTERS:  # TFDS puts whole examples into its messages
        message = f"{message[: MAX_CHARACTERS // 2]} [...] {message[-MAX_CHARACTERS // 2 :]}"
    notes = [note for note in getattr(error, "__notes__", ()) if isinstance(note, str)]
    if notes and not isinstance(error, BuilderError):
        message = f"{message} ({'; '.join(notes)})"
    if definition.is_ours:  # the name of the folder's package is ours
        message = message.replace(package_name(definition.name), definition.builder.strip("/").replace("/", "."))
    if is_missing_ffmpeg(error):
        message = f"{message}; ffmpeg is not installed; install it with: {INSTALL}"
    elif remedy := missing_module(error, definition):
        message = f"{message}; {remedy}"
    root, code = code_of(definition)
    line = line_of(error) or _innermost_line(error, code)
    if line is None:
        return message
    return f"{Path(line).relative_to(root) if Path(line).is_relative_to(root) else line}: {message}"


def code_of(definition: Definition) -> tuple[Path, list[Path]]:
    """Return where the code of a builder is: the files and folders that have it, and what their paths are shown from.

    For a builder of TFDS, the code of all builders of TFDS is taken for its own.
    """
    if definition.is_ours:
        folder = definition.root / definition.builder
        return definition.root, [folder, folder.resolve()]
    import tensorflow_datasets as tfds

    package = Path(tfds.__file__).parent
    return package.parent, [path for path in package.iterdir() if path.name not in ("core", "scripts", "__init__.py")]


def _innermost_line(error: BaseException, code: list[Path]) -> str | None:
    """Return the innermost line of the builder's code in a traceback, or where its syntax is wrong."""

    def is_builders(file: str) -> bool:
        return any(Path(file).is_relative_to(place) for place in code)

    if isinstance(error, SyntaxError) and is_builders(error.filename or ""):
        return f"{error.filename}:{error.lineno}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if is_builders(frame.filename):
            return f"{frame.filename}:{frame.lineno}"
    return None
