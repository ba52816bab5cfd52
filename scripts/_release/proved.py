"""Whether the artifacts of a dataset are on their remote. Importing this module imports DVC."""

from __future__ import annotations

from pathlib import Path

from scripts._define.definition import Definition
from scripts._define.published import check_not_on_remote, earlier_objects
from scripts._dvc.objects import artifact_object, open_repo, remote_object
from scripts._dvc.proof import Finding, examine
from scripts._dvc.remote_object import RemoteObject, Stored
from scripts._dvc.remotes import make_command
from scripts._process.errors import ScriptError
from scripts._process.files import hash_file


def check_on_remote(definition: Definition) -> list[Stored]:
    """Check that the remote has each artifact of a dataset, and its version with no other bytes.

    An object of which the remote reports nothing that proves its content is read back.

    Returns
    -------
    list of Stored
        The URL of each object, and what proves that it has the right content.

    Raises
    ------
    ScriptError
        An object is missing or has other content, the version is on the remote with other bytes too, or git's history
        is not complete.
    FetchError
        The remote refuses or cannot be reached, or `dvc.lock` does not record an artifact.
    """
    repo = open_repo(definition.root)
    again = make_command("push", definition.name, definition.visibility)
    stored = []
    for tar in definition.tars.values():
        recorded = artifact_object(repo, tar)
        target = remote_object(repo, definition.visibility, md5=recorded.md5, size=recorded.size)
        finding = _examine(target, tar)
        if finding is None:
            raise ScriptError(
                f"{definition.name}: {tar.name} is not on its remote ({target.url}); push it with: {again}"
            )
        if not finding.right:
            raise ScriptError(
                f"{definition.name}: {target.url} does not have the content of {tar.name}, judged by {finding.by}; "
                f"push it again with: {again}"
            )
        stored.append(Stored(target.url, finding.by, again))
    check_not_on_remote(definition, repo, earlier_objects(definition))
    return stored


def _examine(target: RemoteObject, tar: Path) -> Finding | None:
    """Compare an object with what is recorded of it; None if it does not exist."""
    head = target.head()
    if head is None:
        return None
    is_here = tar.is_file() and hash_file(tar, "md5") == target.md5
    finding = examine(head, tar if is_here else None, md5=target.md5, size=target.size)
    if finding.right is not None:
        return finding
    return target.examine(tar, deep=True)
