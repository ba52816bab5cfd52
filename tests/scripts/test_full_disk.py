"""A full disk, or a kill while DVC writes: no record and no recorded artifact is lost, and the next build works."""

import re
import shlex
import subprocess

import pytest

LIMIT_KIBIBYTES = 512  # of one file; everything else that a build writes is smaller


@pytest.fixture
def built(built_tiny):
    """A clone in which `tiny` is built and committed."""
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    built_tiny.run("git", "add", "--all")
    built_tiny.run("git", *identity, "commit", "--quiet", "-m", "tiny")
    return built_tiny


def artifacts(clone):
    return {path.name: path.read_bytes() for path in (clone.root / "artifacts").glob("tiny.*")}


@pytest.mark.slow
def test_if_the_lock_file_does_not_fit_on_the_disk_it_stays_as_it_was(built):
    lock = built.root / "dvc.lock"
    other = f"  other:\n    cmd: {'x' * LIMIT_KIBIBYTES * 1024}\n"
    lock.write_text(lock.read_text().replace("stages:\n", f"stages:\n{other}"))
    before = lock.read_bytes()
    limited = f"ulimit -f {LIMIT_KIBIBYTES}; exec make build DATASET=tiny OVERWRITE=1"
    done = built.run("bash", "-c", limited, check=False)
    assert done.returncode
    assert f"{lock} cannot be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert lock.read_bytes() == before
    assert list(built.root.glob(".dvc.lock*")) == []
    built.run("make", "build", "DATASET=tiny", "OVERWRITE=1")
    assert built.run("dvc", "status", "tiny").stdout.strip() == "Data and pipelines are up to date."


@pytest.fixture
def full_scratch(built):
    """The clone, with a scratch folder on a full disk."""
    scratch = built.root / ".scratch"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", scratch], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a file system needs root")
    yield built
    subprocess.run(["umount", "--lazy", scratch], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("size_is_known", [True, False])
def test_a_build_that_fills_the_disk_leaves_the_recorded_artifact(full_scratch, size_is_known):
    before = artifacts(full_scratch)
    if not size_is_known:  # the version, which the builder decides then, may be another one than the recorded
        params = full_scratch.root / "params.yaml"
        params.write_text(params.read_text().replace("tiny\n  version: 1.0.0\n", "tiny\n"))
    done = full_scratch.run("make", "build", "DATASET=tiny", "OVERWRITE=1", check=False)
    assert done.returncode
    assert ("left; make room and build again" if size_is_known else "No space left on device") in done.stderr
    assert "Traceback" not in done.stderr
    assert artifacts(full_scratch) == before
    changed = full_scratch.run("git", "status", "--porcelain").stdout.split()
    assert changed == [] if size_is_known else ["M", "params.yaml"]


@pytest.mark.parametrize("content", ["", '{"write": {"/a'])
def test_a_damaged_rwlock_does_not_prevent_a_build(built, content):
    (built.root / ".dvc/tmp/rwlock").write_text(content)
    assert "didn't change" in built.run("make", "build", "DATASET=tiny").stdout


@pytest.mark.parametrize("command", [("make", "build"), ("make", "remove")])
def test_an_empty_lock_file_is_named_and_not_replaced(built, command):
    lock = built.root / "dvc.lock"
    before = lock.read_bytes()
    lock.write_bytes(b"")
    done = built.run(*command, "DATASET=tiny", check=False)
    assert done.returncode
    assert lock.read_bytes() == b""
    restore = re.search("restore the committed one with: (git checkout .+)", done.stderr)
    assert restore, done.stderr
    built.run(*shlex.split(restore[1]))
    assert lock.read_bytes() == before
    assert "didn't change" in built.run("make", "build", "DATASET=tiny").stdout
