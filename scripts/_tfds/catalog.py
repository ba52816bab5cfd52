"""TFDS's own builders: their names, and what one says of itself. TensorFlow is imported only if the builder does."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scripts._define.definition import CONFIG_NAME
from scripts._process.errors import ScriptError
from scripts._process.hints import nearest
from scripts._tfds.quiet import held_stderr


@dataclass(frozen=True)
class BuilderFacts:
    """What a TFDS builder says of itself.

    Attributes
    ----------
    version
        The version it gives.
    configs
        All its builder configs, the default one first.
    description, license, homepage
        Of the data, empty where it does not say.
    """

    version: str
    configs: tuple[str, ...]
    description: str
    license: str
    homepage: str


def read_builder_names() -> list[str]:
    """Return the names of all builders that TFDS brings."""
    import tensorflow_datasets as tfds

    return list(tfds.list_builders(with_community_datasets=False))


def read_builder(name: str, *, version: str | None = None, configs: Sequence[str] = ()) -> BuilderFacts:
    """Make a builder of TFDS and return what it says.

    Parameters
    ----------
    name
        The builder.
    version
        The version of the data; the builder's own by default.
    configs
        The builder configs to look at; TFDS's default one by default.

    Raises
    ------
    ScriptError
        TFDS cannot make it, or it has no such config or version.
    """
    with held_stderr():
        try:
            builders = _make(name, version, configs)
        except ScriptError:
            raise
        except (Exception, SystemExit) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise ScriptError(f"TFDS cannot make its builder {name}: {reason}") from error
    versions = sorted({str(builder.version) for builder in builders})
    if len(versions) > 1:
        raise ScriptError(
            f"the configs {', '.join(configs)} of {name} have different versions ({', '.join(versions)}); name one "
            f"that all have with VERSION=, or fewer configs"
        )
    info = builders[0].info
    known = [config.name for config in builders[0].BUILDER_CONFIGS]
    default = builders[0].builder_config.name if builders[0].builder_config and not configs else None
    return BuilderFacts(
        versions[0],
        tuple(sorted(known, key=lambda config: config != default)),
        " ".join((info.description or "").split()),
        " ".join((info.redistribution_info.license or "").split()),
        info.homepage or "",
    )


def _make(name: str, version: str | None, configs: Sequence[str]) -> list[Any]:
    import tensorflow_datasets as tfds

    builder_class = tfds.builder_cls(name)
    known = [config.name for config in builder_class.BUILDER_CONFIGS]
    for config in configs:
        if not CONFIG_NAME.fullmatch(config):
            raise ScriptError(f"{name}: the config {config!r} cannot become part of a file name")
        if config not in known:
            raise ScriptError(f"{name} has no config {config!r}; {nearest(config, known)}")
    # in a folder that cannot be: nothing is read from it, nothing is written
    return [builder_class(data_dir=os.devnull, version=version, config=config) for config in configs or (None,)]
