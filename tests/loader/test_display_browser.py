"""Pages and parts of notebooks in headless Chromium: no request, no error, nothing that axe finds, all reachable."""

import json
import re

import numpy as np
import pytest

import loader
from loader._commands.show import read_examples
from loader._display.dataset import features_html, link_html
from loader._display.examples import examples_html
from loader._display.histogram import histogram_html
from loader._display.page import page
from loader._display.values import example_html
from loader._features.connectors import (
    Audio,
    BBoxFeature,
    ClassLabel,
    FeaturesDict,
    Image,
    LabeledImage,
    Sequence,
    Tensor,
    Text,
    TfdsFeature,
    Video,
)
from tests.fuzz.zoo import make_zoo
from tests.helpers.browser import Browser
from tests.helpers.recorded_dataset import make_recorded
from tests.loader.test_display import HOSTILE

UINT8 = np.dtype("uint8")
PHOTO = Image(shape=(None, None, 3), dtype=UINT8)
OBJECTS = FeaturesDict(
    {
        "image": PHOTO,
        "mask": LabeledImage(shape=(None, None, 1), dtype=UINT8, num_classes=2, given_names=("road", "car")),
        "objects": Sequence(
            FeaturesDict({"bbox": BBoxFeature(), "label": ClassLabel(num_classes=2, given_names=("person", "bicycle"))})
        ),
        "caption": Text(),
        "depth": Tensor(shape=(None, None), dtype=np.dtype("float32")),
    }
)
MEDIA = FeaturesDict(
    {
        "audio": Audio(shape=(None,), dtype=np.dtype("int16"), sample_rate=8000),
        "video": Video(PHOTO),
        "label": ClassLabel(num_classes=2, given_names=("clapping hands", "running")),
    }
)


def picture(height, width):
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([rows * 255 // height, columns * 255 // width, (rows ^ columns) % 256], axis=-1).astype(np.uint8)


def objects(number):
    return {
        "image": picture(240, 320),
        "mask": (picture(240, 320)[:, :, :1] > 99).astype(np.uint8),
        "objects": {
            "bbox": np.array([[0.1, 0.1, 0.5, 0.4], [0.3, 0.5, 1, 1]], np.float32)[:number],
            "label": np.arange(2)[:number],
        },
        "caption": b"Two people and a bicycle. " * number * 10,
        "depth": np.eye(30, dtype=np.float32),
    }


def media(number):
    seconds = np.arange(4000) / 8000
    return {
        "audio": (np.sin(2 * np.pi * 440 * number * seconds) * 9000).astype(np.int16),
        "video": np.stack([picture(48, 64 + shift)[:, shift:] for shift in range(20)]),
        "label": np.int64(number % 2),
    }


def body(heading, *parts):
    return f"<h1>{heading}</h1>" + "".join(f"<h2>Part {number}</h2>{part}" for number, part in enumerate(parts))


def made_up():
    return body(
        "Made up",
        features_html(OBJECTS),
        histogram_html({"person": 3, "bicycle": 9}),
        examples_html(OBJECTS, [objects(number) for number in range(3)]),
        examples_html(MEDIA, [media(number) for number in range(3)]),
        examples_html(FeaturesDict({"caption": OBJECTS["caption"]}), [{"caption": b"a" * 500}, {"caption": b"b"}]),
        example_html(OBJECTS, objects(2)),
    )


def zoo(tmp_path):
    info, ds = loader.load("small", repo=make_zoo(tmp_path / "zoo"))
    examples = list(ds["test"])
    in_full = [example_html(info.features, example) for example in examples]
    return body("Zoo", features_html(info.features), examples_html(info.features, examples), *in_full)


@pytest.fixture(scope="module")
def browser():
    with Browser() as running:
        yield running


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "width", "dark"),
    [
        ("made up", 375, False),
        ("made up", 375, True),
        ("made up", 1280, False),
        ("made up", 1280, True),
        ("zoo", 375, True),  # which takes axe long
    ],
)
def test_a_page_asks_for_nothing_and_axe_finds_nothing_serious(browser, tmp_path, kind, width, dark):
    (tmp_path / "page.html").write_text(page(kind, made_up() if kind == "made up" else zoo(tmp_path)))
    visit = browser.open(tmp_path / "page.html", width=width, dark=dark)
    assert visit.requests == []
    assert visit.problems == []
    assert visit.axe("moderate", "serious", "critical") == []
    assert not visit.is_wider_than_the_window()
    light = "rgb(255, 255, 255)"
    assert (visit.page.evaluate("getComputedStyle(document.body).backgroundColor") == light) != dark
    broken = "[...document.images].filter(image => !image.complete || !image.naturalWidth).length"
    assert visit.page.evaluate(broken) == 0


def test_players_texts_and_tables_are_reached_and_used_by_keyboard(browser, tmp_path):
    (tmp_path / "page.html").write_text(page("made up", made_up()))
    visit = browser.open(tmp_path / "page.html")
    tags = visit.tab_through()
    assert tags.count("audio") >= 3
    assert tags.count("summary") >= 3
    visit.page.evaluate("document.querySelector('details').scrollIntoView()")
    visit.page.locator("summary").first.focus()
    visit.page.keyboard.press("Enter")
    assert visit.page.evaluate("document.querySelector('details').open")
    assert visit.problems == []


def test_a_recording_plays(browser, tmp_path):
    (tmp_path / "page.html").write_text(page("audio", body("Audio", examples_html(MEDIA, [media(1)]))))
    visit = browser.open(tmp_path / "page.html")
    played = visit.page.evaluate(
        """() => new Promise((resolve, reject) => {
            const player = document.querySelector("audio")
            player.muted = true
            player.onended = () => resolve(player.currentTime)
            player.play().catch(reject)
        })"""
    )
    assert played == pytest.approx(0.5, abs=0.01)
    assert visit.problems == []


def test_small_images_are_crisp_and_boxes_lie_on_their_image(browser):
    digit = {"image": picture(28, 28), "objects": {"bbox": np.array([[0.25, 0.5, 0.75, 1]]), "label": np.array([0])}}
    features = FeaturesDict({"image": PHOTO, "objects": OBJECTS["objects"]})
    visit = browser.open(page("digit", body("Digit", example_html(features, digit))))
    image, box = visit.page.locator("img").bounding_box(), visit.page.locator("rect").last.bounding_box()
    assert image["width"] == 224
    assert box["x"] == pytest.approx(image["x"] + 112, abs=2)
    assert box["y"] == pytest.approx(image["y"] + 56, abs=2)
    assert visit.page.evaluate("getComputedStyle(document.querySelector('img')).imageRendering") == "pixelated"


def hostile_body():
    label = ClassLabel(num_classes=1, given_names=(HOSTILE,))
    features = FeaturesDict(
        {
            HOSTILE: Text(),
            "image": PHOTO,
            "label": label,
            "objects": Sequence(FeaturesDict({HOSTILE: Text(), "bbox": BBoxFeature(), "label": label})),
            "other": TfdsFeature("x", {}),
        }
    )
    example = {
        HOSTILE: HOSTILE.encode() * 10,
        "image": picture(20, 20),
        "label": 0,
        "objects": {HOSTILE: [HOSTILE.encode()], "bbox": np.array([[0, 0, 1, 1]]), "label": np.array([0])},
        "other": {HOSTILE: [HOSTILE.encode()]},
    }
    text = FeaturesDict({HOSTILE: Text()})
    return body(
        "Hostile",
        examples_html(features, [example], names=[HOSTILE]),
        examples_html(text, [example], names=[HOSTILE]),
        example_html(features, example),
        features_html(features),
        histogram_html({HOSTILE: 1}, label=HOSTILE),
        link_html(HOSTILE),
        link_html("http://x/" + HOSTILE),
    )


@pytest.mark.parametrize("has_policy", [True, False], ids=["with the policy", "without it"])
def test_hostile_data_run_nothing_and_ask_for_nothing(browser, tmp_path, has_policy):
    html = page(HOSTILE, hostile_body())
    if not has_policy:  # escaping alone must hold
        html = re.sub(r"<meta http-equiv=[^>]*>", "", html)
    (tmp_path / "page.html").write_text(html)
    visit = browser.open(tmp_path / "page.html")
    visit.page.wait_for_timeout(200)
    assert visit.page.evaluate("window.hacked") is None
    assert visit.page.evaluate("document.scripts.length") == 0
    assert visit.page.evaluate("document.querySelectorAll('[onerror]').length") == 0
    assert visit.requests == []
    assert visit.problems == []


def test_the_policy_stops_a_script_that_came_into_a_page(browser, tmp_path):
    (tmp_path / "page.html").write_text(page("t", "<script>window.hacked = 1</script>", script="window.ours = 1"))
    visit = browser.open(tmp_path / "page.html")
    assert visit.page.evaluate("[window.hacked, window.ours]") == [None, 1]


def test_a_split_an_example_and_an_info_show_themselves_in_a_notebook(browser, tmp_path):
    info, ds = loader.load("small", repo=make_zoo(tmp_path / "zoo"))
    parts = [ds["test"]._repr_html_(), ds["test"][1:2]._repr_html_(), info._repr_html_()]
    assert max(len(part.encode()) for part in parts) < 500_000
    style = "body { color: #ddd; background: #111; font: 13px sans-serif } td { border: 3px solid red }"
    around = '<table id="other"><tr><td>untouched</td></tr></table>'
    html = f'<!DOCTYPE html><html lang="en"><title>n</title><style>{style}</style><main><h1>n</h1>{around}'
    visit = browser.open(html + "".join(f"<section>{part}</section>" for part in parts) + "</main></html>")
    assert visit.requests == []
    assert visit.problems == []
    assert visit.axe() == []
    border = "getComputedStyle(document.querySelector('{} td')).borderLeftWidth"
    assert visit.page.evaluate(border.format("#other")) == "3px"
    assert visit.page.evaluate(border.format(".dv")) == "0px"
    assert "small/1.0.0 test: 2 examples" in visit.page.locator("section").nth(0).inner_text()


def test_a_split_shows_its_first_examples_or_its_only_one_in_full(tmp_path):
    _, ds = loader.load("small", repo=make_recorded(tmp_path / "repository"))
    html = ds["train"]._repr_html_()
    assert "train 7" in html
    assert "train 8" not in html
    assert "\u2026and 5,292 more examples" in html
    only = ds["train"][30:31]._repr_html_()
    assert "train 30" in only
    assert "dv-example" in only
    assert "0 examples" in ds["train"][:0]._repr_html_()


def test_a_split_of_another_format_shows_its_numpy_values(tmp_path):
    pytest.importorskip("torch")
    _, ds = loader.load("small", repo=make_recorded(tmp_path / "repository"), format="torch")
    assert "train 7" in ds["train"]._repr_html_()


def test_a_split_that_cannot_be_read_shows_its_text_and_why(tmp_path):
    root = make_recorded(tmp_path / "repository")
    _, ds = loader.load("small", repo=root)
    with (root / "artifacts/small.tar").open("r+b") as tar:
        tar.seek(100_000)
        tar.write(bytes(400_000))
    html = ds["train"]._repr_html_()
    assert "&lt;small/1.0.0 train: 5,300 examples" in html
    assert "is damaged" in html
    assert json.dumps(html)


def test_examples_that_are_too_large_to_show_are_described(tmp_path, monkeypatch):
    from loader._display import notebook

    _, ds = loader.load("small", repo=make_recorded(tmp_path / "repository"))
    monkeypatch.setattr(notebook, "MAX_BYTES", 1000)
    html = ds["train"]._repr_html_()
    assert "it takes more than 1,000 bytes to show" in html
    assert "5,300 examples" in html


def test_the_page_of_a_dataset_passes_too(browser, tmp_path):
    from loader._commands.show import page_body

    root = make_recorded(tmp_path / "repository")
    options = {"config": None, "rev": None, "repo": str(root), "offline": True, "stream": False}
    shown = read_examples("small", None, 12, options)
    (tmp_path / "page.html").write_text(page("small", page_body(shown, "small", options)))
    visit = browser.open(tmp_path / "page.html", width=375)
    assert visit.requests == visit.problems == visit.axe("moderate", "serious", "critical") == []
    assert not visit.is_wider_than_the_window()
    assert visit.page.locator("section h3").all_inner_texts() == ["zero", "one", "two"]
