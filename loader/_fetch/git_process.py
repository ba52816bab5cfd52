"""Run git so that it runs no program that a repository names, asks nothing, and ends in time."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from loader._errors import FetchError, without_secrets
from loader._format.git_environment import git_environment

if TYPE_CHECKING:
    import subprocess

SECONDS = 120
NETWORK_SECONDS = 300
STOP_SECONDS = 5

# The configuration of a repository can name programs. The commands that the loader uses run none of them (rev-parse,
# cat-file, diff-tree, for-each-ref, hash-object, ls-tree, merge-base and rev-list read no filter, alias, editor, pager
# or signature; hash-object would run a filter only for a path, diff-tree a diff program only to show text), apart from
# these.
_SAFE = (
    "--no-pager",
    *("-c", "core.fsmonitor=false"),
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.logAllRefUpdates=false"),  # a reflog would store the URL with its password
    *("-c", "log.showSignature=false"),
    *("-c", "protocol.ext.allow=never"),
    *("-c", "gc.autoDetach=false"),  # nothing goes on after the command
    *("-c", "http.lowSpeedLimit=1000"),
    *("-c", "http.lowSpeedTime=30"),
    *("-c", "http.followRedirects=false"),  # it could lead to any server
)
# Git fetches an object that a partial clone lacks, with the programs that the repository's configuration names. Version
# 2.44 and older do not know the first variable; without any protocol they fetch nothing either.
_WITHOUT_NETWORK = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": ""}
# A program that answers prompts may give the same password to every server, unlike git's credential helpers, which are
# told the host. Empty: no program, not even that of core.askPass.
_WITHOUT_PROMPTS = {
    "GIT_ASKPASS": "",
    "GIT_TERMINAL_PROMPT": "0",
    "GCM_INTERACTIVE": "never",
    "SSH_ASKPASS": "",
    "SSH_ASKPASS_REQUIRE": "never",
}
_HEADERS = {"GIT_TRACE_CURL": "2", "GIT_TRACE_CURL_NO_DATA": "1", "GIT_TRACE_REDACT": "1"}


def run_git(
    folder: Path,
    *arguments: str,
    label: str,
    is_bare: bool = False,
    uses_network: bool = False,
    input: bytes | None = None,
    shows_headers: bool = False,
) -> subprocess.CompletedProcess[bytes]:
    """Run git in a folder.

    Parameters
    ----------
    folder
        The working folder: a folder in a work tree, or a bare repository.
    arguments
        The command and its arguments.
    label
        The repository, for messages.
    is_bare
        Whether the folder is a bare repository. Otherwise one in it is ignored: it could be among the files of a
        repository, with a configuration of its author.
    uses_network
        Whether git may use the network, for which it takes the user's configuration.
    input
        What git reads from stdin; nothing by default.
    shows_headers
        Whether git writes the headers of HTTP to stderr, without credentials.

    Raises
    ------
    FetchError
        Git is not installed, or does not end within its time.
    """
    import shutil  # imported here, as subprocess is, because the work tree is read without them
    import subprocess

    if shutil.which("git") is None:
        raise FetchError("reading another revision or a repository at a URL needs git, which is not installed")
    bare = f"safe.bareRepository={'all' if is_bare else 'explicit'}"
    command = ["git", "-C", os.fspath(folder), *_SAFE, "-c", bare, *arguments]
    environment = _environment(folder, uses_network=uses_network) | (_HEADERS if shows_headers else {})
    seconds = NETWORK_SECONDS if uses_network else SECONDS
    process = subprocess.Popen(
        command,
        cwd=os.sep,  # the process's own working folder may be removed
        env=environment,
        stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,  # without a terminal to ask on, and stopped with all its children
    )
    try:
        output, errors = process.communicate(input, timeout=seconds)
    except BaseException as error:  # the user's Ctrl-C too
        _stop(process)
        if isinstance(error, subprocess.TimeoutExpired):
            raise FetchError(f"git {arguments[0]} takes longer than {seconds:g} seconds in {label}") from error
        raise
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def first_line(output: bytes) -> str:
    """Return the error in git's output; the lines after it are advice."""
    return without_secrets(output.decode(errors="replace").strip().partition("\n")[0].strip())


def redirected(folder: Path, url: str, *, label: str) -> str | None:
    """Return the address of the repository to which the server at `url` redirects, None if it does not.

    `folder` is a bare repository, and `label` names the one at `url`, for messages.
    """
    asked = ("ls-remote", "--", url, "HEAD")
    traced = run_git(folder, *asked, label=label, is_bare=True, uses_network=True, shows_headers=True).stderr
    found = re.search(rb"(?im)header: Location: (\S+?)(/info/refs\S*)?$", traced)
    return without_secrets(found[1].decode(errors="replace")) if found else None


def _environment(folder: Path, *, uses_network: bool) -> dict[str, str]:
    environment = git_environment() | {"LC_ALL": "C", **_WITHOUT_PROMPTS}
    if not uses_network:
        return environment | _WITHOUT_NETWORK
    if not environment.keys() & {"GIT_SSH", "GIT_SSH_COMMAND"}:
        own = run_git(folder, "config", "--get", "core.sshCommand", label=str(folder), is_bare=True)
        if own.returncode:
            environment["GIT_SSH_COMMAND"] = "ssh -oBatchMode=yes -oConnectTimeout=30"
    return environment


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Stop git and its children; git removes its lock files if it has the time to."""
    import signal
    import subprocess

    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=STOP_SECONDS)
            return
