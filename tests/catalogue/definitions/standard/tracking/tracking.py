"""Videos of moving objects, each with a mask for every frame."""

import numpy as np
import tensorflow_datasets as tfds


class Tracking(tfds.core.GeneratorBasedBuilder):
    """Frames of a video file, decoded by ffmpeg, and of a folder of masks."""

    VERSION = tfds.core.Version("1.2.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "video": tfds.features.Video(shape=(None, 16, 24, 3)),
                    "mask": tfds.features.Video(shape=(None, 16, 24, 1)),
                    "first_box": tfds.features.Tensor(shape=(4,), dtype=np.int64),
                }
            ),
        )

    def _split_generators(self, dl_manager):
        archive = dl_manager.download("https://tracking.invalid/tracking.tgz")
        folder = dl_manager.extract(archive)
        return {name: self._generate_examples(folder / name) for name in ("dev", "eval")}

    def _generate_examples(self, folder):
        for video in sorted(folder.glob("*.avi")):
            masks = sorted((folder / video.stem).glob("mask-*.png"))
            yield video.stem, {
                "video": video,
                "mask": [str(mask) for mask in masks],
                "first_box": [2, 3, 10, 11],
            }
