"""Building several datasets: in parallel, in order if one needs the other, and with DVC's lock in use."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import psutil
import pytest
from dvc.lock import Lock

from scripts._define.definition import read_definition
from scripts._define.lineage import group_related
from scripts._dvc.recorded import restore_outputs
from scripts._process.errors import ScriptError
from scripts.repro import repro
from tests.conftest import clean_environment
from tests.helpers.buildable_dataset import add_buildable


@pytest.fixture
def two(clone):
    add_buildable(clone.root)
    add_buildable(clone.root, name="twin")
    return clone


@pytest.fixture
def recorded(built_tiny):
    """A clone in which `tiny` is built, and `twin` can be."""
    add_buildable(built_tiny.root, name="twin")
    return built_tiny


NAMES = ("tiny", "twin")


def add(*names):
    """The command that adds all that the builds of these datasets wrote."""
    return " ".join(
        ["git add dvc.lock dvc.yaml params.yaml"]
        + [f"artifacts/{name}{kind}.json" for name in names for kind in (".croissant", "", ".stats")]
        + [f"datasets/standard/{name}" for name in names]
    )


def test_independent_datasets_are_built_in_parallel_and_recorded_and_the_files_to_commit_are_named(two):
    text = two.run("make", "build", "DATASET=tiny twin").stderr
    for name in ("tiny", "twin"):
        assert f"Running stage '{name}':" in text
        assert (two.root / f"artifacts/{name}.tar").is_file()
        assert f"artifacts/{name}.tar" in (two.root / "dvc.lock").read_text()
    # both started before one finished
    assert max(text.index(f"{name}: building") for name in ("tiny", "twin")) < text.index(": packed")
    assert two.run("dvc", "status", "tiny", "twin").stdout.strip() == "Data and pipelines are up to date."
    (command,) = re.findall("^to record what was built: (git add .+)$", text, re.MULTILINE)
    assert command == add(*NAMES)
    two.run(*command.split())
    assert "to record what was built" not in two.run("make", "build", "DATASET=tiny twin").stderr


@pytest.mark.slow
def test_a_build_waits_for_another_dvc_command(built_tiny):
    lock = Lock(str(built_tiny.root / ".dvc/tmp/lock"))
    lock.lock()
    release = threading.Timer(3, lock.unlock)
    release.start()
    started = time.monotonic()
    assert "didn't change" in built_tiny.run("make", "build", "DATASET=tiny").stdout
    assert time.monotonic() - started > 3
    release.join()


@pytest.mark.slow
def test_of_all_datasets_those_that_can_be_built_are_built(recorded):
    """A sibling of the one that fails is built, by the same DVC process; one with a wrong definition is named."""
    recorded.scripts("remove", "mnist", "mnist_fgsm", "digit", "digit_speakers")
    add_buildable(recorded.root, name="another")
    change(recorded, "another", "[1 / 0]")
    path = recorded.root / "dvc.yaml"
    for name in ("another", "twin"):
        deps = f"      - datasets/standard/{name}\n"
        path.write_text(path.read_text().replace(deps, f"{deps}      - artifacts/tiny.tar\n"))
    with (recorded.root / "params.yaml").open("a") as params:
        params.write("\nwrong:\n  builder: x\n")
    done = recorded.run("python", "-m", "scripts", "repro", "--all", check=False)
    assert done.stderr.endswith("error: not built: wrong, another; see the output above for the reason\n")
    assert "wrong: FAILED: params.yaml: the block 'wrong' needs 'license', a string" in done.stderr
    assert "another.py:" in done.stderr and "ZeroDivisionError" in done.stderr
    assert (recorded.root / "artifacts/twin.json").is_file()
    assert "twin" in (recorded.root / "dvc.lock").read_text()
    again = recorded.run("python", "-m", "scripts", "repro", "--overwrite", "twin", "tiny")
    assert again.stdout.index("Running stage 'tiny'") < again.stdout.index("Running stage 'twin'")


@pytest.mark.slow
def test_two_builds_of_one_dataset_wait_for_each_other(two):
    change(two, "tiny", "(time.sleep(0.05) or number for number in range(count))")
    command = [sys.executable, "-m", "scripts", "repro"]
    options = {"cwd": two.root, "env": clean_environment(), "stderr": subprocess.PIPE, "text": True}
    first = subprocess.Popen([*command, "tiny"], **options)
    wait_for(lambda: is_writing(two, "tiny"))
    second = subprocess.Popen([*command, "twin", "tiny"], **options)
    _, output = second.communicate(timeout=300)
    assert first.wait() == 0, first.stderr.read()
    first.stderr.close()
    assert second.returncode == 0, output
    assert "tiny: another command is building it; waiting until it has finished\n" in output
    assert "twin: another command" not in output
    assert "Stage 'tiny' didn't change, skipping" in output


@pytest.mark.slow
def test_a_build_that_fails_leaves_the_recorded_artifact(recorded):
    root = recorded.root
    tar, manifest = root / "artifacts/tiny.tar", root / "artifacts/tiny.json"
    before = tar.read_bytes(), manifest.read_bytes()
    builder = root / "datasets/standard/tiny/tiny.py"
    code = builder.read_text()
    for failure in ("[1 / 0]", "[os.kill(os.getpid(), 9)]"):
        builder.write_text(code)
        change(recorded, "tiny", failure)
        done = recorded.run("make", "build", "DATASET=tiny twin", check=False)
        assert done.returncode, failure
        assert "error: not built: tiny; see the output above for the reason" in done.stderr
        assert "tiny: the recorded artifacts/tiny.tar is back" in done.stderr
        assert (tar.read_bytes(), manifest.read_bytes()) == before
        # the file in DVC's cache, not a copy
        assert tar.stat().st_nlink == 2 or not can_link_without_copying(recorded)
        assert add("twin") in done.stderr  # which was built


def can_link_without_copying(clone):
    return (
        clone.run("dvc", "config", "cache.type").stdout.strip() == "reflink,hardlink,copy" and sys.platform == "linux"
    )


def change(clone, name, numbers):
    """Make a builder generate other numbers, with an expression that may use os, sys and time."""
    path = clone.root / f"datasets/standard/{name}/{name}.py"
    path.write_text("import os, sys, time, itertools\n" + path.read_text().replace("range(count)", numbers))


def is_writing(clone, name):
    return bool(list((clone.root / f".scratch/build-{name}").glob("*/data/*/*")))


def wait_for(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_the_artifacts_of_a_failed_build_are_replaced_by_the_recorded_ones(built_tiny):
    root = built_tiny.root
    tar, manifest = root / "artifacts/tiny.tar", root / "artifacts/tiny.json"
    recorded = tar.read_bytes()
    started = time.time()
    assert restore_outputs(root, "tiny", built_since=started) == []
    tar.unlink()
    tar.write_bytes(b"of one config, before another one failed")
    assert restore_outputs(root, "tiny", built_since=time.time() + 1) == []
    assert restore_outputs(root, "tiny", built_since=started) == [tar]
    assert tar.read_bytes() == recorded
    tar.unlink()
    tar.write_bytes(b"of a complete build, which only could not be recorded")
    manifest.write_text(manifest.read_text() + "\n")
    assert restore_outputs(root, "tiny", built_since=started) == []


def test_a_damaged_file_in_the_cache_is_not_put_back(built_tiny):
    tar = built_tiny.root / "artifacts/tiny.tar"
    (cached,) = [path for path in (built_tiny.root / ".dvc/cache/files/md5").rglob("*") if path.is_file()]
    tar.unlink()
    cached.chmod(0o644)
    cached.write_bytes(b"damaged")
    cached.chmod(0o444)
    assert restore_outputs(built_tiny.root, "tiny") == []
    assert not tar.exists()


@pytest.fixture
def start():
    """A function that starts a build of datasets without end, waits until it writes, and returns all its processes."""
    started = []

    def start(clone, *command, **options):
        names = command[-1].split()
        for name in names:
            change(clone, name, "itertools.count()")
        started.append(psutil.Popen([*command[:-1], *names], cwd=clone.root, env=clean_environment(), **options))
        try:
            wait_for(lambda: all(is_writing(clone, name) for name in names))
        finally:
            started.extend(started[0].children(recursive=True))
        return started

    yield start
    for process in started:
        with suppress(psutil.NoSuchProcess):
            process.kill()


# DVC runs stages in a shell: Debian's sh stays their parent process, bash replaces itself with the command
@pytest.mark.slow
@pytest.mark.parametrize(
    ("shell", "names", "number"),
    [("/bin/bash", "tiny", signal.SIGINT), ("/bin/sh", "tiny twin", signal.SIGTERM)],
)
def test_on_a_signal_all_processes_of_a_build_end(two, start, shell, names, number, monkeypatch):
    monkeypatch.setenv("SHELL", shell)
    process, *others = start(two, sys.executable, "-m", "scripts", "repro", names)
    process.send_signal(number)
    assert process.wait(timeout=60) == 128 + number
    assert not psutil.wait_procs(others, timeout=5)[1]
    assert not list((two.root / ".scratch").glob("build-*/"))


@pytest.mark.slow
def test_ctrl_c_is_quiet_and_leaves_the_recorded_artifact(built_tiny, start):
    before = (built_tiny.root / "artifacts/tiny.tar").read_bytes()
    with (built_tiny.root / "output").open("w+") as output:
        options = {"start_new_session": True, "stdout": output, "stderr": output}
        process, *others = start(built_tiny, sys.executable, "-m", "scripts", "repro", "tiny", **options)
        os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to all processes of the command
        assert process.wait(timeout=60) == 128 + signal.SIGINT
        assert not psutil.wait_procs(others, timeout=5)[1]
        output.seek(0)
        text = output.read()
    assert "Traceback" not in text and "Aborted" not in text
    assert (built_tiny.root / "artifacts/tiny.tar").read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["/bin/bash", "/bin/sh"])
def test_a_build_ends_when_its_dvc_is_killed(two, start, shell, monkeypatch):
    monkeypatch.setenv("SHELL", shell)
    process, *others = start(two, sys.executable, "-m", "dvc", "repro", "tiny")
    process.kill()
    process.wait()
    assert not psutil.wait_procs(others, timeout=60)[1]
    assert not (two.root / ".scratch/build-tiny").exists()


def users(clone, process):
    """The list of the files that DVC processes use, if `process` writes an artifact."""
    writer = {"pid": process.pid, "cmd": "dvc repro tiny"}
    return {"write": {str(clone.root / "artifacts/tiny.tar"): writer}, "read": {}}


@pytest.mark.slow
def test_a_killed_build_does_not_block_the_next_one(two, start):
    """Its parent, a shell or a container, may never ask for its end, so that it stays a zombie."""
    process, *_ = start(two, sys.executable, "-m", "dvc", "repro", "tiny")
    for each in [process, *process.children(recursive=True)]:
        each.kill()
    wait_for(lambda: process.status() == psutil.STATUS_ZOMBIE)
    listed = json.loads((two.root / ".dvc/tmp/rwlock").read_text())
    assert process.pid in [user["pid"] for user in listed["write"].values()]
    path = two.root / "datasets/standard/tiny/tiny.py"
    path.write_text(path.read_text().replace("itertools.count()", "range(count)"))
    two.run("make", "build", "DATASET=tiny")
    assert process.status() == psutil.STATUS_ZOMBIE
    assert str(process.pid) not in (two.root / ".dvc/tmp/rwlock").read_text()
    process.wait()


@pytest.mark.slow
def test_a_process_with_the_number_of_a_killed_build_does_not_block_the_next_one(built_tiny):
    lock = built_tiny.root / ".dvc/tmp/rwlock"
    with psutil.Popen(["sleep", "600"]) as other:
        lock.write_text(json.dumps(users(built_tiny, other)))
        os.utime(lock, (time.time() - 60, time.time() - 60))
        built_tiny.run("make", "build", "DATASET=tiny")
        other.kill()


@pytest.mark.parametrize("seconds", [0, 60])
def test_a_running_dvc_command_blocks_a_build_of_the_files_that_it_uses(built_tiny, seconds):
    """However old the list is: a clock may have been set."""
    lock = built_tiny.root / ".dvc/tmp/rwlock"
    with psutil.Popen([sys.executable, "-c", "import time; time.sleep(600)", "repro", "tiny"]) as running:
        lock.write_text(json.dumps(users(built_tiny, running)))
        os.utime(lock, (time.time() - seconds, time.time() - seconds))
        done = built_tiny.run("make", "build", "DATASET=tiny", check=False)
        assert f"(PID {running.pid}): dvc repro tiny" in done.stderr
        assert json.loads(lock.read_text()) == users(built_tiny, running)
        running.kill()


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


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("    cmd: ", "    command: ", "at stages.tiny.command: extra keys not allowed"),
        ("    cmd: ", "    always: 1\n    cmd: ", "at stages.tiny.always: extra keys not allowed"),
        ("remote: public", "remote:", "the remote of the output artifacts/tiny.tar must be a name, as in remote: "),
        ("remote: public", "pushed: 1", "at stages.tiny.outs.0.artifacts/tiny.tar.pushed: extra keys not allowed"),
    ],
)
def test_a_stage_that_dvc_would_refuse_is_named_in_one_line(two, old, new, problem):
    path = two.root / "dvc.yaml"
    head, stage = path.read_text().split("  tiny:\n")
    path.write_text(head + "  tiny:\n" + stage.replace(old, new, 1))
    done = two.run("make", "build", "DATASET=tiny", check=False)
    message, ending = done.stderr.splitlines()
    assert re.match(f"error: .*dvc.yaml does not have DVC's format: {re.escape(problem)}", message)
    assert ending.startswith("make: *** ")


def test_with_an_unknown_name_nothing_is_built(clone):
    with pytest.raises(ScriptError, match="there is no dataset 'mnst'"):
        repro(["mnist", "mnst"], root=clone.root)
    assert not (clone.root / "artifacts/mnist.tar").exists()
