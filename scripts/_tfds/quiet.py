"""Importing TensorFlow, TFDS and Beam without their messages."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def quiet_tensorflow() -> None:
    """Import TensorFlow and TFDS without their messages and without a GPU."""
    _quiet_beam()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # no byte may depend on whether there is a GPU
    with held_stderr(), _hidden("jax", "keras", "pandas", "sklearn"):
        import absl.logging
        import tensorflow  # noqa: F401
        import tensorflow_datasets as tfds

    absl.logging.set_verbosity(absl.logging.ERROR)
    warnings.filterwarnings("ignore", "Couldn't find ffmpeg")  # pydub reads wav files without it
    # TFDS would look the dataset up in its bucket, and leave an empty temporary folder for each builder
    tfds.core.DatasetInfo.initialize_from_bucket = lambda _: None
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()


@contextmanager
def held_stderr() -> Iterator[None]:
    """Hold back everything written to stderr, also by C++ code; print it only if the body fails.

    TensorFlow's libraries print a dozen lines before any log level takes effect.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held, os.fdopen(os.dup(2), "wb") as stderr:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:
            held.seek(0)
            stderr.write(held.read())
            raise
        finally:
            os.dup2(stderr.fileno(), 2)


@contextmanager
def _hidden(*packages: str) -> Iterator[None]:
    """Prevent the import of packages that are not imported yet.

    TensorFlow imports these if they are installed, though hardly any build uses them; that takes a third of its time.
    A builder that uses one imports it as ever, and `tf.keras` is imported when it is used.
    """
    hidden = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def _quiet_beam() -> None:
    """Silence Beam's loggers, whose errors are also raised as exceptions. Beam need not be imported yet."""
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    # also its messages to the root logger, like the one on import about missing packages for Google's cloud
    logging.getLogger().addFilter(_is_not_from_beam)


def _is_not_from_beam(record: logging.LogRecord) -> bool:
    return "apache_beam" not in Path(record.pathname).parts
