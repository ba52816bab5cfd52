"""The remotes `public` and `private` in DVC's configuration."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loader._errors import without_secrets
from loader._format.committed import is_committed
from scripts._process.errors import ScriptError
from scripts._process.s3_server import S3_PROFILE

PRIVATE = "private"
VISIBILITIES = ("public", PRIVATE)
# a port or a user is not part of the bucket's name for DVC, which would ignore them; a server may resolve a ".."
_S3_URL = re.compile(r"(?i:s3)://([A-Za-z0-9][\w.-]*)(/(?!\.\.?(/|$))[^/]*)*", re.ASCII)
_SERVER = re.compile(r"https?://([\w.-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?/?", re.ASCII | re.IGNORECASE)
_MAX_PORT = 65535
LOCAL_OPTIONS = ("url", "endpointurl", "region", "credentialpath", "profile")
# an AWS configuration or credentials file can name an endpoint too
DECIDE_SERVER = ("endpointurl", "use_ssl", "ssl_verify", "configpath", "credentialpath")
# strict, because amazonaws.com has hosts that AWS's customers run
_AWS = re.compile(
    r"https://s3(-fips|-accelerate)?(\.dualstack)?([.-][a-z]{2}(-[a-z]+)+-[0-9])?\.amazonaws\.com(\.cn)?(:443)?/?"
)
_BUCKET_OF_AWS = re.compile(r"https?://(?!.*\.vpce\.).+\.s3[.-].*amazonaws\.com.*", re.IGNORECASE)
# those that keep an object from everybody but its owner and the bucket's
_PRIVATE_ACLS = ("private", "bucket-owner-read", "bucket-owner-full-control")


def point_committed(root: Path, urls: dict[str, str], endpoint: str | None) -> None:
    """Write the remotes' URLs (by visibility) and their endpoint to `.dvc/config`, which is committed.

    The endpoint is written to `.dvc/config.local` too: whoever runs this names it, so this clone may send credentials
    there (see `unconfirmed_options`).

    Raises
    ------
    ScriptError
        A URL is not an S3 URL, both name the same bucket, or the endpoint is not the address of a server.
    """
    check_apart(urls)
    if endpoint:
        _check_endpoint(endpoint)
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
    buckets = set()
    for name, url in urls.items():
        found = _S3_URL.fullmatch(url)
        if not found:
            raise ScriptError(
                f"the {name} remote needs a URL like s3://bucket or s3://bucket/folder, not {without_secrets(url)!r}"
            )
        buckets.add(found[1].lower())
    if len(buckets) != len(urls):
        raise ScriptError(f"the remotes public and private are in one bucket, {buckets.pop()!r}; give each its own")


def check_remotes(config: Mapping[str, Any], local: Mapping[str, Any] | None = None) -> None:
    """Refuse a configuration with which private data could become public.

    Parameters
    ----------
    config
        The sections of DVC's configuration: of `.dvc/config`, or as DVC merges all files.
    local
        Those of `.dvc/config.local` if it is merged, so that a message names the file to change.

    Raises
    ------
    ScriptError
        A URL is not an S3 URL, both remotes are in one bucket, an endpoint is not the address of a server, the private
        remote lets others read its objects, or another remote is DVC's default.
    """
    remotes = {name: config.get("remote", {}).get(name, {}) for name in VISIBILITIES}
    local = local or {}
    check_apart({name: str(options.get("url", "")) for name, options in remotes.items()})
    for options in remotes.values():
        if "endpointurl" in options:
            _check_endpoint(str(options["endpointurl"]))
    for option, value in remotes[PRIVATE].items():
        if option.startswith("grant_") or (option == "acl" and value not in _PRIVATE_ACLS):
            level = "--local " if option in local.get("remote", {}).get(PRIVATE, {}) else ""
            raise ScriptError(
                f"the private remote has {option} = {value}, which lets others read what is pushed to it; "
                f"remove it with: dvc remote modify {level}--unset {PRIVATE} {option}"
            )
    default = config.get("core", {}).get("remote", PRIVATE)
    if default != PRIVATE:
        level = "--local " if "remote" in local.get("core", {}) else ""
        raise ScriptError(
            f"DVC's default remote is {default!r}, where a plain dvc push would send what has no remote of its own; "
            f"change it with: dvc remote default {level}{PRIVATE}"
        )


def check_upload(config: Any, name: str) -> None:
    """Check, before an upload to a remote, all that decides where it goes and who can read it there.

    Parameters
    ----------
    config
        DVC's merged configuration, a `dvc.config.Config`.
    name
        The remote.

    Raises
    ------
    ScriptError
        As `check_remotes`, also for an endpoint that the environment or the AWS profile names, or the server of the
        remote gets no credentials.
    """
    check_remotes(config, config.load_one("local"))
    options = config["remote"][name]
    if "endpointurl" not in options:
        for endpoint in filter(None, _aws_endpoints(options.get("profile"))):
            _check_endpoint(endpoint)
    if unconfirmed := unconfirmed_options(config, name):
        settings = ", ".join(f"{option} = {value}" for option, value in unconfirmed.items())
        raise ScriptError(
            f"remote {name!r} gets no credentials, because only .dvc/config, which anyone may have written, sets "
            f"{settings}; if you trust it, run: {confirm_command(config, name, unconfirmed)}"
        )


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
    levels = ["system", "global"] if _local_is_committed(config) else ["system", "global", "local"]
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
        if _AWS.fullmatch(endpoint) or endpoint.rstrip("/") in {str(each).rstrip("/") for each in named if each}:
            del found["endpointurl"]
    return found


def confirm_command(config: Any, name: str, options: Mapping[str, Any]) -> str:
    """Return the command with which a user confirms options of a remote that only `.dvc/config` sets."""
    commands = [
        f"dvc remote modify --local {name} {option} {shlex.quote(str(value).lower() if value is False else str(value))}"
        for option, value in options.items()
    ]
    if _local_is_committed(config):  # what is written there would not count
        commands.insert(0, "git rm -f .dvc/config.local")
    return " && ".join(commands)


def make_command(action: str, name: str, remote: str) -> str:
    """Return the make command that pushes or mirrors a dataset to its remote."""
    return f"make {action} DATASET={name}" + ("" if remote == PRIVATE else " PUBLIC=1")


def _local_is_committed(config: Any) -> bool:
    """Return whether `.dvc/config.local` came with the repository, and so is not the user's own."""
    return is_committed(Path(config.dvc_dir, "config.local"))


def _check_endpoint(endpoint: str) -> None:
    """Refuse an endpoint that names a bucket, which would be that of both remotes, or no server at all."""
    found = _SERVER.fullmatch(endpoint)
    if not found or int((found[2] or ":1")[1:]) > _MAX_PORT or _BUCKET_OF_AWS.fullmatch(endpoint):
        raise ScriptError(
            f"an endpoint must be the address of a server alone, like https://host or http://host:port, not "
            f"{without_secrets(endpoint)!r}: a path or a bucket in it would be the bucket of both remotes"
        )


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
