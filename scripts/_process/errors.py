"""The errors of `scripts`."""


class ScriptError(Exception):
    """A message for the user: what is wrong, where, and the command that fixes it."""


class UnavailableError(Exception):
    """A location does not have a source file, or cannot be asked.

    Parameters
    ----------
    reason
        Why.
    report
        Whether the user is told although another location may have the file.
    """

    def __init__(self, reason: str, *, report: bool = True) -> None:
        super().__init__(reason)
        self.report = report


class TerminatedError(BaseException):
    """The process received SIGTERM; not an Exception, so that no `except Exception` stops it."""
