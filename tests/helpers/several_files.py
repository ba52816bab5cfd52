"""A builder in several files, which import each other in every way that builders written for TFDS do."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.buildable_dataset import BUILDER, add_buildable

FILES = {
    "__init__.py": "COUNT = 30\n",
    "helper.py": """
import words
from . import COUNT
from .sub.module import Scale

NAME = __name__


def text(number):
    import late  # only when an example is made

    return f"{words.WORDS[number % 3]} {late.suffix(number)} {COUNT}"
""",
    "words.py": "WORDS = ['one', 'two', 'three']\n",
    "late.py": "def suffix(number):\n    return 'odd' if number % 2 else 'even'\n",
    "sub/module.py": """
import helper
import words as same_words
from .. import words


class Scale:
    def __init__(self, by):
        self.by = by

    def __call__(self, number):
        assert words is same_words and helper.NAME
        return number / self.by
""",
}
IMPORTS = """
import json
import helper
import sub.module
from . import COUNT, words
from .helper import text as make_text
from .sub.module import Scale
from datasets.standard.tiny.late import suffix
"""
GENERATOR = (
    BUILDER.replace("\nimport json\n", IMPORTS, 1)
    .replace(
        "text = words[number % len(words)]",
        "text = make_text(number) + suffix(number) + sub.module.words.WORDS[0]; assert helper.text is make_text",
    )
    .replace("number / 3", "Scale(3)(number)")
)
HEAD, _ = GENERATOR.split("    def _split_generators(self, dl_manager):")
BEAM = (
    HEAD
    + """
    def _split_generators(self, dl_manager, pipeline):
        import apache_beam as beam

        dl_manager.download(URL)

        def make(number):
            import late
            from .sub.module import Scale as Same

            image = np.arange(number, number + 192, dtype=np.int64).astype(np.uint8).reshape(8, 8, 3)
            text = make_text(number) + late.suffix(number) + sub.module.words.WORDS[0]
            return f"{number}", {"image": image, "label": number % 2, "number": Same(3)(number), "text": text}

        return {
            "train": pipeline | "1" >> beam.Create(range(200)) | "train" >> beam.Map(make),
            "test": pipeline | "2" >> beam.Create(range(COUNT)) | "test" >> beam.Map(make),
        }

    def _generate_examples(self):
        raise NotImplementedError
"""
)


def add_several_files(root: Path, *, builder: str = GENERATOR) -> None:
    """Define the dataset `tiny` in the clone at `root`, in several files."""
    add_buildable(root, builder=builder)
    for name, text in FILES.items():
        path = root / "datasets/standard/tiny" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
