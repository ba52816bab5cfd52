"""The remotes `public` and `private` in DVC's configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scripts._process.errors import ScriptError
from scripts._process.s3_server import S3_PROFILE

VISIBILITIES = ("public", "private")
LOCAL_OPTIONS = ("url", "endpointurl", "region", "credentialpath", "profile")


def point_committed(root: Path, urls: dict[str, str], endpoint: str | None) -> None:
    """Write the remotes' URLs (by visibility) and their endpoint to `.dvc/config`, which is committed.

    Raises
    ------
    ScriptError
        A URL is not an S3 URL, or both name the same bucket.
    """
    check_apart(urls)
    with _config(root).edit("repo") as config:
        for name, url in urls.items():
            remote = config["remote"].setdefault(name, {})
            remote.update(url=url, verify=True)
            remote.pop("endpointurl", None)
            if endpoint:
                remote["endpointurl"] = endpoint
    clear_local(root)  # settings that `make s3` wrote there would take precedence


def point_local(root: Path, urls: dict[str, str], endpoint: str, credentials: Path) -> None:
    """Write remotes on a server of this machine to `.dvc/config.local`, which is never committed."""
    with _config(root).edit("local") as config:
        for name, url in urls.items():
            config["remote"].setdefault(name, {}).update(
                url=url,
                endpointurl=endpoint,
                region="us-east-1",
                credentialpath=str(credentials),
                profile=S3_PROFILE,
            )


def clear_local(root: Path) -> None:
    """Remove from `.dvc/config.local` what `point_local` wrote; its profile distinguishes it from other settings."""
    with _config(root).edit("local", validate=False) as config:
        for name in VISIBILITIES:
            remote = config["remote"].get(name, {})
            if remote.get("profile") == S3_PROFILE:
                for option in LOCAL_OPTIONS:
                    remote.pop(option, None)
            if not remote:
                config["remote"].pop(name, None)


def check_apart(urls: dict[str, str]) -> None:
    """Refuse remotes in one bucket, because private data could become public.

    Raises
    ------
    ScriptError
        A URL is not an S3 URL, or both name the same bucket.
    """
    for name, url in urls.items():
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc:
            raise ScriptError(f"the {name} remote needs a URL like s3://bucket or s3://bucket/folder, not {url!r}")
    buckets = {urlsplit(url).netloc for url in urls.values()}
    if len(buckets) != len(urls):
        raise ScriptError(f"the remotes public and private are in one bucket, {buckets.pop()!r}; give each its own")


def _config(root: Path) -> Any:
    from dvc.config import Config

    return Config(str(root / ".dvc"))
