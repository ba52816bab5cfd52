"""Episodes of a robot, in the form of RLDS."""

from typing import Any, Iterator, Tuple

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds


class Episodes(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Initial release."}

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(
                {
                    "steps": tfds.features.Dataset(
                        {
                            "observation": tfds.features.FeaturesDict(
                                {
                                    "image": tfds.features.Image(shape=(16, 16, 3), dtype=np.uint8, encoding_format="png"),
                                    "state": tfds.features.Tensor(shape=(10,), dtype=np.float32, doc="Joint angles."),
                                }
                            ),
                            "action": tfds.features.Tensor(shape=(4,), dtype=np.float32),
                            "discount": tfds.features.Scalar(dtype=np.float32),
                            "reward": tfds.features.Scalar(dtype=np.float32),
                            "is_first": tfds.features.Scalar(dtype=np.bool_),
                            "is_last": tfds.features.Scalar(dtype=np.bool_),
                            "language_instruction": tfds.features.Text(),
                        }
                    ),
                    "episode_metadata": tfds.features.FeaturesDict({"file_path": tfds.features.Text()}),
                }
            )
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        path = dl_manager.download_and_extract("https://episodes.invalid/episodes.zip")
        return {"train": self._generate_examples(path)}

    def _generate_examples(self, path) -> Iterator[Tuple[str, Any]]:
        for file in sorted(tf.io.gfile.glob(f"{path}/episode_*.npy")):
            steps = np.load(file, allow_pickle=True)
            name = file.rpartition("/")[2]
            yield name, {
                "steps": [
                    {
                        "observation": {"image": step["image"], "state": step["state"]},
                        "action": step["action"],
                        "discount": 1.0,
                        "reward": float(number == len(steps) - 1),
                        "is_first": number == 0,
                        "is_last": number == len(steps) - 1,
                        "language_instruction": step["instruction"],
                    }
                    for number, step in enumerate(steps)
                ],
                "episode_metadata": {"file_path": name},
            }
