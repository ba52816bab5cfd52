"""The check for consent to publish a dataset."""

from __future__ import annotations

from typing import Literal

from scripts._define.definition import UNKNOWN_LICENSE, Definition, read_definition
from scripts._dvc.remotes import PRIVATE
from scripts._process.errors import ScriptError

_NOT_LOOKED_UP = {"", "?", "-", "n/a", "none", "tba", "tbd", "todo"}


def consent_for(name: str, *, public: bool, everything: bool) -> bool:
    """Return what consent (`--public`) means for a dataset: if all datasets are meant, it is for the public ones."""
    return public and not (everything and read_definition(name).visibility == PRIVATE)


def check_consent(definition: Definition, *, public: bool, action: Literal["push", "mirror"]) -> None:
    """Refuse to upload a dataset or its source files without the consent that its visibility requires.

    Parameters
    ----------
    definition
        The dataset.
    public
        Whether the user consents to publish it (`--public`).
    action
        The command, for messages.

    Raises
    ------
    ScriptError
        The dataset is public without consent or with an unknown license, or it is private and there is consent.
    """
    name = definition.name
    if definition.visibility == PRIVATE:
        if public:
            raise ScriptError(
                f"{name} is private and is never pushed to the public remote, nor are its source files; "
                f"run it without PUBLIC=1: make {action} DATASET={name}"
            )
        return
    what = "it" if action == "push" else "its source files"
    if not public:
        raise ScriptError(
            f"{name} is public: this publishes {what}; check that the license ({definition.license}) allows it, "
            f"and consent with: make {action} DATASET={name} PUBLIC=1"
        )
    stated = definition.license.strip().lower()
    if stated in _NOT_LOOKED_UP or stated.startswith(UNKNOWN_LICENSE):
        raise ScriptError(
            f"{name}: its license is {definition.license!r}; "
            f"set the license in params.yaml under which {what} may be published"
        )
