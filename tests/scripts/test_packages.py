"""The packages that one builder needs: locked with hashes, installed once; the toolchain's win over them."""

import base64
import hashlib
import importlib.util
import json
import subprocess
import sys
import zipfile

import pytest

from scripts._define.definition import read_definition
from scripts._define.packages import LOCK, install_packages
from scripts._process.errors import ScriptError
from scripts._release.leftovers import unused_packages
from scripts.lock import lock
from tests.conftest import clean_environment, make_clone
from tests.helpers.several_files import BEAM, GENERATOR, add_several_files


def with_package(builder):
    """A builder of several files that also uses a package, and one of which it has to get the environment's version."""
    text = builder.replace("import json\n", "import json\n\nimport cv2\nimport wordy\n", 1)
    text = text.replace("text = make_text(number)", "text = wordy.spell(number) + make_text(number)")
    return text.replace("sub.module.words.WORDS[0]", "sub.module.words.WORDS[0] + ' ' + cv2.__version__")


def add_wheel(folder, name, version, files, requires=()):
    """Write a wheel with some modules."""
    info = f"{name}-{version}.dist-info"
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    files = {
        **files,
        f"{info}/METADATA": "\n".join(lines) + "\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += f"{path},sha256={digest},{len(text.encode())}\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            wheel.writestr(path, text)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    """The variables with which pip and uv find some small packages in a folder, and nothing else."""
    folder = tmp_path_factory.mktemp("index")
    spell = "def spell(number):\n    return f'number {number} '\n"
    add_wheel(folder, "wordy", "1.0", {"wordy.py": spell, "cv2.py": "__version__ = 'other'\n"}, ["numpy>=1"])
    for version in ("1.26.0", "2.4.6", "2.99.0"):
        add_wheel(folder, "numpy", version, {"numpy.py": ""})
    return {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder),
        "PIP_CONFIG_FILE": "/dev/null",
        "UV_NO_INDEX": "1",
        "UV_FIND_LINKS": str(folder),
        "UV_NO_CONFIG": "1",
        "UV_CACHE_DIR": f"{folder}/cache",
    }


@pytest.fixture(scope="module")
def packaged(tmp_path_factory, index):
    """A clone whose `tiny` needs a package, and what the build says without it, unlocked, and with it."""
    clone = make_clone(tmp_path_factory.mktemp("packaged") / "clone")
    add_several_files(clone.root, builder=with_package(GENERATOR))
    said = [clone.scripts("build", "tiny", check=False, env=index)]
    (clone.root / "datasets/standard/tiny/requirements.txt").write_text("wordy >= 1  # spells numbers\n")
    with pytest.raises(ScriptError) as unlocked:
        install_packages(read_definition("tiny", root=clone.root))
    said.append(str(unlocked.value))
    said.append(clone.scripts("lock", "tiny", env=index))
    said.append(clone.scripts("build", "tiny", env=index))
    return clone, said


@pytest.mark.slow
def test_a_missing_package_is_named_with_the_line_to_add_and_the_commands(packaged):
    _, (missing, unlocked, locked, built) = packaged
    assert (
        "datasets/standard/tiny/tiny.py:5: ModuleNotFoundError: No module named 'wordy'; "
        "put wordy.py into datasets/standard/tiny if it is a file of yours; if not, "
        "add a line wordy to datasets/standard/tiny/requirements.txt and run: make lock DATASET=tiny\n"
    ) in missing
    assert "asks for wordy>=1, which datasets/standard/tiny/requirements.lock does not have; run: make lock" in unlocked
    assert "wrote datasets/standard/tiny/requirements.lock; build with: make build DATASET=tiny" in locked
    assert "tiny: installing wordy\n" in built


def test_the_environments_packages_win_over_those_of_a_dataset(packaged):
    import cv2

    clone, _ = packaged
    lock = (clone.root / "datasets/standard/tiny" / LOCK).read_text()
    assert "wordy==1.0 \\\n    --hash=sha256:" in lock
    assert "numpy==2.4.6 \\\n" in lock  # not the newest
    text = clone.python("import loader; print(loader.load('tiny')[1]['train'][0]['text'].decode())")
    assert text.startswith("number ")
    assert text.strip().endswith(f" {cv2.__version__}")
    recorded = json.loads((clone.root / "artifacts/tiny.json").read_text())["toolchain"]
    assert (recorded["wordy"], recorded["numpy"]) == ("1.0", "2.4.6")


@pytest.mark.slow
def test_the_installed_packages_are_there_in_the_sandbox(packaged):
    from loader._format.manifest import read_manifest
    from scripts._verify.sandbox import rebuilt

    clone, _ = packaged
    definition = read_definition("tiny", root=clone.root)
    with rebuilt(definition, read_manifest(definition.manifest)) as build:
        assert (build.folder / "tiny.tar").read_bytes() == (clone.root / "artifacts/tiny.tar").read_bytes()


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("apache_beam") is None, reason="add Beam with: make beam")
@pytest.mark.parametrize("options", ["", "--runner=DaskRunner --dask_npartitions=3"])
def test_the_installed_packages_and_the_builders_own_files_are_there_in_beams_workers(packaged, options):
    clone, _ = packaged
    tar, path = clone.root / "artifacts/tiny.tar", clone.root / "datasets/standard/tiny/tiny.py"
    expected = tar.read_bytes()
    path.write_text(with_package(BEAM))
    try:
        clone.scripts("build", "tiny", env={"DATASETS_BEAM": options})
        assert tar.read_bytes() == expected
    finally:
        path.write_text(with_package(GENERATOR))


def test_two_builds_at_once_install_the_packages_once(packaged, tmp_path, index):
    clone, _ = packaged
    other = make_clone(tmp_path / "other")
    add_several_files(other.root, builder=with_package(GENERATOR))
    for file in ("requirements.txt", LOCK):
        content = (clone.root / "datasets/standard/tiny" / file).read_bytes()
        (other.root / "datasets/standard/tiny" / file).write_bytes(content)
    code = (
        "from scripts._define.definition import *; from scripts._define.packages import *\n"
        "print(install_packages(read_definition('tiny')))"
    )
    environment = {**clean_environment(), **index}
    processes = [
        subprocess.Popen([sys.executable, "-c", code], cwd=other.root, env=environment, text=True, stdout=-1, stderr=-1)
        for _ in range(2)
    ]
    outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert outputs[0][0] == outputs[1][0]
    assert sum("tiny: installing wordy" in said for _, said in outputs) == 1
    assert [path.name for path in (other.root / ".scratch/packages").iterdir()] == [outputs[0][0].split("/")[-2]]
    assert unused_packages(other.root) == []
    (other.root / "datasets/standard/tiny" / LOCK).unlink()
    assert unused_packages(other.root) == []  # unknown, because requirements.txt names a package
    (other.root / "datasets/standard/tiny/requirements.txt").unlink()
    assert [unused.path.name for unused in unused_packages(other.root)] == [outputs[0][0].split("/")[-2]]


def test_a_lock_that_contradicts_the_environment_or_the_hashes_is_refused(packaged, index, monkeypatch, tmp_path):
    clone, _ = packaged
    for name, value in index.items():
        monkeypatch.setenv(name, value)
    path = clone.root / "datasets/standard/tiny" / LOCK
    lock = path.read_text()
    definition = read_definition("tiny", root=clone.root)
    try:
        path.write_text(lock.replace("numpy==2.4.6", "numpy==1.26.0"))
        with pytest.raises(
            ScriptError, match=r"has numpy 1\.26\.0, this environment 2\.4\.6, .*; run: make lock DATASET"
        ):
            install_packages(definition)
        path.write_text(
            lock.replace("wordy==1.0 \\\n    --hash=sha256:", f"wordy==1.0 \\\n    --hash=sha256:{'0' * 64}#")
        )
        with pytest.raises(ScriptError, match=r"^tiny: its packages cannot be installed: .*wordy"):
            install_packages(definition)
        assert len(list((clone.root / ".scratch/packages").glob("*/site-packages"))) <= 2
    finally:
        path.write_text(lock)


def test_packages_that_cannot_be_locked_are_refused_with_the_reason(packaged, index, monkeypatch, tmp_path):
    clone, _ = packaged
    for name, value in {**index, "UV_HTTP_RETRIES": "0"}.items():
        monkeypatch.setenv(name, value)
    path = clone.root / "datasets/standard/tiny/requirements.txt"
    before, shown = path.read_text(), "datasets/standard/tiny/requirements.txt"
    together = f"{shown} cannot be resolved together with the project's lock files, whose versions stay: Because you "
    unreachable = f"a package index cannot be reached to resolve {shown} ("

    def problem(requirements):
        path.write_text(requirements)
        with pytest.raises(ScriptError) as raised:
            lock("tiny", root=clone.root)
        return str(raised.value).removeprefix("tiny: ")

    try:
        # what the project pins is not changed by a requirement
        assert problem("wordy\nnumpy<2\n").startswith(f"{together}require numpy<2 and numpy==2.4.6, ")
        assert problem("wordi\n") == f"no package index has wordi, which {shown} needs; correct its name there"
        assert (
            problem("wordy==9\n") == f"no package index has wordy==9, which {shown} needs; name another version there"
        )
        assert problem("wordy one\n").startswith(f"{shown} has a line that is no requirement: Expected one of ")
        monkeypatch.delenv("UV_NO_INDEX")
        monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:1/simple")
        assert problem("other\n") == f"{unreachable}Connection refused (os error 111)); connect and run it again"
        monkeypatch.setenv("UV_OFFLINE", "1")
        assert problem("other\n").startswith(f"{unreachable}Because other was not found in the cache and you require")
    finally:
        path.write_text(before)


def test_the_stage_of_a_dataset_of_tfds_depends_on_its_lock(packaged, index):
    clone, _ = packaged
    assert "datasets/standard/mnist/requirements.txt is missing; write the packages" in clone.scripts(
        "lock", "mnist", check=False, env=index
    )
    (clone.root / "datasets/standard/mnist/requirements.txt").write_text("wordy\n")
    for _ in range(2):
        clone.scripts("lock", "mnist", env=index)
    stages = (clone.root / "dvc.yaml").read_text()
    assert stages.count("    deps:\n      - datasets/standard/mnist/requirements.lock\n") == 1
