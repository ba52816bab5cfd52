"""`python -m scripts add NAME`: add a dataset of TFDS to this repository."""

from __future__ import annotations

import difflib
import textwrap
from pathlib import Path
from typing import Annotated, Any

import typer

from scripts._define.datasets import EDIT_LOCK, NewDataset, add_dataset, name_in_use
from scripts._define.definition import ROOT, UNKNOWN_LICENSE, read_names
from scripts._process.errors import ScriptError
from scripts._process.scratch import scratch_folder
from scripts._tfds.catalog import BuilderFacts, read_builder, read_builder_names

CATALOG = "https://www.tensorflow.org/datasets/catalog"
_MAX_DESCRIPTION = 100  # characters


def add(name: str, *, version: str | None = None, configs: tuple[str, ...] = (), root: Path = ROOT) -> BuilderFacts:
    """Add a dataset that TFDS has a builder for.

    Parameters
    ----------
    name
        The name of the builder and of the dataset.
    version
        The version of the data; the builder's version by default.
    configs
        The configs to build, each as an artifact of its own; by default one artifact of the builder's default config.
    root
        The repository.

    Returns
    -------
    BuilderFacts
        Facts about the builder.

    Raises
    ------
    ScriptError
        TFDS has no such builder, version or config, or the name is in use. No file is changed.
    """
    builders, datasets = read_builder_names(), read_names(root=root)
    if name not in builders:
        if name in datasets:
            raise name_in_use(name)
        close = [
            f"{match} ({'this repository' if match in datasets else 'TFDS'})"
            for match in difflib.get_close_matches(name, sorted({*builders, *datasets}))
        ]
        hint = f"did you mean {' or '.join(close)}?" if close else f"TFDS's datasets are listed at {CATALOG}/overview"
        raise ScriptError(f"neither TFDS nor this repository has a dataset {name!r}; {hint}")
    facts = read_builder(name, version=version, configs=configs)
    see = f", see {facts.homepage}" if facts.homepage else ""
    params: dict[str, Any] = {
        "builder": name,
        "version": facts.version,
        "license": facts.license or f"{UNKNOWN_LICENSE}{see}",
        **({"configs": list(configs)} if configs else {}),
    }
    sentence = facts.description.partition(". ")[0].rstrip(".") or name
    description = f"{textwrap.shorten(sentence, _MAX_DESCRIPTION, placeholder=' ...')} (TFDS's own builder)"
    with scratch_folder(root, EDIT_LOCK):
        add_dataset(NewDataset(name, params, description), root=root)
    return facts


def command(
    name: Annotated[str, typer.Argument(help="The name of the dataset in TFDS.")],
    version: Annotated[str | None, typer.Option(help="The version; the builder's version by default.")] = None,
    config: Annotated[
        str, typer.Option(help="The configs to build, each into its own tar, as a,b; the default config by default.")
    ] = "",
) -> None:
    """Add a dataset of TFDS: its stage in dvc.yaml and its block in params.yaml."""
    configs = tuple(dict.fromkeys(part.strip() for part in config.split(",") if part.strip()))
    facts = add(name, version=version, configs=configs)
    print(f"added {name} {facts.version}: the stage in dvc.yaml and the block in params.yaml")
    if facts.configs and not configs:
        print(
            f"it will be built in its default config, {facts.configs[0]}, one of {len(facts.configs):,}; "
            f"to build others, name them: CONFIG=a,b"
        )
    license_step = "" if facts.license else "fill in license in params.yaml, which TFDS does not know; "
    print(
        f"it is private: to publish it, set remote to public in dvc.yaml\n"
        f"next:\n"
        f"  1. {license_step}make build DATASET={name}\n"
        f"  2. git add artifacts/{name}.*json dvc.yaml dvc.lock params.yaml; git commit\n"
        f"  3. make push DATASET={name}"
    )
