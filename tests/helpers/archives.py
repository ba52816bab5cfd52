"""Archives of all kinds that TFDS extracts, made in memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile


def zip_of(members: dict[str, bytes]) -> bytes:
    """Return a zip file of members by name."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, data in members.items():
            file.writestr(zipfile.ZipInfo(name), data)
    return out.getvalue()


def tar_of(members: dict[str, bytes | tarfile.TarInfo]) -> bytes:
    """Return a tar file of members by name; a TarInfo is a member without data, such as a link."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        for name, data in members.items():
            if isinstance(data, tarfile.TarInfo):
                data.name = name
                file.addfile(data)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(data)
                file.addfile(info, io.BytesIO(data))
    return out.getvalue()


def special(kind: bytes, target: str = "") -> tarfile.TarInfo:
    """Return a member that is a link to a target, a device or a folder."""
    info = tarfile.TarInfo()
    info.type, info.linkname = kind, target
    return info


COMPRESSORS = {"": bytes, ".gz": lambda data: gzip.compress(data, mtime=0), ".bz2": bz2.compress, ".xz": lzma.compress}
