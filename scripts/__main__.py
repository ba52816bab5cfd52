"""The command line: `python -m scripts COMMAND`."""

from __future__ import annotations

import os
import signal
import sys
import traceback

if __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C during the imports ends the process without a traceback

try:
    import typer

    from loader import LoaderError
    from loader._errors import without_secrets
    from scripts import (
        add,
        build,
        changed,
        check,
        clean_up,
        doctor,
        extract,
        fetch,
        lock,
        merge_file,
        mirror,
        new,
        pull,
        push,
        register,
        remote,
        remove,
        rename,
        repro,
        resolve,
        s3,
        tag,
        verify,
    )
    from scripts._process.errors import ScriptError, TerminatedError
    from scripts._process.processes import raise_on_signals
except ModuleNotFoundError as missing:
    sys.exit(
        f"error: {sys.executable} does not have the package {missing.name}; set up with: make setup, "
        f"then activate the environment: source .venv/bin/activate"
    )

app = typer.Typer(
    help="Build, verify and transfer datasets.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # otherwise brackets in help texts are markup
)
for module in (
    new,
    add,
    remove,
    rename,
    repro,
    build,
    changed,
    check,
    doctor,
    clean_up,
    verify,
    extract,
    fetch,
    lock,
    register,
    mirror,
    push,
    tag,
    pull,
    remote,
    merge_file,
    resolve,
    s3,
):
    app.command(module.__name__.rpartition(".")[2].replace("_", "-"))(module.command)


def main() -> None:
    """Run a command; an error that the user can fix is one sentence on stderr and exit code 1.

    If the environment variable TRACEBACK is 1, the error's traceback is printed before it.
    """
    raise_on_signals()
    try:
        app(prog_name="python -m scripts")
    except (ScriptError, LoaderError, OSError) as error:
        if os.environ.get("TRACEBACK", "0") not in ("", "0"):
            print(without_secrets("".join(traceback.format_exception(error))), file=sys.stderr)
        sys.exit(without_secrets(f"error: {error}"))
    except TerminatedError as terminated:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C does not wait for threads
        sys.exit(128 + terminated.number)


if __name__ == "__main__":
    main()
