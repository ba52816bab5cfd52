"""Building in the sandbox: it reveals bytes that depend on the machine, and leaves no files."""

import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import namedtuple
from importlib.util import find_spec

import psutil
import pytest
import yaml

from loader._format.artifact import LocalArtifact
from loader._format.manifest import Manifest, read_manifest
from scripts._define.definition import read_definition
from scripts._process.errors import ScriptError
from scripts._verify import sandbox
from scripts._verify.compare import compare
from scripts._verify.sandbox import rebuilt
from tests.conftest import clean_environment
from tests.helpers.buildable_dataset import BUILDER, SOURCE, add_buildable

LEAKS = {
    "clock": "int(time.time()) // 86400",
    "user": "os.getuid()",
    "path": "os.getcwd()",
    "locale": "locale.setlocale(locale.LC_CTYPE)",
    "time zone": "time.localtime(0)[:5]",
    "home": "pathlib.Path.home()",
    "hash seed": "hash('text')",
    "umask": "mode()",
    "host name": "socket.gethostname()",
    "files": "os.path.exists(REPOSITORY + '/Makefile')",
    "constant": "1 + 1",
}
LEAKY = (
    BUILDER.replace('"number": np.float32', '"leaks": {name: tfds.features.Text() for name in LEAKS}')
    .replace('"number": number / 3', '"leaks": {name: str(eval(code)) for name, code in LEAKS.items()}')
    .replace("import json\n", "import json, locale, os, pathlib, socket, tempfile, time\n", 1)
    .replace(
        "class Tiny",
        f"REPOSITORY = 'PLACE'\nLEAKS = {LEAKS!r}\n\n\n"
        "def mode():\n"
        "    path = pathlib.Path(tempfile.mkdtemp()) / 'file'\n"
        "    path.touch()\n"
        "    return oct(path.stat().st_mode)\n\n\nclass Tiny",
    )
)
RECORDED_SOURCE = {
    "url": "http://127.0.0.1:9/tiny.json",
    "filename": "tiny.json",
    "size": len(SOURCE),
    "sha256": hashlib.sha256(SOURCE).hexdigest(),
}
MANIFEST = Manifest("tiny.json", "tiny", "1.0.0", None, (), {"sources": [RECORDED_SOURCE]})


def may_unshare():
    return (
        shutil.which("unshare") and not subprocess.run(["unshare", "-Unrupf", "true"], capture_output=True).returncode
    )


isolates = pytest.mark.skipif(not may_unshare(), reason="this machine refuses namespaces")


def scratch(clone):
    return sorted(path.name for path in (clone.root / ".scratch").iterdir())


def definition(clone):
    return read_definition("tiny", root=clone.root)


def artifact(folder):
    manifest = read_manifest(folder / "tiny.json")
    return LocalArtifact(folder / "tiny.tar", manifest, manifest.artifact())


@pytest.fixture
def tiny(clone):
    add_buildable(clone.root)
    return clone


@pytest.mark.slow
def test_everything_of_the_machine_that_changes_the_bytes_is_found(clone):
    add_buildable(clone.root, builder=LEAKY.replace("PLACE", os.fspath(clone.root)))
    clone.scripts("build", "tiny", env={"USER": "somebody", "TZ": "UTC", "LC_ALL": "C.UTF-8"})
    recorded = artifact(clone.root / "artifacts")
    with rebuilt(definition(clone), recorded.manifest) as fresh:
        lines = compare(recorded, artifact(fresh.folder))
    text = "\n".join(lines)
    named = {name for name in LEAKS if f"leaks/{name} (" in text}
    assert named == set(fresh.varied) & set(LEAKS), text
    assert named | set(fresh.same) >= set(LEAKS) - {"constant"}
    assert "split train: 200 of 200 records differ" in text
    assert "leaks/constant" not in text
    assert "image" not in text
    assert scratch(clone) == []


@isolates
def test_a_builder_that_uses_the_network_fails_with_a_message_that_says_so(clone):
    with socket.create_server(("127.0.0.1", 0)) as server:
        call = f"socket.create_connection(('127.0.0.1', {server.getsockname()[1]}))"
        builder = BUILDER.replace("import json", "import json, socket", 1)
        add_buildable(clone.root, builder=builder.replace("words = json", f"{call}\n        words = json"))
        with pytest.raises(ScriptError) as raised, rebuilt(definition(clone), MANIFEST):
            pass
    message = str(raised.value)
    assert message.startswith(
        "tiny: the build in the sandbox failed: its builder failed: datasets/standard/tiny/tiny.py:"
    )
    assert "the sandbox has no network: a builder must get its files from dl_manager.download" in message


@isolates
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_the_build_of_a_killed_verify_ends_and_does_not_disturb_the_next_one(clone, number, capfd, tmp_path):
    started = tmp_path / "started"
    wait = f"open({os.fspath(started)!r}, 'w').close(); time.sleep(600)\n        words = json"
    builder = BUILDER.replace("import json", "import json, time", 1)
    add_buildable(clone.root, builder=builder.replace("words = json", wait))
    code = (
        "from pathlib import Path\n"
        "from tests.scripts.test_sandbox import MANIFEST, rebuilt, read_definition\n"
        "with rebuilt(read_definition('tiny', root=Path.cwd()), MANIFEST):\n"
        "    pass"
    )
    verify = subprocess.Popen(
        [sys.executable, "-c", code], cwd=clone.root, env=clean_environment(), stderr=subprocess.DEVNULL
    )
    for _ in range(300):
        if started.exists() or verify.poll() is not None:
            break
        time.sleep(0.1)
    assert started.exists()
    children = psutil.Process(verify.pid).children(recursive=True)
    assert len(children) >= 3  # the isolating process, the first one of the namespace, the build
    verify.send_signal(number)
    assert verify.wait(10)
    assert psutil.wait_procs(children, timeout=10)[1] == []
    if number == signal.SIGINT:
        assert scratch(clone) == []
        return
    (clone.root / "datasets/standard/tiny/tiny.py").write_text(BUILDER)
    with rebuilt(definition(clone), MANIFEST) as fresh:
        assert artifact(fresh.folder).header.splits == {"train": 200, "test": 30}
        # a machine that allows everything
        assert fresh.same == ({} if find_spec("libfaketime") else {"clock": "no working libfaketime"})
        assert fresh.conditions().startswith("in a sandbox without network, without the other files of")
    assert "tiny: building 1.0.0" in capfd.readouterr().err
    assert scratch(clone) == []


@isolates
def test_if_namespaces_are_refused_the_build_runs_without_them_and_says_so(tiny):
    code = (
        "from tests.scripts.test_sandbox import MANIFEST, rebuilt, read_definition\n"
        "from pathlib import Path\nwith rebuilt(read_definition('tiny', root=Path.cwd()), MANIFEST) as fresh:\n"
        "    print(fresh.conditions())"
    )
    forbid = "for kind in user net uts pid mnt; do echo 0 > /proc/sys/user/max_${kind}_namespaces; done"
    done = tiny.run("unshare", "-Ur", "sh", "-c", f'{forbid}; exec "$0" -c "$1"', sys.executable, code)
    assert "in a sandbox with another path, umask, locale, time zone, home, hash seed" in done.stdout
    assert "NOT varied on this machine: user (" in done.stdout
    for what in ("network", "files", "host name"):
        assert f"{what} (/proc/sys/user allows no more namespaces)" in done.stdout
    assert "tiny: the sandbox cannot vary on this machine: user (" in done.stderr


class PreparedError(Exception):
    """Raised when the build would begin."""


@pytest.fixture
def unbuilt(tiny, monkeypatch):
    """A function that prepares a sandbox in a clone, without a build, and returns the files in it."""

    def stop(definition, scratch, root):
        files = (path for path in root.rglob("*") if path.is_file())
        raise PreparedError({path.relative_to(root).as_posix(): path.read_bytes() for path in files})

    monkeypatch.setattr(sandbox, "_run_build", stop)

    def prepare(manifest=MANIFEST):
        with pytest.raises(PreparedError) as raised, rebuilt(definition(tiny), manifest):
            pass
        return raised.value.args[0]

    prepare.root = tiny.root
    return prepare


def test_the_sandbox_contains_only_the_definition_and_the_checked_sources(unbuilt):
    folder = unbuilt.root / "datasets/standard/tiny"
    (folder / "README.md").write_text("TFDS reads it for some builders.")
    (unbuilt.root / "secret.txt").write_text("")
    (unbuilt.root / "sources/tiny/other.json").write_text("")
    found = unbuilt()
    code = {path for path in found if path.startswith(("scripts/", "loader/"))}
    assert {"scripts/build.py", "loader/__init__.py"} <= code
    assert found.keys() - code == {
        "params.yaml",
        "dvc.yaml",
        *(path.name for path in unbuilt.root.glob("requirements*.lock")),
        "datasets/standard/tiny/README.md",
        "datasets/standard/tiny/tiny.py",
        "datasets/standard/tiny/checksums.tsv",
        "sources/tiny/tiny.json",
    }
    assert found["sources/tiny/tiny.json"] == SOURCE


def test_a_missing_source_file_is_an_error_before_anything_is_built(unbuilt, monkeypatch):
    monkeypatch.setenv("DATASETS_MIRROR", "")
    (unbuilt.root / "sources/tiny/tiny.json").write_bytes(SOURCE[:-1])
    with (
        pytest.raises(ScriptError, match=r"source file not found: tiny\.json"),
        rebuilt(read_definition("tiny", root=unbuilt.root), MANIFEST),
    ):
        pass


def test_a_disk_that_is_too_small_is_an_error_before_anything_is_copied(unbuilt, monkeypatch):
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(len(SOURCE) - 1))
    with (
        pytest.raises(ScriptError, match=rf"tiny: the sandbox needs {len(SOURCE)} bytes for copies of the sources"),
        rebuilt(read_definition("tiny", root=unbuilt.root), MANIFEST),
    ):
        pass


def test_the_sandbox_of_a_derived_dataset_contains_its_parents(unbuilt, remote, tmp_path):
    dvc_yaml, dvc_lock = unbuilt.root / "dvc.yaml", unbuilt.root / "dvc.lock"
    dep = "      - datasets/standard/tiny\n"
    dvc_yaml.write_text(dvc_yaml.read_text().replace(dep, f"{dep}      - artifacts/mnist.tar\n"))
    tar = tmp_path / "a.tar"
    tar.write_bytes(b"a tar")
    locked = yaml.safe_load(dvc_lock.read_text())
    (out,) = (out for out in locked["stages"]["mnist"]["outs"] if out["path"] == "artifacts/mnist.tar")
    out |= {"md5": hashlib.md5(b"a tar", usedforsecurity=False).hexdigest(), "size": len(b"a tar")}
    dvc_lock.write_text(yaml.safe_dump(locked))
    remote.point(unbuilt.root)

    def refused():
        with pytest.raises(ScriptError) as raised, rebuilt(definition(unbuilt), MANIFEST):
            pass
        return str(raised.value)

    message = refused()
    assert message.startswith("tiny: its parent mnist is not here and cannot be pulled: remote 'public' does not have")
    assert message.endswith("make push DATASET=mnist PUBLIC=1; or build it with: make build DATASET=mnist")
    remote.publish(tar)
    for _ in range(2):  # pulled, then here
        found = unbuilt()
        assert found["artifacts/mnist.tar"] == b"a tar"
        assert json.loads(found["artifacts/mnist.json"])["name"] == "mnist"
    (unbuilt.root / "artifacts/mnist.json").unlink()
    assert refused().endswith("artifacts/mnist.json); build it with: make build DATASET=mnist")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("", "tiny: the build in the sandbox failed: it printed nothing"),
        ("tiny: building\r\nerror: tiny: its builder failed: x\r\n", "failed: its builder failed: x"),
        (
            "error: first\nerror: tiny: source file not found:\n  location: closed\n",
            "failed: source file not found:\n  location: closed",
        ),
        ("Killed\n", "failed: Killed"),
    ],
)
def test_the_last_error_in_the_output_of_a_build_is_its_failure(output, message):
    assert sandbox._failure("tiny", output, network=False).endswith(message)


@pytest.mark.parametrize("network", [True, False])
def test_the_missing_network_is_mentioned_only_if_it_was_missing(network):
    message = sandbox._failure("tiny", "error: OSError: [Errno 101] Network is unreachable", network=network)
    assert ("the sandbox has no network" in message) is not network
