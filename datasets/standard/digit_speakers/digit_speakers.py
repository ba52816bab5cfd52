"""The spoken digits, split by speaker: each config holds one speaker out for the test."""

import io
import wave

import numpy as np
import tensorflow_datasets as tfds

import loader

_SAMPLE_RATE = 8000

_DESCRIPTION = """\
The recordings of the Free Spoken Digit Dataset in leave-one-speaker-out splits, for speaker-independent evaluation: the
test split is all recordings of the speaker that the config is named after, the train split all those of the others.
"""

_CITATION = """\
@misc{jackson2016fsdd,
  author = {Jackson, Zohar and others},
  title = {Free Spoken Digit Dataset},
  year = {2016},
  note = {v1.0.8},
  url = {https://github.com/Jakobovski/free-spoken-digit-dataset}
}
"""


class DigitSpeakers(tfds.core.GeneratorBasedBuilder):
    """A config for each speaker of the dataset `digit`."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name=speaker, description=f"Tests on {speaker}, trains on the other speakers.")
        for speaker in ("jackson", "nicolas", "theo")
    ]

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(
                {  # those of digit, and kept as there
                    "audio": tfds.features.Audio(
                        file_format="wav",
                        sample_rate=_SAMPLE_RATE,
                        dtype=np.int16,
                        encoding=tfds.features.Encoding.BYTES,
                    ),
                    "label": tfds.features.ClassLabel(num_classes=10),
                    "user": tfds.features.Text(),
                    "filename": tfds.features.Text(),
                }
            ),
            supervised_keys=("audio", "label"),
            homepage="https://github.com/Jakobovski/free-spoken-digit-dataset",
            citation=_CITATION,
        )

    def _split_generators(self, dl_manager):
        _, recordings = loader.load("digit", split="all")
        return {
            "train": self._generate_examples(recordings, held_out=False),
            "test": self._generate_examples(recordings, held_out=True),
        }

    def _generate_examples(self, recordings, *, held_out):
        for example in recordings:
            if (example["user"].decode() == self.builder_config.name) == held_out:
                yield example["filename"].decode(), {**example, "audio": _wav(example["audio"])}


def _wav(samples):
    """The samples as a WAV file: TFDS stores those of an array without the feature's encoding, and then fails."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(samples.itemsize)
        writer.setframerate(_SAMPLE_RATE)
        writer.writeframes(samples.astype("<i2").tobytes())
    file.seek(0)
    return file
