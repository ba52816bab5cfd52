"""Packing a builder's output into one tar of format 1 (see `loader._format.index` for the record index)."""

from __future__ import annotations

import hashlib
import mmap
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from loader import IntegrityError
from loader._format import index, tfrecord
from loader._format.description import Description, read_description
from loader._format.index import BLOCK_BYTES, BLOCK_RECORDS, HEADER_NAME, ROW, ROWS_NAME, Header, Member
from loader._format.manifest import ArtifactEntry
from scripts._build.prepare import Prepared
from scripts._process.errors import ScriptError
from scripts._process.files import CHUNK_BYTES, hash_file, replacing
from scripts._tfds.shards import KEY_BYTES

NO_SHA256 = "0" * 64
MAX_RECORD_BYTES = (1 << 32) - 1


@dataclass(frozen=True)
class Packed:
    """A finished artifact: its entry in the manifest and its description."""

    entry: ArtifactEntry
    info: Description


def pack(prepared: Prepared, target: Path, *, scratch: Path) -> Packed:
    """Write the artifact `target` from a builder's output.

    The memory needed does not depend on the size of the data. The tar is written next to the target and renamed when it
    is complete and on disk.

    Parameters
    ----------
    prepared
        The builder's output.
    target
        The tar to write.
    scratch
        A folder for the rows (44 bytes per record).

    Raises
    ------
    ScriptError
        The disk is too small, or the shards do not contain the records that dataset_info.json states.
    """
    info = read_description(lambda name: (prepared.folder / name).read_bytes())
    shards = [
        (split.name, prepared.folder / name, records)
        for split in info.splits.values()
        for name, records in zip(split.shard_names(info.name), split.shard_lengths, strict=True)
    ]
    rows = scratch / ROWS_NAME
    sources = _member_files(prepared, [path for _, path, _ in shards], rows)
    splits = {split.name: split.num_examples for split in info.splits.values()}
    header_path = f"{prepared.folder.relative_to(prepared.data_dir).as_posix()}/{HEADER_NAME}"
    records = sum(splits.values())
    sizes = {path: records * ROW.size if file == rows else file.stat().st_size for path, file in sources.items()}
    layout = _plan(header_path, sizes, splits)
    _check_disk(target, layout.size)

    hashes = {path: hash_file(file) for path, file in sources.items() if file != rows}
    offsets = {sources[member.path]: member.offset for member in layout.header.members}
    blocks = _write_rows(rows, shards, offsets, prepared.keys)
    hashes[next(path for path, file in sources.items() if file == rows)] = hash_file(rows)
    members = tuple(Member(m.path, m.offset, m.size, hashes[m.path]) for m in layout.header.members)
    header = Header(members, splits, tuple(blocks)).render()
    assert len(header) == layout.header_size

    with replacing(target) as file:
        sha256 = _write_tar(file, header_path, header, sources)
        if file.tell() != layout.size:
            raise ScriptError(f"{target}: {prepared.folder} changed while it was packed; build it again")
    entry = ArtifactEntry(
        target.name,
        prepared.config,
        layout.size,
        sha256,
        layout.header_offset,
        layout.header_size,
        hashlib.sha256(header).hexdigest(),
    )
    return Packed(entry, info)


@dataclass(frozen=True)
class _Layout:
    """The position of everything in the tar. The header's hashes are still zeros."""

    header: Header
    header_offset: int
    header_size: int
    size: int


def _member_files(prepared: Prepared, shards: list[Path], rows: Path) -> dict[str, Path]:
    """Return every file by its path in the tar, in the tar's order: metadata, rows, shards."""
    in_tar = {path.relative_to(prepared.data_dir).as_posix(): path for path in prepared.data_dir.rglob("*")}
    version = prepared.folder.relative_to(prepared.data_dir).as_posix()
    metadata = sorted(name for name, path in in_tar.items() if path.is_file() and path not in shards)
    records = sorted(path.relative_to(prepared.data_dir).as_posix() for path in shards)
    return (
        {name: in_tar[name] for name in metadata}
        | {f"{version}/{ROWS_NAME}": rows}
        | {name: prepared.data_dir / name for name in records}
    )


def _plan(header_path: str, sizes: dict[str, int], splits: dict[str, int]) -> _Layout:
    """Compute the layout of the tar.

    The header contains offsets, which depend on its own length. So it is rendered until its length no longer changes,
    which happens because the length never shrinks.
    """
    blocks = (NO_SHA256,) * -(-sum(splits.values()) // BLOCK_RECORDS)
    header_size = 0
    while True:
        header_offset = len(_tar_header(header_path, header_size))
        position = header_offset + _padded(header_size)
        members = []
        for path, size in sizes.items():
            position += len(_tar_header(path, size))
            members.append(Member(path, position, size, NO_SHA256))
            position += _padded(size)
        header = Header(tuple(members), splits, blocks)
        rendered = len(header.render())
        if rendered == header_size:
            end = position + 2 * tarfile.BLOCKSIZE
            return _Layout(header, header_offset, header_size, -(-end // tarfile.RECORDSIZE) * tarfile.RECORDSIZE)
        header_size = rendered


def _write_rows(rows: Path, shards: list[tuple[str, Path, int]], offsets: dict[Path, int], keys: Path) -> list[str]:
    """Write the rows by reading every shard back, and return the SHA-256 of each block."""
    blocks = []
    with rows.open("wb") as file:
        block = bytearray()
        for split, path, records in shards:
            for row in _shard_rows(path, offsets[path], keys / path.name, records, split):
                block += row
                if len(block) == BLOCK_BYTES:
                    blocks.append(hashlib.sha256(block).hexdigest())
                    file.write(block)
                    block.clear()
        if block:
            blocks.append(hashlib.sha256(block).hexdigest())
            file.write(block)
    return blocks


def _shard_rows(path: Path, base: int, keys: Path, records: int, split: str) -> Iterator[bytes]:
    """Yield the rows of a shard whose bytes begin at offset `base` in the tar."""
    if keys.stat().st_size != records * KEY_BYTES:
        raise ScriptError(f"split {split}: TFDS announces {records:,} records for {path.name} and wrote another number")
    count = 0
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data,
            keys.open("rb") as key,
        ):
            for offset, length in tfrecord.scan(data, 0, len(data)):
                if length > MAX_RECORD_BYTES:
                    raise ScriptError(
                        f"split {split}: record {count:,} of {path.name} has {length:,} bytes, but a row of the record "
                        f"index can state {MAX_RECORD_BYTES:,} at most; split the example into several"
                    )
                record = tfrecord.read(data, offset, length)
                count += 1
                yield ROW.pack(base + offset, length, key.read(KEY_BYTES), index.digest(record))
    except (IntegrityError, ValueError) as error:
        raise ScriptError(f"split {split}: the shard {path.name} that TFDS wrote {error}") from error
    if count != records:
        raise ScriptError(f"split {split}: TFDS announces {records:,} records for {path.name}, which has {count:,}")


def _write_tar(out: BinaryIO, header_path: str, header: bytes, sources: dict[str, Path]) -> str:
    """Write the tar and return its SHA-256."""
    hasher = hashlib.sha256()

    def write(data: bytes) -> None:
        out.write(data)
        hasher.update(data)

    def pad(multiple: int) -> None:
        write(bytes(-out.tell() % multiple))

    write(_tar_header(header_path, len(header)))
    write(header)
    pad(tarfile.BLOCKSIZE)
    for path, file in sources.items():
        write(_tar_header(path, file.stat().st_size))
        with file.open("rb") as source:
            while chunk := source.read(CHUNK_BYTES):
                write(chunk)
        pad(tarfile.BLOCKSIZE)
    write(bytes(2 * tarfile.BLOCKSIZE))
    pad(tarfile.RECORDSIZE)
    return hasher.hexdigest()


def _tar_header(path: str, size: int) -> bytes:
    """Return a member's header: no time, no owner, mode 644; PAX records only if the path or size needs them."""
    info = tarfile.TarInfo(path)
    info.size = size
    info.mode = 0o644
    return info.tobuf(tarfile.PAX_FORMAT)


def _padded(size: int) -> int:
    return -(-size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE


def _check_disk(target: Path, size: int) -> None:
    free = shutil.disk_usage(target.parent).free
    if free < size:
        raise ScriptError(
            f"{target} needs {size:,} bytes, {target.parent} has {free:,} left; make room and build again"
        )
