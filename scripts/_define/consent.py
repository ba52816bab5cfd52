"""Consent to publish."""

from __future__ import annotations

from typing import Literal

from scripts._define.definition import UNKNOWN_LICENSE, Definition
from scripts._process.errors import ScriptError


def check_consent(definition: Definition, *, public: bool, action: Literal["push", "mirror"]) -> None:
    """Refuse to send anything of a dataset anywhere without the consent that its visibility asks for.

    Parameters
    ----------
    definition
        The dataset.
    public
        Whether somebody said to publish it.
    action
        The command, for messages.

    Raises
    ------
    ScriptError
        It is public and nobody said so, or its license is not known; or it is private and somebody did.
    """
    name = definition.name
    if definition.visibility == "private":
        if public:
            raise ScriptError(
                f"{name} is private and is never pushed to the public remote, nor are its source files; "
                f"use: make {action} DATASET={name}, without PUBLIC=1"
            )
        return
    what = "it" if action == "push" else "its source files"
    if not public:
        raise ScriptError(
            f"{name} is public: this shows {what} to everyone. See that the license ({definition.license}) allows it, "
            f"and say so with: make {action} DATASET={name} PUBLIC=1"
        )
    if definition.license.startswith(UNKNOWN_LICENSE):
        raise ScriptError(
            f"{name}: its license is {definition.license!r}; write in params.yaml under which {what} may be published"
        )
