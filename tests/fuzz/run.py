"""Fuzz a layer in a worker process, which also detects crashes, hangs and excessive memory use.

The process may use MEMORY_BYTES more than it has at the start, and every mutation may take SECONDS. A warning is an
error, and so is every side effect that no result needs: starting a program, importing a module that a dataset names,
opening a connection, writing a file outside the scratch folder.
"""

from __future__ import annotations

import faulthandler
import importlib
import multiprocessing
import os
import pkgutil
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import hypothesis

import loader
from loader import LoaderError

MEMORY_BYTES = 2 << 30
SECONDS = 30
SEARCH_MUTATIONS = 1000
"""The most mutations of one search, because Hypothesis keeps them all in memory."""
MAX_FAILURES = 5
_MAX_SHOWN, _MAX_FRAMES = 2000, 4
# Everything that the loader may import lazily, so that no check compiles a module; not the rooms above the API
PRELOADED = [
    "tests.fuzz.layers",
    "google_crc32c",
    "yaml",
    *(
        module.name
        for module in pkgutil.walk_packages(loader.__path__, "loader.")
        if module.name.split(".")[1] not in ("__main__", "_catalog", "_commands")
    ),
]
_FORBIDDEN = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "subprocess.Popen",
    "pickle.find_class",
    "socket.connect",
    "ctypes.dlopen",
)
_WRITING = (
    "os.remove",
    "os.rename",
    "os.mkdir",
    "os.rmdir",
    "os.link",
    "os.symlink",
    "os.chmod",
    "os.truncate",
    "shutil.rmtree",
)


@dataclass
class Outcome:
    """The outcome of a layer's mutations: counts, and the most seconds and bytes of memory that one took."""

    mutations: int = 0
    right: int = 0
    errors: int = 0
    slowest: float = 0.0
    memory: int = 0
    failures: list[str] = field(default_factory=list)


def run(layer: str, mutations: int, seed: int, seeds: Path) -> Outcome:
    """Fuzz a layer, and return the outcome.

    Parameters
    ----------
    layer
        One of `tests.fuzz.layers.LAYERS`.
    mutations
        The least number of mutations.
    seed
        Random seed of the mutations.
    seeds
        The folder that `tests.fuzz.layers.make_seeds` filled.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    whole = Outcome()
    while whole.mutations < mutations and len(whole.failures) < MAX_FAILURES:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
            receiver, sender = context.Pipe(duplex=False)
            arguments = (layer, mutations - whole.mutations, seed + whole.mutations, seeds, Path(scratch), sender)
            process = context.Process(target=_work, args=arguments)
            process.start()
            sender.close()
            while True:
                try:
                    part = receiver.recv()
                except EOFError:
                    break
                _add(whole, part)
            process.join()
            assert process.exitcode is not None
            if process.exitcode > 0:
                raise RuntimeError(_read(scratch, "log"))  # the fuzzer itself failed
            if process.exitcode < 0:
                whole.mutations += 1
                name = signal.Signals(-process.exitcode).name
                reason = "took too long" if name == "SIGALRM" else f"ended with {name}"
                whole.failures.append(f"the process {reason}\n{_read(scratch, 'log')}\n{_read(scratch, 'mutation')}")
    return whole


def _read(scratch: str, name: str) -> str:
    path = Path(scratch, name)
    return path.read_text(errors="replace") if path.exists() else ""


def _add(whole: Outcome, part: Outcome) -> None:
    whole.mutations += part.mutations
    whole.right += part.right
    whole.errors += part.errors
    whole.slowest = max(whole.slowest, part.slowest)
    whole.memory = max(whole.memory, part.memory)
    whole.failures += part.failures


def _work(layer: str, mutations: int, seed: int, seeds: Path, scratch: Path, results: Connection) -> None:
    from loader._fetch.remote import read_config
    from tests.fuzz.layers import LAYERS, WITH_TFDS

    has_tfds = layer == WITH_TFDS
    for module in (*PRELOADED, *(("tensorflow", "tensorflow_datasets") if has_tfds else ())):
        importlib.import_module(module)
    read_config(None)  # for what it imports lazily
    if not has_tfds:
        sys.modules["tensorflow_datasets"] = None  # type: ignore[assignment]  # as if it were not installed
        warnings.simplefilter("error")  # not with TensorFlow, which warns
    log, current = (scratch / "log").open("w"), (scratch / "mutation").open("w+b", buffering=0)
    os.dup2(log.fileno(), 2)  # libraries print messages about damaged images
    faulthandler.enable(log)
    faulthandler.register(signal.SIGALRM, log, chain=True)
    folder = scratch / "layer"
    folder.mkdir()
    made = LAYERS[layer](seeds, folder)
    watch = Watch(scratch, may_write=has_tfds)
    done = 0
    while done < mutations:
        part = _search(made, min(SEARCH_MUTATIONS, mutations - done), seed + done, watch, current)
        results.send(part)
        done += part.mutations
        if part.failures:
            break


def _search(layer: Any, mutations: int, seed: int, watch: Watch, current: Any) -> Outcome:
    """Try mutations; if one fails, report the smallest that fails in the same way."""
    outcome = Outcome()
    peak_before = _peak_memory()

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=mutations,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(hypothesis.HealthCheck),
        phases=(hypothesis.Phase.generate, hypothesis.Phase.shrink),
    )
    @hypothesis.given(layer.mutations)
    def search(mutation: Any) -> None:
        outcome.mutations += 1
        shown = repr(mutation).encode(errors="replace")[:_MAX_SHOWN]
        os.pwrite(current.fileno(), shown, 0)
        os.ftruncate(current.fileno(), len(shown))
        start = time.perf_counter()
        try:
            with watch.watching():
                layer.check(mutation)
        except LoaderError as error:
            assert_plain(error)
            outcome.errors += 1
        else:
            outcome.right += 1
        outcome.slowest = max(outcome.slowest, time.perf_counter() - start)

    try:
        search()
    except BaseException as caught:
        # Hypothesis raises a group if a failure differs when repeated
        error = caught.exceptions[0] if isinstance(caught, BaseExceptionGroup) else caught
        failed = os.pread(current.fileno(), _MAX_SHOWN, 0).decode(errors="replace")
        trace = "".join(traceback.format_tb(error.__traceback__)[-_MAX_FRAMES:])
        outcome.failures.append(f"{trace}{type(error).__name__}: {str(error)[:_MAX_SHOWN]}\n{failed}")
    outcome.memory = max(_peak_memory() - peak_before, 0)
    return outcome


def assert_plain(error: LoaderError) -> None:
    """Assert that the message is one line that any terminal can print, and that the cause is not a lack of memory."""
    message = str(error)
    assert message.isprintable(), f"the message is not printable: {message!r}"
    assert len(message) < 10_000, f"the message has {len(message)} characters"
    reason: BaseException | None = error
    while reason is not None:
        assert not isinstance(reason, MemoryError), "the check needs more memory than the limit"
        reason = reason.__cause__ or reason.__context__


def _peak_memory() -> int:
    """The peak memory of this process, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Watch:
    """Find forbidden side effects of a check by Python's audit events, and limit its time and memory."""

    def __init__(self, scratch: Path, *, may_write: bool) -> None:
        self._scratch = str(scratch)
        self._may_write = may_write  # TensorFlow writes the code of graphs, and compiles it
        self._forbidden: list[str] = []
        self._is_watching = False
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY_BYTES, resource.RLIM_INFINITY))
        sys.addaudithook(self._audit)

    @contextmanager
    def watching(self) -> Iterator[None]:
        self._forbidden.clear()
        self._is_watching = True
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._is_watching = False
            assert not self._forbidden, f"the check has forbidden side effects: {self._forbidden}"

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._is_watching:
            return
        shown = f"{event} {arguments!r:.200}"
        if event in _FORBIDDEN or (event == "import" and not _may_import(arguments[0])):
            self._forbidden.append(shown)
        writes = event in _WRITING or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        if (writes or event == "compile") and not self._may_write and not str(arguments[0]).startswith(self._scratch):
            self._forbidden.append(shown)


def _may_import(module: str) -> bool:
    """Return whether a check may import a module that is not yet imported: none of ours, none that a dataset names."""
    return module.partition(".")[0] not in ("antigravity", "loader", "someones", "tests")
