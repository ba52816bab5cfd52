"""The locations of the examples in the format of every reader. Every measured process imports this small module."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".scratch" / "benchmarks"


@dataclass(frozen=True)
class Data:
    """The locations of a dataset's train split, in every format.

    Attributes
    ----------
    name
        The dataset.
    repository
        The datasets repository that holds its artifact.
    folder
        The folder of all other formats.
    """

    name: str
    repository: Path
    folder: Path

    @property
    def tfds(self) -> Path:
        """The extracted artifact: a TFDS folder with TFRecord files."""
        return self.folder / "tfds"

    @property
    def array_record(self) -> Path:
        """The same folder with its shard in the format array_record."""
        return self.folder / "array_record"

    @property
    def arrow(self) -> Path:
        """The output of Hugging Face's `save_to_disk`; images stay encoded."""
        return self.folder / "arrow"

    @property
    def shards(self) -> Path:
        """Tar shards for webdataset."""
        return self.folder / "shards"

    @property
    def litdata(self) -> Path:
        """The chunks that litdata's `optimize` writes; images stay encoded."""
        return self.folder / "litdata"

    @property
    def lance(self) -> Path:
        """A Lance dataset; images stay encoded."""
        return self.folder / "train.lance"

    @property
    def mds(self) -> Path:
        """The shards of mosaicml-streaming; images stay encoded."""
        return self.folder / "mds"

    @property
    def files(self) -> Path:
        """One file per example, `<label>/<number>...`, as for torchvision's ImageFolder."""
        return self.folder / "files"


def locate(name: str) -> Data:
    """Return the locations of the dataset, which need not exist yet."""
    return Data(name, CACHE / "repository" if name == "jpeg" else ROOT, CACHE / name)


def image_format(data: Data) -> str:
    """Return how the dataset's images are encoded."""
    return "jpg" if data.name == "jpeg" else "png"


def files(folder: Path) -> Iterator[Path]:
    """Yield the files below `folder` in the order of their numbers."""
    yield from sorted(folder.glob("*/*"), key=lambda path: path.name)
