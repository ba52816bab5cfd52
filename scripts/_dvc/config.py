"""DVC's configuration files, read without DVC."""

from __future__ import annotations

from pathlib import Path

from configobj import ConfigObj, ConfigObjError

from scripts._dvc.remotes import VISIBILITIES
from scripts._process.errors import ScriptError

CONFIG_FILE = ".dvc/config"


def read_committed_urls(root: Path) -> dict[str, str]:
    """Return the URLs of the remotes public and private in `.dvc/config`, empty if one is not set.

    Raises
    ------
    ScriptError
        The file is missing or cannot be read.
    """
    path = root / CONFIG_FILE
    try:
        config = ConfigObj(str(path), file_error=True, list_values=False, interpolation=False)
    except (OSError, ConfigObjError, UnicodeDecodeError) as error:
        raise ScriptError(f"{path} cannot be read: {error}") from error
    # DVC quotes the names of sections that have arguments: ['remote "public"']
    return {
        name: str(config.get(f"'remote \"{name}\"'", config.get(f'remote "{name}"', {})).get("url", ""))
        for name in VISIBILITIES
    }
