"""Find an artifact on its DVC remote. Importing this module imports botocore."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from configobj import ConfigObjError

from loader._errors import FetchError, without_secrets
from loader._fetch.dvc_config import config_files, merge, parse, read_file
from loader._fetch.revision import TrackedFile
from loader._fetch.s3 import S3Object
from loader._fetch.s3_client import is_own_endpoint
from loader._format.names import object_path

COMMITTED_OPTIONS = frozenset(
    ("url", "endpointurl", "region", "allow_anonymous_login", "connect_timeout", "read_timeout")
)
"""The options of a remote that count if they are committed. The others decide which credentials are sent, or protect
them on their way (use_ssl, ssl_verify), or name AWS configuration files, which can run programs.
"""

MAX_CONFIG_BYTES = 1 << 20
_FROM_REPOSITORY = "endpoint from repository"  # no option of DVC has this name
_S3_URL = re.compile(r"s3://[\w.-]+(/.*)?", re.ASCII)
_HAS_USER = re.compile(r"[^/?#]*//[^/?#]*@")


def read_config(
    dvc_folder: Path | None, *, committed: bytes | None = None, local_is_committed: bool = False
) -> dict[str, Any]:
    """Return the DVC configuration of this machine and of the repository.

    Parameters
    ----------
    dvc_folder
        The `.dvc` folder of a work tree.
    committed
        The content of `.dvc/config`, for a repository without a work tree.
    local_is_committed
        Whether `.dvc/config.local` is part of the repository, and so not the user's own.

    Raises
    ------
    FetchError
        It cannot be read.
    """
    try:
        config = {level: read_file(path) for level, path in config_files(dvc_folder).items()}
        if committed is not None:
            config["repo"] = _parse(committed)
        foreign = {"repo", "local"} if local_is_committed else {"repo"}
        for level in foreign & config.keys():
            for remote in config[level]["remote"].values():
                for option in remote.keys() - COMMITTED_OPTIONS:
                    del remote[option]
        merged = merge(config.values())
    except (ConfigObjError, OSError, RecursionError, TypeError, ValueError) as error:
        raise FetchError(f"DVC's configuration cannot be read: {without_secrets(str(error))}") from error
    own = (config[level] for level in config.keys() - foreign)
    _mark_foreign_endpoints(merged, own, trusts_local=not local_is_committed)
    return merged


def locate(config: dict[str, Any], tracked: TrackedFile) -> S3Object:
    """Return the object of a tracked artifact.

    Credentials are sent to AWS and to endpoints that the user has named: in the environment, in the AWS profile, or in
    DVC's configuration outside the repository's commits. Other endpoints are asked without credentials.

    Raises
    ------
    FetchError
        The remote is not configured, not on S3, or has credentials in its URL.
    """
    # an output without a remote of its own is private, whatever this machine's default is
    name = tracked.remote or (
        "private" if "private" in config.get("remote", {}) else config.get("core", {}).get("remote")
    )
    options = dict(config.get("remote", {}).get(name, {}))
    is_foreign = _FROM_REPOSITORY in options
    trusts_local = options.pop(_FROM_REPOSITORY, False)
    url, endpoint = str(options.get("url", "")), str(options.get("endpointurl", ""))
    for option, value in (("url", url), ("endpointurl", endpoint)):
        if _HAS_USER.match(value):
            raise FetchError(
                f"remote {name!r} has a user name or password in its {option} ({without_secrets(value)}); "
                f"take it out, and set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
    if not _S3_URL.fullmatch(url):
        problem = f"is at {without_secrets(url)}, not on S3" if url else "is not configured"
        raise FetchError(f"remote {name!r} {problem}; set it with: make remote PUBLIC=s3://... PRIVATE=s3://...")
    if endpoint and not _is_address(endpoint):
        raise FetchError(
            f"remote {name!r} has the endpointurl {without_secrets(endpoint)!r}, which is not an address like "
            f"https://host or http://host:port; correct it in .dvc/config or .dvc/config.local"
        )
    hint = ""
    if is_foreign and not is_own_endpoint(endpoint, options):
        options["allow_anonymous_login"] = True
        quoted = shlex.quote(endpoint)
        hint = f"if you trust it, set AWS_ENDPOINT_URL={quoted}"
        if trusts_local:
            hint += f", or run in a clone: dvc remote modify --local {shlex.quote(str(name))} endpointurl {quoted}"
    usable = tuple(sorted((key, value) for key, value in options.items() if isinstance(value, str | bool | int)))
    return S3Object(
        f"{url.rstrip('/')}/{object_path(tracked.md5)}",
        tracked.size,
        tracked.dataset,
        str(name),
        usable,
        hint,
        tracked.commit,
    )


def _is_address(endpoint: str) -> bool:
    try:
        parts = urlsplit(endpoint)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # of brackets and ports
        return False


def _mark_foreign_endpoints(config: dict[str, Any], own: Iterable[dict[str, Any]], *, trusts_local: bool) -> None:
    """Mark the remotes whose endpoint none of the user's `own` levels of the configuration names.

    The mark says whether the user can name it in `.dvc/config.local`, which does not count if it is committed.
    """
    named = [  # no set, because a value with a comma is a list
        (name, remote["endpointurl"])
        for level in own
        for name, remote in level.get("remote", {}).items()
        if "endpointurl" in remote
    ]
    for name, remote in config.get("remote", {}).items():
        if "endpointurl" in remote and (name, remote["endpointurl"]) not in named:
            remote[_FROM_REPOSITORY] = trusts_local


def _parse(committed: bytes) -> dict[str, Any]:
    if len(committed) > MAX_CONFIG_BYTES or b"%(" in committed:
        raise ValueError("the .dvc/config of the repository is too long, or refers to its own values with %(...)s")
    return parse(committed)
