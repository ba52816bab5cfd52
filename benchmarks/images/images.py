"""20,000 generated colour images of 64 x 64: soft gradients, hard edges and a little noise."""

import numpy as np
import tensorflow_datasets as tfds

SIZE = 64
COUNT = 20_000
LABELS = 10
CELLS = 8


class Images(tfds.core.GeneratorBasedBuilder):
    """Images that take as little time to draw as reading a decoded one would, so that building is what is measured."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(SIZE, SIZE, 3)),
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
        noise = np.random.default_rng(0).integers(0, 4, (SIZE, SIZE, 3), dtype=np.uint8)
        ramp = np.arange(SIZE, dtype=np.uint8)[:, None, None] // 2
        for number in range(first, last):
            cells = np.random.default_rng(number).integers(0, 200, (CELLS, CELLS, 3), dtype=np.uint8)
            yield (
                number,
                {
                    "image": cells.repeat(SIZE // CELLS, 0).repeat(SIZE // CELLS, 1) + ramp + noise,
                    "label": number % LABELS,
                },
            )
