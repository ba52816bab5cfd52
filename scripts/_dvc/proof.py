"""Whether an object on S3 has the content of a file, by what S3 reports about the object."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts._dvc.transfer import MAX_PARTS, MIB, part_bytes
from scripts._process.files import CHUNK_BYTES, hash_file

# what programs upload parts in: 5 MiB (AWS's Java SDK, rclone), 8 (AWS's command line, boto3), 50 (s3fs, so DVC), ...
USUAL_PART_BYTES = tuple(mib * MIB for mib in (5, 8, 10, 15, 16, 25, 32, 50, 64, 100, 128, 256, 512, 1024))
_MD5 = re.compile("[0-9a-f]{32}")
_PARTS = re.compile("[0-9a-f]{32}-([0-9]{1,5})")


@dataclass(frozen=True)
class Finding:
    """What the remote's answer proves about an object.

    Attributes
    ----------
    right
        Whether the object has the expected content; None if only its size is known to be right.
    by
        What was compared.
    """

    right: bool | None
    by: str


def metadata_of(md5: str, size: int) -> dict[str, str]:
    """Return the metadata that an upload stores with an object, from which `examine` recognizes it."""
    return {"md5": md5, "size": str(size)}


def examine(head: Mapping[str, Any], path: Path | None, *, md5: str, size: int) -> Finding:
    """Compare an object with a file.

    Checksums that the remote computed from the object's bytes count first: its SHA-256, its MD5 (the ETag, if the
    object was uploaded as a whole and without a key), the MD5 of its parts' MD5s (the ETag, if it was uploaded in
    parts), its CRC-64/NVME. Then counts the MD5 in the metadata, which was written together with the bytes.

    Parameters
    ----------
    head
        The answer to HeadObject with ChecksumMode=ENABLED.
    path
        The file; None if it is not on this machine, so that only its md5 can be compared.
    md5, size
        The file's md5 (hex) and size in bytes.
    """
    if head["ContentLength"] != size:
        return Finding(False, "its size")
    if path is not None and (sha256 := _whole(head, "ChecksumSHA256")) is not None:
        return Finding(sha256.hex() == hash_file(path), "its SHA-256")
    etag = str(head.get("ETag", "")).strip('"').lower()
    # the ETag of an object that is encrypted with a key has the form of an MD5, but is none
    encrypted = str(head.get("ServerSideEncryption", "")).startswith("aws:kms") or "SSECustomerAlgorithm" in head
    parts = _PARTS.fullmatch(etag)
    if not encrypted and etag == md5:
        return Finding(True, "its MD5")
    if not encrypted and parts and path is not None and etag in _etags_of_parts(path, size, int(parts[1])):
        return Finding(True, "the MD5 of its parts")
    if path is not None and (crc := _whole(head, "ChecksumCRC64NVME")) is not None:
        return Finding(crc == crc64nvme(path), "its CRC-64/NVME")
    stated = head.get("Metadata", {})
    if "md5" in stated:
        return Finding(stated.items() >= metadata_of(md5, size).items(), "the MD5 in its metadata")
    if not encrypted and _MD5.fullmatch(etag):
        return Finding(False, "its MD5")
    if not encrypted and parts and path is not None:
        # or the parts are of a size that nobody uses: after another upload it can be proved
        return Finding(False, "the MD5 of its parts")
    return Finding(None, "its size")


def _whole(head: Mapping[str, Any], field: str) -> bytes | None:
    """Return a checksum of all bytes of the object, None if the remote has none, or one of the parts' checksums."""
    value = str(head.get(field) or "")
    if not value or "-" in value or head.get("ChecksumType", "FULL_OBJECT") != "FULL_OBJECT":
        return None
    return base64.b64decode(value)


def crc64nvme(path: Path) -> bytes:
    """Return the CRC-64/NVME of a file's bytes, as S3 keeps it of objects that are uploaded in parts."""
    from awscrt import checksums

    crc = 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            crc = checksums.crc64nvme(chunk, crc)
    return crc.to_bytes(8, "big")


def _etags_of_parts(path: Path, size: int, count: int) -> set[str]:
    """Return the ETags that the file has if it is uploaded in `count` parts of a usual size."""
    if count == 1:
        return {_etag_of_parts(path, max(size, 1))}
    largest = -(-size // MAX_PARTS)  # of s3fs, for a file that has too many parts otherwise
    sizes = {each for each in (*USUAL_PART_BYTES, largest, part_bytes(size)) if -(-size // max(each, 1)) == count}
    return {_etag_of_parts(path, each) for each in sizes}


def _etag_of_parts(path: Path, each: int) -> str:
    digests = []
    with path.open("rb") as file:
        while True:
            part, left = hashlib.md5(usedforsecurity=False), each
            while left and (data := file.read(min(left, CHUNK_BYTES))):
                part.update(data)
                left -= len(data)
            if left < each:
                digests.append(part.digest())
            if left:
                return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"
