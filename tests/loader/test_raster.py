"""Pixels are resized, coloured and written as OpenCV would, which the loader does not bring."""

import cv2
import numpy as np
import pytest

from loader._display.images import apply_colormap
from loader._display.raster import draw_text, encode_jpeg, encode_png, resize

RNG = np.random.default_rng(0)
RGB = {1: [0], 3: [2, 1, 0], 4: [2, 1, 0, 3]}


def decoded(data, channels):
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return image.reshape(*image.shape[:2], channels)[:, :, RGB[channels]]


def smooth(channels, size=(90, 70)):
    pixels = cv2.resize(RNG.integers(0, 256, (9, 7, channels), dtype=np.uint8), size[::-1])
    return pixels.reshape(*size, channels)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("make", [smooth, lambda channels: RNG.integers(0, 256, (1, 5, channels), dtype=np.uint8)])
def test_a_png_has_the_pixels_and_about_the_size_of_opencvs(channels, make):
    pixels = make(channels)
    data = encode_png(pixels)
    np.testing.assert_array_equal(decoded(data, channels), pixels)
    settings = [cv2.IMWRITE_PNG_COMPRESSION, 9]
    assert len(data) < 1.3 * len(cv2.imencode(".png", pixels[:, :, RGB[channels]], settings)[1])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_jpeg_has_about_the_pixels(channels):
    pixels = smooth(channels)
    assert np.abs(decoded(encode_jpeg(pixels), channels).astype(int) - pixels).mean() < 5


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
@pytest.mark.parametrize(
    ("shape", "size"),
    [((300, 200, 3), (100, 67)), ((5, 7, 1), (3, 7)), ((200, 199, 4), (199, 1)), ((28, 28, 1), (7, 7))],
)
def test_fewer_pixels_are_averages_of_areas_as_in_opencv(dtype, shape, size):
    most = np.iinfo(dtype).max if np.issubdtype(dtype, np.integer) else 1
    pixels = (RNG.random(shape) * most).astype(dtype)
    expected = cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_AREA).reshape(*size, shape[2])
    found = resize(pixels, size)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1 if most > 1 else 1e-6)


def test_what_is_no_number_stays_where_it_is():
    pixels = np.ones((8, 8, 1), np.float32)
    pixels[0, 0] = np.nan
    assert np.isnan(resize(pixels, (4, 4))).sum() == 1


def test_more_pixels_repeat_the_stored_ones():
    np.testing.assert_array_equal(resize(np.array([[1, 2]]), (2, 4)), [[1, 1, 2, 2]] * 2)


def test_exact_pixels_are_stored_ones():
    pixels = np.array([[1, 9, 2, 9]])
    np.testing.assert_array_equal(resize(pixels, (1, 2), is_exact=True), [[1, 2]])


@pytest.mark.parametrize(("name", "number"), [("viridis", cv2.COLORMAP_VIRIDIS), ("magma", cv2.COLORMAP_MAGMA)])
def test_colour_maps_are_those_of_opencv(name, number):
    grey = np.arange(256, dtype=np.uint8)[None]
    np.testing.assert_array_equal(apply_colormap(grey, name), cv2.applyColorMap(grey, number)[:, :, ::-1])


def drawn(text, x=5, y=30):
    canvas = np.full((50, 300, 3), 255, np.uint8)
    draw_text(canvas, text, x, y, (0, 0, 0))
    return canvas


def test_every_letter_of_ascii_is_drawn_and_has_its_own_shape():
    shapes = {drawn(chr(number)).tobytes() for number in range(32, 127)}
    assert len(shapes) >= 94
    np.testing.assert_array_equal(drawn("é"), drawn("?"))


@pytest.mark.parametrize(("x", "y"), [(295, 30), (5, 3), (5, 50), (300, 30)])
def test_text_is_cut_off_at_the_edge(x, y):
    assert drawn("Wg", x, y).shape == (50, 300, 3)
