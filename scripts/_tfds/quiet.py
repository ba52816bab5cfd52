"""TensorFlow, TFDS and Beam without what they have to say."""

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
    """Import TensorFlow and TFDS without what they have to say, and without a GPU."""
    _quiet_beam()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"  # no byte may depend on a GPU's presence
    with held_stderr(), _hidden("jax", "pandas"):
        import absl.logging
        import tensorflow  # noqa: F401
        import tensorflow_datasets as tfds

    absl.logging.set_verbosity(absl.logging.ERROR)
    warnings.filterwarnings("ignore", "Couldn't find ffmpeg")  # pydub reads wav files without it
    # no bucket is asked for what is known of a dataset; TFDS would leave an empty temporary folder for each builder
    tfds.core.DatasetInfo.initialize_from_bucket = lambda _: None
    if not sys.stderr.isatty():
        tfds.disable_progress_bar()


@contextmanager
def held_stderr() -> Iterator[None]:
    """Hold back what is written to stderr, below Python too; let it out only if the body fails.

    TensorFlow's libraries greet with a dozen lines before any log level reaches them.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held, os.fdopen(os.dup(2), "wb") as stderr:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            stderr.write(held.read())
            raise
        finally:
            os.dup2(stderr.fileno(), 2)


@contextmanager
def _hidden(*packages: str) -> Iterator[None]:
    """Keep packages from being imported, if they are not yet.

    TensorFlow and Keras import these wherever they are installed, for what no build does; that takes up to a second.
    """
    hidden = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def _quiet_beam() -> None:
    """Keep Beam's loggers from telling what arrives as an exception, too. Beam need not be imported yet."""
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    # and what it says without a logger's name, as on import, of packages for Google's cloud that are not installed
    logging.getLogger().addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    return "apache_beam" not in Path(record.pathname).parts
