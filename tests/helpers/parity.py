"""Read what TFDS writes with the loader and with `tfds.as_numpy`, and compare the values."""

import json
import struct
import zlib

import numpy as np
import pytest

import loader
from loader._features.connectors import FeaturesDict
from loader._features.decode import make_decoder
from loader._features.parse import parse_features
from loader._format.example import Example

RNG = np.random.default_rng(0)
CORE = "tensorflow_datasets.core.features"


def write_and_read(folder, features, examples):
    """Let TFDS write the examples; return those that the loader reads, those that TFDS reads, and both features."""
    import tensorflow_datasets as tfds

    class Features(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            yield from enumerate(examples)

    written = Features(data_dir=str(folder), file_format="tfrecord")
    written.download_and_prepare()
    info, actual = loader.from_directory(written.data_dir, split="train")
    builder = tfds.builder_from_directory(written.data_dir)
    expected = list(tfds.as_numpy(builder.as_dataset(split="train")))
    assert len(expected) == len(examples)
    assert_batched(actual)
    return list(actual), expected, info.features, builder.info.features


def write_cases(folder, cases):
    """Call write_and_read with one feature per case: name -> (function from tfds.features to the feature, values)."""
    tfds = pytest.importorskip("tensorflow_datasets")
    features = tfds.features.FeaturesDict({name: make(tfds.features) for name, (make, _) in cases.items()})
    count = max(len(values) for _, values in cases.values())
    examples = [{name: values[i % len(values)] for name, (_, values) in cases.items()} for i in range(count)]
    return write_and_read(folder, features, examples)


def assert_same(actual, expected):
    """Assert equal type, dtype, shape, values and writability; ragged values may be lists, datasets sequences."""
    if isinstance(expected, dict):
        assert list(actual) == list(expected)
        for key in expected:
            assert_same(actual[key], expected[key])
    elif hasattr(expected, "nested_row_lengths"):  # a tf.RaggedTensor
        assert as_lists(actual) == expected.to_list()
        for array in arrays(actual):
            assert array.dtype == expected.dtype.as_numpy_dtype
    elif isinstance(expected, (np.ndarray, np.generic, bytes)):
        assert type(actual) is type(expected)
        np.testing.assert_array_equal(actual, expected, strict=True)
        if isinstance(expected, np.ndarray):
            assert actual.flags.writeable == expected.flags.writeable
    else:  # a nested dataset
        examples = list(expected)
        assert len(actual) == len(examples)
        for one, example in zip(actual, examples, strict=True):
            assert_same(one, example)


def assert_batched(split):
    """Assert that a batch has the values of its examples, for every feature."""
    (batch,) = split.batches(len(split))
    for number, example in enumerate(split):
        np.testing.assert_equal(plain(item(batch, number)), plain(example))


def item(column, number):
    return {name: item(c, number) for name, c in column.items()} if isinstance(column, dict) else column[number]


def plain(value):
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, (np.ndarray, np.generic, bytes)):
        return value
    return value if value is None else [plain(part) for part in value]


def as_lists(rows):
    return [as_lists(row) for row in rows] if isinstance(rows, list) else rows.tolist()


def arrays(rows):
    if isinstance(rows, list):
        for row in rows:
            yield from arrays(row)
    else:
        yield rows


def no_file(name):
    raise FileNotFoundError(name)


def feature(connector, **content):
    """Features with one feature `x`, of TFDS's connector `connector`."""
    return features(x={"pythonClassName": f"{CORE}.x.{connector}", **content})


def features(**nodes):
    """Features parsed from these nodes of features.json."""
    return parse_features(json.loads(json.dumps(document(**nodes))), no_file)


def document(**nodes):
    return {"pythonClassName": f"{CORE}.features_dict.FeaturesDict", "featuresDict": {"features": nodes}}


def decode(declared: FeaturesDict, fill):
    """Decode a record whose fields `fill` sets."""
    message = Example()
    fill(message.features.feature)
    return make_decoder(declared)(message.SerializeToString())


def tensor(dtype, *sizes, **more):
    """The content of a Tensor in features.json."""
    return {"tensor": {"dtype": dtype, "shape": {"dimensions": [str(size) for size in sizes]}, **more}}


def integers(*shape, dtype=np.uint8):
    """An array of random integers."""
    return RNG.integers(0, np.iinfo(dtype).max, size=shape, dtype=dtype, endpoint=True)


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(color, bits, *, size=(5, 7), more=(), rows=None):
    """A PNG of a colour type with random pixels, or these `rows`; `more` are chunks (name, data) before the pixels."""
    height, width = size
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color]
    if rows is None:
        rows = RNG.integers(0, 256, (height, (width * channels * bits + 7) // 8), dtype=np.uint8)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    palette = [(b"PLTE", RNG.integers(0, 256, 3 << bits, dtype=np.uint8).tobytes())] if color == 3 else []
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(name, data)
        for name, data in [
            (b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)),
            *palette,
            *more,
            (b"IDAT", zlib.compress(lines)),
            (b"IEND", b""),
        ]
    )
