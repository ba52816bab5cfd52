"""Read speech, after the layout of LibriSpeech."""

import os

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds


class Speech(tfds.core.GeneratorBasedBuilder):
    """FLAC files with a transcript for each chapter."""

    VERSION = tfds.core.Version("1.1.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "speech": tfds.features.Audio(file_format="flac", sample_rate=8000),
                    "text": tfds.features.Text(),
                    "speaker_id": np.int64,
                    "id": np.str_,
                }
            ),
            supervised_keys=("speech", "text"),
        )

    def _split_generators(self, dl_manager):
        extracted = dl_manager.download_and_extract({"dev_clean": "https://speech.invalid/12/dev-clean.tar.gz"})
        return [
            tfds.core.SplitGenerator(name=name, gen_kwargs={"directory": directory})
            for name, directory in extracted.items()
        ]

    def _generate_examples(self, directory):
        for path in tf.io.gfile.glob(os.path.join(directory, "Speech", "*", "*", "*", "*.trans.txt")):
            with tf.io.gfile.GFile(path) as file:
                for line in file:
                    key, text = line.strip().split(" ", 1)
                    yield key, {
                        "speech": os.path.join(os.path.dirname(path), f"{key}.flac"),
                        "text": text,
                        "speaker_id": int(key.split("-")[0]),
                        "id": key,
                    }
