"""The files of a new dataset, from the templates in `templates/`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from string import Template

from scripts._define.parent import Parent

VERSION = "1.0.0"
EPSILON = 8
EXAMPLES = 100
TEMPLATES = Path(__file__).with_name("templates")


@dataclass(frozen=True)
class Scaffold:
    """The files of a dataset's folder, by path relative to it, and a description of the dataset in one line."""

    files: dict[str, bytes]
    description: str


def standard(name: str) -> Scaffold:
    """Return a dataset of eight images in two classes, stored in its folder."""
    template = TEMPLATES / "standard"
    images = sorted(template.glob("data/*/*.png"))
    files = _fill(template, name, {"name": name}) | {"checksums.tsv": b""}
    files |= {image.relative_to(template).as_posix(): image.read_bytes() for image in images}
    return Scaffold(files, "Small synthetic images of stripes")


def adversarial(name: str, parent: Parent) -> Scaffold:
    """Return a dataset of the parent's first images, each with a perturbed version."""
    values = {
        "name": name,
        "parent": parent.name,
        "parent_link": parent.link,
        "examples": EXAMPLES,
        **vars(parent.features),
    }
    return Scaffold(_fill(TEMPLATES / "adversarial", name, values), f"Images of {parent.name}, clean and perturbed")


def _fill(template: Path, name: str, values: dict[str, object]) -> dict[str, bytes]:
    return {
        target: Template((template / source).read_text(encoding="utf-8")).substitute(values).encode()
        for target, source in {f"{name}.py": "builder.py.in", "README.md": "README.md.in"}.items()
    }
