"""Kaggle's datasets and competitions, downloaded with the user's key.

The key is looked for where Kaggle's own programs look for it: the variables KAGGLE_USERNAME and KAGGLE_KEY, then
`kaggle.json` in KAGGLE_CONFIG_DIR, ~/.kaggle or ~/.config/kaggle. It is sent to Kaggle's API only, and to no host that
the API redirects to. As for those programs, KAGGLE_API_ENDPOINT names another server of the API.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import quote

from scripts._process.errors import UnavailableError

HOST = "https://www.kaggle.com"
API = f"{HOST}/api/v1"
DATASETS, COMPETITIONS = f"{API}/datasets/download/", f"{API}/competitions/data/download-all/"


def kaggle_url(competition_or_dataset: str) -> str:
    """Return the URL of the zip file of a dataset (`zillow/zecon`) or a competition (`titanic`)."""
    return (DATASETS if "/" in competition_or_dataset else COMPETITIONS) + quote(competition_or_dataset)


def is_kaggle(url: str) -> bool:
    """Return whether a URL is one of Kaggle's API that sends files."""
    return url.startswith((DATASETS, COMPETITIONS))


def to_request(url: str) -> tuple[str, tuple[str, str] | None]:
    """Return the address to send a request for a URL of Kaggle's to, and the user's name and key, None without them.

    Raises
    ------
    UnavailableError
        The file with the user's key cannot be read.
    """
    endpoint = os.environ.get("KAGGLE_API_ENDPOINT", HOST).rstrip("/").removesuffix("/api/v1")
    return url.replace(HOST, endpoint, 1), _key()


def advice(url: str, status: int) -> str:
    """Return what to do about a response with an error status, to add to a message."""
    if status not in (401, 403, 404):
        return ""
    if _key() is None:
        return (
            f"; Kaggle may want to know you: create a key at {HOST}/settings, and put the file kaggle.json at "
            f"~/.kaggle/kaggle.json, or set KAGGLE_USERNAME and KAGGLE_KEY"
        )
    if status == 403 and url.startswith(COMPETITIONS):
        return f"; join the competition at {HOST}/c/{url.removeprefix(COMPETITIONS)}/rules"
    return ""


def _key() -> tuple[str, str] | None:
    if (user := os.environ.get("KAGGLE_USERNAME")) and (key := os.environ.get("KAGGLE_KEY")):
        return user, key
    configured = os.environ.get("KAGGLE_CONFIG_DIR")
    home = Path.home()
    folders = [Path(configured)] if configured else [home / ".kaggle", home / ".config/kaggle"]
    for path in (folder / "kaggle.json" for folder in folders):
        try:
            content = json.loads(path.read_bytes())
            return str(content["username"]), str(content["key"])
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UnavailableError(
                f"needs your key, but {path} cannot be read or lacks username or key; get another at {HOST}/settings"
            ) from error
    return None
