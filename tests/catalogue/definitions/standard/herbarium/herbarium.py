"""Pressed plants: scans that a person has to ask for, with a table that comes with them."""

import tensorflow_datasets as tfds

from . import labels
from .labels import read_table


class HerbariumConfig(tfds.core.BuilderConfig):
    """Which rank of the names is the label."""

    def __init__(self, *, rank, **kwargs):
        super().__init__(version=tfds.core.Version("2.1.0"), **kwargs)
        self.rank = rank


class Herbarium(tfds.core.GeneratorBasedBuilder):
    """Scans with the name of the plant."""

    VERSION = tfds.core.Version("2.1.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Ask the herbarium for scans.tar and put it into the folder."
    BUILDER_CONFIGS = [
        HerbariumConfig(name="genus", rank="genus", description="The label is the genus."),
        HerbariumConfig(name="family", rank="family", description="The label is the family."),
    ]

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3)),
                    "label": tfds.features.ClassLabel(names=labels.NAMES[self.builder_config.rank]),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager):
        archive = dl_manager.manual_dir / "scans.tar"
        table = dl_manager.download("https://herbarium.invalid/table.csv")
        return {"train": self._generate_examples(dl_manager.iter_archive(archive), table)}

    def _generate_examples(self, members, table):
        ranks = read_table(table, self.builder_config.rank)
        for name, file in members:
            yield name, {"image": file, "label": ranks[name]}
