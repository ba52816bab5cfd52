"""Digests of what the loader decodes from the files in `encoded/`; derived datasets are made from such values.

The files are kept as they are, so that no encoder has a part in the digests.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np

ENCODED = Path(__file__).with_name("encoded")
# The decoder of a file, by its suffix.
DECODERS = {
    ".png": "kornia-rs, and the loader through numpy if the channels are not those of the file",
    ".jpg": "simplejpeg, or kornia-rs for a subsampling that simplejpeg does not support",
    ".wav": "the loader, through numpy",
}


def measure_decoders() -> dict[str, str]:
    """Return the digest of each file's values, for each number of channels to which the loader decodes it."""
    digests = {}
    for path in sorted(ENCODED.iterdir()):
        for channels in (1, 2) if path.suffix == ".wav" else (1, 3, 4):
            try:
                values = _decode(path, channels)
            except ValueError:  # the file cannot be decoded to this number of channels
                continue
            described = [[array.dtype.str, list(array.shape), array.tobytes().hex()] for array in values]
            digests[f"{path.name} to {channels} channels"] = hashlib.sha256(json.dumps(described).encode()).hexdigest()
    return digests


def _decode(path: Path, channels: int) -> list[np.ndarray]:
    from loader._features.audio import wav_decoder
    from loader._features.connectors import Audio, Image
    from loader._features.images import image_decoder

    data = path.read_bytes()
    if path.suffix == ".wav":
        feature = Audio(shape=(None, channels), dtype=np.dtype(np.int64), encoding="none", lazy_decode=True)
        return [wav_decoder(feature)(data)]
    found = []
    for dtype in (np.dtype(np.uint8), np.dtype(np.uint16)):
        image = image_decoder(Image(shape=(None, None, channels), dtype=dtype))(data)
        # the loader may take another way if the size is declared
        found += [image, image_decoder(Image(shape=image.shape, dtype=dtype))(data)]
    return found
