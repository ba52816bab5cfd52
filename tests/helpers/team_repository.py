"""A repository in which two branches define, build and remove datasets, with made-up records instead of artifacts."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from copy import copy
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from scripts._define.datasets import NewDataset, add_dataset, remove_dataset
from scripts._process.files import read_yaml
from scripts.merge_file import install

ATTRIBUTES = Path(__file__).resolve().parents[2] / ".gitattributes"
TOOLCHAIN = (
    "# What to build.\n#\n#   version  the version\n\n# The packages that decide bytes.\ntoolchain:\n  numpy: 2.4.6\n"
)
IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@example.org")


class TeamRepository:
    """A git repository on the branch `main`, with methods that do to datasets what the commands do.

    Parameters
    ----------
    root
        Where to make it.
    driver
        Whether to install the merge driver.
    """

    def __init__(self, root: Path, *, driver: bool = True) -> None:
        self.root = root
        (root / "artifacts").mkdir(parents=True)
        (root / ".venv").symlink_to(Path(sys.executable).parents[1])
        files = {
            "params.yaml": TOOLCHAIN,
            "dvc.yaml": "# One stage per dataset.\nplots: []\n\nartifacts: {}\n\nstages: {}\n",
            "dvc.lock": "schema: '2.0'\nstages: {}\n",
            ".gitignore": "/.venv\n/.scratch/\n",
            ".gitattributes": ATTRIBUTES.read_text(),
        }
        for file, text in files.items():
            (root / file).write_text(text)
        self.git("init", "--quiet", "--initial-branch=main")
        if driver:
            install(root)

    def copy(self, root: Path) -> TeamRepository:
        """Return a copy of the repository, at another place."""
        other = copy(self)
        other.root = Path(shutil.copytree(self.root, root, symlinks=True))
        return other

    def git(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run git."""
        command = ["git", *IDENTITY, "-c", "core.editor=true", *arguments]
        return subprocess.run(command, cwd=self.root, check=check, capture_output=True, text=True)

    def commit(self, message: str = "change") -> None:
        """Commit everything."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "-m", message)

    def branch(self, name: str) -> None:
        """Start a branch at `main`."""
        self.git("checkout", "--quiet", "-b", name, "main")

    def add(self, name: str, *, parent: str | None = None) -> None:
        """Define a dataset and build it."""
        folder = self.root / "datasets/standard" / name
        folder.mkdir(parents=True)
        (folder / f"{name}.py").write_text(f"# the builder of {name}\n")
        params = {"builder": f"datasets/standard/{name}", "version": "1.0.0", "license": "CC0"}
        parents = (f"artifacts/{parent}.tar",) if parent else ()
        add_dataset(NewDataset(name, params, f"The dataset {name}", parents), root=self.root)
        self.build(name)

    def edit(self, name: str, **values: str) -> None:
        """Set values of a dataset's block in params.yaml, which has these keys."""
        head, _, rest = self.read("params.yaml").partition(f"\n{name}:\n")
        block, blank, others = rest.partition("\n\n")
        for key, value in values.items():
            block = re.sub(rf"^  {key}: .*$", f"  {key}: {value}", block, flags=re.MULTILINE)
        (self.root / "params.yaml").write_text(f"{head}\n{name}:\n{block}{blank}{others}")

    def build(self, name: str, *, content: str = "") -> None:
        """Write the records of a build, whose bytes follow from the definition and from `content`."""
        block = read_yaml(self.root / "params.yaml")[name]
        sha256 = hashlib.sha256(f"{name} {block} {content}".encode()).hexdigest()
        manifest = {"name": name, "version": block["version"], "artifacts": {f"{name}.tar": {"sha256": sha256}}}
        outs = []
        for suffix, value in (("json", manifest), ("stats.json", {"of": sha256}), ("croissant.json", {"of": sha256})):
            data = json.dumps(value, indent=2).encode() + b"\n"
            (self.root / f"artifacts/{name}.{suffix}").write_bytes(data)
            outs.append({"path": f"artifacts/{name}.{suffix}", "md5": hashlib.md5(data).hexdigest()})
        outs.append({"path": f"artifacts/{name}.tar", "md5": sha256[:32]})
        entry = {"cmd": f"python -m scripts build {name}", "params": {"params.yaml": {name: block}}, "outs": outs}
        yaml = YAML()
        lock: dict[str, Any] = yaml.load(self.root / "dvc.lock")
        lock["stages"] = {**(lock["stages"] or {}), name: entry}  # last, as plain DVC has it
        yaml.dump(lock, self.root / "dvc.lock")

    def remove(self, name: str) -> None:
        """Remove a dataset, as `make remove` does."""
        remove_dataset(name, root=self.root)
        self.git("rm", "--quiet", "-r", "--force", f"datasets/standard/{name}", f"artifacts/{name}*.json")

    def read(self, file: str) -> str:
        """Return the text of a file."""
        return (self.root / file).read_text()

    def yaml(self, file: str) -> dict[str, Any]:
        """Return the content of a file."""
        return read_yaml(self.root / file)

    def unmerged(self) -> set[str]:
        """Return the files in conflict."""
        return {*self.git("diff", "--name-only", "--diff-filter=U").stdout.split()}
