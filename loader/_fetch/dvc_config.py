"""Read DVC's configuration files without DVC, as `dvc.config.Config` of DVC 3 does.

The sections and options that the loader uses are read and checked; DVC checks the others, for what it does with them.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from configobj import ConfigObj

_SECTIONS = ("core", "cache", "remote")
_REMOTE = re.compile(r"\s*(remote|machine|db)\s*\"(.*)\"\s*")
_URL = re.compile(r"\w+://")
_PATHS = ("url", "configpath", "credentialpath")  # a relative one starts at the folder of its file
_SCHEMES = frozenset(
    ("azure", "gdrive", "gs", "hdfs", "http", "https", "oss", "remote", "s3", "ssh", "webdav", "webdavs", "webhdfs")
)


def config_files(dvc_folder: Path | None) -> dict[str, Path]:
    """Return the file of each level, which may be missing; a later level takes precedence.

    Parameters
    ----------
    dvc_folder
        The `.dvc` folder of a work tree; without one there are the levels of the machine only.
    """
    from platformdirs import site_config_dir, user_config_dir

    names = ("dvc", "iterative")
    files = {
        "system": Path(os.environ.get("DVC_SYSTEM_CONFIG_DIR") or site_config_dir(*names), "config"),
        "global": Path(os.environ.get("DVC_GLOBAL_CONFIG_DIR") or user_config_dir(*names), "config"),
    }
    if dvc_folder is not None:
        files |= {"repo": dvc_folder / "config", "local": dvc_folder / "config.local"}
    return files


def read_file(path: Path) -> dict[str, Any]:
    """Return the sections of a file, with absolute paths; of a missing file, empty ones.

    Raises
    ------
    OSError, ValueError, TypeError, ConfigObjError
        It cannot be read, or is none of DVC's.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        content = b""
    config = parse(content)
    folder = os.path.abspath(path.parent)  # noqa: PTH100  (it keeps links, as DVC does)
    for options, names in ((config["cache"], ("dir",)), *((remote, _PATHS) for remote in config["remote"].values())):
        options |= {name: _absolute(folder, options[name]) for name in names if name in options}
    return config


def parse(content: bytes) -> dict[str, Any]:
    """Return the sections of a file's content, with the remotes by name under `remote`.

    Raises
    ------
    ValueError, ConfigObjError
        It is none of DVC's configuration files.
    """
    with io.TextIOWrapper(io.BytesIO(content), encoding="utf-8") as text:
        written = _lower_keys(ConfigObj(text).dict())
    config: dict[str, Any] = {"remote": {}}
    for section, options in written.items():
        if named := _REMOTE.fullmatch(section):
            config.setdefault(named[1], {})[named[2]] = options
        else:
            config[section] = options
    found = {section: config.get(section, {}) for section in _SECTIONS}
    for section in (found["cache"], *_options(found["remote"]).values()):
        _options(section)
    return found


def merge(levels: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the configuration of all levels, of which a later one takes precedence, with typed values and defaults.

    Raises
    ------
    ValueError
        A value is of another type than DVC expects, or DVC knows no such option or kind of remote.
    """
    merged: dict[str, Any] = {}
    for level in levels:
        _merge(merged, level)
    core, cache = _options(merged["core"]), merged["cache"]
    return {
        "core": {"remote": str(core["remote"]).lower()} if "remote" in core else {},
        "cache": {"dir": _text(cache["dir"])} if "dir" in cache else {},
        "remote": {name: _remote(name, options) for name, options in merged["remote"].items()},
    }


def _merge(into: dict[str, Any], update: Mapping[str, Any]) -> None:
    for key, value in update.items():
        if isinstance(value, Mapping):
            kept = into.get(key)
            into[key] = kept if isinstance(kept, dict) else {}
            _merge(into[key], value)
        else:
            into[key] = value


def _remote(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    if "url" not in options:
        raise ValueError(f"the remote {name!r} has no url")
    parts = urlsplit(_text(options["url"]))
    if not parts.netloc:
        return dict(options)  # of a folder
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"the remote {name!r} is of a kind that DVC does not know, {parts.scheme}://")
    if parts.scheme != "s3":
        return dict(options)
    typed = dict(_S3_DEFAULTS)
    for option, value in options.items():
        if option not in _S3_OPTIONS:
            raise ValueError(f"the remote {name!r} has the option {option!r}, which DVC does not know")
        try:
            typed[option] = _S3_OPTIONS[option](value)
        except (LookupError, ValueError, TypeError):  # without the value, which may be secret
            raise ValueError(f"the remote {name!r} has a value of {option!r} that DVC does not accept") from None
    return typed


def _absolute(folder: str, path: str) -> str:
    if _URL.match(path) or Path(path).is_absolute():
        return path
    expanded = os.path.expanduser(path)  # noqa: PTH111  (an unknown user is no error)
    return expanded if Path(expanded).is_absolute() else os.path.abspath(Path(folder, path))  # noqa: PTH100


def _lower_keys(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key.lower(): _lower_keys(value) if isinstance(value, dict) else value for key, value in section.items()}


def _options(section: Any) -> dict[str, Any]:
    if not isinstance(section, dict):
        raise ValueError("a value stands where a section is expected")
    return section


def _text(value: Any) -> str:
    if not isinstance(value, str):  # a list: the value has a comma, and no quotes
        raise ValueError("text was expected")
    return value


def _bool(value: Any) -> bool:
    return {"true": True, "false": False}[_text(value).lower()]


def _bool_or_text(value: Any) -> bool | str:
    text = _text(value)
    return text.lower() == "true" if text.lower() in ("true", "false") else text


def _positive(value: Any) -> int:
    number = int(value)
    if number < 1:
        raise ValueError("a positive number was expected")
    return number


_S3_DEFAULTS = {"allow_anonymous_login": False, "listobjects": False, "use_ssl": True, "verify": False}
_S3_OPTIONS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys((*_S3_DEFAULTS, "no_traverse", "version_aware", "worktree"), _bool),
    **dict.fromkeys(("connect_timeout", "read_timeout"), int),
    **dict.fromkeys(("checksum_jobs", "jobs"), _positive),
    "ssl_verify": _bool_or_text,
    **dict.fromkeys(
        ("access_key_id", "acl", "configpath", "credentialpath", "endpointurl", "grant_full_control", "grant_read",
         "grant_read_acp", "grant_write_acp", "profile", "region", "secret_access_key", "session_token", "sse",
         "sse_customer_algorithm", "sse_customer_key", "sse_kms_key_id", "url"),
        _text,
    ),
}  # fmt: skip
