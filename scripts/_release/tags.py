"""Release tags in git: `<name>@v<version>`, the version tags of GTO."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from loader import ManifestError
from loader._format.manifest import parse_manifest
from loader._format.names import ARTIFACTS
from scripts._define.history import RecordedVersion, version_of
from scripts._process.errors import ScriptError
from scripts._process.git import git, read_blobs, run_git

_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")


@dataclass(frozen=True)
class Tag:
    """An annotated tag to make: its name, the commit (hex) and the message."""

    name: str
    commit: str
    message: str


def released_versions(root: Path, name: str, *, until: str | None = None) -> dict[str, RecordedVersion]:
    """Return what each release tag of a dataset releases, by tag, the highest version first.

    Parameters
    ----------
    root
        The repository.
    name
        The dataset.
    until
        A commit: only tags on it and on those before it; by default all.

    Raises
    ------
    ScriptError
        git fails.
    """
    merged = [f"--merged={until}"] if until else []
    listing = ("for-each-ref", "--sort=-version:refname", "--format=%(refname:lstrip=2)", *merged)
    return recorded_at(root, git(root, *listing, f"refs/tags/{name}@v*").decode().split(), name)


def recorded_at(root: Path, tags: Iterable[str], name: str) -> dict[str, RecordedVersion]:
    """Return what the commits of some tags record of a dataset, by tag, without those that record nothing of it.

    Raises
    ------
    ScriptError
        git fails.
    """
    blobs = {tag: f"refs/tags/{tag}:./{ARTIFACTS}/{name}.json" for tag in tags}
    manifests = read_blobs(root, blobs.values())
    found = {}
    for tag, blob in blobs.items():
        with suppress(KeyError, ManifestError):
            found[tag] = version_of(parse_manifest(manifests[blob], name=name, label=tag, fix="").raw)
    return found


def existing_tags(root: Path, names: Iterable[str]) -> dict[str, bytes]:
    """Return the tags of these names that exist, each with its tag object; a tag that has none is not annotated.

    Raises
    ------
    ScriptError
        git fails.
    """
    wanted = {f"refs/tags/{name}": name for name in names}
    listed = git(root, "for-each-ref", "--format=%(objecttype) %(refname)", *wanted).decode().splitlines()
    kinds = {reference: kind for kind, _, reference in (line.partition(" ") for line in listed)}
    objects = read_blobs(root, [reference for reference, kind in kinds.items() if kind == "tag"])
    return {wanted[reference]: objects.get(reference, b"") for reference in kinds if reference in wanted}


def is_signed(tag: bytes) -> bool:
    """Return whether a tag object has a signature, of whatever key."""
    return b"\n-----BEGIN " in tag


def check_identity(root: Path) -> None:
    """Check that git knows who makes the tags.

    Raises
    ------
    ScriptError
        It does not.
    """
    done = _git(root, "var", "GIT_COMMITTER_IDENT")
    if done.returncode:
        raise ScriptError(
            "git does not know who makes the tag; tell it with: "
            "git config user.name 'Your Name' && git config user.email you@example.com"
        )


def make_tags(root: Path, tags: Iterable[Tag], *, sign: bool) -> None:
    """Make all the tags, or none.

    Parameters
    ----------
    root
        The repository.
    tags
        The tags, none of which exists.
    sign
        Whether to sign them, with the key that git is set up with.

    Raises
    ------
    ScriptError
        git cannot make or sign a tag; the message says why.
    """
    made: list[str] = []
    try:
        for tag in tags:
            options = ("--sign",) if sign else ("--annotate",)
            arguments = ("tag", *options, "--cleanup=verbatim", "--file=-", tag.name, tag.commit)
            done = _git(root, *arguments, stdin=tag.message.encode())
            if not done.returncode:
                made.append(tag.name)
            # git 2.39 makes an unsigned tag if it cannot read an SSH key
            if done.returncode or (sign and not is_signed(existing_tags(root, [tag.name])[tag.name])):
                reason = _reason(done.stderr)
                if sign:
                    raise ScriptError(
                        f"{tag.name} cannot be signed: {reason}; set up signing with an SSH key with: {_set_up()}"
                    )
                raise ScriptError(f"{tag.name} cannot be made: {reason}")
    except BaseException:
        if made:
            git(root, "tag", "--delete", *made)
        raise


def _git(root: Path, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return run_git(root, *arguments, stdin=stdin, variables={"LC_ALL": "C"})  # whose messages are cut


def _reason(stderr: bytes) -> str:
    """Return what git and the program that signs say, in one line."""
    lines = [line.strip().rstrip("?") for line in stderr.decode(errors="replace").splitlines()]
    return (
        "; ".join(line.removeprefix("error: ").removeprefix("fatal: ") for line in lines if line) or "git says nothing"
    )


def _set_up() -> str:
    """Return the command with which git signs with an SSH key: one that exists, or a new one."""
    folder = Path.home() / ".ssh"
    keys = [folder / each for each in _KEYS]
    key = next((each for each in keys if each.with_suffix(".pub").exists()), None)
    new = shlex.quote(str(keys[0]))
    make = "" if key else f"mkdir -p {shlex.quote(str(folder))} && ssh-keygen -t ed25519 -f {new} && "
    public = shlex.quote(f"{key or keys[0]}.pub")
    return f"{make}git config gpg.format ssh && git config user.signingkey {public}"
