"""`python -m scripts rename OLD NEW`: give a dataset of this repository another name."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from loader._format.names import ARTIFACTS, tar_name
from scripts._define.block import check_artifact_name, read_configs
from scripts._define.datasets import EDIT_LOCK, name_in_use, rename_dataset
from scripts._define.definition import PARAMS_FILE, ROOT, read_names
from scripts._define.lineage import SOURCES, derived_from
from scripts._define.names import check_name
from scripts._define.renamed import in_tracked, rename_builder, rename_in_yaml
from scripts._dvc.stages import LOCK_FILE, STAGES_FILE, read_stages
from scripts._process.errors import ScriptError
from scripts._process.files import read_yaml, replacing
from scripts._process.hints import nearest
from scripts._process.scratch import scratch_folder

_MOST_MENTIONS = 10
_TEXT = {".py", ".md", ".txt", ".tsv", ".json", ".yaml", ".yml", ".toml", ".cfg"}


@dataclass(frozen=True)
class Renaming:
    """What renaming a dataset did, and what it leaves to the user.

    Attributes
    ----------
    folder
        Its folder now, relative to the root.
    changed
        What git has to add: files, and folders of which some may be gone.
    children
        The datasets that are derived from it.
    mentions
        Where its folder and those of the children still have the old name: file and line, relative to the root.
    kept
        What is still there under the old name, relative to the root.
    """

    folder: str
    changed: tuple[str, ...]
    children: tuple[str, ...]
    mentions: tuple[str, ...]
    kept: tuple[str, ...]


def rename(old: str, new: str, *, root: Path = ROOT) -> Renaming:
    """Give a dataset another name: its folder, builder, stage, block, source files, and the stages derived from it.

    The name is part of the bytes of its artifacts, so the dataset has to be built again. What was pushed or released
    stays what it was, under the old name. A renaming that was killed is completed by running it again.

    Raises
    ------
    ScriptError
        There is no such dataset, its builder is TFDS's, or the new name is invalid or in use. No file is changed.
    """
    with scratch_folder(root, EDIT_LOCK) as scratch:
        check_name(new, root=root)
        block = _block(old, new, root)
        before, configs = root / block["builder"], tuple(read_configs(old, block.get("configs")))
        after = before.with_name(new)
        for config in configs or (None,):
            check_artifact_name(new, config)
        _check_free(old, new, after, root)
        with scratch_folder(root, f"build-{old}"):  # no build of it is at work
            if before.exists():
                _prepare_folder(before, scratch / new, old, new, root)
                _check_same(scratch / new, after, root)
            tracked = root / SOURCES / f"{old}.dvc"
            text = tracked.read_text(encoding="utf-8") if tracked.exists() else ""
            record = rename_in_yaml(text, tracked, in_tracked(old, new)) if text else ""

            def move_files() -> None:
                if not after.exists():
                    (scratch / new).rename(after)  # atomic
                if before.exists():
                    before.rename(scratch / "before")
                if (root / SOURCES / old).exists():
                    (root / SOURCES / old).rename(root / SOURCES / new)
                if record:
                    with replacing(tracked.with_name(f"{new}.dvc")) as file:
                        file.write(record.encode())
                    tracked.unlink()
                for described in (root / ARTIFACTS).glob(f"{old}.*json"):
                    described.unlink()

            rename_dataset(old, new, configs=configs, root=root, before_edit=move_files)
    children = tuple(_children(new, root))
    folders = [after, *(path for each in children for path in (root / "datasets").glob(f"*/{each}"))]
    patterns = (*(f"{ARTIFACTS}/{tar_name(old, config)}" for config in configs or (None,)), f"extracted/{old}")
    return Renaming(
        after.relative_to(root).as_posix(),
        (
            *(path.parent.relative_to(root).as_posix() for path in (after / "", *([tracked] if record else []))),
            ARTIFACTS,
            STAGES_FILE,
            LOCK_FILE,
            PARAMS_FILE,
        ),
        children,
        tuple(_mentions(old, folders, root)),
        tuple(pattern for pattern in patterns if (root / pattern).exists()),
    )


def command(
    old: Annotated[str, typer.Argument(help="The dataset.")],
    new: Annotated[str, typer.Argument(help="Its new name, in snake_case.")],
) -> None:
    """Give a dataset another name; it has to be built again, because the name is part of its artifacts."""
    renaming = rename(old, new)
    folder, names = renaming.folder, " ".join((new, *renaming.children))
    print(f"renamed {old} to {new}: {folder}, its stage in dvc.yaml and its block in params.yaml")
    if renaming.children:
        print(f"derived from it, and to be built again too: {', '.join(renaming.children)}")
    if renaming.mentions:
        shown, more = renaming.mentions[:_MOST_MENTIONS], len(renaming.mentions) - _MOST_MENTIONS
        print(
            f"the word {old} is still in these lines, for you to change if it means the dataset: {', '.join(shown)}"
            f"{f' and {more:,} more' if more > 0 else ''}"
        )
    if renaming.kept:
        print(f"kept, delete them if they are not needed: {' '.join(renaming.kept)}")
    print(
        f"what was pushed or released is still called {old}: load it with rev=, the commit or tag that has it\n"
        f"next:\n"
        f'  1. make build DATASET="{names}"\n'
        f"  2. git add -A {' '.join(renaming.changed)}; git commit\n"
        f'  3. make push DATASET="{names}"'
    )


def _block(old: str, new: str, root: Path) -> dict[str, Any]:
    """Return the block of the dataset, whose builder is a folder with its name."""
    params = read_yaml(root / PARAMS_FILE)
    if old not in (names := read_names(root=root)):
        renamed = f"; it may have been renamed to {new} already" if new in names else ""
        raise ScriptError(f"there is no dataset {old!r} in {PARAMS_FILE}{renamed}; {nearest(old, names)}")
    if new in names:
        raise name_in_use(new)
    builder = params[old].get("builder") if isinstance(params[old], dict) else None
    if not isinstance(builder, str):
        raise ScriptError(f"{PARAMS_FILE}: the block {old!r} needs 'builder', a string")
    if "/" not in builder:
        raise ScriptError(
            f"{old} is built by TFDS's builder {builder}, whose name is that of the dataset; to have it under another "
            f"name, start one of your own with: make new NAME={new}, whose builder can be a subclass of TFDS's"
        )
    if Path(builder).name != old:
        raise ScriptError(f"{PARAMS_FILE}: the builder of {old} is in {builder}, a folder with another name")
    return dict(params[old])


def _check_free(old: str, new: str, folder: Path, root: Path) -> None:
    """Refuse a name that something else has; what an earlier attempt has renamed is not in the way."""
    stages, is_begun = read_stages(root / STAGES_FILE), not (folder.with_name(old)).exists()
    if new in stages and old in stages:
        raise ScriptError(f"dvc.yaml has a stage {new} already; remove it with: make remove DATASET={new}")
    taken = [path for path in (root / "datasets").glob(f"*/{new}") if path != folder]
    if not is_begun:
        taken += [path for path in (root / SOURCES / new, root / SOURCES / f"{new}.dvc") if path.exists()]
        taken += (root / ARTIFACTS).glob(f"{new}.*json")
    if taken:
        raise ScriptError(f"the name {new} is in use: there is {taken[0].relative_to(root)}; choose another name")
    if is_begun and not folder.exists():
        raise ScriptError(f"{folder.with_name(old)} is missing; restore it with: git checkout -- datasets")


def _prepare_folder(before: Path, target: Path, old: str, new: str, root: Path) -> None:
    """Make the folder under its new name: links to the same files, but for the builder's."""
    shutil.copytree(before, target, symlinks=True, copy_function=os.link, ignore=shutil.ignore_patterns("__pycache__"))
    module = before / f"{old}.py"
    if not module.is_file():
        raise ScriptError(f"{old}: {module} is missing")
    source = module.read_bytes().decode()
    (target / module.name).unlink()
    renamed = rename_builder(source, old, new, module.relative_to(root).as_posix())
    (target / f"{new}.py").write_bytes(renamed.encode())


def _check_same(prepared: Path, folder: Path, root: Path) -> None:
    """Refuse a folder that is there already, unless an earlier attempt made it."""
    if not folder.exists():
        return
    here, wanted = (
        {path.relative_to(each): path.read_bytes() for path in each.rglob("*") if path.is_file()}
        for each in (folder, prepared)
    )
    if {path: data for path, data in here.items() if "__pycache__" not in path.parts} != wanted:
        raise ScriptError(f"{folder.relative_to(root)} is there already, with other files; choose another name")


def _children(name: str, root: Path) -> list[str]:
    """Return the datasets that are derived from a dataset, directly or not; parents before their children."""
    stages, found = read_stages(root / STAGES_FILE), [name]
    for parent in found:
        found += [each for each in derived_from(parent, stages) if each not in found]
    return found[1:]


def _mentions(name: str, folders: list[Path], root: Path) -> list[str]:
    """Return the lines of text files that have a name, as "file:line"."""
    word, found = re.compile(rf"\b{re.escape(name)}\b"), []
    texts = (path for folder in folders for path in folder.rglob("*") if path.suffix in _TEXT)
    for path in sorted(texts, key=lambda path: (path.suffix != ".py", path)):
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        found += [f"{path.relative_to(root)}:{number}" for number, line in enumerate(lines, 1) if word.search(line)]
    return found
