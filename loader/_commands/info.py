"""`python -m loader info NAME`: what is known of a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace

from loader._commands.options import Json, Name, Offline, Remote, Repo, Rev
from loader._commands.tables import (
    is_terminal,
    paragraphs,
    print_heading,
    print_json,
    print_line,
    print_table,
    print_wrapped,
)
from loader._commands.versions import print_versions
from loader._datasets import info, versions
from loader._fetch.places import is_offline
from loader._fetch.reference import find_artifact
from loader._format.plain_table import size_text
from loader._registry.entry import NO_ANSWER, UNKNOWN, ConfigEntry, DatasetEntry, unknown_remotes
from loader._registry.features import leaves
from loader._registry.read_from import ReadFrom, read_from
from loader._registry.statistics import Range, Statistics, ValueStatistics
from loader._registry.usage import load_call, shell_options

MOST_LINES = 20
"""Most lines of a text, rows of a table and classes of a feature on a terminal; elsewhere all are printed."""


def command(
    name: Name, rev: Rev = None, repo: Repo = None, offline: Offline = False, remote: Remote = False, json: Json = False
) -> None:
    """Print what is known of a dataset: features, splits, statistics, sources, relatives, versions, how to load it."""
    entry = info(name, rev=rev, repo=repo, offline=offline or None, ask_remote=remote)
    history = versions(name, rev=rev, repo=repo, offline=offline or None)
    name = entry.name
    origins = _origins(entry, rev, repo, offline=is_offline(offline or None))
    if json:
        as_json = {filename: asdict(origin) for filename, origin in origins.items()}
        print_json(entry.as_json() | {"read_from": as_json, "versions": [asdict(version) for version in history]})
        return
    print_line(f"{entry.name} {entry.version or ''}".rstrip())
    _print_lines(paragraphs(entry.description))
    print()
    for label, value in entry.facts:
        print_wrapped(value, label=label)
    if config := entry.loaded_config:
        print_wrapped(str(origins[config.filename]), label="read from")
        _print_splits(entry)
        _print_features(config, entry.statistics)
    if entry.statistics is not None:
        _print_statistics(entry.statistics)
    _print_artifacts(entry)
    if entry.sources:
        print_heading("sources")
        rows = [
            (*(str(source.get(key, "")) for key in ("filename", "size", "url")), _hash(str(source.get("sha256", ""))))
            for source in entry.sources
        ]
        _print_rows(("file", "bytes", "url", "sha256"), rows, numbers=("bytes",))
    if entry.citation:
        print_heading("citation")
        _print_lines(entry.citation.strip().splitlines())
    if history:
        print_heading("versions")
        shown = history[:MOST_LINES] if is_terminal() else history
        print_versions(shown, name)
        if len(shown) < len(history):
            where = shell_options(rev=rev, repo=repo)
            print_line(f"... {len(history) - len(shown)} more: python -m loader versions {name}{where}")
    print_heading("load it")
    for line in _usage(entry, rev, repo):
        print_line(line)


def _origins(entry: DatasetEntry, rev: str | None, repo: str | None, *, offline: bool) -> dict[str, ReadFrom]:
    """Return where a load would read each artifact from, by file name."""
    if not entry.configs:
        return {}
    found = find_artifact(entry.name, rev=rev, repo=repo, offline=True)  # its repository was just updated
    artifacts = (replace(found, entry=each, offline=offline) for each in found.manifest.artifacts)
    return {each.entry.filename: read_from(each) for each in artifacts}


def _print_splits(entry: DatasetEntry) -> None:
    print_heading("splits")
    rows = [
        (config.label, split, f"{numbers.examples}", f"{numbers.bytes}", f"{numbers.shards}")
        for config in entry.configs
        for split, numbers in config.splits.items()
    ]
    _print_rows(("config", "split", "examples", "bytes", "shards"), rows, numbers=("examples", "bytes", "shards"))


def _print_features(config: ConfigEntry, statistics: Statistics | None) -> None:
    print_heading("features" + (f" of config {config.name}" if config.name else ""))
    rows = [(path, repr(feature)) for path, feature in leaves(config.features).items()]
    _print_rows(("feature", "type"), rows)
    for path, counts in (statistics.class_totals(config.name) if statistics else {}).items():
        names = [f"{name} ({examples})" for name, examples in counts.items()]
        print_wrapped(f"classes of {path}: {_some(names)}")


def _print_statistics(statistics: Statistics) -> None:
    print_heading("statistics")
    columns = ("config", "split", "feature", "values", "mean", "missing", "empty", "shape", "length")
    rows = [_value_row(value) for value in statistics.values]
    _print_rows(columns, rows, numbers=("mean", "missing", "empty"))
    for found in statistics.duplicates_found:
        print_line(f"{'duplicates' if len(found.splits) == 1 else 'leaked'}: {found}")
    if not statistics.duplicates_found:
        print_line("no example occurs twice, in one split or in two (no leaks)")


def _value_row(value: ValueStatistics) -> tuple[str, ...]:
    return (
        value.config or "",
        value.split,
        value.feature,
        "" if value.min is None else f"{_number(value.min)}..{_number(value.max)}",
        _number(value.mean),
        _number(value.missing),
        _number(value.empty),
        " x ".join(_span(smallest, largest) for smallest, largest in value.shape or ()),
        _length(value.length),
    )


def _number(value: int | float | None) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)


def _span(smallest: int, largest: int) -> str:
    return str(smallest) if smallest == largest else f"{smallest}..{largest}"


def _length(length: Range | None) -> str:
    return "" if length is None else f"{_span(length.min, length.max)}, mean {length.mean:.6g}"


def _print_artifacts(entry: DatasetEntry) -> None:
    if not entry.configs:
        return
    print_heading("artifacts")
    rows = [
        (
            config.filename,
            size_text(config.size),
            _hash(config.sha256),
            _hash(config.md5 or ""),
            config.place,
            UNKNOWN if (config.remote or "").startswith(NO_ANSWER) else config.remote or "",
        )
        for config in entry.configs
    ]
    _print_rows(("file", "size", "sha256", "md5", "place", "remote"), rows, numbers=("size",))
    for reason in unknown_remotes([entry]):
        print_wrapped(f"{UNKNOWN}: {reason}")


def _usage(entry: DatasetEntry, rev: str | None, repo: str | None) -> Iterator[str]:
    """Yield the lines that load a dataset, in Python and in the shell."""
    if not entry.configs:
        yield f"make build DATASET={entry.name}"
        return
    given = {"rev": rev, "repo": repo}
    if len(entry.configs) > 1:
        given["config"] = entry.loaded_config.name if entry.loaded_config else None
    yield "import loader"
    yield f"info, ds = {load_call(entry.name, **given)}"
    yield f"python -m loader show {entry.name}{shell_options(**given)}"
    yield f"python -m loader fetch {entry.name}{shell_options(**given)}"


def _print_lines(lines: list[str]) -> None:
    for line in lines[:MOST_LINES] if is_terminal() else lines:
        print_wrapped(line)
    if is_terminal() and len(lines) > MOST_LINES:
        print_line(f"... {len(lines) - MOST_LINES} more lines: --json has them")


def _print_rows(columns: tuple[str, ...], rows: Iterable[Iterable[str]], *, numbers: tuple[str, ...] = ()) -> None:
    """Print a table without the columns that are empty in all rows, on a terminal without the last of many rows."""
    cells = [list(row) for row in rows]
    used = [at for at in range(len(columns)) if (at == 0 and not cells) or any(row[at] for row in cells)]
    shown = cells[:MOST_LINES] if is_terminal() else cells
    print_table([columns[at] for at in used], [[row[at] for at in used] for row in shown], numbers=numbers)
    if len(shown) < len(cells):
        print_line(f"... {len(cells) - len(shown)} more rows: --json has them")


def _hash(digits: str) -> str:
    """Return a hash, abbreviated on a terminal."""
    return f"{digits[:12]}..." if is_terminal() and digits else digits


def _some(names: list[str]) -> str:
    """Return names, on a terminal without the last ones of many."""
    if not is_terminal() or len(names) <= MOST_LINES:
        return ", ".join(names)
    return ", ".join(names[:MOST_LINES]) + f", and {len(names) - MOST_LINES} more"
