"""What identifies a source file."""

from __future__ import annotations

from dataclasses import dataclass

from loader._errors import url_without_secrets
from scripts._define.lineage import SOURCES

FOLDER = SOURCES


@dataclass(frozen=True)
class Source:
    """A source file: its URL, file name, size in bytes, and SHA-256 (hex).

    Of a file that is downloaded by hand, and of a tree of such files, the URL begins with `manual:`, and the file name
    is the path in the folder of the dataset's source files; see `scripts._sources.manual`.
    """

    url: str
    filename: str
    size: int
    sha256: str

    @property
    def shown(self) -> str:
        """The URL without secrets, for messages and the manifest; the SHA-256 tells files of one such URL apart."""
        return url_without_secrets(self.url)
