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
    return Scaffold(_with_data(TEMPLATES / "standard", name), "Small synthetic images of stripes")


def adversarial(name: str) -> Scaffold:
    """Return a dataset of four images in two classes and a perturbed version of each, stored in its folder."""
    files = _with_data(TEMPLATES / "adversarial", name)
    return Scaffold(files, "Small synthetic images of stripes, clean and perturbed")


def derived(name: str, parent: Parent) -> Scaffold:
    """Return a dataset of the parent's first images with all their features, each with a perturbed version."""
    label, adversarial = parent.features.label, parent.features.adversarial
    values = {
        "name": name,
        "parent": parent.name,
        "parent_link": parent.link,
        "examples": EXAMPLES,
        "load": "_PARENT" if parent.config is None else f'_PARENT, config="{parent.config}"',
        "supervised": None if label is None else f'("{adversarial}", "{label}")',
        **vars(parent.features),
    }
    files = _fill(TEMPLATES / "derived", name, values)
    files |= {f"parent/{file}": data for file, data in parent.files.items()}
    return Scaffold(files, f"Images of {parent.name}, clean and perturbed")


def _with_data(template: Path, name: str) -> dict[str, bytes]:
    images = sorted(template.glob("data/*/*.png"))
    files = _fill(template, name, {"name": name}) | {"checksums.tsv": b""}
    return files | {image.relative_to(template).as_posix(): image.read_bytes() for image in images}


def _fill(template: Path, name: str, values: dict[str, object]) -> dict[str, bytes]:
    return {
        target: Template((template / source).read_text(encoding="utf-8")).substitute(values).encode()
        for target, source in {f"{name}.py": "builder.py.in", "README.md": "README.md.in"}.items()
    }
