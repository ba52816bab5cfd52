"""Shared fixtures: a clone, a small hand-made dataset, the real datasets, a web server, a real S3 server."""

from __future__ import annotations

import compileall
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from filelock import FileLock

from loader._format.names import object_path
from scripts._define.definition import read_definition
from scripts._dvc.remotes import point_local
from scripts._process.s3_server import BUCKETS, S3_PROFILE, Server, start, stop
from scripts._sources import download as downloads
from tests.helpers.buildable_dataset import add_buildable
from tests.helpers.recorded_dataset import make_recorded
from tests.helpers.web_server import WebServer

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in background jobs; tests' processes would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
# the variables of `make test ALL=1`, which must not reach the make commands that are tested
for name in ("ALL", *(name for name in os.environ if name.startswith(("MAKE", "MFLAGS")))):
    os.environ.pop(name, None)

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
LINES_SHOWN_AT_ONCE = 15
ATTEMPTS = {"AWS_MAX_ATTEMPTS": "2"}  # of botocore: its pauses before further ones add up to 15 seconds
# The files with the longest tests, the longest first. They start first, so that no worker waits for one at the end.
LONGEST = (
    "test_docs.py",
    "catalogue/test_catalogue.py",
    "test_frameworks.py",
    "test_team_walk.py",
    "scripts/test_beam.py",
    "scripts/test_repro.py",
    "test_pythons.py",
    "catalogue/test_move_in.py",
    "test_workflows.py",
    "test_make.py",
)


def pytest_configure(config: pytest.Config) -> None:
    """Compile our modules once, before the workers start; clones get them too, and so start programs faster."""
    if not hasattr(config, "workerinput"):
        for folder in ("loader", "scripts"):
            compileall.compile_dir(ROOT / folder, quiet=1)


@pytest.hookimpl(trylast=True)  # after the tests are left out that are not asked for
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest tests first in each half of all tests, because each of two workers begins with one half."""
    rank = {ROOT / "tests" / name: number for number, name in enumerate(LONGEST)}
    long = sorted((item for item in items if item.path in rank), key=lambda item: rank[item.path])
    first, second = ([item for item in long if rank[item.path] % 2 == half] for half in (0, 1))
    others = [item for item in items if item.path not in rank]
    middle = max(0, len(items) // 2 - len(first))
    items[:] = [*first, *others[:middle], *second, *others[middle:]]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Show a failure at once, because a run that is ended from outside prints no summary."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        last = "\n".join(report.longreprtext.splitlines()[-LINES_SHOWN_AT_ONCE:])
        print(f"\nFAILED {report.nodeid}\n{last}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Clone:
    """A clone of the repository with an empty cache, and methods that run commands in it."""

    root: Path

    def run(
        self, *command: str, check: bool = True, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the clone, with this environment's programs first on PATH."""
        done = subprocess.run(
            command,
            cwd=self.root,
            env={**clean_environment(), **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        if check and done.returncode:
            pytest.fail(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def python(self, code: str, *, check: bool = True, env: dict[str, str] | None = None) -> str:
        """Run Python code in the clone and return its output."""
        done = self.run(sys.executable, "-c", code, check=check, env=env)
        return done.stdout if check else done.stdout + done.stderr

    def scripts(self, *arguments: str, check: bool = True, env: dict[str, str] | None = None) -> str:
        """Run `python -m scripts ...` in the clone and return its stdout and stderr."""
        done = self.run(sys.executable, "-m", "scripts", *arguments, check=check, env=env)
        return done.stdout + done.stderr


def clean_environment() -> dict[str, str]:
    """Return the environment without variables that would affect a test."""
    removed = ("AWS_", "DATASETS_REPO", "TF_")  # importing JAX sets a TF_ variable that makes TensorFlow log
    environment = {name: value for name, value in os.environ.items() if not name.startswith(removed)}
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    return {**environment, **ATTEMPTS, "PATH": path, "AWS_EC2_METADATA_DISABLED": "true"}


def make_clone(target: Path) -> Clone:
    """Clone the work tree, including uncommitted files, to `target`."""
    return copy_clone(Path(_cloned().name) / "clone", target)


def copy_clone(root: Path, target: Path) -> Clone:
    """Copy a clone, with all that was built in it."""
    return Clone(Path(shutil.copytree(root, target, symlinks=True)))


@cache
def _cloned() -> TemporaryDirectory[str]:
    """Make the clone that the others are copied from, once in a process."""
    folder = TemporaryDirectory()
    clone = Clone(Path(folder.name) / "clone")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    names = [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    compiled = [file for code in ("loader", "scripts") for file in (ROOT / code).rglob("*.pyc")]
    for file in [*map(Path, names), *(file.relative_to(ROOT) for file in compiled)]:
        (clone.root / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / file, clone.root / file)
    (clone.root / ".venv").symlink_to(BIN.parent)
    clone.run("git", "init", "--quiet")
    clone.run("git", "add", "--all")
    clone.run("git", "-c", "user.name=test", "-c", "user.email=test@example.org", "commit", "--quiet", "-m", "clone")
    clone.run("git", "repack", "-a", "-d", "--quiet")  # few files to copy
    return folder


@pytest.fixture(autouse=True)
def own_environment(tmp_path: Path) -> Iterator[None]:
    """Give a test its own loader cache and this environment's programs, and restore the environment variables after it
    (DVC sets one to the path of a remote's credentials).
    """
    before = dict(os.environ)
    os.environ["PATH"] = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    os.environ["DATASETS_CACHE"] = str(tmp_path / "loader-cache")
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"  # or botocore asks an address outside for credentials
    os.environ.update(ATTEMPTS)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A fresh clone with an empty cache and no artifacts."""
    return make_clone(tmp_path / "clone")


@pytest.fixture(scope="session")
def tiny_was_built(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """A clone in which `dvc repro` built the dataset `tiny`; tests must not change it."""
    clone = make_clone(tmp_path_factory.mktemp("tiny") / "clone")
    add_buildable(clone.root)
    clone.run("dvc", "repro", "tiny")
    return clone


@pytest.fixture
def built_tiny(tiny_was_built: Clone, tmp_path: Path) -> Clone:
    """A clone in which `dvc repro` built the dataset `tiny`; it may be written to."""
    return copy_clone(tiny_was_built.root, tmp_path / "clone")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A repository of one hand-made dataset, `small`, in the format of the real ones."""
    return make_recorded(tmp_path / "repository")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Clone]:
    """A function that returns a clone in which `dvc repro` built a dataset; tests must not change the clone."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # the parent folder is shared by the workers of this run only
        base = base.parent
    base /= "built"

    def build(name: str) -> Clone:
        base.mkdir(exist_ok=True)
        parents = {parent: build(parent).root for parent in read_definition(name).parents}
        root = base / name
        done, failed = base / f"{name}.done", base / f"{name}.failed"
        with FileLock(base / f"{name}.lock"):
            if not done.exists() and not failed.exists():
                clone = make_clone(root)
                for parent, parent_root in parents.items():  # reuse the parent, which is built only once
                    cache = parent_root / ".dvc/cache"
                    shutil.copytree(cache, root / ".dvc/cache", copy_function=os.link, dirs_exist_ok=True)
                    clone.run("dvc", "checkout", parent, check=False)
                finished = clone.run("dvc", "repro", name, check=False)
                (done if finished.returncode == 0 else failed).write_text(finished.stdout + finished.stderr)
        if failed.exists():
            if "source file not found:" in failed.read_text():
                pytest.skip(f"the source files of {name} are not available; set DATASETS_MIRROR")
            pytest.fail(failed.read_text())
        return Clone(root)

    return build


@pytest.fixture
def upstream_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetch source files from a web server on this machine only, with short pauses between retries."""
    monkeypatch.delenv("DATASETS_MIRROR", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(downloads, "FIRST_PAUSE_SECONDS", 0.01)


@pytest.fixture
def server() -> Iterator[WebServer]:
    """A web server on this machine."""
    server = WebServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real S3 server with the buckets public and private."""
    folder = tmp_path_factory.mktemp("s3")
    yield start(folder)
    stop(folder)


@dataclass(frozen=True)
class Remote:
    """The S3 server with separate folders for a test, and methods to read and change the stored objects."""

    server: Server
    root: Path

    @property
    def folder(self) -> str:
        """The name of this test's folder in each bucket."""
        return f"{self.root.name}-{id(self)}"

    def point(self, root: Path) -> None:
        """Point the clone at `root` to this test's folders in the buckets."""
        urls = {bucket: f"s3://{bucket}/{self.folder}" for bucket in BUCKETS}
        point_local(root, urls, self.server.endpoint, self.server.credentials)

    def publish(self, tar: Path) -> str:
        """Store an artifact in the public bucket as `dvc push` does, and return its key."""
        data = tar.read_bytes()
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        key = f"public/{self.folder}/{object_path(md5)}"
        self.write(key, data)
        return key

    def keys(self, bucket: str) -> list[str]:
        """Return the keys of this test's objects in a bucket."""
        found = self.filesystem.find(f"{bucket}/{self.folder}")
        return [str(key) for key in found]

    def read(self, key: str) -> bytes:
        """Return the bytes of an object."""
        return bytes(self.filesystem.cat_file(key))

    def write(self, key: str, data: bytes) -> None:
        """Store an object, replacing an existing one."""
        self.filesystem.pipe_file(key, data)

    def remove(self, key: str) -> None:
        """Remove an object."""
        self.filesystem.rm_file(key)

    @cached_property
    def filesystem(self):  # type: ignore[no-untyped-def]
        """The file system of s3fs with the keys of the server."""
        import configparser

        from s3fs import S3FileSystem

        keys = configparser.ConfigParser(interpolation=None)
        keys.read(self.server.credentials)
        return S3FileSystem(
            key=keys[S3_PROFILE]["aws_access_key_id"],
            secret=keys[S3_PROFILE]["aws_secret_access_key"],
            endpoint_url=self.server.endpoint,
            skip_instance_cache=True,
            use_listings_cache=False,
        )


@pytest.fixture
def remote(s3_server: Server, tmp_path: Path) -> Remote:
    """The S3 server, for one test."""
    return Remote(s3_server, tmp_path)
