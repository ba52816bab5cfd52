"""CRC-64/NVME, the checksum that S3 keeps of objects uploaded in parts; vectorized, because no package has it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

POLYNOMIAL = 0x9A6C9329AC4BC9B5  # reflected
ONES = 0xFFFF_FFFF_FFFF_FFFF
LANES = 1 << 14  # a power of two, because they are joined in pairs
BLOCK_BYTES = 16 << 20
WORD_BYTES = 8

Table = NDArray[np.uint64]  # (8, 256): a linear function of 64 bits, by the value of each byte


def crc64nvme_of_file(path: Path) -> int:
    """Return the CRC-64/NVME of a file's bytes."""
    crc = ONES
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            crc = _update(crc, block)
    return crc ^ ONES


def _update(crc: int, data: bytes) -> int:
    """Return the CRC state after more bytes."""
    lane_words = len(data) // (LANES * WORD_BYTES)
    whole = lane_words * LANES * WORD_BYTES
    if lane_words:
        # each lane is a column, and starts from zero; a state after a word is (state ^ word) after WORD_BYTES zeros
        words = np.ascontiguousarray(np.frombuffer(data, "<u8", whole // WORD_BYTES).reshape(LANES, lane_words).T)
        states = np.zeros(LANES, np.uint64)
        for word in words:
            states = _apply(_WORD_SHIFT, states ^ word)
        shift = _shift_table(lane_words * WORD_BYTES)
        for _ in range(LANES.bit_length() - 1):
            states = _apply(shift, states[::2]) ^ states[1::2]
            shift = _compose(shift, shift)
        crc = int(_apply(shift, np.array([crc], np.uint64))[0]) ^ int(states[0])
    for byte in data[whole:]:
        crc = int(_BYTE_TABLE[(crc ^ byte) & 0xFF]) ^ (crc >> 8)
    return crc


def _shift_table(count: int) -> Table:
    """Return the function that appends `count` zero bytes to a state."""
    result = _table(np.array([1 << bit for bit in range(64)], np.uint64))
    power = _table(np.array([int(_BYTE_TABLE[(1 << bit) & 0xFF]) ^ ((1 << bit) >> 8) for bit in range(64)], np.uint64))
    while count:
        if count & 1:
            result = _compose(power, result)
        power = _compose(power, power)
        count >>= 1
    return result


def _table(images: NDArray[np.uint64]) -> Table:
    """Return the linear function with these images of the 64 bits."""
    table = np.zeros((8, 256), np.uint64)
    for bit, image in enumerate(images):
        table[bit // 8, (np.arange(256) >> (bit % 8)) & 1 == 1] ^= image
    return table


def _apply(table: Table, states: NDArray[np.uint64]) -> NDArray[np.uint64]:
    values = np.ascontiguousarray(states, "<u8").view(np.uint8).reshape(-1, WORD_BYTES)
    result: NDArray[np.uint64] = table[0].take(values[:, 0])
    for position in range(1, WORD_BYTES):
        result ^= table[position].take(values[:, position])
    return result


def _compose(outer: Table, inner: Table) -> Table:
    return _table(_apply(outer, np.array([inner[bit // 8, 1 << bit % 8] for bit in range(64)], np.uint64)))


def _make_byte_table() -> NDArray[np.uint64]:
    table = np.arange(256, dtype=np.uint64)
    for _ in range(8):
        table = np.where(table & np.uint64(1), (table >> np.uint64(1)) ^ np.uint64(POLYNOMIAL), table >> np.uint64(1))
    return table


_BYTE_TABLE = _make_byte_table()
_WORD_SHIFT = _shift_table(WORD_BYTES)
