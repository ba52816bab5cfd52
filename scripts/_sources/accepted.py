"""Whether what a location has is the registered file or tree."""

from __future__ import annotations

import shutil
from pathlib import Path

from scripts._process.errors import UnavailableError
from scripts._sources.download import discard
from scripts._sources.file_info import FileInfo
from scripts._sources.manual import is_tree, measure, walk
from scripts._sources.source import Source
from scripts._sources.trees import unpack_tree

HTML_PAGE = "an HTML page: the URL may now lead to a login, a notice or a form"
_SNIFFED_BYTES = 512


def checked(path: Path, source: Source) -> Path:
    """Return a path if it has the source's SHA-256.

    Raises
    ------
    UnavailableError
        It has another one, does not exist, or cannot be read.
    """
    try:
        size = path.stat().st_size
        if is_tree(source.url) or size == source.size:
            size, sha256 = measure(path, tree=is_tree(source.url))
            if (size, sha256) == (source.size, source.sha256):
                return path
    except FileNotFoundError:
        raise UnavailableError("no such file", report=False) from None
    except OSError as error:
        raise UnavailableError(f"cannot be read ({error.strerror})") from error
    if size != source.size and not is_tree(source.url):
        raise UnavailableError(f"has {size:,} bytes instead of {source.size:,}, so not the recorded SHA-256")
    raise UnavailableError(f"has another SHA-256 ({sha256})")


def opened(part: Path, source: Source) -> Path:
    """Return the file that a partial file is, or the folder that it has: a tree arrives as a tar.

    Raises
    ------
    UnavailableError
        It is not the tar of a tree.
    """
    if not is_tree(source.url):
        return part
    unpack_tree(part, _folder_of(part))
    return _folder_of(part)


def files_of(source: Source, found: Path, target: Path) -> dict[Path, Path]:
    """Return the files of a source by the path that each is to be copied to, and make the folders that have none.

    Parameters
    ----------
    source
        The file or tree.
    found
        Where it is.
    target
        The path to copy it to.
    """
    if not is_tree(source.url):
        return {target: found}
    paths = walk(found)
    for path in ("", *paths):
        if not path or path.endswith("/"):
            (target / path).mkdir(parents=True, exist_ok=True)
    return {target / path: found / path for path in paths if not path.endswith("/")}


def discard_opened(part: Path) -> None:
    """Remove a partial file and what it had."""
    discard(part)
    shutil.rmtree(_folder_of(part), ignore_errors=True)


def is_html(path: Path, info: FileInfo) -> bool:
    """Return whether a downloaded file is an HTML page."""
    with path.open("rb") as file:
        beginning = file.read(_SNIFFED_BYTES).lstrip().lower()
    return info.content_type == "text/html" or beginning.startswith((b"<!doctype html", b"<html"))


def _folder_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.tree")
