"""Change parts of an artifact and update its hashes, hundreds of times a second."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from loader._errors import FetchError
from loader._format.index import BLOCK_BYTES, HEADER_NAME, ROWS_NAME, Header, Member, parse


class MutableArtifact:
    """The artifact and manifest of the repository `root`.

    Changed parts are appended to the tar, because the loader does not read the tar's own headers, and all hashes that
    depend on them are updated. `tests.helpers.tampering` writes a whole tar, and takes longer.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.tar = root / "artifacts/small.tar"
        self.manifest_path = root / "artifacts/small.json"
        self.base = self.tar.read_bytes()
        self.manifest = json.loads(self.manifest_path.read_bytes())
        [self.entry] = self.manifest["artifacts"].values()
        index = self.entry["index"]
        self.header_text = self.base[index["offset"] : index["offset"] + index["size"]]
        self.header = parse(self.header_text, tar_size=len(self.base))

    def file(self, name: str) -> bytes:
        """Return the bytes of a member."""
        member = self.header.member(name)
        assert member is not None
        return self.base[member.offset : member.offset + member.size]

    def write(self, *, files: dict[str, bytes] | None = None, header: bytes | None = None) -> None:
        """Write the tar with other bytes in some members, or another index header, and a manifest with its hashes."""
        appended = b""
        members = {member.name: member for member in self.header.members}
        for name, data in (files or {}).items():
            place = len(self.base) + len(appended)
            members[name] = Member(members[name].path, place, len(data), sha256(data).hexdigest())
            appended += data
        if header is None:
            rows = (files or {}).get(ROWS_NAME, self.file(ROWS_NAME))
            blocks = (sha256(rows[at : at + BLOCK_BYTES]).hexdigest() for at in range(0, len(rows), BLOCK_BYTES))
            header = Header(tuple(members.values()), self.header.splits, tuple(blocks)).render()
        place = len(self.base) + len(appended)
        self.write_raw(self.base + appended + header)
        index = {"offset": place, "size": len(header), "sha256": sha256(header).hexdigest()}
        entry = {**self.entry, "size": place + len(header), "index": index}
        self.write_manifest(json.dumps({**self.manifest, "artifacts": {self.tar.name: entry}}).encode())

    def write_raw(self, data: bytes) -> None:
        """Write these bytes as the tar, in a new file because the old one may still be mapped."""
        self.tar.unlink(missing_ok=True)
        self.tar.write_bytes(data)

    def write_manifest(self, data: bytes) -> None:
        self.manifest_path.write_bytes(data)

    def unpack(self, folder: Path) -> None:
        """Write the members into a folder for TFDS."""
        folder.mkdir()
        for member in self.header.members:
            if member.name not in (HEADER_NAME, ROWS_NAME):
                (folder / member.name).write_bytes(self.file(member.name))


class Remote:
    """A file that is read like an object on S3: reading beyond its end is an error.

    `reads` has the offset and size of every read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reads: list[tuple[int, int]] = []
        self.url = f"s3://bucket/{path.name}"
        self.remote = "public"
        self.push_command = "make push DATASET=small"

    def read(self, offset: int, size: int) -> bytes:
        self.reads.append((offset, size))
        if offset + size > self.path.stat().st_size:
            raise FetchError(f"the object ends before byte {offset + size:,}")
        with self.path.open("rb") as file:
            file.seek(offset)
            return file.read(size)
