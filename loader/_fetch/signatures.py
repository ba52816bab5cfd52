"""Check that a listed key signed the release tag of what is read.

The signature covers the tag's own bytes, which name the dataset, its version and a commit. From there, each git object
is read by the hash that names it, and hashed, down to the manifest that is read: what a repository's configuration or
its damaged objects say instead does not count. `git verify-tag` would run the programs that the configuration names.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import NamedTuple

from loader._errors import NotFoundError, TrustError
from loader._fetch.git import Git
from loader._fetch.git_process import SECONDS
from loader._fetch.places import OFFLINE_VARIABLE, expand_user
from loader._fetch.repository import PathLike, Repository
from loader._fetch.revision import Commit, Revision
from loader._format.files import read_regular, reason
from loader._format.manifest import Manifest, parse_manifest
from loader._format.names import ARTIFACTS, release_tag

_HEADER = re.compile(
    rb"object ([0-9a-f]{40}|[0-9a-f]{64})\ntype ([a-z]+)\ntag ([^\n]+)\ntagger [^\n]* ([0-9]{1,11}) [+-][0-9]{4}\n"
)
# the beginnings of signatures that git knows; what precedes the last one in a tag is signed
_SIGNATURE = re.compile(rb"(?m)^-----BEGIN (SSH SIGNATURE|PGP SIGNATURE|PGP MESSAGE|SIGNED MESSAGE)-----")
_KIND = rb"SSH SIGNATURE"
_LINE = 'alice@example.org namespaces="git" ssh-ed25519 AAAA...'
_TREE_MODE = b"40000"


class _Tag(NamedTuple):
    """An annotated tag: its name, its bytes before the signature, and the signature."""

    name: str
    payload: bytes
    signature: bytes


def signed_manifest(
    repository: Repository, revision: Revision, name: str, version: str, *, trust: PathLike, offline: bool
) -> Manifest:
    """Return the manifest of a dataset, proved by the signature of the release tag of its version.

    Parameters
    ----------
    repository, revision
        The repository, and the revision of it that is read.
    name, version
        The dataset, as this revision records it.
    trust
        The file of allowed signers.
    offline
        Whether the clone of a URL was not updated, for the message.

    Raises
    ------
    TrustError
        No listed key signed this manifest, or this cannot be found out.
    FetchError, IntegrityError
        An object of the repository is missing or damaged.
    """
    for program in ("git", "ssh-keygen"):
        if shutil.which(program) is None:
            raise TrustError(f"{name}: trust= checks signatures with {program}, which is not installed")
    if not re.fullmatch(r"[\w.+-]+", version):
        raise TrustError(f"{name}: the version {version!r} in {revision.label} cannot be part of a release tag")
    signers, git, path = _signers_file(name, trust), repository.git, f"{ARTIFACTS}/{name}.json"
    tag = _read_tag(repository, name, version, signers, offline=offline)
    what = f"the tag {tag.name} of {git.label}"
    fields = _HEADER.match(tag.payload)
    if fields is None or fields[2] != b"commit":
        raise TrustError(f"{name}: {what} is not a release, because it is not the tag of a commit; {_ask(name)}")
    if (own := fields[3].decode(errors="replace")) != tag.name:
        raise TrustError(
            f"{name}: {what} is a tag object named {own!r}: it was moved here from another name, which its signature "
            f"does not cover; restore the tag from where it was released"
        )
    signer = _signer(name, what, tag, signers, int(fields[4]))
    commit = fields[1].decode()
    try:
        data = revision.read(path)
    except OSError as error:  # it was read before
        raise TrustError(f"{name}: {revision.label}/{path} cannot be read any more ({reason(error)})") from error
    if _signed_object(git, commit, path) != git.hash("blob", data):
        advice = f"read the signed one, without rev=, with version={version!r}"
        if isinstance(revision, Commit) and revision.commit == commit:
            advice = f"the repository is damaged: git -C {shlex.quote(os.fspath(git.folder))} fsck"
        raise TrustError(
            f"{name}: {revision.label}/{path} is not the manifest that {signer} signed with the tag {tag.name}; "
            f"{advice}"
        )
    # the bytes that were proved: those of a work tree may have changed since they were read first
    return parse_manifest(data, name=name, label=f"{revision.label}/{path}", fix=revision.fix(path))


def _signers_file(name: str, trust: PathLike) -> Path:
    """Return the path of the file of allowed signers, which lists at least one."""
    try:
        path = expand_user(trust).absolute()
        lines = read_regular(path).splitlines()
    except OSError as error:
        raise TrustError(f"{name}: the file of trust={os.fspath(trust)} cannot be read ({reason(error)})") from error
    if all(not line.strip() or line.startswith(b"#") for line in lines):
        raise TrustError(f"{name}: {path} lists no key, so nothing can be trusted; a line of it looks like: {_LINE}")
    return path


def _read_tag(repository: Repository, name: str, version: str, signers: Path, *, offline: bool) -> _Tag:
    """Return the release tag of a version of a dataset, which has an SSH signature, so far not checked."""
    git, tag = repository.git, release_tag(name, version)
    what = f"the tag {tag} of {git.label}"
    try:
        data = git.tag_object(tag)
    except NotFoundError as error:
        if repository.root is not None:
            advice = f"fetch it with: git -C {shlex.quote(os.fspath(git.folder))} fetch --tags"
        else:
            advice = f"load it once without offline=True and {OFFLINE_VARIABLE}" if offline else _ask(name)
        raise TrustError(
            f"{name}: {error}, whose signature trust={signers} asks for; {advice}; or name a released version with "
            f"version="
        ) from error
    if data is None:
        raise TrustError(f"{name}: {what} is a lightweight tag, which has no signature; {_ask(name)}")
    *_, last = [None, *_SIGNATURE.finditer(data)]
    if last is None:
        raise TrustError(f"{name}: {what} is not signed; {_ask(name)}")
    if last[1] != _KIND:
        raise TrustError(f"{name}: {what} is signed with GPG or X.509, and {signers} lists SSH keys; {_ask(name)}")
    return _Tag(tag, data[: last.start()], data[last.start() :])


def _ask(name: str) -> str:
    return f"ask for a signed release, which its maintainers make with: make tag DATASET={name} SIGN=1"


def _signer(name: str, what: str, tag: _Tag, signers: Path, seconds: int) -> str:
    """Return who signed a tag, as the file of allowed signers names the owner of the key.

    `valid-after` and `valid-before` in that file are compared with the time of the tag in seconds since 1970, as git
    does it: a release stays signed after its key was replaced.
    """
    when = f"verify-time={time.strftime('%Y%m%d%H%M%S', time.localtime(seconds))}"
    try:
        with NamedTemporaryFile(prefix="signature-") as file:
            file.write(tag.signature)
            file.flush()
            common = ("-n", "git", "-s", file.name)
            made = _ssh_keygen("check-novalidate", *common, input=tag.payload)
            if made.returncode:
                raise TrustError(
                    f"{name}: the signature of {what} is damaged or of another content ({_said(made)}); restore the "
                    f"tag from where it was released"
                )
            allowed = ("-f", os.fspath(signers), "-O", when)
            found = _ssh_keygen("find-principals", "-s", file.name, *allowed)
            checks = [found]
            for principal in os.fsdecode(found.stdout).splitlines() if found.returncode == 0 else ():
                checks.append(_ssh_keygen("verify", *common, *allowed, "-I", principal, input=tag.payload))
                if checks[-1].returncode == 0:
                    return principal
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TrustError(f"{name}: the signature of {what} cannot be checked ({error})") from error
    key = made.stdout.decode(errors="replace").strip().rpartition(" with ")[2]
    raise TrustError(
        f"{name}: {what} is signed with the {key}, which {signers} does not allow ({_said(checks[-1])}); if you trust "
        f"its owner, add a line like: {_LINE}"
    )


def _ssh_keygen(action: str, *arguments: str, input: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run ssh-keygen, which reads no configuration for these actions."""
    command, environment = ("ssh-keygen", "-Y", action, *arguments), {**os.environ, "LC_ALL": "C"}
    return subprocess.run(
        command, cwd=os.sep, env=environment, input=input, capture_output=True, timeout=SECONDS, start_new_session=True
    )


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    """Return the lines that ssh-keygen wrote to stderr, as one."""
    return "; ".join(filter(None, map(str.strip, done.stderr.decode(errors="replace").splitlines())))


def _signed_object(git: Git, commit: str, path: str) -> str | None:
    """Return the git object of the file at `path`, relative to the folder, in a commit whose hash is trusted.

    None if there is no such file. Each object on the way to it has the hash that names it.
    """
    tree = re.match(rb"tree ([0-9a-f]+)\n", git.verified("commit", commit))
    mode, found = _TREE_MODE, tree[1].decode() if tree else ""
    for part in f"{git.prefix()}{path}".split("/"):
        if mode != _TREE_MODE:
            return None
        # an entry is a mode, a name, and the bytes of a hash
        entry = rb"(?s)([0-7]+) ([^\0]+)\0(.{%d})" % (len(commit) // 2)
        entries = {each[2]: each for each in re.finditer(entry, git.verified("tree", found))}
        if (here := entries.get(os.fsencode(part))) is None:
            return None
        mode, found = here[1], here[3].hex()
    return found
