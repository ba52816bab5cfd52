"""The splits of a dataset by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from loader._errors import NotFoundError
from loader._split import Split


class NoSplitError(NotFoundError, KeyError):
    """There is no split with this name."""

    def __str__(self) -> str:
        return str(NotFoundError(*self.args))  # a KeyError puts its message in quotes


class SplitsByName(dict[str, Split]):
    """A dict of splits that says which names are near one that it does not have."""

    def __init__(self, dataset: str, splits: Mapping[str, Split]) -> None:
        super().__init__(splits)
        self._dataset = dataset

    def __missing__(self, name: Any) -> NoReturn:
        import difflib  # only whoever makes a mistake waits for it

        text = name if isinstance(name, str) else ""
        near = difflib.get_close_matches(text, self, n=3, cutoff=0.5)
        advice = f"did you mean {' or '.join(map(repr, near))}?" if near else f"its splits: {', '.join(self)}"
        if "[" in text or "+" in text:
            advice = f"such a part is chosen when the dataset is loaded, with split={name!r}"
        raise NoSplitError(f"{self._dataset} has no split {name!r}; {advice}")

    def __getattr__(self, name: str) -> NoReturn:
        advice = ""
        if hasattr(Split, name) and self:
            advice = f"; each of its splits has: ds[{next(iter(self))!r}].{name}"
        raise AttributeError(f"this is a dict of splits, which has no {name!r}{advice}", name=name, obj=self)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._dataset, dict(self))
