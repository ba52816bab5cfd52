"""A repository whose one dataset, `asker`, asks for source files in the way that a test says."""

from __future__ import annotations

import hashlib
import textwrap
from pathlib import Path

BUILDER = """
import numpy as np
import tensorflow_datasets as tfds

BASE = "URL"


class Asker(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")
CONFIGS

    def _info(self):
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({"size": np.int64}))

    def _split_generators(self, dl_manager):
BODY

    def _generate_examples(self, paths):
        import tensorflow as tf

        for path in tf.nest.flatten(paths):
            yield path.name, {"size": path.stat().st_size}
"""

PARAMS = """\
toolchain: {}
asker:
  builder: datasets/standard/asker
  version: 1.0.0
  visibility: VISIBILITY
  license: CC BY 4.0
"""

DVC = """\
stages:
  asker:
    cmd: python -m scripts build asker
    deps: [datasets/standard/asker]
    outs:
OUTS
    metrics:
      - artifacts/asker.json: {cache: false, persist: true}
"""


def make_asking(root: Path, url: str, body: str, *, visibility: str = "public", configs: tuple[str, ...] = ()) -> Path:
    """Write the repository.

    Parameters
    ----------
    root
        Where.
    url
        What the builder calls BASE.
    body
        The lines of its `_split_generators`.
    visibility
        The dataset's.
    configs
        Its builder configs.
    """
    folder = root / "datasets/standard/asker"
    folder.mkdir(parents=True)
    names = f"    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=name) for name in {configs}]" if configs else ""
    builder = BUILDER.replace("URL", url).replace("CONFIGS", names)
    (folder / "asker.py").write_text(builder.replace("BODY", textwrap.indent(textwrap.dedent(body).strip(), " " * 8)))
    tars = [f"asker-{config}" for config in configs] or ["asker"]
    outs = "\n".join(f"      - artifacts/{tar}.tar: {{remote: {visibility}}}" for tar in tars)
    (root / "dvc.yaml").write_text(DVC.replace("OUTS", outs))
    params = PARAMS.replace("VISIBILITY", visibility) + (f"  configs: [{', '.join(configs)}]\n" if configs else "")
    (root / "params.yaml").write_text(params)
    (root / "artifacts").mkdir()
    return root


def line(url: str, data: bytes, filename: str = "") -> str:
    """The line of `checksums.tsv` for a file."""
    filename = filename or url.rpartition("/")[2]
    return f"{url}\t{len(data)}\t{hashlib.sha256(data).hexdigest()}\t{filename}\n"


def checksums(root: Path) -> Path:
    """Where the lines go."""
    return root / "datasets/standard/asker/checksums.tsv"
