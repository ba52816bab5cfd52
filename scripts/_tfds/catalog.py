"""The builders that come with TFDS. TensorFlow is imported only if a builder imports it."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts._define.block import CONFIG_NAME
from scripts._define.versions import highest
from scripts._process.errors import ScriptError
from scripts._process.hints import nearest
from scripts._tfds.quiet import held_stderr

_CORE = re.compile(r"tensorflow_datasets\.core\.(?!dataset_builders\.)")  # the exception has base classes of datasets


@dataclass(frozen=True)
class BuilderFacts:
    """The properties of a TFDS builder.

    Attributes
    ----------
    version
        The version of the data; of configs with versions of their own the highest.
    configs
        All builder configs, the default one first.
    own_versions
        The version of each config that was asked for, if they have different ones.
    description, license, homepage
        Of the data; empty if the builder does not state them.
    manual
        The builder's instructions for files that are downloaded by hand; empty if it has none.
    files
        The files that define the builder and its base classes, those of TFDS's core aside.
    """

    version: str
    configs: tuple[str, ...]
    own_versions: dict[str, str]
    description: str
    license: str
    homepage: str
    manual: str
    files: tuple[Path, ...]


def read_builder_names() -> list[str]:
    """Return the names of all builders that come with TFDS."""
    import tensorflow_datasets as tfds

    return list(tfds.list_builders(with_community_datasets=False))


def read_builder(name: str, *, version: str | None = None, configs: Sequence[str] = ()) -> BuilderFacts:
    """Create a TFDS builder and return its properties.

    Parameters
    ----------
    name
        The builder.
    version
        The version of the data; the builder's default if None.
    configs
        The builder configs to create; TFDS's default config if empty.

    Raises
    ------
    ScriptError
        TFDS cannot create the builder, or it has no such config or version.
    """
    with held_stderr():
        builders = _make_or_fail(name, version, configs)
    if isinstance(builders, BaseException):  # raised here, so that nothing else is printed
        raise builders if isinstance(builders, ScriptError) else ScriptError(_reason(name, builders)) from builders
    versions = [str(builder.version) for builder in builders]
    info = builders[0].info
    known = [config.name for config in builders[0].BUILDER_CONFIGS]
    default = builders[0].builder_config.name if builders[0].builder_config and not configs else None
    return BuilderFacts(
        highest(versions),
        tuple(sorted(known, key=lambda config: config != default)),
        dict(zip(configs, versions, strict=True)) if len({*versions}) > 1 else {},
        " ".join((info.description or "").split()),
        " ".join((info.redistribution_info.license or "").split()),
        info.homepage or "",
        inspect.cleandoc(builders[0].MANUAL_DOWNLOAD_INSTRUCTIONS or ""),
        tuple(_files(type(builders[0]))),
    )


def _files(builder_class: type) -> Iterator[Path]:
    for base in builder_class.__mro__:
        if base.__module__.startswith("tensorflow_datasets.") and not _CORE.match(base.__module__):
            yield Path(inspect.getfile(base))


def _make_or_fail(name: str, version: str | None, configs: Sequence[str]) -> list[Any] | BaseException:
    try:
        return _make(name, version, configs)
    except (Exception, SystemExit) as error:
        return error


def _reason(name: str, error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if "HTTP request" in text and (bucket := re.search(r"gs://\S+", text)):
        return (
            f"TFDS's builder {name} is made from {bucket[0]}, which cannot be read from here "
            f"({text.partition(' when reading')[0]})"
        )
    return f"TFDS cannot make its builder {name}: {text}"


def _make(name: str, version: str | None, configs: Sequence[str]) -> list[Any]:
    import tensorflow_datasets as tfds

    builder_class = tfds.builder_cls(name)
    known = [config.name for config in builder_class.BUILDER_CONFIGS]
    for config in configs:
        if not CONFIG_NAME.fullmatch(config):
            raise ScriptError(f"{name}: the config {config!r} cannot be part of a file name")
        if config not in known:
            raise ScriptError(f"{name} has no config {config!r}; {nearest(config, known)}")
    # the data_dir cannot exist, so nothing is read from it or written to it
    return [builder_class(data_dir=os.devnull, version=version, config=config) for config in configs or (None,)]
