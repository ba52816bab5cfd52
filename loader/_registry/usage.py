"""What loads or shows a dataset, in Python and in the shell, for messages and pages; without passwords of URLs."""

from __future__ import annotations

import json
import os
import shlex

from loader._errors import url_without_secrets

Given = str | os.PathLike[str] | None


def load_call(name: str, **given: Given) -> str:
    """Return the call of `loader.load` with those of these keywords that are not None."""
    keywords = "".join(f", {key}={quoted(value)}" for key, value in _shown(given).items())
    return f"loader.load({quoted(name)}{keywords})"


def shell_options(**given: Given) -> str:
    """Return those of these options that are not None, as " --rev v1 --config b"."""
    return "".join(f" --{key} {shlex.quote(value)}" for key, value in _shown(given).items())


def quoted(text: str) -> str:
    """Return a text as a literal of Python, in double quotes."""
    return json.dumps(text, ensure_ascii=False)


def _shown(given: dict[str, Given]) -> dict[str, str]:
    found = {key: os.fspath(value) for key, value in given.items() if value is not None}
    return {key: url_without_secrets(value) if "://" in value else value for key, value in found.items()}
