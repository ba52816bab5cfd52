"""A dataset with a real TFDS builder that builds in seconds, to add to a clone."""

from __future__ import annotations

import hashlib
from pathlib import Path

BUILDER = """
import json

import numpy as np
import tensorflow_datasets as tfds

URL = "http://127.0.0.1:9/tiny.json"


class Tiny(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(8, 8, 3)),
                    "label": tfds.features.ClassLabel(names=["even", "odd"]),
                    "number": np.float32,
                    "text": tfds.features.Text(),
                }
            ),
        )

    def _split_generators(self, dl_manager):
        path = dl_manager.download(URL)
        return {"train": self._generate_examples(path, 200), "test": self._generate_examples(path, 30)}

    def _generate_examples(self, path, count):
        words = json.loads(path.read_text())
        for number in range(count):
            image = np.arange(number, number + 192, dtype=np.int64).astype(np.uint8).reshape(8, 8, 3)
            text = words[number % len(words)]
            yield f"{number}", {"image": image, "label": number % 2, "number": number / 3, "text": text}
"""

SOURCE = b'["one", "two", "three"]'

PARAMS = """
tiny:
  builder: datasets/standard/tiny
  version: 1.0.0
  license: CC0
"""

STAGE = """
  tiny:
    cmd: python -m scripts build tiny
    deps:
      - datasets/standard/tiny
    params:
      - tiny
      - toolchain
    outs:
      - artifacts/tiny.tar:
          remote: VISIBILITY
      - artifacts/tiny.json:
          cache: false
          persist: true
      - artifacts/tiny.croissant.json:
          cache: false
          persist: true
    metrics:
      - artifacts/tiny.stats.json:
          cache: false
          persist: true
"""


def add_buildable(
    root: Path,
    *,
    name: str = "tiny",
    visibility: str = "public",
    builder: str = BUILDER,
    source: bytes | None = SOURCE,
) -> None:
    """Define the dataset in the clone at `root`, and write its source file to sources/tiny/ unless it is None."""
    folder = root / "datasets/standard" / name
    folder.mkdir(parents=True)
    (folder / f"{name}.py").write_text(_rename(builder, name))
    digest = hashlib.sha256(SOURCE).hexdigest()
    (folder / "checksums.tsv").write_text(f"http://127.0.0.1:9/{name}.json\t{len(SOURCE)}\t{digest}\t{name}.json\n")
    for file, text in (("params.yaml", PARAMS), ("dvc.yaml", STAGE)):
        with (root / file).open("a") as out:
            out.write(_rename(text, name).replace("VISIBILITY", visibility))
    entry = f"\nartifacts:\n  {name}: {{path: artifacts/{name}.tar, type: dataset}}\n\n"
    stages = root / "dvc.yaml"
    stages.write_text(stages.read_text().replace("\nartifacts:\n", entry, 1))
    if source is not None:
        (root / "sources" / name).mkdir(parents=True)
        (root / "sources" / name / f"{name}.json").write_bytes(source)


def _rename(text: str, name: str) -> str:
    return text.replace("tiny", name).replace("Tiny", name.title())
