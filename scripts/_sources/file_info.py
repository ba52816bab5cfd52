"""What a server says about a file, stored next to its partial file so that the download can be resumed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from scripts._process.files import replacing
from scripts._sources import responses


@dataclass(frozen=True)
class FileInfo:
    """What a server's response headers say about a file.

    Attributes
    ----------
    filename
        The file name, empty if there is none.
    content_type
        The media type, empty if there is none.
    etag, modified
        The ETag and Last-Modified headers, empty if they are missing.
    encoding
        The encodings of the bytes downloaded so far, which are undone at the end; empty if there are none.
    """

    filename: str = ""
    content_type: str = ""
    etag: str = ""
    modified: str = ""
    encoding: str = ""

    @property
    def validator(self) -> str:
        """The value of If-Range with which the server sends the rest only if the file has not changed."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified


def info_of(response: Any) -> FileInfo:
    """Return what the headers of an HTTP response say."""
    return FileInfo(
        responses.filename_of(response),
        responses.content_type_of(response),
        response.headers.get("ETag", ""),
        response.headers.get("Last-Modified", ""),
        responses.encoding_of(response),
    )


def info_path(part: Path) -> Path:
    """Return the path of the `FileInfo` of a partial file."""
    return part.with_name(f"{part.name}.json")


def read_info(part: Path) -> FileInfo:
    """Return the stored `FileInfo` of a partial file, an empty one if there is none."""
    try:
        return FileInfo(**json.loads(info_path(part).read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return FileInfo()


def write_info(part: Path, info: FileInfo) -> None:
    """Store the `FileInfo` of a partial file."""
    with replacing(info_path(part)) as file:
        file.write(json.dumps(asdict(info)).encode())


def start_part(part: Path, info: FileInfo) -> None:
    """Begin a partial file."""
    part.write_bytes(b"")
    write_info(part, info)


def size_of(path: Path) -> int:
    """Return the size of a file in bytes, 0 if there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
