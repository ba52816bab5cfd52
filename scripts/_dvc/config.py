"""DVC's configuration files, read without DVC."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from configobj import ConfigObj, ConfigObjError

from scripts._process.errors import ScriptError

CONFIG_FILE = ".dvc/config"
LOCAL_CONFIG_FILE = ".dvc/config.local"
_REMOTE = re.compile(r"""'?\s*remote\s*"(.*)"\s*'?""")


def read_committed(root: Path) -> dict[str, Any]:
    """Return the sections of `.dvc/config` as DVC reads it, with the remotes by name under `remote`.

    Raises
    ------
    ScriptError
        The file is missing or cannot be read.
    """
    path = root / CONFIG_FILE
    try:
        written = _lower_keys(ConfigObj(str(path), file_error=True).dict())
    except (OSError, ConfigObjError, UnicodeDecodeError) as error:
        raise ScriptError(f"{path} cannot be read: {error}") from error
    sections = {name: options for name, options in written.items() if isinstance(options, dict)}
    remotes = {found[1]: options for name, options in sections.items() if (found := _REMOTE.fullmatch(name))}
    return {**sections, "remote": remotes}


def _lower_keys(found: Any) -> Any:
    return {key.lower(): _lower_keys(value) for key, value in found.items()} if isinstance(found, dict) else found
