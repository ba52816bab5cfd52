"""Images with and without an adversarial patch, made elsewhere: there is no parent."""

import csv

import numpy as np
import tensorflow_datasets as tfds

_URL = "https://patched.invalid/patched-v2.tar.bz2"


class Patched(tfds.core.GeneratorBasedBuilder):
    """Pairs of images."""

    VERSION = tfds.core.Version("2.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "images": {
                        "clean": tfds.features.Image(shape=(24, 24, 3)),
                        "patched": tfds.features.Image(shape=(24, 24, 3)),
                    },
                    "confidence": tfds.features.Tensor(
                        shape=(), dtype=np.float64, encoding=tfds.features.Encoding.BYTES
                    ),
                    "boxes": tfds.features.Sequence(tfds.features.BBoxFeature(), length=2),
                    "corners": tfds.features.Tensor(shape=(4, 2), dtype=np.int64),
                }
            ),
        )

    def _split_generators(self, dl_manager):
        folder = dl_manager.download_and_extract(_URL) / "patched"
        return {"adversarial": self._generate_examples(folder)}

    def _generate_examples(self, folder):
        with (folder / "pairs.csv").open() as file:
            for row in csv.DictReader(file):
                left, top = int(row["left"]), int(row["top"])
                yield row["name"], {
                    "images": {kind: folder / kind / f"{row['name']}.png" for kind in ("clean", "patched")},
                    "confidence": float(row["confidence"]),
                    "boxes": [tfds.features.BBox(0.0, 0.0, 0.5, 0.5), tfds.features.BBox(0.25, 0.25, 1.0, 1.0)],
                    "corners": np.array([[left, top], [left + 8, top], [left + 8, top + 8], [left, top + 8]]),
                }
