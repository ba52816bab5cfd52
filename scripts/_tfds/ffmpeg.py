"""Whether a builder needs ffmpeg, the program with which TFDS reads videos, and pydub all audio files but WAV."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

NATIVE = ("wav", "wave", "raw", "pcm")  # pydub reads these itself
PROGRAMS = ("ffmpeg", "ffprobe")
INSTALL = "brew install ffmpeg" if sys.platform == "darwin" else "sudo apt-get install ffmpeg"


def features_needing_ffmpeg(features: Any) -> tuple[list[str], list[str]]:
    """Return the names of the features that need ffmpeg, and of those that need it if the builder yields files."""
    import tensorflow_datasets as tfds

    always: list[str] = []
    for_files: list[str] = []
    for name, feature in _flat(features, ""):
        if isinstance(feature, tfds.features.Video):
            for_files.append(name)
        elif isinstance(feature, tfds.features.Audio):
            content = feature.to_json_content()
            if not content.lazy_decode and content.file_format.lower() not in NATIVE:
                (always if content.file_format else for_files).append(name)
    return always, for_files


def is_missing_ffmpeg(error: BaseException | None) -> bool:
    """Return whether an error says that ffmpeg, or ffprobe, which comes with it, is not installed."""
    while error is not None:
        if isinstance(error, FileNotFoundError) and error.filename in (*PROGRAMS, "avconv", "avprobe"):
            return True
        error = error.__cause__ or error.__context__
    return False


def _flat(feature: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield a feature and those in it, with their names like `clip/frames`."""
    yield name, feature
    if hasattr(feature, "items"):
        for key, inner in feature.items():
            yield from _flat(inner, f"{name}/{key}" if name else key)
    elif hasattr(feature, "feature"):
        yield from _flat(feature.feature, name)
