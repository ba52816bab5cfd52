"""Change artifacts and recompute every hash, so that only a check of the content finds the change."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from loader._format.index import BLOCK_BYTES, ROW, Header, Member, digest, parse
from loader._format.tar import member_header, padded
from loader._format.tfrecord import masked_crc
from tests.helpers.recorded_dataset import record_artifacts

NO_SHA256 = "0" * 64


@dataclass
class File:
    """A member of the tar to write: its path and its bytes."""

    path: str
    data: bytes


@dataclass
class Row:
    """A row of the record index: the shard, the record's offset in the shard, and the row's other fields."""

    shard: File
    offset: int
    length: int
    key: bytes
    digest: bytes


@dataclass
class Forgery:
    """The parts of the artifact in the repository `root`, to change and to `sign`.

    Attributes
    ----------
    root
        The repository of `tests.helpers.recorded_dataset`.
    header_path
        The path of the index header in the tar.
    files
        Every member that the header lists, in the tar's order.
    rows
        The rows of the index.
    splits
        The number of records of each split, for the header.
    extra
        Members to add at the end of the tar, which the header does not list.
    """

    root: Path
    header_path: str
    files: list[File]
    rows: list[Row]
    splits: dict[str, int]
    extra: list[tarfile.TarInfo] = field(default_factory=list)

    def file(self, name: str) -> File:
        """Return the member whose path ends in `name`."""
        return next(file for file in self.files if file.path.endswith(name))

    def sign(self) -> None:
        """Write the tar, its manifest and `dvc.lock`, with the new offsets, hashes and sizes."""
        rows = self.file("record_index.bin")
        rows.data = bytes(len(self.rows) * ROW.size)
        size = 0
        while True:  # the size of the header affects the members' offsets, and these the size of the header
            offsets, blocks = self._offsets(size), [NO_SHA256] * -(-len(rows.data) // BLOCK_BYTES)
            rendered = len(self._header(offsets, blocks).render())
            if rendered == size:
                break
            size = rendered
        start = {id(file): offset for file, offset in zip(self.files, offsets, strict=True)}
        rows.data = b"".join(
            ROW.pack(start[id(row.shard)] + row.offset, row.length, row.key, row.digest) for row in self.rows
        )
        blocks = [_sha256(rows.data[at : at + BLOCK_BYTES]) for at in range(0, len(rows.data), BLOCK_BYTES)]
        header = self._header(offsets, blocks).render()
        assert len(header) == size
        data = bytearray(_entry(self.header_path, header))
        for file in self.files:
            data += _entry(file.path, file.data)
        for info in self.extra:
            data += info.tobuf(tarfile.PAX_FORMAT)
        data += bytes(2 * tarfile.BLOCKSIZE)
        data += bytes(-len(data) % tarfile.RECORDSIZE)
        (self.root / "artifacts/small.tar").write_bytes(data)
        offset = len(member_header(self.header_path, size))
        sign(self.root, index={"offset": offset, "size": size, "sha256": _sha256(header)})

    def _offsets(self, header_size: int) -> list[int]:
        position = len(member_header(self.header_path, header_size)) + padded(header_size)
        offsets = []
        for file in self.files:
            position += len(member_header(file.path, len(file.data)))
            offsets.append(position)
            position += padded(len(file.data))
        return offsets

    def _header(self, offsets: Iterable[int], blocks: list[str]) -> Header:
        members = tuple(
            Member(file.path, offset, len(file.data), _sha256(file.data))
            for file, offset in zip(self.files, offsets, strict=True)
        )
        return Header(members, self.splits, tuple(blocks))


def take_apart(root: Path) -> Forgery:
    """Read the artifact of `root`."""
    data = (root / "artifacts/small.tar").read_bytes()
    entry = json.loads((root / "artifacts/small.json").read_text())["artifacts"]["small.tar"]
    at, size = entry["index"]["offset"], entry["index"]["size"]
    header = parse(data[at : at + size], tar_size=len(data))
    files = [File(member.path, data[member.offset : member.offset + member.size]) for member in header.members]
    with tarfile.open(root / "artifacts/small.tar") as tar:
        header_path = tar.getnames()[0]
    rows = []
    spans = list(zip(header.members, files, strict=True))
    for offset, length, key, row_digest in ROW.iter_unpack(
        data[header.rows.offset : header.rows.offset + header.rows.size]
    ):
        member, shard = next((m, f) for m, f in spans if m.offset <= offset < m.offset + m.size)
        rows.append(Row(shard, offset - member.offset, length, key, row_digest))
    return Forgery(root, header_path, files, rows, dict(header.splits))


def sign(root: Path, *, index: dict[str, int | str] | None = None) -> None:
    """Record the current tar in the manifest and in `dvc.lock`; `index` is the manifest's entry for the header."""
    path = root / "artifacts/small.json"
    manifest = json.loads(path.read_text())
    data = (root / "artifacts/small.tar").read_bytes()
    entry = manifest["artifacts"]["small.tar"]
    entry.update(size=len(data), sha256=_sha256(data))
    if index is not None:
        entry["index"] = index
    path.write_text(json.dumps(manifest))
    record_artifacts(root)


def replace_record(row: Row, data: bytes) -> None:
    """Replace a record by other bytes of the same length, with their TFRecord checksum and digest."""
    assert len(data) == row.length
    end = row.offset + row.length
    shard = row.shard.data
    row.shard.data = shard[: row.offset] + data + masked_crc(data).to_bytes(4, "little") + shard[end + 4 :]
    row.digest = digest(data)


def flip(data: bytes, offset: int) -> bytes:
    """Return the bytes with one bit flipped at an offset."""
    return data[:offset] + bytes([data[offset] ^ 0x10]) + data[offset + 1 :]


def _entry(path: str, data: bytes) -> bytes:
    return member_header(path, len(data)) + data + bytes(-len(data) % tarfile.BLOCKSIZE)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
