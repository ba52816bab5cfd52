"""The exceptions of `scripts`. Their messages are shown to the user, so they never contain the secrets of URLs."""

from __future__ import annotations

import signal

from loader._errors import without_secrets


class ScriptError(Exception):
    """An error message for the user: what is wrong, where, and the command that fixes it."""

    def __str__(self) -> str:
        return without_secrets(super().__str__())


class UnavailableError(Exception):
    """A location does not have a source file, or cannot be read.

    Parameters
    ----------
    reason
        Why.
    report
        Whether to tell the user even if another location may have the file.
    """

    def __init__(self, reason: str, *, report: bool = True) -> None:
        super().__init__(reason)
        self.report = report

    def __str__(self) -> str:
        return without_secrets(super().__str__())


class TerminatedError(BaseException):
    """The process received SIGTERM or SIGINT. It is no Exception, so that `except Exception` does not catch it.

    Parameters
    ----------
    number
        The signal.
    """

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__(number)
        self.number = number
