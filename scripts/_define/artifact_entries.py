"""The entries under `artifacts` in `dvc.yaml`: how `dvc artifacts get`, GTO and DVC Studio know the artifacts.

Each tar has one, named as GTO names artifacts. The name decides which tags are its versions: DVC looks for
`<entry>@v<version>`. Of what a reader should know, an entry says what does not change: not the license, which
`params.yaml` has, and not the visibility, which is the `remote` of the output.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loader._format.names import ARTIFACTS, tar_name
from scripts._dvc.stages import STAGES_FILE
from scripts._process.files import read_yaml

ENTRIES_KEY = "artifacts"
TYPE = "dataset"

Entry = dict[str, Any]


def artifact_names(name: str, configs: Sequence[str]) -> dict[str | None, str]:
    """Return the name that GTO knows the artifact of each config by; the only key is None without configs.

    GTO allows ASCII letters, digits, "_", "-" and "/", with a letter or digit at both ends, so other characters of a
    config become "-". If two configs get the same name so, the second one ends in "-2".
    """
    found: dict[str | None, str] = {}
    for config in configs or (None,):
        wanted = re.sub("[^A-Za-z0-9_-]", "-", tar_name(name, config).removesuffix(".tar")).rstrip("-_")
        number, unique = 1, wanted
        while unique in found.values():
            number += 1
            unique = f"{wanted}-{number}"
        found[config] = unique
    return found


def artifact_entries(name: str, configs: Sequence[str], *, kind: str, description: str) -> dict[str, Entry]:
    """Return the entry of each artifact of a dataset, by its name.

    Parameters
    ----------
    name, configs
        The dataset, and the configs that it is built in, if any.
    kind
        "standard" or "adversarial", which becomes a label.
    description
        The description of the dataset, one line.
    """
    return {
        entry: {
            "path": f"{ARTIFACTS}/{tar_name(name, config)}",
            "type": TYPE,
            "desc": f"{description}, config {config}" if config else description,
            "labels": [kind],
        }
        for config, entry in artifact_names(name, configs).items()
    }


def read_entries(root: Path) -> dict[str, Entry]:
    """Return the entries of all datasets, by name; what does not have DVC's format is left out.

    Raises
    ------
    ScriptError
        `dvc.yaml` is missing or is not valid YAML.
    """
    return entries_in(read_yaml(root / STAGES_FILE))


def entries_in(content: dict[str, Any]) -> dict[str, Entry]:
    """Return the entries in the content of a `dvc.yaml`."""
    entries = content.get(ENTRIES_KEY)
    if not isinstance(entries, dict):
        return {}
    return {str(name): entry for name, entry in entries.items() if isinstance(entry, dict)}


def entries_of(name: str, entries: dict[str, Entry]) -> dict[str, Entry]:
    """Return those of some entries that are of a dataset: their path is that of one of its artifacts."""
    path = re.compile(rf"{ARTIFACTS}/{re.escape(name)}(-.+)?\.tar")
    return {entry: value for entry, value in entries.items() if path.fullmatch(str(value.get("path")))}
