"""`python -m scripts new NAME`: create a dataset with a working builder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from scripts._define.datasets import EDIT_LOCK, NewDataset, add_dataset, name_in_use
from scripts._define.definition import ROOT, UNKNOWN_LICENSE, read_names
from scripts._define.names import check_name
from scripts._define.parent import read_parent
from scripts._define.scaffold import EPSILON, VERSION, Scaffold, adversarial, derived, standard
from scripts._process.errors import ScriptError
from scripts._process.scratch import scratch_folder
from scripts._tfds.catalog import read_builder_names

Kind = Literal["standard", "adversarial"]


def new(name: str, *, kind: Kind = "standard", parent: str | None = None, root: Path = ROOT) -> Path:
    """Create a dataset: its folder with a working builder, its stage and its block in params.yaml.

    Run again, it completes a dataset whose creation was killed, and does not change a complete one.

    Parameters
    ----------
    name
        The dataset, in snake_case.
    kind
        "standard", with tiny data in its folder, or "adversarial", with pairs of clean and perturbed images.
    parent
        The dataset that an adversarial one is derived from; None for one with tiny data in its folder too.
    root
        The repository.

    Returns
    -------
    Path
        The dataset's folder.

    Raises
    ------
    ScriptError
        The name is invalid or in use, or nothing can be derived from the parent. No file is changed.
    """
    check_name(name, root=root)
    if parent is not None and kind != "adversarial":
        raise ScriptError(f"a {kind} dataset is created without PARENT={parent}; add KIND=adversarial, or leave it out")
    with scratch_folder(root, EDIT_LOCK) as scratch:
        folder = root / "datasets" / kind / name
        for other in (root / "datasets").glob(f"*/{name}"):
            if other != folder:
                raise ScriptError(
                    f"the name {name} is in use: there is a folder {other.relative_to(root)}; choose another name"
                )
        builder = folder.relative_to(root).as_posix()
        params = {"builder": builder, "version": VERSION, "license": UNKNOWN_LICENSE}
        parents: tuple[str, ...] = ()
        if parent is None:
            scaffold = {"standard": standard, "adversarial": adversarial}[kind](name)
        else:
            ancestor = read_parent(parent, root=root)
            scaffold, parents = derived(name, ancestor), ancestor.artifacts
            params |= {"license": ancestor.license, "arguments": {"epsilon": EPSILON}}  # type: ignore[dict-item]
        _check_folder(folder, scaffold, name, root)
        dataset = NewDataset(name, params, scaffold.description, parents)
        add_dataset(dataset, root=root, before_edit=lambda: _make_folder(folder, scaffold, scratch / name))
    return folder


def command(
    name: Annotated[str, typer.Argument(help="The new dataset, in snake_case.")],
    kind: Annotated[
        Kind, typer.Option(help="Examples as they are, or pairs of clean and perturbed ones.")
    ] = "standard",
    parent: Annotated[
        str | None, typer.Option(help="The dataset that an adversarial one is derived from; its own data without it.")
    ] = None,
) -> None:
    """Create a dataset that can be built at once: its folder, its stage and its block in params.yaml."""
    folder = new(name, kind=kind, parent=parent).relative_to(ROOT)
    if name in read_builder_names():
        print(f"TFDS has a builder {name} too, which is another dataset: this one is built from {folder}")
    print(
        f"created {folder}, the stage in dvc.yaml and the block in params.yaml\n"
        f"it is private: to publish it, set remote to public in dvc.yaml\n"
        f"next:\n"
        f"  1. make build DATASET={name}    builds it without changes\n"
        f"  2. edit {folder}/{name}.py and README.md, and version and license in params.yaml, and build it again\n"
        f"  3. git add {folder} artifacts/{name}.*json dvc.yaml dvc.lock params.yaml; "
        f"git commit; make push DATASET={name}"
    )


def _check_folder(folder: Path, scaffold: Scaffold, name: str, root: Path) -> None:
    """Refuse to use an existing folder that this command did not create or that was edited since."""
    if not folder.exists():
        return
    existing = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    if existing == scaffold.files:
        return
    if name in read_names(root=root):
        raise name_in_use(name)
    raise ScriptError(
        f"{folder} already exists with other files, but params.yaml has no block {name!r}; if it has a builder, add it "
        f"with: make add DATASET={name}; otherwise choose another name, or delete the folder with: rm -r {folder}"
    )


def _make_folder(folder: Path, scaffold: Scaffold, scratch: Path) -> None:
    """Write the files to a scratch folder and move it to its final path."""
    if folder.exists():
        return
    try:
        for path, data in scaffold.files.items():
            (scratch / path).parent.mkdir(parents=True, exist_ok=True)
            (scratch / path).write_bytes(data)
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch.rename(folder)
    except OSError as error:
        raise ScriptError(f"{folder} cannot be created: {error.strerror}") from error
