"""The remotes `public` and `private` in DVC's configuration."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scripts._process.errors import ScriptError
from scripts._process.git import git
from scripts._process.s3_server import S3_PROFILE

PRIVATE = "private"
VISIBILITIES = ("public", PRIVATE)
_BUCKET = re.compile(r"[A-Za-z0-9][\w.-]*")
LOCAL_OPTIONS = ("url", "endpointurl", "region", "credentialpath", "profile")
# an AWS configuration or credentials file can name an endpoint too
DECIDE_SERVER = ("endpointurl", "use_ssl", "ssl_verify", "configpath", "credentialpath")
# strict, because amazonaws.com has hosts that AWS's customers run
_AWS_HOST = re.compile(r"s3(-fips|-accelerate)?(\.dualstack)?([.-][a-z]{2}(-[a-z]+)+-[0-9])?\.amazonaws\.com(\.cn)?")


def point_committed(root: Path, urls: dict[str, str], endpoint: str | None) -> None:
    """Write the remotes' URLs (by visibility) and their endpoint to `.dvc/config`, which is committed.

    The endpoint is written to `.dvc/config.local` too: whoever runs this names it, so this clone may send credentials
    there (see `unconfirmed_options`).

    Raises
    ------
    ScriptError
        A URL is not an S3 URL, or both name the same bucket.
    """
    check_apart(urls)
    before = {}
    with _config(root).edit("repo") as config:
        for name, url in urls.items():
            remote = config["remote"].setdefault(name, {})
            remote.update(url=url, verify=True)
            before[name] = remote.pop("endpointurl", None)
            if endpoint:
                remote["endpointurl"] = endpoint
    clear_local(root)  # settings that `make s3` wrote there would take precedence
    with _config(root).edit("local", validate=False) as config:
        for name in urls:
            remote = config["remote"].setdefault(name, {})
            if endpoint:
                remote["endpointurl"] = endpoint
            elif remote.get("endpointurl") == before[name]:  # written by an earlier call
                remote.pop("endpointurl", None)
            if not remote:
                config["remote"].pop(name)


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
        # a port or a user is not part of the bucket's name for DVC, which would ignore them
        if parts.scheme != "s3" or not _BUCKET.fullmatch(parts.netloc):
            raise ScriptError(f"the {name} remote needs a URL like s3://bucket or s3://bucket/folder, not {url!r}")
    buckets = {urlsplit(url).netloc.lower() for url in urls.values()}
    if len(buckets) != len(urls):
        raise ScriptError(f"the remotes public and private are in one bucket, {buckets.pop()!r}; give each its own")


def unconfirmed_options(config: Any, name: str) -> dict[str, Any]:
    """Return the options of a remote that decide which server gets its credentials, and that only `.dvc/config` sets.

    Whoever can change the repository could name a server there that collects credentials. So they are sent only to AWS
    itself and to endpoints that the user has named: in `.dvc/config.local`, in DVC's global or system configuration, in
    AWS_ENDPOINT_URL or AWS_ENDPOINT_URL_S3, or in the AWS profile.

    Parameters
    ----------
    config
        DVC's configuration, a `dvc.config.Config`.
    name
        The remote.
    """
    options = config["remote"].get(name, {})
    levels = ["system", "global"] if _local_is_committed(Path(config.dvc_dir)) else ["system", "global", "local"]
    own = [config.load_one(level).get("remote", {}) for level in levels]
    found = {
        option: options[option]
        for option in DECIDE_SERVER
        if option in options and not any(option in level.get(name, {}) for level in own)
    }
    for option in ("use_ssl", "ssl_verify"):
        if found.get(option) is True:  # the default
            del found[option]
    if "endpointurl" in found:
        named = {remote.get("endpointurl") for level in own for remote in level.values()}
        named |= _aws_endpoints(None if "profile" not in options else str(options["profile"]))
        endpoint = str(found["endpointurl"])
        parts = urlsplit(endpoint)
        is_aws = parts.scheme == "https" and _AWS_HOST.fullmatch(parts.hostname or "") is not None
        if is_aws or endpoint.rstrip("/") in {str(each).rstrip("/") for each in named if each}:
            del found["endpointurl"]
    return found


def confirm_command(name: str, options: Mapping[str, Any]) -> str:
    """Return the command with which a user confirms options of a remote that only `.dvc/config` sets."""
    return " && ".join(
        f"dvc remote modify --local {name} {option} {shlex.quote(str(value).lower() if value is False else str(value))}"
        for option, value in options.items()
    )


def make_command(action: str, name: str, remote: str) -> str:
    """Return the make command that pushes or mirrors a dataset to its remote."""
    return f"make {action} DATASET={name}" + ("" if remote == PRIVATE else " PUBLIC=1")


def _local_is_committed(folder: Path) -> bool:
    """Return whether `.dvc/config.local` is part of the repository, and so not the user's own."""
    try:
        return bool(git(folder, "ls-files", "--", "config.local"))
    except ScriptError:
        return False  # not a git repository


def _aws_endpoints(profile: str | None) -> set[str | None]:
    """Return the endpoints for S3 in the environment and in the user's AWS configuration."""
    from botocore.exceptions import BotoCoreError
    from botocore.session import Session

    found = {os.environ.get("AWS_ENDPOINT_URL_S3"), os.environ.get("AWS_ENDPOINT_URL")}
    session = Session(profile=profile)
    try:
        scoped = session.get_scoped_config()
        services = session.full_config.get("services", {}).get(scoped.get("services"), {})
    except BotoCoreError:
        return found  # a profile that does not exist; whoever uses it says so
    s3 = services.get("s3", {})
    return found | {scoped.get("endpoint_url"), s3.get("endpoint_url") if isinstance(s3, dict) else None}


def _config(root: Path) -> Any:
    from dvc.config import Config

    return Config(str(root / ".dvc"))
