"""Free Spoken Digit Dataset: recordings of spoken digits."""

import io
import re
import tarfile

import numpy as np
import tensorflow_datasets as tfds

_URL = "https://github.com/Jakobovski/free-spoken-digit-dataset/archive/v1.0.8.tar.gz"

_DESCRIPTION = """\
A simple audio dataset of spoken digits, mono at 8 kHz, trimmed so that they have near minimal silence at the beginnings
and ends: 50 recordings of each digit by each of 3 English speakers. Recordings 0 to 4 are the test split, 5 to 49 the
train split, as the dataset's authors define it.
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

_USERS = ("jackson", "nicolas", "theo")
_TEST_RECORDINGS = 5  # of each digit and user, the first ones
_RECORDING = re.compile(r".*/recordings/((\d)_([a-z]+)_(\d+)\.wav)")


class Digit(tfds.core.GeneratorBasedBuilder):
    """The recordings of jackson, nicolas and theo."""

    VERSION = tfds.core.Version("1.0.8")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(
                {
                    # The samples as the wav files have them, two bytes each. TFDS's default would keep each as a
                    # varint of up to ten bytes; "zlib" would depend on the zlib at hand. See README.md.
                    "audio": tfds.features.Audio(
                        file_format="wav", sample_rate=8000, dtype=np.int16, encoding=tfds.features.Encoding.BYTES
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
        archive = dl_manager.download(_URL)
        return {
            "train": self._generate_examples(archive, test=False),
            "test": self._generate_examples(archive, test=True),
        }

    def _generate_examples(self, archive, *, test):
        with tarfile.open(archive) as tar:
            for member in tar:
                match = _RECORDING.fullmatch(member.name)
                if match is None:
                    continue
                filename, digit, user, recording = match.groups()
                if user in _USERS and (int(recording) < _TEST_RECORDINGS) == test:
                    yield (
                        filename,
                        {
                            "audio": io.BytesIO(tar.extractfile(member).read()),
                            "label": int(digit),
                            "user": user,
                            "filename": filename,
                        },
                    )
