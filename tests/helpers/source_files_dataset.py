"""A repository of one dataset, `downloader`, whose builder downloads source files with code that a test provides."""

from __future__ import annotations

import hashlib
import textwrap
from pathlib import Path

BUILDER = """
import numpy as np
import tensorflow_datasets as tfds

BASE = "URL"


class Downloader(tfds.core.GeneratorBasedBuilder):
    VERSION = tfds.core.Version("1.0.0")
CONFIGS

    def _info(self):
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({"size": np.int64}))

    def _split_generators(self, dl_manager):
BODY

    def _generate_examples(self, paths):
        import tensorflow as tf

        for path in tf.nest.flatten(paths):
            yield path.name, {"size": len(path.read_bytes())}
"""

PARAMS = """\
toolchain: {}
downloader:
  builder: datasets/standard/downloader
  version: 1.0.0
  license: CC BY 4.0
"""

DVC = """\
stages:
  downloader:
    cmd: python -m scripts build downloader
    deps: [datasets/standard/downloader]
    outs:
OUTS
      - artifacts/downloader.json: {cache: false, persist: true}
      - artifacts/downloader.croissant.json: {cache: false, persist: true}
    metrics:
      - artifacts/downloader.stats.json: {cache: false, persist: true}
"""


def make_source_files_dataset(
    root: Path, url: str, body: str, *, visibility: str = "public", configs: tuple[str, ...] = ()
) -> Path:
    """Create the repository and return its root.

    Parameters
    ----------
    root
        The folder of the repository.
    url
        The value of BASE in the builder.
    body
        The body of the builder's `_split_generators`.
    visibility
        The dataset's visibility.
    configs
        The builder's configs.
    """
    folder = root / "datasets/standard/downloader"
    folder.mkdir(parents=True)
    names = f"    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=name) for name in {configs}]" if configs else ""
    builder = BUILDER.replace("URL", url).replace("CONFIGS", names)
    (folder / "downloader.py").write_text(
        builder.replace("BODY", textwrap.indent(textwrap.dedent(body).strip(), " " * 8))
    )
    tars = [f"downloader-{config}" for config in configs] or ["downloader"]
    outs = "\n".join(f"      - artifacts/{tar}.tar: {{remote: {visibility}}}" for tar in tars)
    (root / "dvc.yaml").write_text(DVC.replace("OUTS", outs))
    params = PARAMS + (f"  configs: [{', '.join(configs)}]\n" if configs else "")
    (root / "params.yaml").write_text(params)
    (root / "artifacts").mkdir()
    return root


def tsv_line(url: str, data: bytes, filename: str = "") -> str:
    """Return the line of `checksums.tsv` for a file."""
    filename = filename or url.rpartition("/")[2]
    return f"{url}\t{len(data)}\t{hashlib.sha256(data).hexdigest()}\t{filename}\n"


def tsv_path(root: Path) -> Path:
    """Return the path of `checksums.tsv`."""
    return root / "datasets/standard/downloader/checksums.tsv"
