"""`python -m scripts remote`: where the remotes `public` and `private` are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from scripts._define.definition import ROOT, VISIBILITIES
from scripts._process.errors import ScriptError

S3_PROFILE = "datasets-s3"  # the mark of what `point_local` wrote
LOCAL_OPTIONS = ("url", "endpointurl", "region", "credentialpath", "profile")


def point(root: Path, urls: dict[str, str], endpoint: str | None) -> None:
    """Write the remotes' URLs (by visibility) and their endpoint into `.dvc/config`, to be committed.

    Raises
    ------
    ScriptError
        A URL is none of S3, or the two name the same bucket.
    """
    check_apart(urls)
    with _config(root).edit("repo") as config:
        for name, url in urls.items():
            remote = config["remote"].setdefault(name, {})
            remote.update(url=url, verify=True)
            remote.pop("endpointurl", None)
            if endpoint:
                remote["endpointurl"] = endpoint
    clear_local(root)  # what `make s3` wrote there would win


def point_local(root: Path, urls: dict[str, str], endpoint: str, credentials: Path) -> None:
    """Write the remotes of a server on this machine into `.dvc/config.local`, which is never committed."""
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
    """Take out of `.dvc/config.local` what `point_local` wrote."""
    with _config(root).edit("local", validate=False) as config:
        for name in VISIBILITIES:
            remote = config["remote"].get(name, {})
            if remote.get("profile") == S3_PROFILE:
                for option in LOCAL_OPTIONS:
                    remote.pop(option, None)
            if not remote:
                config["remote"].pop(name, None)


def check_apart(urls: dict[str, str]) -> None:
    """Refuse remotes by which something private could become public.

    Raises
    ------
    ScriptError
        A URL is none of S3, or the two name the same bucket.
    """
    for name, url in urls.items():
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc:
            raise ScriptError(f"the {name} remote needs a URL like s3://bucket or s3://bucket/folder, not {url!r}")
    buckets = {urlsplit(url).netloc for url in urls.values()}
    if len(buckets) != len(urls):
        raise ScriptError(f"the remotes public and private are in one bucket, {buckets.pop()!r}; give each its own")


def command(
    public: Annotated[str, typer.Option(help="Where public datasets go, s3://bucket[/folder].")],
    private: Annotated[str, typer.Option(help="Where private datasets go, in another bucket.")],
    endpoint: Annotated[str | None, typer.Option(help="The server's URL where it is not AWS.")] = None,
) -> None:
    """Point the remotes at real buckets, in .dvc/config."""
    point(ROOT, {"public": public, "private": private}, endpoint)
    print("remotes written to .dvc/config; commit it: git commit .dvc/config -m 'Point the remotes at our buckets'")


def _config(root: Path) -> Any:
    from dvc.config import Config

    return Config(str(root / ".dvc"))
