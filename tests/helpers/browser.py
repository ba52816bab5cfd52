"""Headless Chromium, which records everything that a page does: requests, console messages, errors.

    with Browser() as browser:
        visit = browser.open(path)               # or a str of HTML; width=375, dark=True
        assert visit.requests == [] and visit.problems == []
        assert visit.axe() == []
        visit.page.keyboard.press("Tab")         # the page of playwright
        visit.screenshot(target)

Skips the test, with a sentence, if there is no `chromium` on PATH.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

SERIOUS = ("serious", "critical")


@dataclass
class Visit:
    """A page that is open, and what it did.

    Attributes
    ----------
    page
        The page of playwright.
    requests
        The URLs that it asked for, without itself and without data: URLs.
    problems
        Its console's messages, errors of its scripts, and requests that failed or were forbidden.
    """

    page: Any
    requests: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def axe(self, *impacts: str) -> list[str]:
        """Return what axe finds that is serious or critical, or of these impacts: rule, help and the first elements."""
        from axe_core_python.sync_playwright import Axe

        wanted = impacts or SERIOUS
        return [
            f"{found['impact']}: {found['id']}: {found['help']}: {[node['html'][:200] for node in found['nodes'][:3]]}"
            for found in Axe().run(self.page)["violations"]
            if found["impact"] in wanted
        ]

    def is_wider_than_the_window(self) -> bool:
        """Return whether the page scrolls sideways."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))

    def focused(self) -> str:
        """Return the tag of the element that has the focus, in lower case."""
        return str(self.page.evaluate("document.activeElement.tagName.toLowerCase()"))

    def tab_through(self, *, most: int = 200) -> list[str]:
        """Press Tab until the focus is back at the document, and return the tags on the way."""
        tags: list[str] = []
        while len(tags) < most:
            self.page.keyboard.press("Tab")
            if (tag := self.focused()) == "body":
                break
            tags.append(tag)
        return tags

    def screenshot(self, target: Path, *, whole: bool = True) -> None:
        """Write a PNG of the page, or of the window."""
        self.page.screenshot(path=str(target), full_page=whole)


class Browser:
    """Headless Chromium without any network but this machine's; a context manager."""

    def __enter__(self) -> Self:
        program = shutil.which("chromium")
        if program is None:
            pytest.skip("Chromium is not on PATH, so pages cannot be tested: install it, for example with apt-get")
        from playwright.sync_api import sync_playwright

        self._playwright = sync_playwright().start()
        self._chromium = self._playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        return self

    def __exit__(self, *_: object) -> None:
        self._chromium.close()
        self._playwright.stop()

    def open(
        self, source: Path | str, *, width: int = 1280, height: int = 900, dark: bool = False, javascript: bool = True
    ) -> Visit:
        """Open a file, a URL, or HTML (which begins with "<"), and wait until it has loaded.

        `javascript=False` turns scripts of the page off; then `axe` does not work either.
        """
        context = self._chromium.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            java_script_enabled=javascript,
        )
        page = context.new_page()
        visit = Visit(page)
        address = source if isinstance(source, str) else source.resolve().as_uri()

        def requested(request: Any) -> None:
            if not request.url.startswith(("data:", "about:")) and request.url.partition("#")[0] != address:
                visit.requests.append(request.url)

        page.on("request", requested)
        page.on("console", lambda message: visit.problems.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: visit.problems.append(f"error: {error}"))
        page.on("requestfailed", lambda request: visit.problems.append(f"failed: {request.url[:200]}"))
        if address.startswith("<"):
            page.set_content(address, wait_until="load")
        else:
            page.goto(address, wait_until="load")
        return visit
