"""The report of a branch in Markdown, for a pull request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from loader._errors import printable
from loader._registry.differences.difference import CHANGED, NEVER_BUILT, REMOVED, SAME
from loader._registry.differences.text import escaped
from loader._registry.differences.text import markdown as difference_markdown
from loader._registry.entry import NO_ANSWER, UNKNOWN
from loader._report import BranchEntry

COLUMNS = ("dataset", "version", "change", "artifacts", "before merging")


def markdown(entries: Sequence[BranchEntry]) -> str:
    """Return the report in Markdown; datasets that do not differ are counted."""
    shown = [entry for entry in entries if entry.difference or entry.steps]
    parts = ["## Datasets\n", f"{_counts(entries)}\n"]
    if shown:
        left = sum(bool(entry.steps) for entry in shown)
        parts.append(
            f"**{_datasets(left)} not ready to be merged.**\n"
            if left
            else "Nothing is left to do, if `make check` finds nothing.\n"
        )
        rows = [COLUMNS, ("---",) * len(COLUMNS), *map(_row, shown)]
        parts.append("".join(f"| {' | '.join(row)} |\n" for row in rows))
    return "\n".join([*parts, *map(_section, shown)])


def _counts(entries: Sequence[BranchEntry]) -> str:
    changed = sum(bool(entry.difference) for entry in entries)
    same = sum(entry.difference.status == SAME for entry in entries)
    unbuilt = sum(entry.difference.status == NEVER_BUILT for entry in entries)
    since = f" since {escaped(entries[0].difference.old_label)}" if entries else ""
    counts = [
        (changed, f"changed{since}"),
        (same, "unchanged" + ("" if changed else since)),
        (unbuilt, "not built yet"),
    ]
    return " ".join(f"{_datasets(count)} {what}." for count, what in counts if count) or "There are no datasets."


def _datasets(count: int) -> str:
    return f"{count:,} {'dataset is' if count == 1 else 'datasets are'}"


def _row(entry: BranchEntry) -> tuple[str, ...]:
    difference = entry.difference
    versions = dict.fromkeys(each for each in (difference.old_version, difference.new_version) if each)
    change = "unchanged" if difference.status == SAME else difference.status
    if difference.status == CHANGED and not entry.is_recorded:
        change = "only its description"
    remotes = dict.fromkeys(UNKNOWN if each.startswith(NO_ANSWER) else each for each in entry.remotes.values())
    without = {REMOVED: "kept", NEVER_BUILT: "none"}.get(difference.status, "unchanged")
    artifacts = ", ".join(remotes) or ("remote not asked" if entry.is_recorded else without)
    left = dict.fromkeys(step.command.split()[1] for step in entry.steps)
    version = " → ".join(versions)
    return escaped(difference.name), escaped(version), change, artifacts, ", ".join(left) or "nothing"


def _section(entry: BranchEntry) -> str:
    difference = replace(entry.difference, outdated=())  # which is among the steps
    text = difference_markdown(difference).rstrip("\n") + "\n" if difference else f"### {escaped(difference.name)}\n"
    reasons: dict[str, list[str]] = {}
    for step in entry.steps:
        reasons.setdefault(step.command, []).append(f"# {step.reason}")
    blocks = (
        ("Before merging:", [line for command, why in reasons.items() for line in (*why, command)]),
        ("To review:", [*(f"# {note}" for note in entry.notes), *entry.review]),
    )
    return text + "".join(
        f"\n{title}\n\n```sh\n" + "".join(f"{printable(line)}\n" for line in lines) + "```\n"
        for title, lines in blocks
        if lines
    )
