"""Text and small pieces of HTML. Data are anybody's: every text passes through `escape`."""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterable

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

PREVIEW_CHARACTERS = 240
MOST_CHARACTERS = 10_000
MOST_OF_A_NAME = 150
TIMES = " \u00d7 "


def escape(text: str) -> str:
    """Return a text for HTML, in an element or in a quoted attribute; control characters become visible."""
    return html.escape(_CONTROL.sub("\ufffd", text.replace("\r\n", "\n")))


def name_html(text: str) -> str:
    """Return a name for HTML; of a long one its beginning, because names in data have any length."""
    return escape(text if len(text) <= MOST_OF_A_NAME else text[: MOST_OF_A_NAME - 1] + "…")


def note(text: str) -> str:
    """Return a remark, in a muted colour."""
    return f'<span class="dv-note">{escape(text)}</span>'


def and_more(shown: int, total: int, noun: str) -> str:
    """Return "…and 3 more rows", or nothing if all are shown."""
    if total <= shown:
        return ""
    return f'<p class="dv-more">…and {total - shown:,} more {noun}</p>'


def text_html(text: str, *, budget: int = MOST_CHARACTERS, preview: int = PREVIEW_CHARACTERS) -> str:
    """Return a text of any length; one longer than `preview` expands, to at most `budget` characters."""
    most = min(max(budget, preview), MOST_CHARACTERS)
    # <bdi> keeps marks of the writing direction inside
    if len(text) <= preview:
        return f'<bdi class="dv-text">{escape(text)}</bdi>' if text else note("empty")
    cut = len(text) - most
    rest = f" {note(f'…and {cut:,} more characters')}" if cut > 0 else ""
    return (
        f'<details class="dv-long"><summary><bdi class="dv-text">{escape(text[:preview])}…</bdi> '
        f"{note(f'{len(text):,} characters')}</summary>"
        f'<bdi class="dv-text">{escape(text[:most])}</bdi>{rest}</details>'
    )


def bytes_html(data: bytes, *, is_text: bool = False, budget: int = MOST_CHARACTERS) -> str:
    """Return bytes as the text that they encode, or else in hexadecimal."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        if is_text:
            return f"{text_html(data.decode(errors='replace'), budget=budget)} {note('not valid UTF-8')}"
        text = "\0"
    if is_text or not _CONTROL.search(text):
        return text_html(text, budget=budget)
    shown = data[:32].hex(" ")
    return f'<code class="dv-bytes">{shown}{" …" if len(data) > 32 else ""}</code> {note(f"{len(data):,} bytes")}'


def table_html(
    head: Iterable[str],
    rows: Iterable[Iterable[str]],
    *,
    label: str,
    has_row_heads: bool = False,
    numeric: Collection[int] = (),
) -> str:
    """Return a table that scrolls by itself.

    Parameters
    ----------
    head, rows
        The heads of the columns, as text, and the cells of each row, as HTML.
    label
        What a screen reader calls it.
    has_row_heads
        Whether the first column names the rows.
    numeric
        The columns of numbers, by their position, which are aligned at the right.
    """

    def cell(column: int, content: str) -> str:
        right = ' class="dv-right"' if column in numeric else ""
        is_head = has_row_heads and column == 0
        return f'<th scope="row"{right}>{content}</th>' if is_head else f"<td{right}>{content}</td>"

    heads = "".join(
        f'<th scope="col"{" class=dv-right" if column in numeric else ""}>{name_html(name)}</th>'
        for column, name in enumerate(head)
    )
    body = "".join(f"<tr>{''.join(cell(column, each) for column, each in enumerate(row))}</tr>" for row in rows)
    top = f"<thead><tr>{heads}</tr></thead>" if heads else ""
    return (
        f'<div class="dv-scroll" role="group" tabindex="0" aria-label="{name_html(label)}">'
        f'<table class="dv-table">{top}<tbody>{body}</tbody></table></div>'
    )


def fields_html(fields: Iterable[tuple[str, str]]) -> str:
    """Return names and their values, which are HTML."""
    pairs = "".join(f"<div><dt>{name_html(name)}</dt><dd>{value}</dd></div>" for name, value in fields)
    return f'<dl class="dv-fields">{pairs}</dl>' if pairs else ""
