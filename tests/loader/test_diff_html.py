"""The page of a difference: what it shows, and how a browser takes it."""

import json
import re

import cv2
import numpy as np
import pytest

from loader._diff import diff
from loader._registry.differences.html import difference_page
from tests.helpers.browser import Browser
from tests.helpers.dataset_history import History, encode
from tests.helpers.recorded_dataset import FEATURES

IMAGE = {
    "pythonClassName": "tensorflow_datasets.core.features.image_feature.Image",
    "image": {"dtype": "uint8", "encodingFormat": "png", "shape": {"dimensions": ["16", "16", "3"]}},
}
VECTOR = {
    "pythonClassName": "tensorflow_datasets.core.features.tensor_feature.Tensor",
    "tensor": {"dtype": "float32", "encoding": "bytes", "shape": {"dimensions": ["3"]}},
}


def record(number, *, shade=0, text="a b c", vector=(1, 2, 3)):
    pixels = np.full((16, 16, 3), 40 + number, np.uint8)
    pixels[4:8, 4:8] += np.uint8(shade)
    image = cv2.imencode(".png", pixels)[1].tobytes()
    return encode({"image": image, "label": number % 3, "text": text.encode(), "vector": np.array(vector, np.float32)})


@pytest.fixture
def found(tmp_path):
    """A dataset of which an image, a text, a label and a vector change."""
    features = json.loads(json.dumps(FEATURES))
    inner = features["featuresDict"]["features"]
    del inner["samples"]
    inner |= {"image": IMAGE, "vector": VECTOR}
    history = History(tmp_path / "history")
    history.commit({"train": {str(n): record(n) for n in range(8)}}, features=features)
    changed = {
        "0": record(0, shade=9),
        "1": record(1, text="a <script>alert(1)</script> c"),
        "2": record(2, vector=(1, 2, 4)),
        **{str(n): record(n) for n in range(3, 9)},
    }
    history.commit({"train": changed}, features=features, version="1.1.0", description="<img src=http://x.example>")
    return diff("small", "HEAD~1", "HEAD", repo=history.root, examples=9)


def test_an_image_is_shown_beside_the_old_one_with_their_difference_as_a_picture(found):
    (section,) = (part for part in sections(found) if "image of" in part and "difference of image" in part)
    assert section.count("<img") == 3
    assert "28.3 times as bright" in section  # a difference of 9 is hardly visible


def test_changed_words_are_marked_and_what_they_say_is_no_markup(found):
    text = difference_page(found)
    assert "a <del>b</del> c" in text
    assert "<ins>&lt;script&gt;alert(1)&lt;/script&gt;</ins>" in text
    assert "<script" not in text
    assert "<img src=http" not in text


def test_an_array_is_shown_with_both_values_and_how_they_differ(found):
    (section,) = (part for part in sections(found) if "1 of 3 elements" in part)
    assert "at most by 1" in section


def test_the_features_that_did_not_change_are_shown_too_so_that_one_knows_the_example(found):
    (section,) = (part for part in sections(found) if "<del>" in part)
    assert section.count("<img") == 1
    assert "<dt>label</dt>" in section


def test_a_notebook_shows_the_same(found):
    assert "a <del>b</del> c" in found._repr_html_()


@pytest.mark.parametrize(("width", "dark"), [(1200, False), (375, True)])
def test_a_browser_asks_for_nothing_and_axe_finds_nothing_serious(found, tmp_path, width, dark):
    page = tmp_path / "diff.html"
    page.write_text(difference_page(found))
    with Browser() as browser:
        visit = browser.open(page, width=width, dark=dark)
        assert (visit.requests, visit.problems, visit.axe()) == ([], [], [])
        assert not visit.is_wider_than_the_window()
        visit.screenshot(tmp_path / "diff.png")


def sections(difference):
    """The part of the page of each example."""
    return re.findall("<section>.*?</section>", difference_page(difference), re.DOTALL)
