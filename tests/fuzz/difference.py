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
from loader._fetch.complete import complete
from loader._fetch.sparse import SparseCopy
from loader._format.index import ROWS_NAME
from loader._format.manifest import read_manifest
from loader._format.standalone import open_tar
from tests.fuzz.artifact import MutableArtifact, Remote
from tests.fuzz.edits import Draw, Edit, Splice, apply, edit_json, json_edits, splices
from tests.helpers.recorded_dataset import record
from tests.helpers.versions import make_repository, write_version

MARKED = 21  # records of which a byte says that they have arrived


class Mutation(NamedTuple):
    """What is changed: bytes of the old tar, of what the copy has, of what it says, and of the object; the new index.

    The index is changed together with the hashes that prove it.
    """

    old: tuple[Splice, ...]
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
    new, rows = mutable.base, mutable.file(ROWS_NAME)
    shard = [(number, record("train", number)) for number in range(0, 5300, 2)]
    old_root = make_repository(scratch / "old")
    old = write_version(old_root, {"train": [shard]})
    old_tar, stored = old_root / "artifacts/small.tar", scratch / "object"
    of_old, of_new, of_rows = map(splices, (old, new, rows))
    no_edits: st.SearchStrategy[Any] = st.just(())

    @st.composite
    def mutations(draw: Draw) -> Mutation:
        index = st.tuples(json_edits(mutable.header_text), no_edits) | st.tuples(no_edits, of_rows)
        return Mutation(
            draw(no_edits | of_old),
            draw(no_edits | of_new),
            draw(st.binary(max_size=64)),
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
        old_tar.write_bytes(apply(old, mutation.old))
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
            older.append(open_tar(old_tar))
        is_complete = complete(copy, Remote(stored), manifest, entry, older)  # type: ignore[arg-type]
        if not (mutation.remote or mutation.header or mutation.rows):
            assert is_complete
        if is_complete:
            assert target.read_bytes() == data

    return mutations(), check
