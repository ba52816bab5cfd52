"""Files that a server sends encoded: `Content-Encoding: gzip`, even if nobody asked for it."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from scripts._process.errors import UnavailableError
from scripts._process.files import CHUNK_BYTES

# of files that are compressed themselves, which some servers (Apache's AddEncoding) call an encoding too
_OWN_ENDINGS = {"gzip": (".gz", ".tgz", ".svgz"), "br": (".br",), "zstd": (".zst",), "compress": (".z",)}
_OWN_TYPES = {"gzip": ("application/gzip", "application/x-gzip")}


def is_compressed_itself(encoding: str, *, filename: str, content_type: str) -> bool:
    """Return whether a file is meant to stay as it was sent: `x.tar.gz` is a compressed file, `x.txt` a text."""
    return filename.lower().endswith(_OWN_ENDINGS.get(encoding, ())) or content_type in _OWN_TYPES.get(encoding, ())


def decode(path: Path, encoding: str, *, limit: int | None) -> None:
    """Replace a file by what it decodes to.

    Parameters
    ----------
    path
        The file. On failure it stays as it is.
    encoding
        The encodings, comma-separated in the order in which they were applied.
    limit
        The most bytes to write.

    Raises
    ------
    UnavailableError
        The encoding is not known, or the result is larger than the limit.
    ValueError
        The file does not have the encoding, or is cut off.
    """
    part = path.with_name(f".{path.name}.part")
    for name in reversed(encoding.split(",")):
        read = _READERS.get(name)
        if read is None:
            raise UnavailableError(f"sends it encoded as {name}, which nobody asked for")
        size = 0
        try:
            with part.open("wb") as file:
                for chunk in read(path):
                    size += file.write(chunk)
                    if limit is not None and size > limit:
                        raise UnavailableError(f"sends far more than {limit:,} bytes, encoded as {name}")
            part.replace(path)
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise ValueError(f"does not send {name}, as it says ({error})") from error
        finally:
            part.unlink(missing_ok=True)


def _gunzip(path: Path) -> Iterator[bytes]:
    with gzip.open(path) as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _inflate(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        first = file.read(1)
        file.seek(0)
        # some servers leave the header of zlib out, which begins so
        decompressor = zlib.decompressobj(zlib.MAX_WBITS if first == b"\x78" else -zlib.MAX_WBITS)
        while chunk := file.read(CHUNK_BYTES):
            yield decompressor.decompress(chunk)
        if not decompressor.eof:
            raise EOFError("it is cut off")


_READERS = {"gzip": _gunzip, "deflate": _inflate}
