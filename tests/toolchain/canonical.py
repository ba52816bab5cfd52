"""A TFDS builder with one feature for every encoder that affects the bytes: see `tests.toolchain.measure`."""

import io
import random
import wave

import numpy as np
import tensorflow_datasets as tfds

FEATURES = tfds.features
EXAMPLES = 6
ENGLISH, FRENCH = "en", "fr"
INTEGERS = (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64)
FLOATS = (np.float16, np.float32, np.float64)


def _numbers(number, *shape, dtype):
    """Pseudorandom numbers over the whole range of the type, the same on every machine."""
    count = int(np.prod(shape))
    mixed = (np.arange(1 + number, 1 + number + count, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(
        16
    )
    if np.dtype(dtype).kind == "f":
        return ((mixed % np.uint64(2001)).astype(np.float64) / 8 - 125).astype(dtype).reshape(shape)  # all exact
    return mixed.astype(dtype).reshape(shape)


def _picture(number, *shape, dtype=np.uint8):
    """A smooth gradient with noise, for which encoders can choose between several outputs."""
    rows, columns, channels = np.indices(shape)
    smooth = rows * 5 + columns * 3 + channels * 40 + number * 7
    noise = _numbers(number, *shape, dtype=np.uint8).astype(np.int64) % 9
    return (smooth + noise).astype(dtype) * np.array(251 if dtype == np.uint16 else 1, dtype)


def _wav(number):
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", ""))
        out.writeframes(_numbers(number, 50 + number, dtype=np.int16).astype("<i2").tobytes())
    file.seek(0)
    return file


def _tensors(number):
    return {
        "ints": _numbers(number, 3, 4, dtype=np.int16),
        "floats": _numbers(number, 2 + number, 5, dtype=np.float32),
        "bools": _numbers(number, 40, dtype=np.uint8) % 2 == 0,
    }


def _tensor_features(encoding):
    return FEATURES.FeaturesDict(
        {
            "ints": FEATURES.Tensor(shape=(3, 4), dtype=np.int16, encoding=encoding),
            "floats": FEATURES.Tensor(shape=(None, 5), dtype=np.float32, encoding=encoding),
            "bools": FEATURES.Tensor(shape=(40,), dtype=np.bool_, encoding=encoding),
        }
    )


def _features():
    return {
        **{f"png_{n}": FEATURES.Image(shape=(31, 17, n), encoding_format="png") for n in (1, 2, 3, 4)},
        **{
            f"png16_{n}": FEATURES.Image(shape=(31, 17, n), dtype=np.uint16, encoding_format="png")
            for n in (1, 2, 3, 4)
        },
        "png_float": FEATURES.Image(shape=(31, 17, 1), dtype=np.float32, encoding_format="png"),
        **{f"jpeg_{n}": FEATURES.Image(shape=(31, 17, n), encoding_format="jpeg") for n in (1, 3)},
        "video": FEATURES.Video(shape=(None, 9, 7, 3)),
        "labeled_image": FEATURES.LabeledImage(shape=(9, 7, 1), labels=3),
        "audio": FEATURES.Audio(shape=(None,), dtype=np.int64),
        "audio_wav": FEATURES.Audio(file_format="wav", dtype=np.int64),
        "text": FEATURES.Text(),
        "label": FEATURES.ClassLabel(names=["zero", "one", "two"]),
        "box": FEATURES.BBoxFeature(),
        "tensor": _tensor_features("none"),
        "tensor_bytes": _tensor_features("bytes"),
        "tensor_zlib": _tensor_features("zlib"),
        "ints": FEATURES.FeaturesDict({np.dtype(dtype).name: dtype for dtype in INTEGERS}),
        "floats": FEATURES.FeaturesDict({np.dtype(dtype).name: dtype for dtype in FLOATS}),
        "bool": np.bool_,
        "sequence": FEATURES.Sequence(np.int32),
        "sequence_nested": FEATURES.Sequence(FEATURES.Sequence(FEATURES.Text())),
        "sequence_dict": FEATURES.Sequence({"a": np.float32, "b": FEATURES.Image(shape=(4, 4, 1))}),
        "dataset": FEATURES.Dataset({"a": np.float32, "b": FEATURES.Text()}),
        "translation": FEATURES.Translation([ENGLISH, FRENCH]),
        "translations": FEATURES.TranslationVariableLanguages([ENGLISH, FRENCH]),
        "numpy_random": FEATURES.Tensor(shape=(12,), dtype=np.float64),
        "python_random": FEATURES.Tensor(shape=(12,), dtype=np.float64),
    }


def _example(number):
    generator, python = np.random.default_rng(number), random.Random(number)
    return {
        **{f"png_{n}": _picture(number, 31, 17, n) for n in (1, 2, 3, 4)},
        **{f"png16_{n}": _picture(number, 31, 17, n, dtype=np.uint16) for n in (1, 2, 3, 4)},
        "png_float": _numbers(number, 31, 17, 1, dtype=np.float32),
        **{f"jpeg_{n}": _picture(number, 31, 17, n) for n in (1, 3)},
        "video": [_picture(number + frame, 9, 7, 3) for frame in range(1 + number % 3)],
        "labeled_image": _picture(number, 9, 7, 1) % 3,
        "audio": _numbers(number, 40 + number, dtype=np.int16).astype(np.int64),
        "audio_wav": _wav(number),
        "text": ("größer, 数, \N{GRINNING FACE}, e\u0301 " * number),
        "label": number % 3,
        "box": FEATURES.BBox(ymin=number / 8, xmin=0.1, ymax=1.0, xmax=0.7),
        "tensor": _tensors(number),
        "tensor_bytes": _tensors(number),
        "tensor_zlib": _tensors(number),
        "ints": {np.dtype(dtype).name: _numbers(number, 1, dtype=dtype)[0] for dtype in INTEGERS},
        "floats": {np.dtype(dtype).name: np.array(number / 3 - 0.7, dtype)[()] for dtype in FLOATS},
        "bool": number % 2 == 0,
        "sequence": list(range(-number, number)),
        "sequence_nested": [["a", "ß"], [], [str(number)]],
        "sequence_dict": [{"a": n / 7, "b": _picture(n, 4, 4, 1)} for n in range(number)],
        "dataset": [{"a": n / 7, "b": f"step {n}"} for n in range(1 + number)],
        "translation": {ENGLISH: f"{number}", FRENCH: f"n° {number}"},
        "translations": {ENGLISH: [f"{number}", "same"], FRENCH: f"n° {number}"},
        "numpy_random": [
            *generator.random(3),
            *generator.normal(size=3),
            *generator.permutation(3),
            *generator.integers(0, 1000, 3),
        ],
        "python_random": [
            *(python.random() for _ in range(3)),
            *(python.gauss(0, 1) for _ in range(3)),
            *python.sample(range(1000), 6),
        ],
    }


class Canonical(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self, description="Every encoder.", features=FEATURES.FeaturesDict(_features())
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for number in range(EXAMPLES):
            yield f"{number}", _example(number)
