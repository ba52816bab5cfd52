"""The errors of `scripts`."""


class ScriptError(Exception):
    """A message for the user: what is wrong, where, and the command that mends it."""


class DoorClosedError(Exception):
    """One of the places where a source file is looked for does not have it.

    Parameters
    ----------
    reason
        Why.
    worth_saying
        Whether the user hears of it although another door may have the file.
    """

    def __init__(self, reason: str, *, worth_saying: bool = True) -> None:
        super().__init__(reason)
        self.worth_saying = worth_saying


class TerminatedError(BaseException):
    """The process was asked to end; no Exception, so that nothing on the way out takes it for a failure."""
