"""A histogram of classes as HTML."""

from __future__ import annotations

from collections.abc import Mapping

from loader._display.markup import and_more, name_html

_MOST_CLASSES = 50


def histogram_html(counts: Mapping[str, int], *, label: str = "Examples of each class") -> str:
    """Return a table of classes, in their order, with a bar for each.

    Of more than 50 classes, those with the fewest examples are left out, and counted.

    Parameters
    ----------
    counts
        The number of examples of each class, by its name.
    label
        The table's caption.
    """
    largest, total = max(counts.values(), default=0) or 1, sum(counts.values())
    kept = set(sorted(counts, key=lambda name: -counts[name])[:_MOST_CLASSES])
    rows = "".join(
        f'<tr><th scope="row"><bdi>{name_html(name)}</bdi></th><td>{count:,}</td><td class="dv-share">'
        f'{count / (total or 1):.1%}</td><td class="dv-bar" aria-hidden="true">'
        f'<span style="width:{100 * count / largest:.1f}%"></span></td></tr>'
        for name, count in counts.items()
        if name in kept
    )
    left_out = sum(count for name, count in counts.items() if name not in kept)
    rest = and_more(len(kept), len(counts), f"classes with {left_out:,} examples")
    return f'<table class="dv-histogram"><caption>{name_html(label)}</caption><tbody>{rows}</tbody></table>{rest}'
