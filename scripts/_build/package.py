"""Packing a builder's output into one tar of format 1 (see `loader._format.index` for the record index)."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

import numpy as np

from loader._format.description import Description, read_description
from loader._format.index import BLOCK_BYTES, BLOCK_RECORDS, HEADER_NAME, ROW, ROW_TYPE, ROWS_NAME, Header, Member
from loader._format.manifest import ArtifactEntry
from loader._format.tar import member_header, padded, tar_size
from scripts._build.prepare import Prepared
from scripts._process.errors import ScriptError
from scripts._process.files import CHUNK_BYTES, hash_file, release, replacing
from scripts._tfds.shards import SHA256_BYTES, TAIL_BYTES, count_records

NO_SHA256 = "0" * 64
ROWS_AT_ONCE = 8 * BLOCK_RECORDS
CHUNKS_AHEAD = 8  # of what has been hashed, what has been written may be
RELEASED_BYTES = 16 << 20  # of a shard, each time


@dataclass(frozen=True)
class Packed:
    """A finished artifact: its entry in the manifest, its description, and the md5 by which DVC knows it."""

    entry: ArtifactEntry
    info: Description
    md5: str


class _Shard(NamedTuple):
    """A shard that a builder has written: its split, its file, and its number of records."""

    split: str
    path: Path
    records: int


def pack(prepared: Prepared, target: Path, *, scratch: Path) -> Packed:
    """Write the artifact `target` from a builder's output, whose shards are removed as they are written.

    The tar is hashed while it is written, and its shards were when they were, so every byte is read once. The memory
    needed does not depend on the size of the data, the disk is needed once. The tar is written next to the target and
    renamed when it is complete; it may not be on disk yet.

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
        _Shard(split.name, prepared.folder / name, records)
        for split in info.splits.values()
        for name, records in zip(split.shard_names(info.name), split.shard_lengths, strict=True)
    ]
    paths = [shard.path for shard in shards]
    rows = scratch / ROWS_NAME
    sources = _member_files(prepared, paths, rows)
    splits = {split.name: split.num_examples for split in info.splits.values()}
    header_path = f"{prepared.folder.relative_to(prepared.data_dir).as_posix()}/{HEADER_NAME}"
    records = sum(splits.values())
    sizes = {path: records * ROW.size if file == rows else file.stat().st_size for path, file in sources.items()}
    layout = _plan(header_path, sizes, splits)
    _check_disk(target, layout.size, [path.stat() for path in paths])

    offsets = {sources[member.path]: member.offset for member in layout.header.members}
    blocks = _write_rows(rows, shards, offsets, prepared.rows)
    hashes = {path: _sha256(file, prepared.rows) for path, file in sources.items()}
    members = tuple(Member(m.path, m.offset, m.size, hashes[m.path]) for m in layout.header.members)
    header = Header(members, splits, tuple(blocks)).render()
    assert len(header) == layout.header_size

    with replacing(target, on_disk=False) as file:
        sha256, md5 = _write_tar(file, header_path, header, sources, {*paths})
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
    return Packed(entry, info, md5)


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
        header_offset = len(member_header(header_path, header_size))
        position = header_offset + padded(header_size)
        members = []
        for path, size in sizes.items():
            position += len(member_header(path, size))
            members.append(Member(path, position, size, NO_SHA256))
            position += padded(size)
        header = Header(tuple(members), splits, blocks)
        rendered = len(header.render())
        if rendered == header_size:
            return _Layout(header, header_offset, header_size, tar_size(position))
        header_size = rendered


def _write_rows(rows: Path, shards: list[_Shard], offsets: dict[Path, int], folder: Path) -> list[str]:
    """Write the rows of all shards, and return the SHA-256 of each block."""
    blocks = []
    with rows.open("wb") as file:
        block = bytearray()
        for shard in shards:
            for part in _shard_rows(shard, offsets[shard.path], folder / shard.path.name):
                block += part
                while len(block) >= BLOCK_BYTES:
                    blocks.append(hashlib.sha256(block[:BLOCK_BYTES]).hexdigest())
                    file.write(block[:BLOCK_BYTES])
                    del block[:BLOCK_BYTES]
        if block:
            blocks.append(hashlib.sha256(block).hexdigest())
            file.write(block)
    return blocks


def _shard_rows(shard: _Shard, base: int, written: Path) -> Iterator[bytes]:
    """Yield the rows of a shard whose bytes begin at offset `base` in the tar, from those that were written with it."""
    split, path, records = shard
    if (found := count_records(written)) != records:
        raise ScriptError(f"split {split}: TFDS announces {records:,} records for {path.name}, which has {found:,}")
    end = 0
    with written.open("rb") as file:
        for first in range(0, records, ROWS_AT_ONCE):
            count = min(ROWS_AT_ONCE, records - first)
            rows = np.frombuffer(bytearray(file.read(count * ROW.size)), ROW_TYPE)
            end = int(rows["offset"][-1]) + int(rows["length"][-1]) + TAIL_BYTES
            rows["offset"] += base
            yield rows.tobytes()
    if (size := path.stat().st_size) != end:
        raise ScriptError(f"split {split}: the shard {path.name} has {size:,} bytes, and {end:,} were written")


def _sha256(file: Path, rows: Path) -> str:
    """Return the SHA-256 of a member: of a shard the one that was computed when it was written."""
    written = rows / file.name
    if not written.exists():
        return hash_file(file)
    with written.open("rb") as opened:
        opened.seek(-SHA256_BYTES, 2)
        return opened.read().hex()


def _write_tar(
    file: BinaryIO, header_path: str, header: bytes, sources: dict[str, Path], shards: set[Path]
) -> tuple[str, str]:
    """Write the tar, remove the shards, and return the tar's SHA-256 and its md5."""
    with _Hashing(file) as out:

        def pad(multiple: int) -> None:
            out.write(bytes(-file.tell() % multiple))

        out.write(member_header(header_path, len(header)))
        out.write(header)
        pad(tarfile.BLOCKSIZE)
        for path, source in sources.items():
            out.write(member_header(path, source.stat().st_size))
            with source.open("r+b") as opened:
                while chunk := opened.read(CHUNK_BYTES):
                    out.write(chunk)
                    if source in shards and opened.tell() % RELEASED_BYTES == 0:
                        release(opened, opened.tell())
            pad(tarfile.BLOCKSIZE)
            if source in shards:
                source.unlink()
        out.write(bytes(2 * tarfile.BLOCKSIZE))
        pad(tarfile.RECORDSIZE)
    return out.sha256.hexdigest(), out.md5.hexdigest()


class _Hashing:
    """Hashes what is written to a file, in a thread for each hash."""

    def __init__(self, file: BinaryIO) -> None:
        self.sha256, self.md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        self._file = file
        self._threads = ExitStack()
        self._running: deque[list[Future[None]]] = deque()

    def __enter__(self) -> Self:
        self._updates = [
            (self._threads.enter_context(ThreadPoolExecutor(1)), hasher.update) for hasher in (self.sha256, self.md5)
        ]
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.close()

    def write(self, data: bytes) -> None:
        """Write bytes, and hash them soon."""
        self._running.append([thread.submit(update, data) for thread, update in self._updates])
        self._file.write(data)
        if len(self._running) > CHUNKS_AHEAD:
            for future in self._running.popleft():
                future.result()


def _check_disk(target: Path, size: int, shards: list[os.stat_result]) -> None:
    """Refuse to write a tar that does not fit; on one file system, its shards are removed as it grows."""
    if all(shard.st_dev == target.parent.stat().st_dev for shard in shards):
        size -= sum(shard.st_size for shard in shards) - max(shard.st_size for shard in shards)
    free = shutil.disk_usage(target.parent).free
    if free < size:
        raise ScriptError(
            f"{target} needs {size:,} bytes, {target.parent} has {free:,} left; make room and build again"
        )
