"""A dataset with images, text and audio in every kind of nested feature, written by TFDS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

COUNT = 6


def image(number: int, height: int = 4) -> np.ndarray[Any, Any]:
    """Return an image whose pixels are all different."""
    return (np.arange(height * 5 * 3) + number).astype(np.uint8).reshape(height, 5, 3)


def nested_example(number: int) -> dict[str, Any]:
    """Return an example as it is given to TFDS."""
    size = number % 3 + 1
    return {
        "audio": np.arange(size * 10, dtype=np.int16),
        "boxes": [{"name": f"ü{n}", "side": n} for n in range(size)],
        "film": np.stack([image(n) for n in range(size)]),
        "image": image(number),
        "inner": {"image": image(number), "text": f"naïve {number}"},
        "label": number % 2,
        "moves": [{"image": image(n), "text": f"né {n}"} for n in range(size)],
        "photo": image(number, height=size),
        "pictures": [image(n) for n in range(size)],
        "raw": b"\xff\xfe",
        "rows": [["ä"] * size, []],
        "words": [f"ö{n}" for n in range(size)],
        "languages": {"de": "Zürich", "en": "Zurich"},
    }


def write_nested(data_dir: Path) -> Path:
    """Write the dataset below a folder; return the folder of its version."""
    import tensorflow_datasets as tfds

    f = tfds.features

    class Nested(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self) -> Any:
            features = {
                "audio": f.Audio(shape=(None,), sample_rate=8000, dtype=np.int16),
                "boxes": f.Sequence({"name": f.Text(), "side": np.int64}),
                "film": f.Video(shape=(None, 4, 5, 3)),
                "image": f.Image(shape=(4, 5, 3)),
                "inner": {"image": f.Image(shape=(4, 5, 3)), "text": f.Text()},
                "label": f.ClassLabel(num_classes=2),
                "moves": f.Dataset({"image": f.Image(shape=(4, 5, 3)), "text": f.Text()}),
                "photo": f.Image(shape=(None, None, 3)),
                "pictures": f.Sequence(f.Image(shape=(4, 5, 3))),
                "raw": f.Tensor(shape=(), dtype=np.object_),
                "rows": f.Sequence(f.Sequence(f.Text())),
                "words": f.Sequence(f.Text()),
                "languages": f.Translation(languages=["de", "en"]),
            }
            return tfds.core.DatasetInfo(
                builder=self,
                features=f.FeaturesDict(features),
                supervised_keys=("audio", "label"),
                disable_shuffling=True,
            )

        def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
            return {"train": self._generate_examples()}

        def _generate_examples(self) -> Any:
            for number in range(COUNT):
                yield number, nested_example(number)

    builder = Nested(data_dir=str(data_dir), file_format="tfrecord")
    builder.download_and_prepare()
    return Path(builder.data_dir)
