"""Documents, a line each, some of them very long."""

import tensorflow_datasets as tfds


class Corpus(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict({"text": tfds.features.Text()}),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(dl_manager.download_and_extract("https://corpus.invalid/all.txt.gz"))}

    def _generate_examples(self, path):
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file):
                yield number, {"text": line.rstrip("\n")}
