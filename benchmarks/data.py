"""Where the same examples lie in the format of every reader. Light, because every measured process imports it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".scratch" / "benchmarks"


@dataclass(frozen=True)
class Data:
    """Where the train split of a dataset is, in every format.

    Attributes
    ----------
    name
        The dataset.
    repository
        The datasets repository that holds its artifact.
    folder
        The folder of everything else.
    """

    name: str
    repository: Path
    folder: Path

    @property
    def tfds(self) -> Path:
        """The extracted artifact: a folder of TFDS, TFRecord."""
        return self.folder / "tfds"

    @property
    def array_record(self) -> Path:
        """The same folder with its shard as array_record."""
        return self.folder / "array_record"

    @property
    def arrow(self) -> Path:
        """What Hugging Face's `save_to_disk` writes; images as they are encoded."""
        return self.folder / "arrow"

    @property
    def shards(self) -> Path:
        """Tar shards for webdataset."""
        return self.folder / "shards"

    @property
    def files(self) -> Path:
        """One file an example, `<label>/<number>...`, as for torchvision's ImageFolder."""
        return self.folder / "files"


def locate(name: str) -> Data:
    """Return where the dataset is or will be."""
    return Data(name, CACHE / "repository" if name == "jpeg" else ROOT, CACHE / name)


def image_format(data: Data) -> str:
    """Return how the dataset's images are encoded."""
    return "jpg" if data.name == "jpeg" else "png"


def files(folder: Path) -> Iterator[Path]:
    """Yield the files below `folder` in the order of their numbers."""
    yield from sorted(folder.glob("*/*"), key=lambda path: path.name)
