"""Records that follow each other are read together, wherever they lie in the file and whatever reading it returns."""

import random
from hashlib import sha256

import pytest

from loader._format.index import ROW
from loader._format.rows import read_run

COUNT = 50  # rows that are had at once


def read(run, records, *, order=None, cut=lambda size: size):
    """Read a run of records, and return them, and the sizes that were read.

    `order` is the order of the records in the file; `cut` returns how many of the wanted bytes are read, or raises.
    """
    file, places = bytearray(), {}
    for row in range(len(records)) if order is None else order:
        file += bytes(12)
        places[row] = (len(file), len(records[row]))
        file += records[row] + bytes(4)
    rows = [ROW.pack(*places[row], b"", sha256(record).digest()[:16]) for row, record in enumerate(records)]
    sizes = []

    def pread(size, offset):
        sizes.append(size)
        return bytes(file[offset : offset + cut(size)])

    def read_again(row, offset, length, digest):
        assert (offset, length) == places[row]
        sizes.append(length)
        return bytes(file[offset : offset + length])

    def group(number):
        return b"".join(rows[number * COUNT : (number + 1) * COUNT])

    return list(read_run(run, group, COUNT, pread, read_again)), sizes


def test_small_records_are_read_together_and_large_ones_exactly():
    small = [b"%d" % row for row in range(1000)]
    found, sizes = read(range(30, 1000), small)
    assert found == small[30:]
    assert len(sizes) == 1000 // COUNT
    large = [b"%d" % row * 20_000 for row in range(100, 110)]
    assert read(range(10), large) == (large, [60_000] * 10)


@pytest.mark.parametrize("seed", range(20))
def test_records_are_right_in_any_order_and_if_less_is_read_than_was_asked_for(seed):
    choose = random.Random(seed)
    records = [choose.randbytes(choose.choice([0, 3, 3, 300, 300, 20_000])) for _ in range(choose.randint(1, 120))]
    order = list(range(len(records)))
    choose.choice([order.reverse, lambda: choose.shuffle(order), lambda: None])()

    def cut(size):
        if choose.random() < 0.1:
            raise OSError("it cannot be read")
        return choose.choice([size, size, size // 2])

    start = choose.randint(0, len(records))
    for run in (range(len(records)), range(start, choose.randint(start, len(records)))):
        assert read(run, records, order=order, cut=cut)[0] == records[run.start : run.stop]
