"""`python -m scripts lock NAME...`: pin the packages that a dataset's builder needs, with hashes."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from scripts._define.datasets import EDIT_LOCK, depend_on
from scripts._define.definition import ROOT, Definition, read_definition
from scripts._define.packages import LOCK, REQUIREMENTS, requirements_folder
from scripts._dvc.stages import STAGES_FILE, dependencies, read_stage
from scripts._process.errors import ScriptError
from scripts._process.files import replacing
from scripts._process.scratch import scratch_folder

_PIN = re.compile(r"^[\w.-]+==[^\s+\\]+(?=[ \n])(?: ;[^\\\n]*)?", re.MULTILINE)
_CAUSE = re.compile(r"^ +(?:cause|Caused by): ", re.MULTILINE)
_NO_PACKAGE = re.compile(r"([\w.-]+) was not found in the (?:package registry|provided package locations)")
_NO_VERSION = re.compile(r"there (?:is|are) no versions? of ([\w.-]+==[^\s,]+)")
_RESOLVE = ("--quiet", "--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate")


def lock(name: str, *, root: Path = ROOT) -> Path:
    """Resolve what a dataset's `requirements.txt` names, into `requirements.lock` beside it.

    Packages that the project's lock files pin keep their versions, so that the toolchain stays as it is. The stage of a
    dataset of TFDS gets the lock file as a dependency; that of another one depends on the whole folder already.

    Parameters
    ----------
    name
        The dataset.
    root
        The repository.

    Returns
    -------
    Path
        The lock file.

    Raises
    ------
    ScriptError
        There is no `requirements.txt`, it has a line that is no requirement, an index cannot be reached or lacks a
        package, or no versions satisfy it together with the project's.
    """
    definition = read_definition(name, root=root)
    folder = requirements_folder(definition)
    requirements = folder / REQUIREMENTS
    if not requirements.is_file():
        raise ScriptError(
            f"{name}: {requirements.relative_to(root)} is missing; "
            f"write the packages that its builder imports into it, one in each line, such as scipy"
        )
    with tempfile.TemporaryDirectory() as temporary:
        constraints, output = Path(temporary) / "constraints.txt", Path(temporary) / LOCK
        constraints.write_text("\n".join(_pins(root)) + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "uv", "pip", "compile", *_RESOLVE, "--constraint", f"{constraints}"]
        done = subprocess.run(
            [*command, "--output-file", f"{output}", f"{requirements}"], capture_output=True, text=True, cwd=root
        )
        if done.returncode:
            shown, said = requirements.relative_to(root), done.stderr.replace(f"{requirements}", REQUIREMENTS)
            raise ScriptError(f"{name}: {_problem(shown, said)}")
        with replacing(folder / LOCK) as file:
            file.write(output.read_bytes())
    _depend(definition, folder / LOCK)
    return folder / LOCK


def _problem(requirements: Path, said: str) -> str:
    """Return what uv says on its standard error as one sentence."""
    error, *causes = [" ".join(part.split()) for part in _CAUSE.split(said.partition("\nhint: ")[0])]
    last = causes[-1] if causes else error.removeprefix("error: ")
    if found := _NO_PACKAGE.search(last):
        return f"no package index has {found[1]}, which {requirements} needs; correct its name there"
    if found := _NO_VERSION.search(last):
        return f"no package index has {found[1]}, which {requirements} needs; name another version there"
    if "No solution found" in error and "found in the cache" not in last:
        return f"{requirements} cannot be resolved together with the project's lock files, whose versions stay: {last}"
    if "parse" in error:
        return f"{requirements} has a line that is no requirement: {last.removesuffix(' ^')}"
    if "Failed to fetch" in said or "found in the cache" in last:
        return f"a package index cannot be reached to resolve {requirements} ({last}); connect and run it again"
    return f"{requirements} cannot be resolved: {' '.join([error.removeprefix('error: '), *causes])}"


def _pins(root: Path) -> Iterator[str]:
    """Yield the pins of the project's lock files; a build of a package that no index has, like `+cpu`, is left out."""
    for path in sorted(root.glob("requirements*.lock")):
        yield from (found[0].strip() for found in _PIN.finditer(path.read_text(encoding="utf-8")))


def _depend(definition: Definition, path: Path) -> None:
    """Have the stage of a dataset depend on a file, unless it does so already."""
    stages = definition.root / STAGES_FILE
    listed = [definition.root / dep for dep in dependencies(read_stage(stages, definition.name))]
    if not any(path.is_relative_to(dep) for dep in listed):
        with scratch_folder(definition.root, EDIT_LOCK):
            depend_on(definition.name, path, root=definition.root)


def command(names: Annotated[list[str], typer.Argument(help="The datasets.")]) -> None:
    """Pin the packages in the requirements.txt of datasets, with hashes, in requirements.lock beside it."""
    for name in names:
        path = lock(name)
        print(f"{name}: wrote {path.relative_to(ROOT)}; build with: make build DATASET={name}", file=sys.stderr)
