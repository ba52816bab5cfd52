"""The files of a new dataset: TFDS's own template of a builder with methods that work, and the data they read.

Of all that `tfds new` makes, the builder's template alone is used. The rest breaks here: its `__init__.py` makes a
package that hides Hugging Face's `datasets`, its README becomes part of the artifact, and its test, tags, citation and
checksums are invalid until they are filled in.
"""

from __future__ import annotations

import ast
import textwrap
from dataclasses import dataclass
from pathlib import Path
from string import Template

from scripts._define.parent import Parent

VERSION = "1.0.0"
EPSILON = 8
EXAMPLES = 100
_SIDE = 8
_LABELS = ("horizontal", "vertical")
_COUNTS = {"train": 3, "test": 1}  # images of each label


@dataclass(frozen=True)
class Scaffold:
    """The files of a definition's folder, by their path in it, and what they describe in one line."""

    files: dict[str, bytes]
    description: str


def standard(name: str) -> Scaffold:
    """Return a dataset of eight images in two classes, which lie in its folder."""
    description = "Small images of stripes, as the scaffold brings them"
    builder = _fill(
        name,
        opening=_STANDARD_OPENING,
        methods=_STANDARD_METHODS,
        words={"description": description, "name": name, "side": _SIDE, "labels": str(list(_LABELS)).replace("'", '"')},
    )
    readme = f"""# {name}

Images of horizontal and vertical stripes: six to train, two to test. The scaffold made them up; they lie in `data/`.

| feature | TFDS | value |
|---|---|---|
| `image` | `Image(shape=({_SIDE}, {_SIDE}, 3))` | the PNG file as it is |
| `label` | `ClassLabel(names={list(_LABELS)})` | the direction of the stripes |
"""
    return Scaffold(_files(name, builder, readme) | {"checksums.tsv": b""} | _draw(), description)


def adversarial(name: str, parent: Parent) -> Scaffold:
    """Return a dataset of the parent's first images, each with a perturbed one beside it."""
    description = f"Images of {parent.name}, clean and perturbed"
    builder = _fill(
        name,
        opening=_ADVERSARIAL_OPENING,
        methods=_ADVERSARIAL_METHODS,
        words={"description": description, "examples": EXAMPLES, "parent": parent.name, **vars(parent.features)},
    ).replace("_generate_examples(self, path)", "_generate_examples(self, parent)")
    shape, classes = parent.features.shape, parent.features.classes
    readme = f"""# {name}

The first {EXAMPLES} examples of the {parent.features.split} split of [`{parent.name}`](../../../{parent.described}),
each image clean and perturbed. The perturbation stands in for an attack: it moves every pixel by `epsilon` (in
`params.yaml`) towards grey, which lowers the contrast.

| feature | TFDS | value |
|---|---|---|
| `image` | `Image(shape={shape})` | the clean image |
| `adversarial_image` | `Image(shape={shape})` | the perturbed image |
| `label` | `ClassLabel(num_classes={classes})` | the label of the clean image |

License: that of `{parent.name}`.
"""
    return Scaffold(_files(name, builder, readme), description)


def _files(name: str, builder: str, readme: str) -> dict[str, bytes]:
    return {f"{name}.py": builder.encode(), "README.md": readme.encode()}


def _draw() -> dict[str, bytes]:
    """Striped images as PNG files; the label and a number make their names."""
    import cv2
    import numpy as np

    files = {}
    for split, count in _COUNTS.items():
        for number in range(count):
            stripes = np.zeros((_SIDE, _SIDE, 3), np.uint8)
            stripes[number % 2 :: 2] = (60 * number + 60, 120, 240)
            for label, image in zip(_LABELS, (stripes, stripes.transpose(1, 0, 2)), strict=True):
                files[f"data/{split}/{label}_{number}.png"] = cv2.imencode(".png", image)[1].tobytes()
    return files


def _fill(name: str, *, opening: str, methods: dict[str, str], words: dict[str, object]) -> str:
    """TFDS's template of a builder with other methods' bodies, in this repository's style."""
    from tensorflow_datasets.scripts.cli import builder_templates, cli_utils

    info = cli_utils.DatasetInfo(name=name, in_tfds=False, path=Path(name), data_format=builder_templates.STANDARD)
    template = builder_templates.create_builder_template(info)
    lines = template.splitlines()
    (builder,) = (node for node in ast.parse(template).body if isinstance(node, ast.ClassDef))
    version = next(node for node in builder.body if isinstance(node, ast.Assign))
    parts = [f'"""{name} dataset."""\n', opening, "\n\n", _restyled(lines[builder.lineno - 1 : version.end_lineno])]
    for node in builder.body:
        if isinstance(node, ast.FunctionDef):
            start = _restyled(lines[node.lineno - 1 : node.body[0].end_lineno])  # up to the docstring's end
            before, body = methods.get(f"before {node.name}", ""), textwrap.indent(methods[node.name], " " * 8)
            parts.append(textwrap.indent(before, " " * 4) + "\n" + start + body[1:])
    return Template("".join(parts)).substitute(words)


def _restyled(lines: list[str]) -> str:
    """Lines of the template with four spaces a level and double quotes."""
    levels = [(len(line) - len(line.lstrip(" "))) // 2 for line in lines]
    return "".join(f"{'    ' * level}{line.strip()}\n" for level, line in zip(levels, lines, strict=True)).replace(
        "'", '"'
    )


_STANDARD_OPENING = '''
from pathlib import Path

import tensorflow_datasets as tfds

_DESCRIPTION = """\\
$description.
"""
'''

_STANDARD_METHODS = {
    "_info": """
return tfds.core.DatasetInfo(
    builder=self,
    description=_DESCRIPTION,
    features=tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=($side, $side, 3)),
            "label": tfds.features.ClassLabel(names=$labels),
        }
    ),
    supervised_keys=("image", "label"),
    # and where there is one: homepage="https://...", citation="@misc{...}"
)
""",
    "_split_generators": """
# The data lie beside this file. Data from elsewhere is downloaded, and proved by its line in checksums.tsv,
# written by: make build DATASET=$name REGISTER=1
#     data = dl_manager.download_and_extract("https://example.org/data-1.0.zip")
data = Path(__file__).parent / "data"
return {
    "train": self._generate_examples(data / "train"),
    "test": self._generate_examples(data / "test"),
}
""",
    "_generate_examples": """
for file in sorted(path.glob("*.png")):
    label, _, _ = file.stem.rpartition("_")
    # the key decides the order: unique in its split, and the same on every machine (no absolute path)
    yield file.stem, {"image": file, "label": label}
""",
}

_ADVERSARIAL_OPENING = '''
import numpy as np
import tensorflow_datasets as tfds

import loader

_DESCRIPTION = """\\
$description.
"""

_PARENT = "$parent"
_EXAMPLES = $examples  # of the parent, the first ones
'''

_ADVERSARIAL_METHODS = {
    "before _info": '''
def __init__(self, *, epsilon, **kwargs):
    """Takes the arguments that params.yaml gives, and TFDS's own."""
    self._epsilon = epsilon
    super().__init__(**kwargs)
    self._original_state["epsilon"] = epsilon  # what TFDS pickles and makes the builder anew from
''',
    "_info": """
return tfds.core.DatasetInfo(
    builder=self,
    description=_DESCRIPTION,
    features=tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=$shape),
            "adversarial_image": tfds.features.Image(shape=$shape),
            "label": tfds.features.ClassLabel(num_classes=$classes),
        }
    ),
    supervised_keys=("adversarial_image", "label"),
    # and where there is one: homepage="https://...", citation="@misc{...}"
)
""",
    "_split_generators": """
_, splits = loader.load(_PARENT)
return {"$split": self._generate_examples(splits["$split"][:_EXAMPLES])}
""",
    "_generate_examples": """
for number, example in enumerate(parent):
    # The attack goes here. Integers give the same bytes on every machine; floating point may not.
    clean = example["$image"].astype(np.int16)
    perturbed = np.where(clean < 128, clean + self._epsilon, clean - self._epsilon)
    yield (
        f"{number:05}",
        {
            "image": example["$image"],
            "adversarial_image": np.clip(perturbed, 0, 255).astype(np.uint8),
            "label": example["$label"],
        },
    )
""",
}
