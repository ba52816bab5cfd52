"""Computing statistics in worker processes.

They are computed from the finished artifacts, which the workers read with the loader, and are the same to the byte on
any machine: sums are exact, and nothing depends on how the examples are divided. Memory holds a batch of decoded
examples for each worker, and 2 bytes for each example; digests of 16 bytes for each are in a scratch folder.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from loader import LoaderError
from scripts._build.statistics.artifact import MEASURES, ArtifactStatistics
from scripts._build.statistics.duplicates import Digests
from scripts._build.statistics.reading import Part, Task, Undecodable, opened, read_task, record_digests
from scripts._build.statistics.values import Tally
from scripts._build.workers import Workers
from scripts._process.errors import ScriptError
from scripts._process.files import replacing
from scripts._tfds.features import can_fork

TASK_EXAMPLES = 2048
TASKS_PER_WORKER = 3  # in progress at most
SPLIT_COLUMNS = ("config", "split", "examples", "bytes", "duplicates")
VALUE_COLUMNS = ("config", "split", "feature", "type", "dtype", "examples", *MEASURES)
DUPLICATE_COLUMNS = ("config", "by", "splits", "examples", "sample")


class Statistician:
    """Worker processes that compute statistics.

    They are forked at once, because forking is safe only before TensorFlow starts its threads. If it has started them,
    or if there is only one processor, this process computes all by itself.

    Parameters
    ----------
    workers
        The number of workers; by default the number of processors that this process may use.
    task_examples
        The number of examples that a worker reads at once.
    """

    def __init__(self, *, workers: int | None = None, task_examples: int = TASK_EXAMPLES) -> None:
        forks = sys.platform == "linux" and ("tensorflow" not in sys.modules or can_fork())
        self._count = (workers or len(os.sched_getaffinity(0))) if forks else 1
        self._workers = Workers(self._count, read_task) if self._count > 1 else None
        self._task_examples = task_examples

    def __enter__(self) -> Statistician:
        return self

    def __exit__(self, *_: object) -> None:
        if self._workers is not None:
            self._workers.stop()

    def statistics(self, manifest: dict[str, Any], folder: Path, *, scratch: Path) -> dict[str, Any]:
        """Return the statistics of a dataset, as JSON values.

        A feature of which a value cannot be decoded has none, and a warning says so.

        Parameters
        ----------
        manifest
            Its manifest.
        folder
            The folder of its artifacts.
        scratch
            A folder for the digests.

        Raises
        ------
        ScriptError
            An artifact cannot be read.
        """
        lists: dict[str, list[Any]] = {"splits": [], "values": [], "class_counts": [], "duplicates_found": []}
        totals = Counter[str]()
        features, classes = set(), 0
        for filename, entry in manifest["artifacts"].items():
            try:
                found = self._artifact(manifest["name"], folder / filename, scratch)
            except LoaderError as error:
                raise ScriptError(f"{manifest['name']}: its statistics cannot be computed: {error}") from error
            features |= {leaf.name for leaf in found.leaves}
            classes = max([classes, *(leaf.num_classes for leaf in found.leaves)])
            totals["leaked"] += found.leaked
            for name, lines in (
                ("splits", found.splits()),
                ("values", found.values()),
                ("class_counts", found.class_counts()),
                ("duplicates_found", found.repeated),
            ):
                lists[name] += [{"config": entry["config"], **line} for line in lines]
        for name, key in (("splits", "examples"), ("splits", "bytes"), ("splits", "duplicates")):
            totals[key] = sum(line[key] for line in lists[name])
        for key in ("missing", "empty"):
            totals[key] = sum(line[key] or 0 for line in lists["values"])
        return {
            "version": manifest["version"],
            "examples": totals["examples"],
            "bytes": totals["bytes"],
            "features": len(features),
            "classes": classes,
            **{key: totals[key] for key in ("missing", "empty", "duplicates", "leaked")},
            "splits": _table(SPLIT_COLUMNS, lists["splits"]),
            "values": _table(VALUE_COLUMNS, lists["values"]),
            "duplicates_found": _table(DUPLICATE_COLUMNS, lists["duplicates_found"]),
            "class_counts": lists["class_counts"],
        }

    def _artifact(self, name: str, path: Path, scratch: Path) -> ArtifactStatistics:
        left_out = frozenset[str]()
        while True:
            found = self._without(left_out, path, scratch)
            if isinstance(found, ArtifactStatistics):
                return found
            print(f"{name}: WARNING: {found.reason}; the feature has no statistics", file=sys.stderr)
            left_out |= found.features

    def _without(self, left_out: frozenset[str], path: Path, scratch: Path) -> ArtifactStatistics | Undecodable:
        """Return the statistics without some features, or others of which a value cannot be decoded."""
        source = opened(path, left_out)
        splits = {name: split.num_examples for name, split in source.info.splits.items()}
        tallies = {name: {leaf.name: Tally() for leaf in source.known} for name in splits}
        records = Digests(scratch / "digests", splits)
        for split, start, digests in record_digests(path, splits):
            records.put(split, start, digests)
        by_value = {
            leaf.name: Digests(scratch / f"digests-{number}", splits) for number, leaf in enumerate(source.identifying)
        }
        tasks = [
            Task(path, name, start, min(start + self._task_examples, count), left_out)
            for name, count in splits.items()
            for start in range(0, count, self._task_examples)
        ]
        for task, part in self._results(tasks):
            if isinstance(part, Undecodable):
                return part
            for name, tally in part.tallies.items():
                tallies[task.split][name].merge(tally)
            for name, digests in part.digests.items():
                by_value[name].put(task.split, task.start, digests)
        opened.cache_clear()
        return ArtifactStatistics(source, tallies, {"record": records, **by_value})

    def _results(self, tasks: Sequence[Task]) -> Iterator[tuple[Task, Part | Undecodable]]:
        if self._workers is None:
            yield from ((task, _checked(read_task(task))) for task in tasks)
            return
        running: deque[tuple[Task, Future[Part | Undecodable | LoaderError]]] = deque()
        for task in tasks:
            running.append((task, self._workers.submit(task)))
            if len(running) >= TASKS_PER_WORKER * self._count:
                first, future = running.popleft()
                yield first, _checked(future.result())
        yield from ((task, _checked(future.result())) for task, future in running)


def write_statistics(path: Path, statistics: dict[str, Any]) -> None:
    """Write statistics completely or not at all, every row of a table on a line, so that git shows what changed."""
    members = []
    for key, value in statistics.items():
        if isinstance(value, list):
            rows = ",\n".join(f"    {_json(row)}" for row in value)
            members.append(f"  {_json(key)}: [\n{rows}\n  ]")
        else:
            members.append(f"  {_json(key)}: {_json(value)}")
    with replacing(path) as file:
        file.write(("{\n" + ",\n".join(members) + "\n}\n").encode())


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _table(columns: Sequence[str], rows: list[dict[str, Any]]) -> list[list[Any]]:
    """Return rows as lists, below the names of the columns."""
    return [list(columns), *([row[column] for column in columns] for row in rows)]


def _checked(result: Part | Undecodable | LoaderError) -> Part | Undecodable:
    if isinstance(result, LoaderError):
        raise result
    return result
