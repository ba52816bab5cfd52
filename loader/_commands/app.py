"""The command line: `python -m loader COMMAND`, or `loader COMMAND`."""

from __future__ import annotations

import importlib
import io
import os
import sys
import warnings

import typer

from loader._errors import LoaderError, printable, without_secrets

COMMANDS = ("list", "info", "versions", "diff", "changelog", "show", "fetch", "cache", "catalog", "report")
COMPLETED = "loader"
"""The name of the program in shells: they complete the words after a program's name, not those after `python -m`."""

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # otherwise brackets in help texts are markup
)


@app.callback()
def describe() -> None:
    """Find datasets, look at them, compare and fetch them.

    Exit codes: 0 if it worked; 1 if not, with one sentence on stderr; 2 if the command line is wrong. diff
    --exit-code ends as git diff does: 0 without differences, 1 with differences, 2 if it did not work.
    """


for _name in COMMANDS:
    app.command(_name)(importlib.import_module(f"loader._commands.{_name}").command)


def main() -> None:
    """Run a command; an error that the user can fix is one sentence on stderr."""
    _open_output()
    warnings.showwarning = _show_warning
    completes = f"_{COMPLETED.upper()}_COMPLETE" in os.environ or any("-completion" in each for each in sys.argv[1:2])
    is_module = sys.argv[0].endswith("__main__.py") and not completes
    try:
        try:
            app(prog_name="python -m loader" if is_module else COMPLETED)
        finally:
            _flush_output()
    except (LoaderError, OSError) as error:
        print(without_secrets(f"error: {error}"), file=sys.stderr)
        sys.exit(1)


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning as one sentence, without the line of code that it comes from."""
    print(without_secrets(f"warning: {printable(str(message))}"), file=sys.stderr)


def _open_output() -> None:
    """Let everything be printed: to closed streams, which Python leaves out, and in encodings that lack characters."""
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123  (until the program ends)
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _flush_output() -> None:
    """Write what is still buffered, so that what fails is named: Python would do it later, and end with a traceback.

    After an error that names no file, an empty line shows whether it is standard output that cannot be written.
    """
    failed = sys.exc_info()[1]
    try:
        if isinstance(failed, OSError) and failed.filename is None:
            print()
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what is still buffered
        if isinstance(error, BrokenPipeError):  # its reader has read enough, as head does
            sys.exit(1)
        raise LoaderError(f"standard output cannot be written ({error.strerror})") from error
