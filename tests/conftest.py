"""What tests share: a clone to work in, a small dataset made by hand, the real datasets, a real S3 server."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from filelock import FileLock

from loader._format.names import object_path
from scripts._define.definition import read_definition
from scripts._dvc.remotes import point_local
from scripts._process.s3_server import BUCKETS, S3_PROFILE, Server, start, stop
from scripts._sources import download as downloads
from tests.helpers.recorded_dataset import make_recorded
from tests.helpers.web_server import WebServer

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # of a run in the background; what the tests start must hear it
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Clone:
    """A clone of the repository with an empty cache, and the commands a person runs in it."""

    root: Path

    def run(
        self, *command: str, check: bool = True, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the clone, with this environment's programs first on the path."""
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
        """Run Python code in the clone and return what it printed."""
        done = self.run(sys.executable, "-c", code, check=check, env=env)
        return done.stdout if check else done.stdout + done.stderr

    def scripts(self, *arguments: str, check: bool = True, env: dict[str, str] | None = None) -> str:
        """Run `python -m scripts ...` and return all it printed."""
        done = self.run(sys.executable, "-m", "scripts", *arguments, check=check, env=env)
        return done.stdout + done.stderr


def clean_environment() -> dict[str, str]:
    """The environment without what would lead a test astray."""
    astray = ("AWS_", "DATASETS_REPO", "MAKE", "TF_")  # JAX, once imported, lets TensorFlow speak
    # of make, because what `make test ALL=1` was told is not meant for the commands that are tested
    environment = {name: value for name, value in os.environ.items() if not name.startswith(astray) and name != "ALL"}
    return {**environment, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "AWS_EC2_METADATA_DISABLED": "true"}


def make_clone(target: Path) -> Clone:
    """Clone the work tree, with what is not committed yet, into `target`."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    (target / ".venv").symlink_to(BIN.parent)
    clone = Clone(target)
    clone.run("git", "init", "--quiet")
    clone.run("git", "add", "--all")
    clone.run("git", "-c", "user.name=test", "-c", "user.email=test@example.org", "commit", "--quiet", "-m", "clone")
    return clone


@pytest.fixture(autouse=True)
def own_environment(tmp_path: Path) -> Iterator[None]:
    """Give a test a loader's cache of its own and this environment's programs, and undo what it does to the environment
    (DVC puts the credentials' path of a remote into it).
    """
    before = dict(os.environ)
    os.environ["PATH"] = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    os.environ["DATASETS_CACHE"] = str(tmp_path / "loader-cache")
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A fresh clone with an empty cache and no artifacts."""
    return make_clone(tmp_path / "clone")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A repository of one dataset, `small`, made by hand in the format of the real ones."""
    return make_recorded(tmp_path / "repository")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Clone]:
    """Return a function that gives a clone in which a dataset was built by `dvc repro`; not to be written to."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # one folder for the workers of a run, and of no other run
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
                for parent, its_root in parents.items():  # built once for all that is derived from it
                    cache = its_root / ".dvc/cache"
                    shutil.copytree(cache, root / ".dvc/cache", copy_function=os.link, dirs_exist_ok=True)
                    clone.run("dvc", "checkout", parent, check=False)
                finished = clone.run("dvc", "repro", name, check=False)
                (done if finished.returncode == 0 else failed).write_text(finished.stdout + finished.stderr)
        if failed.exists():
            if "source file not found:" in failed.read_text():
                pytest.skip(f"the sources of {name} are to be had nowhere here; set DATASETS_MIRROR")
            pytest.fail(failed.read_text())
        return Clone(root)

    return build


@pytest.fixture
def upstream_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let source files come from a web server of this machine alone, which is tried again at once."""
    monkeypatch.delenv("DATASETS_MIRROR", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(downloads, "FIRST_PAUSE_SECONDS", 0.01)


@pytest.fixture
def server() -> Iterator[WebServer]:
    """A web server."""
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
    """The S3 server with buckets of a test's own, and a way to look at and to damage what is stored."""

    server: Server
    root: Path

    def point(self, root: Path) -> None:
        """Point the clone at `root` to this test's folders of the buckets."""
        urls = {bucket: f"s3://{bucket}/{self.root.name}-{id(self)}" for bucket in BUCKETS}
        point_local(root, urls, self.server.endpoint, self.server.credentials)

    def publish(self, tar: Path) -> str:
        """Store an artifact in the public bucket as `dvc push` does, and return its key."""
        data = tar.read_bytes()
        md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
        key = f"public/{self.root.name}-{id(self)}/{object_path(md5)}"
        self.write(key, data)
        return key

    def keys(self, bucket: str) -> list[str]:
        """Everything that is stored for this test in a bucket."""
        found = self._filesystem().find(f"{bucket}/{self.root.name}-{id(self)}")
        return [str(key) for key in found]

    def read(self, key: str) -> bytes:
        """The bytes of an object."""
        return bytes(self._filesystem().cat_file(key))

    def write(self, key: str, data: bytes) -> None:
        """Store an object, whatever was there."""
        self._filesystem().pipe_file(key, data)

    def remove(self, key: str) -> None:
        """Remove an object."""
        self._filesystem().rm_file(key)

    def _filesystem(self):  # type: ignore[no-untyped-def]
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
