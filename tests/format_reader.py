"""A reader of format 1, written from docs/format.md alone, with the standard library."""

import json
import re
import struct
import sys
from hashlib import sha256
from pathlib import Path

CRC_TABLE = list(range(256))
for _ in range(8):
    CRC_TABLE = [(crc >> 1) ^ (0x82F63B78 if crc & 1 else 0) for crc in CRC_TABLE]


def masked_crc(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def require(condition, sentence):
    if not condition:
        raise ValueError(sentence)


def unique(pairs):
    require(len(dict(pairs)) == len(pairs), "A JSON key, the path of a member or the place of a record occurs twice.")
    return dict(pairs)


def fields(document, /, **types):  # the values of these keys, which must be of these types
    for key, kind in types.items():
        value = document.get(key, ...) if isinstance(document, dict) else ...
        sound = isinstance(value, kind) and type(value) is not bool and (kind is not int or 0 <= value < 2**63)
        require(sound, f"{key!r} is missing, or its value is not what it must be.")
    return [document[key] for key in types]


class Artifact:
    """A tar, held in memory. To open it is to prove it by its manifest, and then every member and every block."""

    def __init__(self, tar, manifest):
        self.tar, document = Path(tar).read_bytes(), json.loads(Path(manifest).read_bytes(), object_pairs_hook=unique)
        number, name, version, entries = fields(document, format=int, name=str, version=str, artifacts=dict)
        require(number == 1 and name == Path(manifest).stem, "The manifest is not of format 1, or of another dataset.")
        fields({"default_config": None} | document, default_config=str | None)
        for file_name, entry in entries.items():
            require(re.fullmatch(r"[\w-][\w.-]{0,200}", file_name), f"{file_name!r} is not a plain file name.")
            _, size, _, index = fields(entry, config=str | None, size=int, sha256=str, index=dict)
            require(sum(fields(index, offset=int, size=int, sha256=str)[:2]) <= size, "The index is not in the tar.")
        (entry,) = fields(entries, **{Path(tar).name: dict})
        require(len(self.tar) == entry["size"], "The tar does not have the size that the manifest states.")
        self.read("the tar", entry | {"offset": 0})
        header = json.loads(self.read("the index header", entry["index"]), object_pairs_hook=unique)
        require(fields(header, format=int, block_records=int) == [1, 4096], "The index header is not of format 1.")
        members, splits, blocks = fields(header, members=list, splits=dict, blocks=list)
        contents = unique([(path, self.read(path, place)) for place in members for path in fields(place, path=str)])
        rows_path = "/".join(filter(None, [name, entry["config"], version, "record_index.bin"]))
        (rows,) = fields(contents, **{rows_path: bytes})
        self.shards = members[list(contents).index(rows_path) + 1 :]
        require(len(rows) == 44 * sum(fields(splits, **dict.fromkeys(splits, int))), "The rows have a wrong size.")
        hashes = [sha256(rows[start : start + 180224]).hexdigest() for start in range(0, len(rows), 180224)]
        require(hashes == blocks, "The blocks of the rows do not have their SHA-256.")
        row = struct.iter_unpack("<QI16s16s", rows)
        self.rows = {split: {number: next(row) for number in range(count)} for split, count in splits.items()}

    def read(self, name, place):
        offset, size, digest = fields(place, offset=int, size=int, sha256=str)
        data = self.tar[offset : offset + size]
        require(len(data) == size and sha256(data).hexdigest() == digest, f"The SHA-256 of {name} is wrong.")
        return data

    def records(self, split, numbers=None):  # those that have these numbers; all, in order, if none are given
        for number in self.rows[split] if numbers is None else numbers:
            offset, length, _, digest = self.rows[split][number]
            record, head = self.tar[offset : offset + length], struct.pack("<Q", length)
            require(sha256(record).digest()[:16] == digest, f"Record {number} of {split!r} does not have its digest.")
            frame = head + masked_crc(head) + record + masked_crc(record)
            require(self.tar.startswith(frame, offset - 12), f"Record {number} of {split!r} does not have its frame.")
            yield record


def check(tar, manifest):  # besides all proofs: the shards are the frames of the records, in the order of the rows
    artifact = Artifact(tar, manifest)
    require(all([*rows.values()] == sorted(rows.values()) for rows in artifact.rows.values()), "The rows are unsorted.")
    frames = unique([(row[0] - 12, row[1] + 16) for rows in artifact.rows.values() for row in rows.values()])
    for shard in artifact.shards:
        end = shard["offset"]
        while end in frames:
            end += frames.pop(end)
        require(end == shard["offset"] + shard["size"], f"The shard {shard['path']} is more than its records.")
    require(not frames, "A record does not lie in a shard.")
    return {split: sum(1 for _ in artifact.records(split)) for split in artifact.rows}


if __name__ == "__main__":
    print(check(*sys.argv[1:]))
