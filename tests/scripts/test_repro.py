"""Building several datasets: in parallel, in order if one needs the other, and with DVC's lock in use."""

import re
import signal
import sys
import threading
import time
from contextlib import suppress

import psutil
import pytest
from dvc.lock import Lock

from scripts._define.definition import read_definition
from scripts._define.lineage import group_related
from scripts._process.errors import ScriptError
from scripts.repro import repro
from tests.conftest import clean_environment
from tests.helpers.buildable_dataset import add_buildable


@pytest.fixture
def two(clone):
    add_buildable(clone.root)
    add_buildable(clone.root, name="twin")
    return clone


def test_independent_datasets_are_built_in_parallel_and_recorded(two):
    text = two.run("make", "build", "DATASET=tiny twin").stderr
    for name in ("tiny", "twin"):
        assert f"Running stage '{name}':" in text
        assert (two.root / f"artifacts/{name}.tar").is_file()
        assert f"artifacts/{name}.tar" in (two.root / "dvc.lock").read_text()
    # both started before one finished
    assert max(text.index(f"{name}: building") for name in ("tiny", "twin")) < text.index(": packed")
    assert two.run("dvc", "status", "tiny", "twin").stdout.strip() == "Data and pipelines are up to date."


def test_a_build_waits_for_another_dvc_command(two):
    two.run("dvc", "status")  # creates the folder of the lock
    lock = Lock(str(two.root / ".dvc/tmp/lock"))
    lock.lock()
    release = threading.Timer(5, lock.unlock)
    release.start()
    started = time.monotonic()
    two.run("make", "build", "DATASET=tiny")
    assert time.monotonic() - started > 5
    release.join()
    assert (two.root / "artifacts/tiny.json").is_file()


def test_a_failed_build_does_not_prevent_the_other_one(two):
    (two.root / "sources/twin/twin.json").unlink()
    done = two.run("make", "build", "DATASET=tiny twin", check=False)
    assert done.returncode
    assert "source file not found: twin.json" in done.stderr
    assert "error: not built: twin; see the output above for the reason" in done.stderr
    assert (two.root / "artifacts/tiny.json").is_file()
    assert not (two.root / "artifacts/twin.json").exists()


@pytest.fixture
def start():
    """A function that starts a build of datasets without end, waits until it writes, and returns all its processes."""
    started = []

    def start(clone, *command):
        names = command[-1].split()
        for name in names:
            path = clone.root / f"datasets/standard/{name}/{name}.py"
            path.write_text(path.read_text().replace("range(count)", "__import__('itertools').count()"))
        started.append(
            psutil.Popen([sys.executable, "-m", *command[:-1], *names], cwd=clone.root, env=clean_environment())
        )
        deadline = time.monotonic() + 120
        while not all(list((clone.root / f".scratch/build-{name}").glob(f"{name}/data/*/*")) for name in names):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        started.extend(started[0].children(recursive=True))
        return started

    yield start
    for process in started:
        with suppress(psutil.NoSuchProcess):
            process.kill()


# DVC runs stages in a shell: Debian's sh stays their parent process, bash replaces itself with the command
@pytest.mark.slow
@pytest.mark.parametrize(("shell", "names"), [("/bin/bash", "tiny"), ("/bin/sh", "tiny twin")])
def test_on_sigterm_all_processes_of_a_build_end(two, start, shell, names, monkeypatch):
    monkeypatch.setenv("SHELL", shell)
    process, *others = start(two, "scripts", "repro", names)
    process.terminate()
    assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert not psutil.wait_procs(others, timeout=5)[1]
    assert not list((two.root / ".scratch").glob("build-*/"))


@pytest.mark.parametrize("shell", ["/bin/bash", "/bin/sh"])
def test_a_build_ends_when_its_dvc_is_killed(two, start, shell, monkeypatch):
    monkeypatch.setenv("SHELL", shell)
    process, *others = start(two, "dvc", "repro", "tiny")
    process.kill()
    process.wait()
    assert not psutil.wait_procs(others, timeout=60)[1]
    assert not (two.root / ".scratch/build-tiny").exists()


def test_related_datasets_are_one_group(clone):
    def parents(name):
        return read_definition(name, root=clone.root).parents

    assert group_related(["mnist", "digit", "mnist_fgsm", "mnist"], parents) == [["digit"], ["mnist", "mnist_fgsm"]]
    assert group_related(["digit_speakers", "mnist"], parents) == [["digit_speakers"], ["mnist"]]


def test_dvc_reports_a_cycle(two):
    path = two.root / "dvc.yaml"
    text = path.read_text()
    for name, other in (("tiny", "twin"), ("twin", "tiny")):
        stage = f"cmd: python -m scripts build {name}\n    deps:\n"
        assert text.count(stage) == 1
        text = text.replace(stage, f"{stage}      - artifacts/{other}.tar\n")
    path.write_text(text)
    done = two.run("make", "build", "DATASET=tiny", check=False)
    assert re.search("both a dependency and an output in stages: (tiny, twin|twin, tiny)", done.stderr)
    assert "error: not built: tiny; see the output above for the reason" in done.stderr


def test_with_an_unknown_name_nothing_is_built(clone):
    with pytest.raises(ScriptError, match="there is no dataset 'mnst'"):
        repro(["mnist", "mnst"], root=clone.root)
    assert not (clone.root / "artifacts/mnist.tar").exists()
