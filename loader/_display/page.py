"""The shell of a self-contained page, and of a part of a notebook.

Class names begin with `dv-`, and every rule of `styles.css` is below `.dv`, so that the styles change nothing around a
part. They use the colour of the surrounding text, so that a part is readable on a dark and on a light background.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

from loader._display.markup import escape


def page(title: str, body: str, *, script: str = "", styles: str = "") -> str:
    """Return a whole HTML document, light or dark as the reader's system.

    A Content-Security-Policy forbids all requests, and all scripts but the given one, whatever the data contain.

    Parameters
    ----------
    title
        The document's title, as text.
    body
        The HTML in <main>.
    script
        JavaScript of the page, which runs at the end of the document. It must not contain "</script".
    styles
        More CSS.
    """
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f"'sha256-{digest}'" if script else "'none'"
    policy = (
        "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; "
        f"script-src {allowed}; base-uri 'none'; form-action 'none'"
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>{_read("styles.css")}{_read("page.css")}{styles}</style>
</head>
<body>
<main class="dv dv-page">
{body}
</main>
{f"<script>{script}</script>" if script else ""}</body>
</html>
"""


def fragment(body: str) -> str:
    """Return HTML with its styles, as a part of a notebook."""
    return f'<div class="dv"><style>{_read("styles.css")}</style>{body}</div>'


@cache
def _read(name: str) -> str:
    return (Path(__file__).parent / name).read_text()
