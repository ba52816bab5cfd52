"""Generated JPEG images of 256 x 256, some 60 kB each, as many as make GIGABYTES of records."""

import os

import numpy as np
import tensorflow_datasets as tfds

SIZE = 256
IMAGE_BYTES = 59_700
COUNT = int(float(os.environ.get("GIGABYTES", "5")) * 1e9 / IMAGE_BYTES)
LABELS = 10


class Large(tfds.core.GeneratorBasedBuilder):
    """Images that take little time to draw, and about as many bytes as photographs of this size and high quality."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(SIZE, SIZE, 3), encoding_format="jpeg"),
                    "label": tfds.features.ClassLabel(num_classes=LABELS),
                }
            ),
        )

    def _split_generators(self, dl_manager):
        return {
            "train": self._generate_examples(0, COUNT * 9 // 10),
            "test": self._generate_examples(COUNT * 9 // 10, COUNT),
        }

    def _generate_examples(self, first, last):
        noise = np.random.default_rng(0).integers(0, 128, (2 * SIZE, 2 * SIZE, 3), dtype=np.uint8)
        for number in range(first, last):
            top, left = number % 251, number // 251 % 241
            image = noise[top : top + SIZE, left : left + SIZE] + np.uint8(number // (251 * 241) % 100)
            yield number, {"image": image, "label": number % LABELS}
