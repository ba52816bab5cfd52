"""`python -m scripts add NAME...`: add datasets whose builders exist, in TFDS or in a folder of this repository."""

from __future__ import annotations

import difflib
import glob
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from scripts._build.needs import CHECKSUMS, KAGGLE, MANUAL, SOURCES, Needs, find_needs
from scripts._define.datasets import EDIT_LOCK, NewDataset, add_dataset, name_in_use
from scripts._define.definition import ROOT, UNKNOWN_LICENSE, read_definition, read_names
from scripts._define.packages import LOCK, REQUIREMENTS, requirements_folder
from scripts._process.errors import ScriptError
from scripts._process.scratch import scratch_folder
from scripts._tfds.catalog import BuilderFacts, read_builder, read_builder_names
from scripts._tfds.modules import read_code

CATALOG = "https://www.tensorflow.org/datasets/catalog"
_MAX_DESCRIPTION = 100  # characters


def add(
    *names: str, version: str | None = None, configs: tuple[str, ...] = (), root: Path = ROOT
) -> dict[str, BuilderFacts | None]:
    """Add datasets whose builders exist, all or none of them: in `datasets/<kind>/<name>/`, or else in TFDS.

    A builder of this repository is not run, because it may need packages that are not installed yet.

    Parameters
    ----------
    names
        The names of the builders and of the datasets.
    version
        The version of the data; the builder's version by default, which is not written down for a builder of this
        repository. It needs a single name.
    configs
        The configs to build, each as an artifact of its own; by default one artifact of the builder's default config.
        They need a single name.
    root
        The repository.

    Returns
    -------
    dict of str to BuilderFacts or None
        Facts about the builder of each, None for a builder of this repository.

    Raises
    ------
    ScriptError
        There is no such builder, version or config, or a name is in use. No file is changed.
    """
    names = tuple(dict.fromkeys(names))
    if len(names) > 1 and (version or configs):
        raise ScriptError(
            f"a version and configs are for one dataset; add them one by one, as in: make add DATASET={names[0]}"
        )
    folders = {name: _own_folder(name, root) for name in names}
    _check_names([name for name, folder in folders.items() if folder is None], root)
    facts: dict[str, BuilderFacts | None] = {}
    new = []
    for name, folder in folders.items():
        if folder is None:
            each = facts[name] = read_builder(name, version=version, configs=configs)
            new.append(_new(name, each, configs))
        else:
            facts[name] = None
            new.append(_own(name, folder.relative_to(root).as_posix(), version, configs))
    with scratch_folder(root, EDIT_LOCK):
        add_dataset(*new, root=root)
    return facts


def command(
    names: Annotated[list[str], typer.Argument(help="The datasets, of TFDS or with a folder below datasets/.")],
    version: Annotated[str | None, typer.Option(help="The version; the builder's version by default.")] = None,
    config: Annotated[
        str, typer.Option(help="The configs to build, each into its own tar, as a,b; the default config by default.")
    ] = "",
) -> None:
    """Add datasets whose builders exist, all or none of them, and say what each needs."""
    configs = tuple(dict.fromkeys(part.strip() for part in config.split(",") if part.strip()))
    added = add(*names, version=version, configs=configs)
    needs = iter(find_needs((read_definition(name), facts) for name, facts in added.items() if facts))
    for name, facts in added.items():
        print(
            f"added {name}{f' {facts.version}' if facts else ''}: the stage in dvc.yaml and the block in params.yaml\n"
            f"it is private: to publish it, set remote to public in dvc.yaml"
        )
        if facts is None:
            _print_own_steps(name, ROOT)
            continue
        if facts.configs and not configs:
            print(
                f"it will be built in its default config, {facts.configs[0]}, one of {len(facts.configs):,}; "
                f"to build others, name them: CONFIG=a,b"
            )
        _print_steps(name, facts, next(needs))


def _own_folder(name: str, root: Path) -> Path | None:
    """Return the folder of this repository that has a builder of that name."""
    folders = sorted((root / "datasets").glob(f"*/{glob.escape(name)}"))
    return next((folder for folder in folders if read_code(folder, name=name, root=root)), None)


def _check_names(names: Sequence[str], root: Path) -> None:
    builders, datasets = read_builder_names(), read_names(root=root)
    for name in names:
        if name in builders:
            continue
        if name in datasets:
            raise name_in_use(name)
        if folder := next((root / "datasets").glob(f"*/{glob.escape(name)}"), None):
            raise ScriptError(f"{folder} has no builder {name}.py; write it, or take the name of the builder")
        close = [
            f"{match} ({'this repository' if match in datasets else 'TFDS'})"
            for match in difflib.get_close_matches(name, sorted({*builders, *datasets}))
        ]
        hint = f"did you mean {' or '.join(close)}?" if close else f"TFDS's datasets are listed at {CATALOG}/overview"
        raise ScriptError(f"neither TFDS nor this repository has a dataset {name!r}; {hint}")


def _new(name: str, facts: BuilderFacts, configs: tuple[str, ...]) -> NewDataset:
    see = f", see {facts.homepage}" if facts.homepage else ""
    params: dict[str, Any] = {
        "builder": name,
        **({} if facts.own_versions else {"version": facts.version}),
        "license": facts.license or f"{UNKNOWN_LICENSE}{see}",
        **({"configs": facts.own_versions or list(configs)} if configs else {}),
    }
    sentence = facts.description.partition(". ")[0].rstrip(".") or name
    description = f"{textwrap.shorten(sentence, _MAX_DESCRIPTION, placeholder=' ...')} (TFDS's own builder)"
    return NewDataset(name, params, description)


def _own(name: str, folder: str, version: str | None, configs: tuple[str, ...]) -> NewDataset:
    params: dict[str, Any] = {
        "builder": folder,
        **({"version": version} if version else {}),
        "license": UNKNOWN_LICENSE,
        **({"configs": list(configs)} if configs else {}),
    }
    return NewDataset(name, params, name.replace("_", " "))


def _print_own_steps(name: str, root: Path) -> None:
    definition = read_definition(name, root=root)
    folder = requirements_folder(definition)
    steps = ["fill in license in params.yaml, and describe the data in desc in dvc.yaml"]
    if (folder / REQUIREMENTS).exists() and not (folder / LOCK).exists():
        steps.append(f"make lock DATASET={name}    pins the packages that {REQUIREMENTS} names")
    steps += [
        f"make build DATASET={name} REGISTER=1    shows and registers its source files, and builds it",
        f"git add {definition.builder} artifacts/{name}.*json dvc.yaml dvc.lock params.yaml; git commit",
        f"make push DATASET={name}",
    ]
    if not definition.configs:
        print("if its builder has configs, the first one is built; to build others, name them: CONFIG=a,b")
    print("next:\n" + "\n".join(f"  {number}. {step}" for number, step in enumerate(steps, start=1)))


def _print_steps(name: str, facts: BuilderFacts, needs: Needs) -> None:
    if needs.size:
        print(f"its source files have {needs.size:,} bytes")
    if needs.sentences:
        print("before it can be built:")
        for kind, text in needs.sentences.items():
            print(textwrap.indent(f"{kind}: {text}", "    ").replace("    ", "  - ", 1))
    if SOURCES in needs.sentences:
        print(f"if you leave it at that, remove it with: make remove DATASET={name}")
        return
    register = " REGISTER=1" if needs.sentences.keys() & {MANUAL, CHECKSUMS, KAGGLE} else ""
    license_step = "" if facts.license else "fill in license in params.yaml, which TFDS does not know; "
    print(
        f"{'then' if needs.sentences else 'next'}:\n"
        f"  1. {license_step}make build DATASET={name}{register}\n"
        f"  2. git add artifacts/{name}.*json dvc.yaml dvc.lock params.yaml; git commit\n"
        f"  3. make push DATASET={name}"
    )
