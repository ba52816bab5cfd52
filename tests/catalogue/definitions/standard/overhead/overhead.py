"""Overhead images with objects, after the layout of xView."""

import collections
import json

import tensorflow as tf
import tensorflow_datasets as tfds

_URLS = {
    "images": "https://overhead.invalid/files/images.tar.gz",
    "labels": "https://overhead.invalid/files/labels.zip?download=1",
}
_CLASSES = ["car", "truck", "ship", "building"]


class Overhead(tfds.core.GeneratorBasedBuilder):
    """Images with any number of boxes."""

    VERSION = tfds.core.Version("1.0.1")
    RELEASE_NOTES = {"1.0.1": "Boxes outside of the image are cut."}

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
                    "image/id": tf.int64,
                    "objects": tfds.features.Sequence(
                        {
                            "bbox": tfds.features.BBoxFeature(),
                            "label": tfds.features.ClassLabel(names=_CLASSES),
                            "is_crowd": tf.bool,
                            "area": tf.float32,
                        }
                    ),
                }
            ),
        )

    def _split_generators(self, dl_manager):
        paths = dl_manager.download_and_extract(_URLS)
        return [
            tfds.core.SplitGenerator(name=split, gen_kwargs={"paths": paths, "split": str(split)})
            for split in (tfds.Split.TRAIN, tfds.Split.TEST)
        ]

    def _generate_examples(self, paths, split):
        with tf.io.gfile.GFile(paths["labels"] / "labels.geojson") as file:
            features = json.load(file)["features"]
        objects = collections.defaultdict(list)
        for feature in features:
            objects[feature["properties"]["image_id"]].append(feature["properties"])
        for path in sorted((paths["images"] / split).glob("*.png")):
            number = int(path.stem)
            yield number, {
                "image": path,
                "image/id": number,
                "objects": [
                    {
                        "bbox": tfds.features.BBox(*each["bounds"]),
                        "label": _CLASSES[each["type_id"]],
                        "is_crowd": False,
                        "area": each["area"],
                    }
                    for each in objects[number]
                ],
            }
