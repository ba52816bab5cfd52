"""An artifact that is put together from an older one, from what has arrived before, and from its remote.

Whatever bytes each of them has, the result has the recorded hashes, or there is none.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st

from loader._errors import LoaderError
from loader._fetch import store
from loader._fetch.older import fetch
from loader._fetch.pieces import GAP_BYTES
from loader._fetch.sparse import SparseCopy
from loader._format.index import BLOCK_BYTES, ROWS_NAME, Header
from loader._format.manifest import read_manifest
from loader._format.standalone import open_tar
from tests.fuzz.artifact import MutableArtifact, Remote
from tests.fuzz.edits import Draw, Edit, Splice, apply, edit_json, json_edits, splices
from tests.fuzz.moved import Parts, assert_needed
from tests.helpers.recorded_dataset import SPLITS, record
from tests.helpers.versions import make_repository, write_version

MARKED = 21  # records of which a byte says that they have arrived


class Mutation(NamedTuple):
    """What is changed: bytes of an older tar, of what the copy has, of what it says, and of the object; the new index.

    The new index is changed together with the hashes that prove it, and that of the older tar if `is_proved`.
    """

    version: str
    old: tuple[Splice, ...]
    is_proved: bool
    copy: tuple[Splice, ...]
    arrived: bytes
    remote: tuple[Splice, ...]
    header: tuple[Edit, ...]
    rows: tuple[Splice, ...]


def make(seeds: Path, scratch: Path) -> tuple[st.SearchStrategy[Mutation], Any]:
    """Return the mutations, and the check of one."""
    os.environ["DATASETS_CACHE"] = str(scratch / "cache")
    mutable = MutableArtifact(shutil.copytree(seeds / "small", scratch / "small"))
    manifest_text = mutable.manifest_path.read_bytes()
    new, rows, parts = mutable.base, mutable.file(ROWS_NAME), Parts(mutable)
    shard = [(number, record("train", number)) for number in range(sum(SPLITS["train"]))]
    versions = {
        "half": shard[::2],
        "few changed": [(key, b"" if key % 1500 == 7 else data) for key, data in shard],
        "doubled": [*reversed(shard), *((key + len(shard), data) for key, data in shard[::7])],
        "unrelated": [(key, data + b" ") for key, data in shard[:100]],
    }
    old_root = make_repository(scratch / "old")
    olds = {}
    for number, (name, records) in enumerate(versions.items()):
        write_version(old_root, {"train": [records]}, version=f"0.{number}.0")
        olds[name] = MutableArtifact(old_root)
    lacking = {name: parts.lacking(olds[name].base, {data for _, data in versions[name]}) for name in versions}
    stored = scratch / "object"
    of_new, of_rows = splices(new), splices(rows)
    no_edits: st.SearchStrategy[Any] = st.just(())

    @st.composite
    def mutations(draw: Draw) -> Mutation:
        index = st.tuples(json_edits(mutable.header_text), no_edits) | st.tuples(no_edits, of_rows)
        version = draw(st.sampled_from(list(versions)))
        return Mutation(
            version,
            draw(no_edits | _older_splices(olds[version])),
            draw(st.booleans()),
            draw(no_edits | of_new),
            draw(st.just(b"") | st.binary(max_size=64)),
            draw(no_edits | of_new),
            *draw(st.just(((), ())) | index),
        )

    def check(mutation: Mutation) -> None:
        mutable.write_manifest(manifest_text)
        mutable.write_raw(new)
        if mutation.header:
            mutable.write(header=edit_json(mutable.header_text, mutation.header))
        if mutation.rows:
            mutable.write(files={ROWS_NAME: apply(rows, mutation.rows)})
        older_artifact = olds[mutation.version]
        old = apply(older_artifact.base, mutation.old)
        if mutation.is_proved:
            old = _with_block_hashes(old, older_artifact.header)
        older_artifact.write_raw(old)
        data = mutable.tar.read_bytes()
        stored.write_bytes(apply(data, mutation.remote))
        manifest = read_manifest(mutable.manifest_path)
        entry = manifest.artifact()._replace(sha256=hashlib.sha256(data).hexdigest())
        for left_over in (scratch / "cache").glob("artifacts/*/*"):
            left_over.unlink()
        target = store.artifact_path(hashlib.md5(data).hexdigest(), entry.filename)
        copy = SparseCopy(target.parent, target.name, size=len(data))
        if mutation.copy:
            copy.write(0, apply(data, mutation.copy)[: len(data)])
        for number in mutation.arrived:
            copy.mark(number * MARKED, MARKED)
        older = []
        with suppress(LoaderError):
            older.append(open_tar(older_artifact.tar))
        remote = Remote(stored)
        try:
            fetch(remote, target, manifest, entry, older)  # type: ignore[arg-type]
        except LoaderError:
            assert mutation.remote, "an error although the remote is right"
            raise
        assert target.read_bytes() == data
        assert older_artifact.tar.read_bytes() == old
        if not (mutation.remote or mutation.header or mutation.rows):
            is_plain = not (mutation.old or mutation.copy or mutation.arrived)
            # a part that is wrong in the older tar, or in the copy, may first move between two others
            needed = parts.bytes_of(lacking[mutation.version] | (not is_plain))
            assert_needed(remote.reads, needed, gap=GAP_BYTES if is_plain else len(new), times=1 if is_plain else 2)

    return mutations(), check


@st.composite
def _older_splices(draw: Draw, older: MutableArtifact) -> tuple[Splice, ...]:
    """Edits of one part of an older tar, or anywhere in it."""
    index = older.entry["index"]
    members = ((member.offset, member.size) for member in older.header.members)
    offset, size = draw(st.sampled_from([(0, len(older.base)), (index["offset"], index["size"]), *members]))
    found = draw(splices(older.base[offset : offset + size]))
    return tuple(Splice(offset + edit.at, edit.cut, edit.put) for edit in found)


def _with_block_hashes(data: bytes, header: Header) -> bytes:
    """Return a tar whose index header proves its rows, whatever they are now."""
    rows = data[header.rows.offset : header.rows.offset + header.rows.size]
    for number, recorded in enumerate(header.blocks):
        block = rows[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES]
        data = data.replace(recorded.encode(), hashlib.sha256(block).hexdigest().encode(), 1)
    return data
