"""Google Drive: it sends a page that asks for a confirmation in place of a file that it has not scanned for viruses."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode, urljoin

from scripts._process.errors import UnavailableError
from scripts._sources.responses import content_type_of

PAGE_BYTES = 1 << 20
_DRIVE = re.compile(r"https?://(drive(\.usercontent)?\.google\.com/|docs\.google\.com/uc\?)", re.IGNORECASE)


def is_drive(url: str) -> bool:
    """Return whether Google Drive serves a URL."""
    return _DRIVE.match(url) is not None


def is_page(response: Any) -> bool:
    """Return whether a response of Google Drive is one of its pages; an HTML file comes with a file name."""
    return content_type_of(response) == "text/html" and "Content-Disposition" not in response.headers


def confirmed_url(response: Any) -> str:
    """Return the URL of the file to which the form of a page leads.

    Raises
    ------
    UnavailableError
        The page has no such form: the file is gone, is private, or was downloaded too often.
    """
    page = _Page()
    page.feed(response.raw.read(PAGE_BYTES, decode_content=True).decode(errors="replace"))
    url = urljoin(response.url, page.action)
    if not page.action or not is_drive(url):
        title = " ".join(page.title.split()) or "without a title"
        raise UnavailableError(f"sends a page of Google Drive instead of the file: {title!r}")
    return f"{url}?{urlencode(page.fields)}"


class _Page(HTMLParser):
    """The title of a page, and where its first form leads."""

    def __init__(self) -> None:
        super().__init__()
        self.title = self.action = ""
        self.fields: dict[str, str] = {}
        self._inside: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self._inside.add(tag)
        if tag == "form" and not self.action:
            self.action = attributes.get("action", "")
        elif tag == "input" and "form" in self._inside and "name" in attributes:
            self.fields[attributes["name"]] = attributes.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        self._inside.discard(tag)

    def handle_data(self, data: str) -> None:
        if "title" in self._inside:
            self.title += data
