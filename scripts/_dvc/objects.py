"""The S3 object behind an artifact, looked at through DVC. Importing this module imports DVC."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from botocore.session import Session
from dvc.exceptions import DvcException
from dvc.repo import Repo

from loader._errors import FetchError
from loader._fetch.s3 import endpoint_of, explain
from scripts._define.definition import VISIBILITIES
from scripts.remote import check_apart

_CREDENTIAL_OPTIONS = ("access_key_id", "profile", "credentialpath", "allow_anonymous_login")


@dataclass(frozen=True)
class Stored:
    """What a remote says of an object: its bytes, and its md5 where it knows it."""

    size: int
    md5: str | None


@dataclass(frozen=True)
class RemoteObject:
    """Where DVC keeps a file on a remote.

    Attributes
    ----------
    remote
        The remote's name.
    url
        The object's URL.
    md5, size
        What is recorded of the file.
    filesystem
        The remote's file system.
    endpoint
        The server, for messages.
    """

    remote: str
    url: str
    md5: str
    size: int
    filesystem: Any
    endpoint: str

    def stored(self) -> Stored | None:
        """Return what the remote says of the object, None where there is none.

        Raises
        ------
        FetchError
            The remote cannot be asked; the message says why.
        """
        try:
            # not through DVC's or s3fs's listings, which may be cached
            info = self.filesystem.fs.info(self._key, refresh=True)
        except FileNotFoundError:
            return None
        except (OSError, BotoCoreError, ClientError) as error:
            raise FetchError(explain(error, self.remote, self.endpoint)) from error

        etag = str(info.get("ETag", "")).strip('"')
        # of an object that was uploaded in one piece, the ETag is the md5
        return Stored(int(info["size"]), etag if re.fullmatch("[0-9a-f]{32}", etag) else None)

    def is_sound(self) -> bool:
        """Return whether the remote has the object whole, as far as the remote can tell."""
        found = self.stored()
        return found is not None and found.size == self.size and found.md5 in (None, self.md5)

    def put(self, path: Path) -> None:
        """Store the file at `path` as the object, over whatever is there, and look whether it arrived.

        Raises
        ------
        FetchError
            The remote refuses, cannot be reached, or has something else afterwards.
        """
        try:
            self.filesystem.put_file(str(path), self._key)
        except (OSError, BotoCoreError, ClientError) as error:
            raise FetchError(explain(error, self.remote, self.endpoint)) from error
        if not self.is_sound():
            raise FetchError(f"{self.url} is not what was sent there just now, {path}; send it again")

    @property
    def _key(self) -> str:
        return str(self.filesystem._strip_protocol(self.url))


def open_repo(root: Path) -> Repo:
    """Open the DVC repository at `root`, reading remotes anonymously where the machine has no AWS credentials at all.

    DVC asks for credentials by default. It may only be told to go without when there are none: with the option set, it
    ignores the credentials of those who have some.

    Raises
    ------
    FetchError
        This is no DVC repository, or the machine's AWS configuration is broken.
    """
    try:
        return _open(root)
    except DvcException as error:
        raise FetchError(f"{root} cannot be used by DVC: {error}") from error
    except BotoCoreError as error:
        raise FetchError(f"the AWS configuration of this machine cannot be used: {error}") from error


def open_repo_to_send(root: Path) -> Repo:
    """Open the DVC repository at `root`, once it is sure that what is sent to one remote is not in the other.

    Raises
    ------
    FetchError
        As `open_repo`.
    ScriptError
        The remotes public and private are not set, or are in one bucket.
    """
    repo = open_repo(root)
    remotes = repo.config["remote"]
    check_apart({remote: remotes.get(remote, {}).get("url", "") for remote in VISIBILITIES})
    return repo


def _open(root: Path) -> Repo:
    repo = Repo(root)
    anonymous = {
        name: {"allow_anonymous_login": True}
        for name, options in repo.config["remote"].items()
        if options.get("url", "").startswith("s3://") and not any(map(options.get, _CREDENTIAL_OPTIONS))
    }
    if not anonymous or Session().get_credentials() is not None:
        return repo
    repo.close()
    return Repo(root, config={"remote": anonymous})


def locate(repo: Repo, path: Path) -> RemoteObject:
    """Return where the artifact at `path` is kept.

    Raises
    ------
    FetchError
        It is not recorded in `dvc.lock`, or its remote is not configured.
    """
    relative = path.relative_to(repo.root_dir)
    try:
        outs = [out for out in repo.index.outs if out.fs_path == str(path)]
    except DvcException as error:
        raise FetchError(f"dvc.yaml or dvc.lock cannot be read: {error}") from error
    if not outs:
        raise FetchError(f"{relative} is no output of any stage in dvc.yaml")
    (out,) = outs
    if not out.hash_info:
        raise FetchError(f"dvc.lock does not record {relative}; build it with: make build DATASET={out.stage.name}")
    name = out.remote or repo.config["core"].get("remote")
    return remote_object(repo, name, md5=out.hash_info.value, size=out.meta.size)


def remote_object(repo: Repo, name: str, *, md5: str, size: int) -> RemoteObject:
    """Return where DVC keeps the file with this md5 on the remote `name`.

    Raises
    ------
    FetchError
        The remote is not configured.
    """
    try:
        odb = repo.cloud.get_remote_odb(name, hash_name="md5")
    except DvcException as error:
        raise FetchError(
            f"remote {name!r} is not usable: {error}; set it with: make remote PUBLIC=... PRIVATE=..."
        ) from error
    url = odb.fs.unstrip_protocol(odb.oid_to_path(md5))
    return RemoteObject(name, url, md5, size, odb.fs, endpoint_of(repo.config["remote"][name]))


def is_cached(repo: Repo, md5: str) -> bool:
    """Return whether this machine's DVC cache has the object, and drop it from there where it is rotten.

    DVC itself trusts every read-only file. What is rotten there is often the very file that is rotten in the work tree:
    the two are links to one.
    """
    path = Path(repo.cache.local.oid_to_path(md5))
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError:
        return False
    if found != md5:
        path.unlink()
    return found == md5
