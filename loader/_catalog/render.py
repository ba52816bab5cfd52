"""Render the templates. Everything that a repository says may be anybody's: all of it is escaped."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loader._catalog.version_changes import changes, split_changes
from loader._display.dataset import size_text
from loader._display.markup import escape
from loader._display.page import page

if TYPE_CHECKING:
    from jinja2 import Environment

_FOLDER = Path(__file__).parent


def render(template: str, title: str, **values: Any) -> str:
    """Return a whole page.

    Parameters
    ----------
    template
        A file in `templates/`.
    title
        The title of the page.
    values
        What the template shows; HTML is marked as `markupsafe.Markup`.
    """
    body = _environment().get_template(template).render(**values)
    return page(title, body, script=_read("catalog.js"), styles=_read("catalog.css"))


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    def escaped(value: Any) -> Any:
        return Markup(escape(value)) if type(value) is str else value

    environment = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        finalize=escaped,  # jinja's own leaves control characters, and surrogates, which UTF-8 lacks
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"changes": changes, "split_changes": split_changes}
    environment.filters["size"] = size_text
    environment.filters["count"] = lambda number: f"{number:,}"
    return environment


@cache
def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
