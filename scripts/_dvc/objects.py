"""DVC's objects on S3. Importing this module imports DVC."""

from __future__ import annotations

import os
import re
import sqlite3
from pathlib import Path

from botocore.exceptions import BotoCoreError
from botocore.session import Session
from dvc.config import Config
from dvc.exceptions import DvcException
from dvc.repo import Repo

from loader import FetchError
from loader._errors import endpoint_of
from scripts._dvc.redirects import follow_no_redirects
from scripts._dvc.remote_object import RemoteObject
from scripts._dvc.remotes import PRIVATE, check_upload, confirm_command, unconfirmed_options
from scripts._process.files import hash_file

# seconds; transfer.STEP_SECONDS limits a whole step, whatever the options of a remote are
TIMEOUTS = {"connect_timeout": 10, "read_timeout": 20}
_CREDENTIAL_OPTIONS = ("access_key_id", "profile", "credentialpath", "allow_anonymous_login")


def open_repo(root: Path) -> Repo:
    """Open the DVC repository at `root`, with time limits for its remotes.

    A remote is read anonymously if this machine has no AWS credentials, or if only `.dvc/config` names its server.
    By default DVC requires credentials; with `allow_anonymous_login` it ignores existing ones.

    Raises
    ------
    FetchError
        `root` is not a DVC repository, a remote's url names no bucket, or the machine's AWS configuration is broken.
    """
    try:
        for name, options in Config(os.fspath(root / ".dvc"), validate=False).get("remote", {}).items():
            url = str(options.get("url", ""))
            if re.match(r"s3:(?!//\w)", url):  # a folder for DVC, which refuses the other options
                raise FetchError(
                    f"remote {name!r} has the url {url!r}, which names no bucket; "
                    f"set it with: make remote PUBLIC=s3://... PRIVATE=s3://..."
                )
        config = Config(os.fspath(root / ".dvc"))
        has_credentials = Session().get_credentials() is not None
        settings = {}
        for name, options in config["remote"].items():
            if options.get("url", "").startswith("s3://"):
                settings[name] = {key: value for key, value in TIMEOUTS.items() if key not in options}
                known = has_credentials or any(map(options.get, _CREDENTIAL_OPTIONS))
                if not known or unconfirmed_options(config, name):
                    settings[name]["allow_anonymous_login"] = True
        return Repo(root, config={"remote": settings})
    except DvcException as error:
        raise FetchError(f"DVC cannot open {root}: {error}") from error
    except sqlite3.Error as error:
        raise FetchError(f"DVC's state in {root}/.dvc/tmp cannot be written ({error}); is the disk full?") from error
    except BotoCoreError as error:
        raise FetchError(f"the AWS configuration of this machine cannot be used: {error}") from error


def open_repo_for_upload(root: Path, remote: str) -> Repo:
    """Open the DVC repository at `root` to upload to a remote.

    Raises
    ------
    FetchError
        As `open_repo`.
    ScriptError
        With this configuration private data could become public, or the server of `remote` gets no credentials.
    """
    repo = open_repo(root)
    check_upload(repo.config, remote)
    return repo


def artifact_object(repo: Repo, path: Path) -> RemoteObject:
    """Return the object of the artifact at `path`.

    Raises
    ------
    FetchError
        `dvc.lock` does not record it, or its remote is not configured.
    """
    relative = path.relative_to(repo.root_dir)
    try:
        outs = [out for out in repo.index.outs if out.fs_path == str(path)]
    except DvcException as error:
        raise FetchError(f"dvc.yaml or dvc.lock cannot be read: {error}") from error
    if not outs:
        raise FetchError(f"{relative} is not an output of any stage in dvc.yaml")
    if len(outs) > 1:
        stages = " and ".join(sorted(f"{out.stage.name or ''} in {out.stage.path_in_repo}".strip() for out in outs))
        raise FetchError(f"{relative} is an output of more than one stage ({stages}); remove it from all but one")
    (out,) = outs
    if not out.hash_info:
        raise FetchError(f"dvc.lock does not record {relative}; build it with: make build DATASET={out.stage.name}")
    # never core.remote: what is not called public is private
    return remote_object(repo, out.remote or PRIVATE, md5=out.hash_info.value, size=out.meta.size)


def remote_object(repo: Repo, name: str, *, md5: str, size: int) -> RemoteObject:
    """Return the object with this md5 on the remote `name`.

    Raises
    ------
    FetchError
        The remote is not configured.
    """
    try:
        odb = repo.cloud.get_remote_odb(name, hash_name="md5")
    except (DvcException, ValueError) as error:  # of a URL that cannot be parsed
        raise FetchError(
            f"remote {name!r} cannot be used: {error}; configure it with: make remote PUBLIC=... PRIVATE=..."
        ) from error
    follow_no_redirects(odb.fs)
    url = odb.fs.unstrip_protocol(odb.oid_to_path(md5))
    unconfirmed = unconfirmed_options(repo.config, name)
    return RemoteObject(
        name,
        url,
        md5,
        size,
        filesystem=odb.fs,
        endpoint=endpoint_of(repo.config["remote"][name]),
        unconfirmed=unconfirmed,
        confirm=confirm_command(repo.config, name, unconfirmed),
    )


def cached_file(repo: Repo, md5: str) -> Path | None:
    """Return the file with this md5 in DVC's cache on this machine, None if there is none.

    A file there that has another md5 is removed, because DVC itself would trust it. It is often the same file as a
    damaged one in the work tree, because DVC links the two.
    """
    path = Path(repo.cache.local.oid_to_path(md5))
    try:
        found = hash_file(path, "md5")
    except OSError:
        return None
    if found != md5:
        path.unlink()
        return None
    return path
