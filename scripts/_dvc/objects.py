"""The objects that DVC keeps on S3. Importing this module imports DVC."""

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
class Stored:
    """What a remote says of an object: its number of bytes, and its md5 where the remote knows it."""

    size: int
    md5: str | None


@dataclass(frozen=True)
class RemoteObject:
    """An object on a remote, named by its md5, whether or not it is there.

    Attributes
    ----------
    remote
        The remote's name.
    url
        The object's URL.
    md5, size
        What is recorded of the file that it should hold.
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
            # asked anew, because the listings of DVC and s3fs may be cached
            info = self.filesystem.fs.info(self._key, refresh=True)
        except FileNotFoundError:
            return None
        except (OSError, BotoCoreError, ClientError) as error:
            raise self._failure(error) from error
        etag = str(info.get("ETag", "")).strip('"')
        # the ETag of an object that was uploaded in one piece is its md5
        return Stored(int(info["size"]), etag if re.fullmatch("[0-9a-f]{32}", etag) else None)

    def is_sound(self) -> bool:
        """Return whether the remote has the whole object, as far as the remote can tell."""
        found = self.stored()
        return found is not None and found.size == self.size and found.md5 in (None, self.md5)

    def put(self, path: Path) -> None:
        """Store a file as the object, replacing what is there, and check that it arrived.

        Raises
        ------
        FetchError
            The remote refuses, cannot be reached, or has something else afterwards.
        """
        try:
            self.filesystem.put_file(str(path), self._key)
        except (OSError, BotoCoreError, ClientError) as error:
            raise self._failure(error) from error
        if not self.is_sound():
            raise FetchError(f"{self.url} is not what was just sent there, {path}; send it again")

    def get(self, path: Path) -> None:
        """Read the object into a file, from where an earlier read stopped; nothing is proved.

        Raises
        ------
        FetchError
            There is no such object, it is shorter than recorded, or the remote refuses or cannot be reached.
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
                        raise FetchError(f"{self.url} is shorter than the {self.size:,} bytes recorded of it")
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
    """Open the DVC repository at `root`; remotes are read anonymously where the machine has no AWS credentials at all.

    DVC asks for credentials by default, and ignores those that there are once it is told to go without.

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
    """Open the DVC repository at `root` after checking that its two remotes are two buckets.

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


def artifact_object(repo: Repo, path: Path) -> RemoteObject:
    """Return the object of the artifact at `path`.

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
            f"remote {name!r} is not usable: {error}; set it with: make remote PUBLIC=... PRIVATE=..."
        ) from error
    url = odb.fs.unstrip_protocol(odb.oid_to_path(md5))
    return RemoteObject(name, url, md5, size, odb.fs, endpoint_of(repo.config["remote"][name]))


def cached_file(repo: Repo, md5: str) -> Path | None:
    """Return the file with this md5 in DVC's cache on this machine, None where there is none.

    A file there that has another md5 is removed: DVC itself would trust it. Often it is the very file that is damaged
    in the work tree, because the two are links to one.
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
