"""Checking an artifact against `dvc.lock`, its manifest and its record index."""

from __future__ import annotations

import hashlib
import tarfile

from loader import IntegrityError
from loader._format import index, tfrecord
from loader._format.artifact import LocalArtifact
from loader._format.description import Description
from loader._format.index import HEADER_NAME, ROW
from scripts._define.definition import Definition
from scripts._dvc.stages import recorded_output
from scripts._process.files import CHUNK_BYTES, hash_file


def check_lock(definition: Definition, artifact: LocalArtifact) -> str:
    """Check an artifact's size and hashes against `dvc.lock` and the manifest, in one pass over the file; and that the
    manifest, the statistics and the Croissant description are those that `dvc.lock` records.
    """
    recorded = recorded_output(definition.root, definition.name, artifact.path)
    for path in definition.descriptions:
        described = recorded_output(definition.root, definition.name, path).get("md5")
        if not path.exists() or hash_file(path, "md5") != described:
            raise IntegrityError(
                f"{definition.name}: {path} is not what dvc.lock records; "
                f"restore both with: git checkout -- dvc.lock artifacts/{path.name}"
            )
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    size = 0
    with artifact.path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            md5.update(chunk)
            sha256.update(chunk)
            size += len(chunk)
    found = {"size": size, "md5": md5.hexdigest()}
    expected = {"size": recorded.get("size"), "md5": recorded.get("md5")}
    if found != expected:
        raise IntegrityError(
            f"{definition.name}: {artifact.path} is not what dvc.lock records: {found} instead of {expected}; "
            f"{artifact.fix}"
        )
    if (size, sha256.hexdigest()) != (artifact.entry.size, artifact.entry.sha256):
        raise IntegrityError(
            f"{definition.name}: dvc.lock and {artifact.manifest.label} record two different artifacts; "
            f"restore both with: git checkout -- dvc.lock artifacts/{artifact.manifest.name}.json"
        )
    return f"dvc.lock and manifest record these {size:,} bytes, md5 {found['md5']}"


def check_tar(artifact: LocalArtifact) -> str:
    """Check that the tar holds the members that its index header lists, as plain files, and nothing else."""
    try:
        with tarfile.open(artifact.path, "r:") as tar:
            infos: list[tarfile.TarInfo] = []
            for info in tar:
                if infos and info.offset <= infos[-1].offset:  # a negative size leads back, in an endless loop
                    raise tarfile.ReadError("a member has a negative size")
                infos.append(info)
    except (tarfile.TarError, ValueError) as error:
        raise artifact.error(f"is not a valid tar ({error})") from error
    odd = [
        info.name
        for info in infos
        if not info.isreg() or (info.mode, info.mtime, info.uid, info.gid) != (0o644, 0, 0, 0)
    ]
    if odd:
        raise artifact.error(f"holds members that are not plain files of format 1: {', '.join(odd[:3])}")
    first, *rest = [(info.name, info.offset_data, info.size) for info in infos] or [("", 0, 0)]
    header = (artifact.entry.index_offset, artifact.entry.index_size)
    expected = [(member.path, member.offset, member.size) for member in artifact.header.members]
    if not first[0].endswith(f"/{HEADER_NAME}") or first[1:] != header or rest != expected:
        raise artifact.error("does not hold the members that its record index lists")
    last = max(start + size for _, start, size in expected)
    end = artifact.read(last, artifact.entry.size - last)
    if any(end) or len(end) < 2 * tarfile.BLOCKSIZE:
        raise artifact.error("does not end as a tar does")
    return f"the tar holds the {len(infos)} members that its record index lists"


def check_members(artifact: LocalArtifact) -> str:
    """Check the SHA-256 of every member and of every block of the record index."""
    for member in artifact.header.members:
        for _ in artifact.chunks(member):
            pass
    for number in range(len(artifact.header.blocks)):
        artifact.block(number)
    return f"every member and the {len(artifact.header.blocks)} blocks of the record index match their SHA-256"


def check_records(artifact: LocalArtifact, info: Description) -> str:
    """Check every record of every shard against its row of the record index."""
    if list(artifact.header.splits) != list(info.splits):  # their order counts: it is the order of the rows
        raise artifact.error("has other splits in its record index than in its dataset_info.json")
    row_position = artifact.header.rows.offset
    for split in info.splits.values():
        count = 0  # of the split's records that were checked
        for name, records in zip(split.shard_names(info.name), split.shard_lengths, strict=True):
            shard = artifact.header.member(name)
            if shard is None:
                raise artifact.error(f"lacks the shard {name}")
            in_shard = 0
            try:
                for offset, length in tfrecord.scan(artifact.file, shard.offset, shard.offset + shard.size):
                    record = tfrecord.read(artifact.file, offset, length)
                    row_offset, row_length, _, digest = ROW.unpack(artifact.read(row_position, ROW.size))
                    if (row_offset, row_length, digest) != (offset, length, index.digest(record)):
                        raise IntegrityError(f"does not match the record index in record {count + in_shard:,}")
                    row_position += ROW.size
                    in_shard += 1
            except IntegrityError as error:
                raise artifact.error(f"holds the shard {name}, which {error}") from error
            if in_shard != records:
                raise artifact.error(f"holds {in_shard:,} records in {name}, but dataset_info.json says {records:,}")
            count += in_shard
        if count != artifact.header.splits[split.name]:
            raise artifact.error(f"holds {count:,} records of split {split.name}, but its record index says otherwise")
    total = sum(artifact.header.splits.values())
    return f"all {total:,} records match their digests and TFRecord checksums, and none is missing"
