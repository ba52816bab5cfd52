"""Encoding in worker processes: whatever a generator yields, the bytes are those of a build in one process."""

import hashlib
import io
import itertools
import os
import signal
import sys
import time

import numpy as np
import psutil
import pytest

import loader
from scripts._build import encode as module
from scripts._build.encode import CHUNK_EXAMPLES, Encoder, _chunks, _Encoding
from scripts._define.definition import read_definition
from scripts._process.errors import ScriptError
from scripts._tfds.builder import find_builder
from tests.helpers.buildable_dataset import add_buildable

# some values must be encoded before the generator continues, others can be sent to a worker
HARD = """
import io
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(number):
    pixels = zlib.compress(b"".join(bytes([0, *[number % 251] * 4]) for _ in range(4)))
    header = struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0)
    return b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


class Hard:
    def __init__(self, value):
        self.value, self.lock = value, threading.Lock()  # a lock cannot be pickled

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.value, dtype=dtype)


class Tiny(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(4, 4, 1)),
                    "again": tfds.features.Tensor(shape=(3,), dtype=np.int64),
                    "file": tfds.features.Image(shape=(4, 4, 1)),
                    "frames": tfds.features.Sequence(tfds.features.Image(shape=(4, 4, 1))),
                    "label": tfds.features.ClassLabel(num_classes=3),
                    "number": np.float32,
                }
            ),
        )

    def _split_generators(self, dl_manager):
        self.info.features["label"].names = ["a", "b", "c"]
        return {"train": self._generate_examples(900, dl_manager), "test": self._generate_examples(40, dl_manager)}

    def _generate_examples(self, count, dl_manager):
        again = np.zeros(3, dtype=np.int64)
        path = Path(dl_manager.download_dir) / "one.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            image = np.full((4, 4, 1), number % 251, dtype=np.uint8)
            again[:] = number
            path.write_bytes(png(number))
            kinds = (image, str(path), path, io.BytesIO(png(0)), path.open("rb"))
            value = kinds[number % len(kinds)]
            yield f"key {number}", {
                "image": image,
                "again": again,
                "file": value,
                "frames": [image, image] if number % 2 else [],
                "label": "abc"[number % 3],
                "number": Hard(number / 7) if number % 11 == 0 else number / 7,
            }
            kinds[-1].close()
            path.unlink()
"""


def md5(path):
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def build(clone, *, workers, check=True):
    """Build with a number of workers."""
    code = (
        "import functools, sys; from scripts._build import prepare; from scripts._build.encode import Encoder\n"
        f"prepare.Encoder = functools.partial(Encoder, workers={workers})\n"
        "from scripts.__main__ import main; sys.argv[1:] = ['build', 'tiny']; main()"
    )
    return clone.python(code, check=check)


@pytest.mark.slow
def test_workers_give_the_same_bytes_as_one_process(clone):
    add_buildable(clone.root, builder=HARD)
    found = set()
    for workers in (1, 5):
        build(clone, workers=workers)
        found.add(md5(clone.root / "artifacts/tiny.tar"))
    # a builder that has used TensorFlow, after which the process may not fork
    path = clone.root / "datasets/standard/tiny/tiny.py"
    used = "        import tensorflow as tf\n        tf.constant(1) + 1\n        self.info.features"
    path.write_text(path.read_text().replace("        self.info.features", used, 1))
    build(clone, workers=2)
    found.add(md5(clone.root / "artifacts/tiny.tar"))
    assert len(found) == 1
    _, train = loader.load("tiny", split="train", features=["again"], repo=clone.root)
    assert sorted(int(example["again"][0]) for example in train) == list(range(900))


def test_an_example_that_cannot_be_encoded_is_named_by_its_key(clone):
    add_buildable(clone.root, builder=HARD.replace('"abc"[number % 3]', '"abd"[number % 3]'))
    text = build(clone, workers=2, check=False)
    assert "error: tiny: its builder failed: " in text
    assert "the example with key 'key 2' cannot be encoded" in text
    assert "Traceback" not in text
    assert not (clone.root / "artifacts/tiny.tar").exists()


VOCABULARY = """
import numpy as np
import tensorflow_datasets as tfds


class Vocabulary(tfds.features.Tensor):
    def __init__(self, shape=(), dtype=np.int64, **options):
        super().__init__(shape=shape, dtype=dtype, **options)
        self.seen = {}

    def encode_example(self, word):
        return np.int64(self.seen.setdefault(word, len(self.seen)))


class Tiny(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({"word": Vocabulary()}))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for number in range(3000):
            yield number, {"word": b"%d" % (number * number % 997)}
"""


def test_a_feature_with_state_encodes_every_example_in_order(clone):
    add_buildable(clone.root, builder=VOCABULARY)
    build(clone, workers=3)
    find_builder(read_definition("tiny", root=clone.root))  # registers the class of the feature, which TFDS decodes
    seen = {}
    expected = [seen.setdefault(number * number % 997, len(seen)) for number in range(3000)]
    _, train = loader.load("tiny", split="train", repo=clone.root)
    assert sorted(int(example["word"]) for example in train) == sorted(expected)


class Features(dict):
    """A FeaturesDict that leaves examples as they are."""

    def encode_example(self, example):
        return example

    def get_serialized_info(self):
        return {}


def features():
    import tensorflow_datasets as tfds

    return Features({"image": tfds.features.Image(), "text": tfds.features.Text()})


@pytest.fixture
def forks(monkeypatch):
    """Allow forks though another test may have used TensorFlow in this process: encoding does not use it here."""
    monkeypatch.setattr(module, "can_fork", lambda: True)


def serialize(example):
    """The process that encodes an example, and its text."""
    return f"{os.getpid()} {example['text']}".encode()


def processes(examples):
    """The process in which each example was encoded."""
    with Encoder(workers=2) as encoder:
        return [data.split()[0].decode() for _, data in encoder.encode(examples, features(), serialize)]


@pytest.mark.parametrize(
    ("image", "is_sent"),
    [
        (np.zeros((2, 2, 1), np.uint8), True),
        (b"png", True),
        (io.BytesIO(b"png"), True),
        (None, True),
        ([b"png"], True),
        ("path.png", False),
        (sys.stdin, False),
        ([b"png", "path.png"], False),
    ],
)
def test_only_data_is_sent_to_a_worker(forks, image, is_sent):
    (process,) = processes([("key", {"image": image, "text": "t"})])
    assert (process != str(os.getpid())) == is_sent


def test_the_order_is_that_of_the_generator(forks):
    examples = [(number, {"image": b"", "text": f"{number}"}) for number in range(5 * CHUNK_EXAMPLES + 1)]
    with Encoder(workers=3) as encoder:
        done = list(encoder.encode(examples, features(), serialize))
    assert [(key, data.split()[1].decode()) for key, data in done] == [(n, f"{n}") for n, _ in examples]


def test_the_number_of_examples_in_progress_is_limited(forks):
    ahead = 0
    most = 0

    def examples():
        nonlocal ahead, most
        for number in range(20_000):
            ahead += 1
            most = max(most, ahead)
            yield number, {"image": b"", "text": "t"}

    with Encoder(workers=2) as encoder:
        for _ in encoder.encode(examples(), features(), serialize):
            ahead -= 1
    assert most <= 7 * CHUNK_EXAMPLES


def test_fewer_large_examples_are_in_progress(forks, monkeypatch):
    monkeypatch.setattr(module, "BYTES_IN_PROGRESS", 5_000_000)
    ahead = 0
    most = 0

    def examples():
        nonlocal ahead, most
        for number in range(50):
            ahead += 1
            most = max(most, ahead)
            yield number, {"image": bytes(1_200_000), "text": "t"}

    with Encoder(workers=4) as encoder:
        for _ in encoder.encode(examples(), features(), serialize):
            ahead -= 1
    assert most <= 6


def test_a_failed_build_stops_writing_a_split():
    with pytest.raises(KeyError), Encoder(workers=1) as encoder:
        encoder.start_writing(lambda: sum(encoder.until_stopped(itertools.count())))
        raise KeyError


def test_large_examples_make_small_chunks():
    large = [(number, {"image": bytes(600_000), "text": "t"}) for number in range(10)]
    assert [len(chunk) for chunk in _chunks(large, _Encoding(features(), serialize))] == [2] * 5


def test_a_killed_worker_is_reported(forks):
    def kill(example):
        os.kill(os.getpid(), signal.SIGKILL)

    with (
        Encoder(workers=2) as encoder,
        pytest.raises(ScriptError, match="a worker process was killed"),
    ):
        list(encoder.encode([(0, {"image": b"", "text": "t"})], features(), kill))


def test_the_workers_of_a_killed_build_end(clone):
    endless = HARD.replace("range(count)", "__import__('itertools').count()")
    add_buildable(clone.root, builder=endless)
    process = psutil.Popen([sys.executable, "-m", "scripts", "build", "tiny"], cwd=clone.root)
    deadline = time.monotonic() + 60
    while len(workers := process.children()) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert not alive
