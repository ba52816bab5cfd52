"""Scenes seen from above, from an archive that a person has to ask for."""

import tensorflow_datasets as tfds

_LABELS = ["airplane", "beach", "sea ice"]


class Scenes(tfds.core.GeneratorBasedBuilder):
    """JPEG images in a folder for each class."""

    VERSION = tfds.core.Version("1.0.0")
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Ask for scenes.zip at https://scenes.invalid/form and put it into manual_dir.
    """

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description="Scenes seen from above.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(32, 32, 3), encoding_format="jpeg"),
                    "filename": tfds.features.Text(),
                    "label": tfds.features.ClassLabel(names=_LABELS),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://scenes.invalid",
        )

    def _split_generators(self, dl_manager):
        path = dl_manager.extract(dl_manager.manual_dir / "scenes.zip")
        return {"train": self._generate_examples(path / "scenes")}

    def _generate_examples(self, path):
        for label in path.iterdir():
            for image in label.glob("*.jpg"):
                yield image.name, {"image": image, "filename": image.name, "label": label.name.replace("_", " ")}
