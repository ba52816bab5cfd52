"""A layer fuzzed in a process of its own, so that a crash, a hang and a hunger for memory are found as well.

The process may take MEMORY_BYTES more than it has when it begins, and every mutation SECONDS. A warning is an error,
and nothing may be done that an answer does not need: no program started, no module of a dataset's choosing imported, no
connection made, no file written outside the scratch folder.
"""

from __future__ import annotations

import faulthandler
import importlib
import multiprocessing
import os
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

from loader import LoaderError

MEMORY_BYTES = 2 << 30
SECONDS = 30
ROUND = 1000
"""Mutations of one search: Hypothesis remembers them all."""
MOST_FAILURES = 5
_SHOWN, _FRAMES = 2000, 4
# With all that the loader imports when it is needed first, so that no check is seen to import anything
_NEEDED = ["tests.fuzz.layers", "cv2", *(f"loader._features.{name}" for name in ("audio", "images", "tfds"))]
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
    """What became of a layer's mutations."""

    mutations: int = 0
    right: int = 0
    errors: int = 0
    slowest: float = 0.0
    memory: int = 0
    failures: list[str] = field(default_factory=list)


def run(layer: str, mutations: int, seed: int, seeds: Path) -> Outcome:
    """Fuzz a layer, and say what became of it.

    Parameters
    ----------
    layer
        One of `tests.fuzz.layers.LAYERS`.
    mutations
        How many, at least.
    seed
        What decides them.
    seeds
        The folder that `tests.fuzz.layers.make_seeds` filled.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_NEEDED)
    whole = Outcome()
    while whole.mutations < mutations and len(whole.failures) < MOST_FAILURES:
        with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
            ours, theirs = context.Pipe(duplex=False)
            arguments = (layer, mutations - whole.mutations, seed + whole.mutations, seeds, Path(scratch), theirs)
            process = context.Process(target=_work, args=arguments)
            process.start()
            theirs.close()
            while True:
                try:
                    part = ours.recv()
                except EOFError:
                    break
                _add(whole, part)
            process.join()
            assert process.exitcode is not None
            if process.exitcode > 0:
                raise RuntimeError(_read(scratch, "log"))  # the fuzzer itself is wrong
            if process.exitcode < 0:
                whole.mutations += 1
                ended = signal.Signals(-process.exitcode).name
                what = "took too long" if ended == "SIGALRM" else f"ended with {ended}"
                whole.failures.append(f"the process {what}\n{_read(scratch, 'log')}\n{_read(scratch, 'mutation')}")
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
    from tests.fuzz.layers import LAYERS, WITH_TFDS

    has_tfds = layer == WITH_TFDS
    for module in (*_NEEDED, *(("tensorflow", "tensorflow_datasets") if has_tfds else ())):
        importlib.import_module(module)
    if not has_tfds:
        sys.modules["tensorflow_datasets"] = None  # type: ignore[assignment]  # as if it were not installed
        warnings.simplefilter("error")  # TensorFlow has some of its own
    log, current = (scratch / "log").open("w"), (scratch / "mutation").open("w+b", buffering=0)
    os.dup2(log.fileno(), 2)  # what libraries say of damaged images
    faulthandler.enable(log)
    faulthandler.register(signal.SIGALRM, log, chain=True)
    folder = scratch / "layer"
    folder.mkdir()
    made = LAYERS[layer](seeds, folder)
    watch = _Watch(scratch, writes=has_tfds)
    done = 0
    while done < mutations:
        part = _search(made, min(ROUND, mutations - done), seed + done, watch, current)
        results.send(part)
        done += part.mutations
        if part.failures:
            break


def _search(layer: Any, mutations: int, seed: int, watch: _Watch, current: Any) -> Outcome:
    """Try mutations; where one fails, the smallest that fails in the same way is what is told."""
    outcome = Outcome()
    used = _used()

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
        shown = repr(mutation).encode(errors="replace")[:_SHOWN]
        os.pwrite(current.fileno(), shown, 0)
        os.ftruncate(current.fileno(), len(shown))
        start = time.perf_counter()
        try:
            with watch.watching():
                layer.check(mutation)
        except LoaderError as error:
            _assert_plain(error)
            outcome.errors += 1
        else:
            outcome.right += 1
        outcome.slowest = max(outcome.slowest, time.perf_counter() - start)

    try:
        search()
    except BaseException as caught:
        error = caught.exceptions[0] if isinstance(caught, BaseExceptionGroup) else caught  # not the same a second time
        failed = os.pread(current.fileno(), _SHOWN, 0).decode(errors="replace")
        trace = "".join(traceback.format_tb(error.__traceback__)[-_FRAMES:])
        outcome.failures.append(f"{trace}{type(error).__name__}: {str(error)[:_SHOWN]}\n{failed}")
    outcome.memory = max(_used() - used, 0)
    return outcome


def _assert_plain(error: LoaderError) -> None:
    """An error is one line that any terminal can print, and no end of the memory."""
    message = str(error)
    assert message.isprintable(), f"a message that is not to be printed: {message!r}"
    assert len(message) < 10_000, f"a message of {len(message)} characters"
    reason: BaseException | None = error
    while reason is not None:
        assert not isinstance(reason, MemoryError), "it needs more memory than it may"
        assert "nsufficient memory" not in str(reason)  # OpenCV's
        reason = reason.__cause__ or reason.__context__


def _used() -> int:
    """The most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class _Watch:
    """What a check may not do, found by Python's own audit; and the limits of time and memory."""

    def __init__(self, scratch: Path, *, writes: bool) -> None:
        self._scratch = str(scratch)
        self._writes = writes  # TensorFlow writes the code of graphs, and compiles it
        self._seen: list[str] = []
        self._is_watching = False
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY_BYTES, resource.RLIM_INFINITY))
        sys.addaudithook(self._hear)

    @contextmanager
    def watching(self) -> Iterator[None]:
        self._seen.clear()
        self._is_watching = True
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._is_watching = False
            assert not self._seen, f"it did what no answer needs: {self._seen}"

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._is_watching:
            return
        said = f"{event} {arguments!r:.200}"
        if event in _FORBIDDEN or (event == "import" and not _is_ours(arguments[0])):
            self._seen.append(said)
        writes = event in _WRITING or (event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        if (writes or event == "compile") and not self._writes and not str(arguments[0]).startswith(self._scratch):
            self._seen.append(said)


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] not in ("antigravity", "someones") and not module.startswith("tests.fuzz.canary")
