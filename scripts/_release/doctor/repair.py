"""The repairs that lose nothing: what they replace or remove is kept aside, or proved to be elsewhere."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from scripts._define.consent import check_consent
from scripts._define.definition import built_from_private, read_definition
from scripts._define.published import check_not_on_remote, earlier_objects
from scripts._dvc.proof import examine
from scripts._dvc.remotes import check_upload, make_command
from scripts._process.errors import ScriptError
from scripts._process.files import hash_file
from scripts._release.recorded_objects import Recorded

if TYPE_CHECKING:
    from dvc.repo import Repo

DAMAGED = ".damaged"


def upload(repo: Repo, root: Path, record: Recorded, copy: Path, *, remote: str, deep: bool, consent: bool) -> str:
    """Upload an object from a copy that has the recorded md5, and check that it arrived.

    Parameters
    ----------
    repo, root
        The repository.
    record
        The recorded file.
    copy
        The copy.
    remote
        Where it belongs.
    deep
        Whether to read the object back.
    consent
        Whether the user consents to publish it, or it was published before.

    Raises
    ------
    ScriptError
        It may not be uploaded; the message says why.
    FetchError
        The remote refuses, cannot be reached, or does not have it afterwards.
    """
    from scripts._dvc.objects import remote_object

    name = record.dataset
    action: Literal["push", "mirror"] = "mirror" if record.is_source else "push"
    definition = read_definition(name, root=root)
    if definition.visibility != remote:
        raise ScriptError(f"{name} is {definition.visibility} by now, so {record.path} is not sent to {remote!r}")
    is_public = definition.visibility == "public"
    check_consent(definition, public=consent and is_public, action=action)
    check_upload(repo.config, remote)
    for problem in built_from_private([name], root=root):
        raise ScriptError(problem)
    if record.is_current and not record.is_source:
        check_not_on_remote(definition, repo, earlier_objects(definition))
    if hash_file(copy, "md5") != record.md5:
        raise ScriptError(f"{copy} has changed since it was checked")
    target = remote_object(repo, remote, md5=record.md5, size=record.size)
    again = make_command(action, name, remote)
    return f"uploaded {record.path} from {copy}: {target.store(copy, deep=deep, again=again).describe()}"


def remove_misplaced(repo: Repo, record: Recorded, copy: Path | None, *, wrong: str, right: str, deep: bool) -> str:
    """Remove an object from a remote where it does not belong, if the right one is proved to have it.

    Raises
    ------
    ScriptError
        That is not proved.
    FetchError
        A remote refuses or cannot be reached.
    """
    from scripts._dvc.objects import remote_object
    from scripts._release.remote_removal import remove_object

    kept = remote_object(repo, right, md5=record.md5, size=record.size)
    finding = kept.examine(copy or Path(record.path), deep=True) if deep else None
    if finding is None:
        head = kept.head()
        finding = examine(head, copy, md5=record.md5, size=record.size) if head else None
    if finding is None or not finding.right:
        raise ScriptError(f"remote {right!r} is not proved to have {record.path}, so {wrong!r} keeps it")
    removed = remote_object(repo, wrong, md5=record.md5, size=record.size)
    remove_object(removed, removed.url)
    return f"removed {removed.url}; remote {right!r} has it, checked by {finding.by}"


def restore_cached(cached: Path, copy: Path, md5: str) -> str:
    """Replace a damaged file in DVC's cache by a copy that has the right md5; the damaged one is kept aside.

    Raises
    ------
    ScriptError
        The copy is not right any more.
    OSError
        The cache cannot be written.
    """
    part = cached_aside(cached, md5).with_name(f"{md5}.part")  # as `make pull` does
    shutil.copyfile(copy, part)
    if hash_file(part, "md5") != md5:
        part.unlink()
        raise ScriptError(f"{copy} has changed since it was checked")
    aside = keep_aside(cached, cached_aside(cached, md5))
    part.replace(cached)
    cached.chmod(0o444)  # as DVC does, because the work tree may link to it
    return f"replaced {cached} by the copy {copy}; the damaged file is kept as {aside}"


def restore_by_pulling(root: Path, record: Recorded, damaged: dict[Path, Path]) -> str:
    """Pull an artifact in place of damaged files, which are kept aside, and come back if that fails.

    Parameters
    ----------
    root
        The repository.
    record
        The artifact.
    damaged
        The damaged files, each with the path where it is kept.

    Raises
    ------
    FetchError
        It cannot be pulled.
    """
    from scripts._dvc.pull import dvc_pull

    for path, aside in damaged.items():
        keep_aside(path, aside)
    try:
        dvc_pull(root, root / record.path, name=record.dataset)
    except BaseException:
        for path, aside in damaged.items():
            if not path.exists():
                aside.rename(path)
        raise
    kept = " and ".join(map(str, damaged.values()))
    return f"pulled {record.path}; what was damaged is kept as {kept}"


def cached_aside(cached: Path, md5: str) -> Path:
    """Return where a damaged file of DVC's cache is kept: outside of the folder that has the objects."""
    return cached.parent.parent.parent / f"{md5}{DAMAGED}"


def keep_aside(path: Path, aside: Path) -> Path:
    """Rename a damaged file, and return its new path."""
    path.rename(aside)
    return aside
