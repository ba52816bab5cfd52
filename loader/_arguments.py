"""Check the arguments of public functions, so that a wrong one is an error that names it, before anything is read."""

from __future__ import annotations

import operator
import os
import re
from typing import Any

from loader._errors import ArgumentError

_VERSION = r"(?:\d+|\*)(?:\.(?:\d+|\*)){2}"
_NAME = re.compile(rf"(?P<name>[a-zA-Z]\w*)(?:/(?P<config>[\w+.-]+))?(?::(?P<version>{_VERSION}))?")


def parse_name(name: Any, *, config: Any = None, version: Any = None) -> tuple[str, str | None, str | None]:
    """Return the name, config and version of a dataset, which become parts of paths.

    The name may contain the two others, as in TFDS: "name/config", "name:1.0.0", "name/config:1.*.*".

    Raises
    ------
    ArgumentError
        One is not valid, or is given twice.
    """
    check_text(config=config, version=version)
    match = _NAME.fullmatch(name) if isinstance(name, str) else None
    if match is None:
        raise ArgumentError(
            f"name={name!r} is not the name of a dataset, which has letters, digits and _; "
            f"a config and a version may follow, as in name/config:1.0.0"
        )
    for option, given in (("config", config), ("version", version)):
        if given is not None and match[option] not in (None, given):
            raise ArgumentError(f"name={name!r} has another {option} than {option}={given!r}: leave out one of them")
    version = version or match["version"]
    if version is not None and "*" in version and not re.fullmatch(_VERSION, version):
        raise ArgumentError(f"version={version!r} is neither a version like 1.0.0 nor a pattern like 1.*.*")
    return match["name"], config or match["config"], version


def parse_unversioned(name: Any, *, config: Any) -> tuple[str, str | None]:
    """Return the name and the config of a dataset of which several versions are looked at.

    Raises
    ------
    ArgumentError
        One is not valid, or the name has a version in it.
    """
    parsed, config, version = parse_name(name, config=config)
    if version is not None:
        raise ArgumentError(f"name={name!r} has a version in it, but several are compared here: leave out :{version}")
    return parsed, config


def check_text(**options: Any) -> None:
    """Check that options are strings, or None.

    Raises
    ------
    ArgumentError
        One is something else, is empty (as an unset variable of a shell is), or has a zero byte or half of a surrogate
        pair in it.
    """
    for option, value in options.items():
        if value is not None and not isinstance(value, str):
            raise ArgumentError(f"{option}= takes a string, not {value!r}")
        if value == "":
            raise ArgumentError(f"{option}= is empty; leave it out for the default")
        if value is not None and not _is_text(value):
            raise ArgumentError(f"{option}={value!r} has a zero byte or an unpaired surrogate in it")


def check_path(option: str, value: Any, *, optional: bool = False) -> None:
    """Check that an option is a path, or None if it is optional; for `repo=`, a URL is one too.

    Raises
    ------
    ArgumentError
        It is not.
    """
    if value is None and optional:
        return
    if value == "":
        raise ArgumentError(f"{option}= is empty")
    try:
        path = os.fspath(value)
        data = os.fsencode(path)
        # no file system has longer names; those in a URL may be
        is_short = b"://" in data or max(map(len, data.split(b"/"))) <= 255
        is_path = isinstance(path, str) and b"\0" not in data and is_short
    except (TypeError, ValueError):  # ValueError if it cannot be encoded
        is_path = False
    if not is_path:
        raise ArgumentError(f"{option}={value!r} is not a path")


def check_flags(**options: Any) -> None:
    """Check that options are True or False, or None.

    Raises
    ------
    ArgumentError
        One is something else.
    """
    for option, value in options.items():
        if value is not None and not isinstance(value, bool):
            raise ArgumentError(f"{option}= takes True or False, not {value!r}")


def check_integer(option: str, value: Any, *, least: int) -> int:
    """Return an option as an integer, which JSON can hold; NumPy's are accepted.

    Raises
    ------
    ArgumentError
        It is not an integer, or less than `least`.
    """
    try:
        number = operator.index(value)
    except TypeError:
        raise ArgumentError(f"{option}= takes an integer, not {value!r}") from None
    if isinstance(value, bool) or number < least:
        raise ArgumentError(f"{option} must be an integer of at least {least}, not {value!r}")
    return number


def _is_text(value: str) -> bool:
    try:
        return b"\0" not in value.encode()
    except UnicodeEncodeError:
        return False
