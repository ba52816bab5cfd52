"""A remote: its configuration, whether its server answers, its clock, its credentials, its bucket."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from loader import FetchError
from loader._errors import without_secrets
from scripts._dvc.remotes import PRIVATE, check_remotes, confirm_command, unconfirmed_options
from scripts._process.errors import ScriptError
from scripts._release.doctor.result import Problem, Result, counted
from scripts._release.remote_listing import ListedObject, connection, remote_objects

if TYPE_CHECKING:
    from dvc.repo import Repo

SECONDS = 5
"""How long a server may take to answer at all."""
MAX_SKEW_SECONDS = 15 * 60  # of S3


@dataclass
class RemoteState:
    """What is known of a remote.

    Attributes
    ----------
    name
        The remote.
    result
        What was found.
    answers
        Whether its server answers, so that objects can be asked for.
    listed
        Its objects by md5; None if it does not list them.
    """

    name: str
    result: Result = field(default_factory=Result)
    answers: bool = False
    listed: dict[str, ListedObject] | None = None


def check_configuration(repo: Repo) -> Result:
    """Check that no private data can become public, with all files of DVC's configuration taken together."""
    try:
        check_remotes(repo.config, repo.config.load_one("local"))
    except ScriptError as error:
        return Result([Problem(str(error))])
    return Result()


def look_at(repo: Repo, name: str, *, is_used: bool) -> RemoteState:
    """Return what is known of a remote after a few short questions.

    Parameters
    ----------
    repo
        The DVC repository.
    name
        The remote.
    is_used
        Whether a record that is checked names it: a reader needs no credentials for other remotes.
    """
    state = RemoteState(name)
    result = state.result
    not_checked = f"remote {name!r}: its objects, because"
    try:
        example = connection(repo, name)
        with example.asking() as s3:
            endpoint = str(s3.s3.meta.endpoint_url)
    except FetchError as error:
        result.problems.append(Problem(str(error)))
        result.not_checked.append(f"{not_checked} it cannot be used")
        return state
    options = repo.config["remote"][name]
    answer = _ask(endpoint, options.get("ssl_verify", True))
    if isinstance(answer, str):
        start = ", or if it is the server of this machine, start it with: make s3" if "127.0.0.1" in endpoint else ""
        place = f"remote {name!r} at {without_secrets(endpoint)}"
        result.problems.append(
            Problem(f"{place} does not answer ({answer}): check the network, then run again: make doctor{start}")
        )
        result.not_checked.append(f"{not_checked} its server does not answer")
        return state
    unconfirmed = unconfirmed_options(repo.config, name)
    is_anonymous = bool(example.filesystem.config.get("allow_anonymous_login"))
    skew = abs(answer)
    if skew > MAX_SKEW_SECONDS:
        result.problems.append(
            Problem(
                f"the clock of this machine is {skew / 60:,.0f} minutes {'behind' if answer > 0 else 'ahead of'} that "
                f"of remote {name!r}, and S3 refuses more than {MAX_SKEW_SECONDS // 60}: set it, for example with: "
                f"sudo timedatectl set-ntp true"
            )
        )
        if not is_anonymous:
            result.not_checked.append(f"{not_checked} of the clock")
            return state
    who = "without credentials" if is_anonymous else f"with {_credentials(options)}"
    if unconfirmed:
        settings = ", ".join(unconfirmed)
        who += f", because only .dvc/config sets its {settings}"
        if is_used and name == PRIVATE:
            command = confirm_command(repo.config, name, unconfirmed)
            result.problems.append(
                Problem(
                    f"remote {name!r} gets no credentials, because only .dvc/config sets its {settings}; if you trust "
                    f"it, run: {command}"
                )
            )
    state.answers = True
    try:
        state.listed = {each.md5: each for each in remote_objects(example)}
    except FetchError as error:
        if is_anonymous and isinstance(error.__cause__, PermissionError):
            if is_used and name == PRIVATE and not unconfirmed:
                result.problems.append(Problem(str(error)))
            result.not_checked.append(f"remote {name!r}: which objects it has, because it does not list them {who}")
            state.answers = is_used
            return state
        result.problems.append(Problem(str(error)))
        result.not_checked.append(f"{not_checked} it refuses to list them")
        state.answers = False
        return state
    result.fine.append(
        f"remote {name!r} at {without_secrets(endpoint)}: reached {who}, its clock is {skew:.0f} s from ours, "
        f"{counted(len(state.listed), 'object')}"
    )
    return state


def _ask(endpoint: str, verify: Any) -> float | str:
    """Return how many seconds the server's clock is ahead of ours (0 if it does not say), or why it does not answer."""
    import requests

    outcome: list[float | str] = []

    def ask() -> None:
        try:
            begun = time.time()
            with requests.head(endpoint, timeout=SECONDS, allow_redirects=False, verify=verify) as answer:
                ours = (begun + time.time()) / 2
                outcome.append(_seconds(answer.headers) - ours if "Date" in answer.headers else 0.0)
        except requests.Timeout:
            outcome.append(f"nothing within {SECONDS} seconds")
        except (requests.RequestException, ValueError) as error:
            outcome.append(_reason(error))

    thread = Thread(target=ask, daemon=True)  # a name server that does not answer has no time limit
    thread.start()
    thread.join(2 * SECONDS)
    return outcome[0] if outcome else f"nothing within {2 * SECONDS} seconds"


def _seconds(headers: Mapping[str, str]) -> float:
    return parsedate_to_datetime(headers["Date"]).timestamp()


def _reason(error: BaseException) -> str:
    """Return the innermost reason of an error of requests, such as "Connection refused"."""
    inner: Any = error
    while (deeper := getattr(inner, "reason", None) or (inner.args[0] if inner.args else None)) is not None:
        if not isinstance(deeper, BaseException):
            break
        inner = deeper
    strerror = getattr(inner, "strerror", None)
    return without_secrets(str(strerror or inner).rpartition("] ")[2].rstrip(")"))


def _credentials(options: Mapping[str, Any]) -> str:
    """Return which credentials a remote gets, in words."""
    if "access_key_id" in options:
        return "the access key of DVC's configuration"
    if "profile" in options or "credentialpath" in options:
        file = f" in {Path(options['credentialpath'])}" if "credentialpath" in options else ""
        return f"the AWS profile {options.get('profile', 'default')!r}{file}"
    from botocore.session import Session

    session = Session()
    found = session.get_credentials()
    if found is None:
        return "no credentials"
    return (
        "the credentials of the environment"
        if found.method == "env"
        else f"AWS profile {session.profile or 'default'!r}"
    )
