"""How the annotations of the crossings are laid out."""

import json

CATEGORIES = ("car", "pedestrian", "sign")


def read_frames(path):
    """Yield the frames of an annotation file."""
    yield from json.loads(path.read_text())["frames"]
