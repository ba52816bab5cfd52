"""The Pythons with which the project can be set up, and the bytes that datasets have when they are built with them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import BIN, ROOT

UV = BIN / "uv"
LOCK = ROOT / "requirements.lock"
DATASETS = ("mnist", "digit", "digit_speakers")
OTHERS = sorted({"3.11", "3.12", "3.13"} - {f"{sys.version_info.major}.{sys.version_info.minor}"})


def interpreter(version):
    beside = sorted(Path(sys.base_prefix).parent.glob(f"{version}.*/bin/python"))  # as pyenv keeps them
    for python in filter(None, [*beside, shutil.which(f"python{version}")]):
        if subprocess.run([python, "-c", ""], capture_output=True).returncode == 0:
            return python
    pytest.skip(f"there is no Python {version} on this machine")


def install(python, *options):
    command = [UV, "pip", "install", "--quiet", "--python", python, "--require-hashes", "--requirement", LOCK, *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("version", OTHERS)
def test_the_lock_file_has_a_package_with_a_hash_for_everything_that_another_python_needs(version, tmp_path):
    install(interpreter(version), "--dry-run", "--target", tmp_path)


@pytest.mark.slow
def test_datasets_have_the_recorded_bytes_if_another_python_builds_them(clone):
    python = interpreter(OTHERS[-1])
    environment = clone.root / ".scratch/venv"
    subprocess.run([UV, "venv", "--quiet", "--python", python, environment], check=True)
    install(environment / "bin/python", "--no-deps")
    (clone.root / ".venv").unlink()
    (clone.root / ".venv").symlink_to(environment)
    path = {"PATH": f"{environment}/bin:/usr/bin:/bin"}
    built = clone.run(
        str(environment / "bin/python"), "-m", "scripts", "repro", "--overwrite", *DATASETS, check=False, env=path
    )
    if "source file not found:" in built.stderr:
        pytest.skip("the source files are not available; set DATASETS_MIRROR")
    assert built.returncode == 0, built.stdout + built.stderr
    assert {path.name for path in (clone.root / "artifacts").glob("*.tar")} == {
        *("mnist.tar", "digit.tar"),
        *(f"digit_speakers-{speaker}.tar" for speaker in ("jackson", "nicolas", "theo")),
    }
    assert clone.run("git", "status", "--porcelain", "--untracked-files=no").stdout == ""
