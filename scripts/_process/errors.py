"""The exceptions of `scripts`."""


class ScriptError(Exception):
    """An error message for the user: what is wrong, where, and the command that fixes it."""


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


class TerminatedError(BaseException):
    """The process received SIGTERM. It is no Exception, so that `except Exception` does not catch it."""
