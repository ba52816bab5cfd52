"""4,000 generated JPEG images of 224 x 224, with the statistics of photographs."""

import io

import cv2
import numpy as np
import tensorflow_datasets as tfds

SIZE = 224
COUNT = 4000
LABELS = 10
QUALITY = 90
SHAPES = 6

_Y, _X = np.mgrid[:SIZE, :SIZE].astype(np.float32) / SIZE
_FREQUENCY = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE)[None, :])
_FREQUENCY[0, 0] = np.inf


class Jpeg(tfds.core.GeneratorBasedBuilder):
    """Noise whose spectrum falls with the frequency, as that of photographs does, under shapes with hard edges."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(SIZE, SIZE, 3), encoding_format="jpeg"),
                    "label": tfds.features.ClassLabel(num_classes=LABELS),
                }
            ),
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for number in range(COUNT):
            image = draw(np.random.default_rng(number))
            _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
            yield number, {"image": io.BytesIO(data.tobytes()), "label": number % LABELS}


def draw(random):
    """Return an image, uint8 (224, 224, 3)."""
    falloff = random.uniform(1.1, 1.9)
    brightness, tint = _noise(random, falloff), _noise(random, falloff)
    image = 128 + 40 * brightness[..., None] + 8 * tint[..., None] * random.normal(size=3)
    for _ in range(SHAPES):
        y, x, turn = random.uniform(0, 1, 3)
        height, width = random.uniform(0.05, 0.4, 2)
        along = ((_Y - y) * np.cos(np.pi * turn) + (_X - x) * np.sin(np.pi * turn)) / height
        across = ((_X - x) * np.cos(np.pi * turn) - (_Y - y) * np.sin(np.pi * turn)) / width
        is_ellipse = random.random() < 0.5  # or a rectangle
        distance = np.hypot(along, across) if is_ellipse else np.maximum(abs(along), abs(across))
        image[distance < 1] += random.normal(scale=35, size=3)
    return np.clip(image, 0, 255).astype(np.uint8)


def _noise(random, falloff):
    """Return noise of amplitude frequency ** -falloff, mean 0 and deviation 1."""
    spectrum = np.fft.rfft2(random.normal(size=(SIZE, SIZE))) / _FREQUENCY**falloff
    noise = np.fft.irfft2(spectrum, s=(SIZE, SIZE))
    return noise / noise.std()
