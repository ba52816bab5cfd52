"""What of a dataset is handed out, and as what: the arguments that `load`, `open` and `from_directory` share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from loader._arguments import check_flags
from loader._errors import ArgumentError
from loader._formats import Format, TextType, check_installed
from loader._split_spec import Splits, check_split


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The splits and features that are handed out, and how; `loader.load` documents the attributes.

    It is checked when it is made, before a dataset is fetched or opened. `keywords` are those of TFDS's `as_dataset`.

    Raises
    ------
    ArgumentError
        An argument is invalid, alone or together with others.
    UnsupportedError
        A package that the format needs is not installed.
    """

    split: Splits
    features: Sequence[str] | None
    supervised: bool
    format: Format
    text: TextType
    chw: bool
    keywords: dict[str, Any]
    stream: bool = False

    def __post_init__(self) -> None:
        check_split(self.split)
        check_flags(supervised=self.supervised, chw=self.chw, stream=self.stream)
        features = self.features
        if isinstance(features, str):
            raise ArgumentError(f"features= takes a list of names: features=[{features!r}]")
        if features is not None and not (
            isinstance(features, Sequence) and all(isinstance(name, str) for name in features)
        ):
            raise ArgumentError(f"features= takes a list of names, not {features!r}")
        if features is not None and self.supervised:
            raise ArgumentError("supervised=True decides the features: leave out features=")
        self._check_format()

    def _check_format(self) -> None:
        if self.format not in get_args(Format):
            raise ArgumentError(f"there is no format {self.format!r}; the formats are {', '.join(get_args(Format))}")
        if self.text not in get_args(TextType):
            raise ArgumentError(f'text= takes "bytes" or "str", not {self.text!r}')
        if self.format != "tf" and self.keywords:
            keyword = next(iter(self.keywords))
            from loader._foreign import argument_hint  # only whoever makes a mistake needs it

            hint = argument_hint(keyword)
            known = 'keywords of as_dataset need format="tf"' if hint is None else f"here it is {hint}"
            raise ArgumentError(f"unknown keyword {keyword}=; {known}")
        if self.format == "tf" and (self.features is not None or self.stream):
            raise ArgumentError('features= and stream= do not work with format="tf"; choose features with decoders=')
        if self.format == "tf" and self.text != "bytes":
            raise ArgumentError('text="str" does not work with format="tf", whose strings are bytes')
        if self.format != "torch" and self.chw:
            raise ArgumentError('chw=True needs format="torch"')
        check_installed(self.format)
