"""docs/frameworks/notebooks.md in a real kernel: what its cells show, and what the pictures of them look like."""

import re
import shutil

import numpy as np
import pytest

import loader
from tests.conftest import ROOT, Clone
from tests.helpers.browser import Browser
from tests.helpers.recorded_dataset import make_recorded
from tests.test_docs import blocks

PAGE = ROOT / "docs/frameworks/notebooks.md"


def text_of(html):
    """What a person reads of a part of a notebook."""
    without = re.sub(r"<style>.*?</style>|<[^>]*>", " ", html, flags=re.DOTALL)
    return " ".join(without.split())


@pytest.fixture(scope="module")
def outputs(built, tmp_path_factory):
    """The data of each cell's output, by MIME type, of cells that ran in a kernel; the last cell shows an example."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    clone = Clone(tmp_path_factory.mktemp("notebook") / "clone")
    shutil.copytree(built("mnist").root, clone.root, symlinks=True)
    shutil.copytree(built("digit").root / ".dvc/cache", clone.root / ".dvc/cache", dirs_exist_ok=True)
    clone.run("dvc", "checkout", "digit")
    cells = [nbformat.v4.new_code_cell(source) for source in [*blocks(PAGE, "python"), "train[7]"]]
    notebook = nbformat.v4.new_notebook(cells=cells)
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(clone.root)}}).execute()
    return [dict(output.get("data", {})) for cell in notebook.cells for output in cell.outputs]


@pytest.mark.slow
def test_the_cells_of_the_page_show_what_it_says(outputs):
    info, registered, train, threes, seven, _, recording, mapped, example = outputs
    assert "train 60,000" in text_of(info["text/html"])
    assert "28 × 28 × 1 uint8" in text_of(info["text/html"])  # noqa: RUF001  (the sign that it shows)
    assert "3.0.1" in text_of(registered["text/html"])
    assert train["text/plain"] == "<mnist/3.0.1 train: 60,000 examples of image, label>"
    assert train["text/html"].count("<img") == 8
    assert "and 59,992 more examples" in text_of(train["text/html"])
    assert re.findall(r"label (\d)", text_of(threes["text/html"])) == ["3"] * 8
    assert 'width="224"' in seven["text/html"]  # enlarged by 8
    assert recording["text/html"].count("<audio") == 1
    assert mapped["text/html"].count("<img") == 8  # two of each of four examples
    assert max(len(each.get("text/html", "").encode()) for each in outputs) < 500_000
    assert "text/html" not in example  # an example is a plain dict
    assert "'label'" in example["text/plain"]


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_outputs_are_readable_on_light_and_dark_pages(outputs, tmp_path, dark):
    shown = [each["text/html"] for each in outputs if "text/html" in each]
    colors = "color: #ddd; background: #111" if dark else "color: #111; background: #fff"
    sections = "".join(f"<section>{html}</section>" for html in shown)
    (tmp_path / "notebook.html").write_text(
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>n</title><style>body {{ {colors} }}</style>'
        f"<main><h1>n</h1>{sections}</main></html>"
    )
    with Browser() as browser:
        visit = browser.open(tmp_path / "notebook.html", dark=dark)
        visit.screenshot(tmp_path / "notebook.png")
        assert visit.requests == visit.problems == visit.axe() == []
        assert not visit.is_wider_than_the_window()
        broken = "[...document.images].filter(image => !image.complete || !image.naturalWidth).length"
        assert visit.page.evaluate(broken) == 0
        widths = visit.page.evaluate("[...document.querySelectorAll('section')].map(each => each.scrollWidth)")
        assert max(widths) <= 1280


@pytest.fixture
def train(tmp_path):
    _, train = loader.load("small", "train", repo=make_recorded(tmp_path / "repository"))
    return train


PICTURE = np.arange(300, dtype=np.uint8).reshape(10, 10, 3)


@pytest.mark.parametrize(
    ("made", "images", "shown"),
    [
        ({"before": PICTURE, "after": PICTURE / 255}, 4, "before"),
        ((PICTURE, np.int64(3)), 2, "1 3"),
        (PICTURE, 2, "[1]"),
        (7, 0, "[0] 7"),
        ({"name": "<b>three</b>"}, 0, "three"),
        ({"label": 0.5}, 0, "0.5"),  # no class
        ({"label": 1}, 0, "one"),  # a class
        ({"label": np.eye(3)[1]}, 0, "0, 1, 0"),
    ],
    ids=["other names", "a tuple", "an image", "a number", "text", "a smoothed label", "a label", "a one-hot label"],
)
def test_a_mapped_split_shows_what_the_function_returned(train, made, images, shown):
    html = train.map(lambda _: made)[:2]._repr_html_()
    assert html.count("<img") == images
    assert shown in text_of(html)
    assert "<b>" not in html


def test_a_mapped_split_shows_tensors_with_the_channels_first_as_images(train):
    torch = pytest.importorskip("torch")
    image = torch.from_numpy(PICTURE).permute(2, 0, 1)
    [height, width] = [10, 10]
    html = train.map(lambda _: {"pixels": image, "label": torch.tensor(2)})[:1]._repr_html_()
    assert html.count("<img") == 1
    assert f"{height * 8}" in html
    assert f"{width * 8}" in html
    assert "two" in text_of(html)
