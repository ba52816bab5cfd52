"""DVC's objects on S3. Importing this module imports DVC."""

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

from loader import FetchError
from loader._errors import endpoint_of, explain_s3
from scripts._dvc.remotes import VISIBILITIES, check_apart

READ_BYTES = 4 << 20
READS_AT_ONCE = 4
_CREDENTIAL_OPTIONS = ("access_key_id", "profile", "credentialpath", "allow_anonymous_login")


@dataclass(frozen=True)
class ObjectInfo:
    """What a remote reports about an object: its size in bytes, and its md5 (hex) if the remote knows it."""

    size: int
    md5: str | None


@dataclass(frozen=True)
class RemoteObject:
    """An object on a remote, named by its md5; it need not exist.

    Attributes
    ----------
    remote
        The remote's name.
    url
        The object's URL.
    md5, size
        The recorded md5 (hex) and size in bytes.
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

    def info(self) -> ObjectInfo | None:
        """Return what the remote reports about the object, None if the object does not exist.

        Raises
        ------
        FetchError
            The remote refuses or cannot be reached; the message says why.
        """
        try:
            # refreshed, because DVC and s3fs may have cached a listing
            info = self.filesystem.fs.info(self._key, refresh=True)
        except FileNotFoundError:
            return None
        except (OSError, BotoCoreError, ClientError) as error:
            raise self._failure(error) from error
        etag = str(info.get("ETag", "")).strip('"')
        # the ETag of an object that was uploaded in one part is its md5
        return ObjectInfo(int(info["size"]), etag if re.fullmatch("[0-9a-f]{32}", etag) else None)

    def is_intact(self) -> bool:
        """Return whether the remote reports the recorded size, and the recorded md5 if it reports an md5."""
        found = self.info()
        return found is not None and found.size == self.size and found.md5 in (None, self.md5)

    def put(self, path: Path) -> None:
        """Upload a file as the object, replacing an existing one, and check that it arrived.

        Raises
        ------
        FetchError
            The remote refuses, cannot be reached, or does not have the file afterwards.
        """
        try:
            self.filesystem.put_file(str(path), self._key)
        except (OSError, BotoCoreError, ClientError) as error:
            raise self._failure(error) from error
        if not self.is_intact():
            raise FetchError(f"{self.url} does not have the content of {path} after the upload; upload it again")

    def get(self, path: Path) -> None:
        """Download the object to a file, resuming an interrupted download; its hash is not checked.

        Raises
        ------
        FetchError
            The object does not exist or is shorter than recorded, or the remote refuses or cannot be reached.
        """
        try:
            with path.open("ab") as file:
                while (start := file.tell()) < self.size:
                    starts = range(start, self.size, READ_BYTES)[:READS_AT_ONCE]
                    ends = [min(each + READ_BYTES, self.size) for each in starts]
                    for data in self.filesystem.fs.cat_ranges([self._key] * len(starts), list(starts), ends):
                        if isinstance(data, Exception):
                            raise data
                        file.write(data)
                    if file.tell() != ends[-1]:
                        raise FetchError(f"{self.url} is shorter than the recorded {self.size:,} bytes")
        except FileNotFoundError as error:
            raise FetchError(f"remote {self.remote!r} does not have it ({self.url})") from error
        except (OSError, BotoCoreError, ClientError) as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> FetchError:
        return FetchError(explain_s3(error, self.remote, self.endpoint))

    @property
    def _key(self) -> str:
        return str(self.filesystem._strip_protocol(self.url))


def open_repo(root: Path) -> Repo:
    """Open the DVC repository at `root`; without any AWS credentials on this machine, read its remotes anonymously.

    By default DVC requires credentials; with `allow_anonymous_login` it ignores existing ones.

    Raises
    ------
    FetchError
        `root` is not a DVC repository, or the machine's AWS configuration is broken.
    """
    try:
        return _open(root)
    except DvcException as error:
        raise FetchError(f"DVC cannot open {root}: {error}") from error
    except BotoCoreError as error:
        raise FetchError(f"the AWS configuration of this machine cannot be used: {error}") from error


def open_repo_for_upload(root: Path) -> Repo:
    """Open the DVC repository at `root` after checking that its two remotes use different buckets.

    Raises
    ------
    FetchError
        As `open_repo`.
    ScriptError
        The remotes public and private are not configured, or are in one bucket.
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
    (out,) = outs
    if not out.hash_info:
        raise FetchError(f"dvc.lock does not record {relative}; build it with: make build DATASET={out.stage.name}")
    name = out.remote or repo.config["core"].get("remote")
    return remote_object(repo, name, md5=out.hash_info.value, size=out.meta.size)


def remote_object(repo: Repo, name: str, *, md5: str, size: int) -> RemoteObject:
    """Return the object with this md5 on the remote `name`.

    Raises
    ------
    FetchError
        The remote is not configured.
    """
    try:
        odb = repo.cloud.get_remote_odb(name, hash_name="md5")
    except DvcException as error:
        raise FetchError(
            f"remote {name!r} cannot be used: {error}; configure it with: make remote PUBLIC=... PRIVATE=..."
        ) from error
    url = odb.fs.unstrip_protocol(odb.oid_to_path(md5))
    return RemoteObject(name, url, md5, size, odb.fs, endpoint_of(repo.config["remote"][name]))


def cached_file(repo: Repo, md5: str) -> Path | None:
    """Return the file with this md5 in DVC's cache on this machine, None if there is none.

    A file there that has another md5 is removed, because DVC itself would trust it. It is often the same file as a
    damaged one in the work tree, because DVC links the two.
    """
    path = Path(repo.cache.local.oid_to_path(md5))
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    except OSError:
        return None
    if found != md5:
        path.unlink()
        return None
    return path
