"""Objects of road crossings, with six nested sequences."""

import numpy as np
import tensorflow_datasets as tfds

from . import layout
from .layout import CATEGORIES


class Crossings(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        part = {"kind": tfds.features.Text(), "polygon": tfds.features.Sequence({"x": np.float32, "y": np.float32})}
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "objects": tfds.features.Sequence(
                        {
                            "category": tfds.features.ClassLabel(names=CATEGORIES),
                            "track": tfds.features.Sequence(np.int64),
                            "parts": tfds.features.Sequence(part),
                            "colors": tfds.features.Sequence(tfds.features.Sequence(np.uint8)),
                        }
                    ),
                    "lanes": tfds.features.Sequence(tfds.features.Sequence(tfds.features.Text())),
                }
            ),
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(dl_manager.download("https://crossings.invalid/frames.json"))}

    def _generate_examples(self, path):
        for number, frame in enumerate(layout.read_frames(path)):
            yield number, {"objects": frame["objects"], "lanes": frame["lanes"]}
