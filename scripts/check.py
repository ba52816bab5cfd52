"""`python -m scripts check`: whether the repository's records agree, without any data."""

from __future__ import annotations

from pathlib import Path

from scripts._define.definition import ROOT
from scripts._process.errors import ScriptError
from scripts._verify.repository import check_repository


def check(*, root: Path = ROOT) -> None:
    """Check that `params.yaml`, `dvc.yaml`, `dvc.lock`, the manifests and git's history agree.

    Raises
    ------
    ScriptError
        They do not; the message lists everything that is wrong.
    """
    problems = check_repository(root)
    if problems:
        raise ScriptError("\n  ".join([f"{len(problems)} found:", *problems]))


def command() -> None:
    """Check the repository's records against each other, for CI and git hooks; needs no data."""
    check()
    print("the records agree")
