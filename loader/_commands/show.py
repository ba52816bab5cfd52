"""`python -m loader show NAME`: write a page, or a sheet, with examples of a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

import loader
from loader._arguments import parse_name
from loader._commands.options import Name, Offline, Repo, Rev
from loader._commands.tables import print_line
from loader._display.dataset import features_html, link_html, splits_html
from loader._display.examples import examples_html
from loader._display.histogram import histogram_html
from loader._display.markup import escape, name_html, text_html
from loader._display.output import write_output
from loader._display.page import page
from loader._errors import ArgumentError, LoaderError, NotFoundError
from loader._registry.usage import load_call
from loader._sample import Sample, read_sample, shown_split

MOST_EXAMPLES = 400
PAGE_BYTES = 4_000_000
"""About the most bytes of the examples on a page; with more examples, each gets fewer."""


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
    name, config, version = parse_name(name, config=config)
    options: dict[str, Any] = {
        "config": config, "rev": rev, "repo": repo, "offline": offline or None, "stream": stream, "version": version
    }  # fmt: skip
    if output is not None and png is not None and output.resolve() == png.resolve():
        raise ArgumentError(f"{output} cannot be both the page and the sheet: name two files")
    if png is not None and png.suffix.casefold() != ".png":
        raise typer.BadParameter(f"{png}: the sheet is a PNG, so its name ends with .png", param_hint="--png")
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


def read_examples(name: str, split: str | None, count: int, options: dict[str, Any]) -> Sample:
    """Read `count` examples of a split, by default of the first that has any, or `train`.

    Raises
    ------
    LoaderError
        The dataset cannot be loaded, or has no examples.
    """
    info, splits = loader.load(name, split=None if split is None else [split], **options)
    if split is not None:
        splits = {split: splits[0]}
    found = shown_split(splits)
    if found is None:
        what = info.full_name if split is None else f"{info.full_name} {split}"
        raise NotFoundError(f"{what} has no examples to show")
    return read_sample(info, found, splits[found], count)


def page_body(shown: Sample, name: str, options: dict[str, Any]) -> str:
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
    given = {key: options[key] for key in ("config", "rev", "repo", "version") if key in options}
    return f"import loader\n\ninfo, ds = {load_call(name, split=split, **given)}\nds[0]"


def _class_counts(shown: Sample, name: str, options: dict[str, Any]) -> tuple[dict[str, int], str]:
    """Return the number of examples of each class, by name, and where the numbers are from."""
    if shown.split in shown.info.splits:
        try:
            versioned = ":".join(filter(None, (name, options.get("version"))))
            entry = loader.info(versioned, **{key: options[key] for key in ("rev", "repo", "offline")})
        except LoaderError:  # the examples are worth showing without it
            entry = None
        versions = {config.name: config.version or entry.version for config in entry.configs} if entry else {}
        is_shown = versions.get(shown.info.config_name) == shown.info.version
        if entry is not None and entry.statistics is not None and is_shown:
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


def _selection(shown: Sample) -> str:
    """Return how the examples were chosen."""
    if len(shown.examples) == shown.total:
        return f"All {shown.total:,} examples"
    chosen = f"{len(shown.examples):,} of {shown.total:,} examples"
    if shown.label is None:
        return f"{chosen}, evenly spaced"
    classes, all_classes = len(shown.choice.groups), shown.class_label.num_classes
    if classes < all_classes:
        return f"{chosen}, of {classes:,} of {all_classes:,} classes"
    return f"{chosen}, about as many of each class"


def _examples(shown: Sample) -> str:
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
