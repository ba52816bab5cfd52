"""`python -m loader show NAME`: write a page, or a sheet, with examples of a dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

import loader
from loader._commands.options import Name, Offline, Repo, Rev
from loader._commands.tables import print_line
from loader._display.choice import Choice, choose_by_class, choose_evenly, class_label
from loader._display.dataset import features_html, link_html, splits_html
from loader._display.examples import examples_html
from loader._display.histogram import histogram_html
from loader._display.markup import escape, name_html, text_html
from loader._display.output import write_output
from loader._display.page import page
from loader._display.values import class_name
from loader._errors import ArgumentError, LoaderError, NotFoundError, without_secrets
from loader._features.connectors import ClassLabel

MOST_EXAMPLES = 400
PAGE_BYTES = 4_000_000
"""About the most bytes of the examples on a page; with more examples, each gets fewer."""

_LABELS_PER_EXAMPLE = 16  # most labels that are read to find examples of every class, for each example shown
_LABELS_BYTES = 32 << 20  # and most bytes of the records that are read for that


@dataclass(frozen=True)
class Shown:
    """The chosen examples of a split, which has `total` examples."""

    info: loader.DatasetInfo
    split: str
    total: int
    choice: Choice
    label: str | None
    examples: list[dict[str, Any]]

    @property
    def names(self) -> list[str]:
        """What each example is called, as "train 17"."""
        return [f"{self.split} {position}" for position in self.choice.positions]

    def class_names(self, numbers: Sequence[int]) -> list[str]:
        """Return the names of some classes."""
        feature = self.info.features[self.label or ""]
        assert isinstance(feature, ClassLabel)
        return [class_name(feature, number) for number in numbers]


def command(
    name: Name,
    split: Annotated[str | None, typer.Option(help='A split, or a part of one as "train[:10%]".')] = None,
    config: Annotated[str | None, typer.Option(help="One of its builder configs.")] = None,
    rev: Rev = None,
    repo: Repo = None,
    offline: Offline = False,
    stream: Annotated[bool, typer.Option("--stream", help="Read from the remote instead of fetching.")] = False,
    examples: Annotated[int, typer.Option(help="How many examples.", min=1, max=MOST_EXAMPLES)] = 48,
    output: Annotated[Path | None, typer.Option(help="The page to write; by default NAME.html.")] = None,
    png: Annotated[Path | None, typer.Option(help="A sheet of images or spectrograms to write.")] = None,
) -> None:
    """Write a page with examples of a dataset, some of each class: images, recordings, videos, text, boxes, tables.

    The page needs no other file and no network, and its examples take about 4 MB at most. With --png alone, only the
    sheet is written. The artifact is fetched if it is missing, unless --stream reads the shown records alone.
    """
    options: dict[str, Any] = {
        "config": config, "rev": rev, "repo": repo, "offline": offline or None, "stream": stream
    }  # fmt: skip
    if output is not None and png is not None and output.resolve() == png.resolve():
        raise ArgumentError(f"{output} cannot be both the page and the sheet: name two files")
    shown = read_examples(name, split, examples, options)
    if png is not None:
        from loader._display.sheet import sheet

        texts = shown.class_names(shown.choice.classes) if shown.label else shown.names
        write_output(png, sheet(shown.info.features, shown.examples, texts))
        print_line(f"{png}: {len(shown.examples)} examples of {shown.info.full_name} {shown.split}")
    if output is not None or png is None:
        target = output or Path(f"{name}.html")
        write_output(target, page(shown.info.full_name, page_body(shown, name, options)).encode())
        print_line(f"{target}: {len(shown.examples)} examples of {shown.info.full_name} {shown.split}")


def read_examples(name: str, split: str | None, count: int, options: dict[str, Any]) -> Shown:
    """Read `count` examples of a split: some of each class, or evenly spaced ones if there is no class label.

    Few other records are read: to find examples of each class, at most 16 for each example and 32 MB of them in all.

    Raises
    ------
    LoaderError
        The dataset cannot be loaded, or has no examples.
    """
    chosen: loader.Split
    if split is None:
        info, splits = loader.load(name, **options)
        filled = [each for each in splits if len(splits[each])]
        if not filled:
            raise NotFoundError(f"{info.full_name} has no examples to show")
        split = "train" if "train" in filled else filled[0]
        chosen = splits[split]
    else:
        info, chosen = loader.load(name, split=split, **options)
        if not len(chosen):
            raise NotFoundError(f"{info.full_name} {split} has no examples to show")
    label = class_label(info.features)
    if label is None:
        choice = choose_evenly(len(chosen), count)
        return Shown(info, split, len(chosen), choice, None, list(chosen[list(choice.positions)]))
    feature = info.features[label]
    assert isinstance(feature, ClassLabel)
    most_read = max(min(_LABELS_PER_EXAMPLE * count, _LABELS_BYTES // _average_bytes(info)), count)
    kept: dict[int, dict[str, Any]] = {}

    def read_labels(positions: list[int]) -> list[int]:
        if most_read > count:
            return [example[label] for example in chosen[positions]]
        kept.update(zip(positions, chosen[positions], strict=True))  # large records, all of which will be shown
        return [kept[position][label] for position in positions]

    choice = choose_by_class(len(chosen), count, feature.num_classes, read_labels, most_read=most_read)
    missing = [position for position in choice.positions if position not in kept]
    kept.update(zip(missing, chosen[missing], strict=True))
    return Shown(info, split, len(chosen), choice, label, [kept[position] for position in choice.positions])


def _average_bytes(info: loader.DatasetInfo) -> int:
    """Return the average number of bytes of a record, at least 1."""
    splits = info.splits.values()
    return max(sum(split.num_bytes for split in splits) // max(sum(split.num_examples for split in splits), 1), 1)


def page_body(shown: Shown, name: str, options: dict[str, Any]) -> str:
    """Return the HTML of a page about a dataset."""
    info = shown.info
    facts = [f"version {escape(info.version)}"]
    if info.config_name:
        facts.append(f"config {escape(info.config_name)}")
    facts += [name_html(info.license)] if info.license else []
    facts += [link_html(info.homepage)] if info.homepage else []
    about = "\n\n".join(" ".join(part.split()) for part in info.description.strip().split("\n\n"))
    described = f'<div class="dv-about">{text_html(about, preview=1200)}</div>' if about else ""
    parts = [
        f'<h1>{escape(info.name)}</h1><p class="dv-lead">{" · ".join(facts)}</p>{described}',
        f'<h2>Load</h2><pre tabindex="0"><code>{escape(load_lines(name, shown.split, options))}</code></pre>',
        f"<h2>Splits</h2>{splits_html(info.splits)}",
        f"<h2>Features</h2>{features_html(info.features)}",
    ]
    if shown.label:
        counts, origin = _class_counts(shown, name, options)
        parts.append(f"<h2>Classes of {escape(shown.label)}</h2>{histogram_html(counts, label=origin)}")
    parts.append(f"<h2>Examples of {escape(shown.split)}</h2><p>{escape(_selection(shown))}</p>{_examples(shown)}")
    return "\n".join(parts)


def load_lines(name: str, split: str, options: dict[str, Any]) -> str:
    """Return the lines of Python that load the split."""
    given = {key: options[key] for key in ("config", "rev", "repo") if options[key] is not None}
    if "repo" in given:
        given["repo"] = without_secrets(given["repo"])
    keywords = "".join(f", {key}={value!r}" for key, value in given.items())
    return f"import loader\n\ninfo, ds = loader.load({name!r}, split={split!r}{keywords})\nds[0]"


def _class_counts(shown: Shown, name: str, options: dict[str, Any]) -> tuple[dict[str, int], str]:
    """Return the number of examples of each class, by name, and where the numbers are from."""
    if shown.split in shown.info.splits:
        try:
            entry = loader.info(name, **{key: options[key] for key in ("rev", "repo", "offline")})
        except LoaderError:  # the examples are worth showing without it
            entry = None
        if entry is not None and entry.statistics is not None and entry.version == shown.info.version:
            where = shown.info.config_name, shown.split, shown.label
            counts = {
                each.name: each.examples
                for each in entry.statistics.class_counts
                if (each.config, each.split, each.feature) == where
            }
            if counts:
                return counts, f"Examples of each class in {shown.split}, from the recorded statistics"
    read = shown.choice.counts
    counts = dict(zip(shown.class_names([*read]), read.values(), strict=True))
    if read.total() == shown.total:
        return counts, f"Examples of each class in {shown.split}"
    return counts, f"Among {read.total():,} of {shown.total:,} examples, whose labels were read to choose those below"


def _selection(shown: Shown) -> str:
    """Return how the examples were chosen."""
    if len(shown.examples) == shown.total:
        return f"All {shown.total:,} examples"
    chosen = f"{len(shown.examples):,} of {shown.total:,} examples"
    if shown.label is None:
        return f"{chosen}, evenly spaced"
    feature = shown.info.features[shown.label]
    assert isinstance(feature, ClassLabel)
    shown_classes = len(shown.choice.groups)
    if shown_classes < feature.num_classes:
        return f"{chosen}, of {shown_classes:,} of {feature.num_classes:,} classes"
    return f"{chosen}, about as many of each class"


def _examples(shown: Shown) -> str:
    if not shown.label:
        return examples_html(shown.info.features, shown.examples, names=shown.names, budget=PAGE_BYTES)
    groups = shown.choice.groups
    sections = []
    for number, members in groups.items():
        [heading] = shown.class_names([number])
        grid = examples_html(
            shown.info.features,
            [shown.examples[member] for member in members],
            names=[shown.names[member] for member in members],
            hidden={shown.label},
            budget=PAGE_BYTES * len(members) // len(shown.examples),
        )
        sections.append(f'<section class="dv-group"><h3>{name_html(heading)}</h3><div>{grid}</div></section>')
    return "".join(sections)
