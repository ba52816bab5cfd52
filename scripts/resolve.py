"""`python -m scripts resolve`: resolve the conflicts of a merge, rebase, cherry-pick or revert."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from scripts._define.definition import ROOT
from scripts._merge.resolve import resolve
from scripts._merge.sides import Sides, read_unmerged
from scripts._merge.three_way import Side
from scripts._process.errors import ScriptError
from scripts._process.git import git


def command(
    ours: Annotated[list[str] | None, typer.Option(help="A dataset to take from ours, all of it.")] = None,
    theirs: Annotated[list[str] | None, typer.Option(help="A dataset to take from theirs, all of it.")] = None,
) -> None:
    """Merge params.yaml, dvc.yaml, dvc.lock and the records of datasets by entry, and stage what is resolved."""
    choices: dict[str, Side] = dict.fromkeys(ours or (), "ours")
    for name in theirs or ():
        if name in choices:
            raise ScriptError(f"{name} can be taken from one side only: make resolve OURS={name}")
        choices[name] = "theirs"
    sides = Sides.read(ROOT)
    if sides is None:
        if unmerged := sorted(read_unmerged(ROOT)):  # after `git stash pop` or `git merge --squash`, for example
            files = shlex.join(unmerged)
            raise ScriptError(
                f"{', '.join(unmerged)}: in conflict, but git has no merge, rebase, cherry-pick or revert to continue, "
                f"so the sides are unknown; edit what is in conflict, then: git add {files}"
            )
        if choices:
            raise ScriptError("git has no merge, rebase, cherry-pick or revert to continue; start one with: git merge")
        print("nothing to resolve: git has no merge, rebase, cherry-pick or revert to continue")
        return
    print(f"ours is {sides.describe('ours')}, theirs is {sides.describe('theirs')}")
    resolution = resolve(sides, choices)
    if resolution.staged:
        print(f"merged and staged: {' '.join(sorted(set(resolution.staged)))}")
    if resolution.rebuild:
        print(
            f"both sides built {', '.join(resolution.rebuild)}; build again: "
            f'make build DATASET="{" ".join(resolution.rebuild)}"'
        )
    if resolution.open:
        raise ScriptError("\n  ".join([f"{len(resolution.open)} left:", *resolution.open]))
    changed = git(ROOT, "diff", "--name-only", "--relative", "-z").decode(errors="replace").split("\0")
    stage = f"git add {shlex.join(filter(None, changed))} && " if any(changed) else ""  # what was built again, say
    print(f"no conflicts are left; next: make check, then: {stage}git {sides.action} --continue")
