"""`python -m loader show`: what its page and sheet say, which records it reads, and what it refuses."""

import os
import re
import subprocess
import sys

import cv2
import numpy as np
import pytest

import loader
from loader import _sample
from loader._commands import show
from loader._display.choice import choose_evenly
from loader._display.output import write_output
from loader._errors import ArgumentError, LoaderError, NotFoundError, UnsupportedError
from tests.fuzz.zoo import make_zoo
from tests.helpers.killing import kill_at_step
from tests.helpers.recorded_dataset import make_git, make_recorded
from tests.helpers.s3_proxy import running_proxy

NO_OPTIONS = {"config": None, "rev": None, "repo": None, "offline": None, "stream": False}


def run(root, *arguments, check=True, limit_kibibytes=None):
    """Run the command in a folder, and return its exit code, stdout and stderr."""
    command = [sys.executable, "-m", "loader", "show", *arguments]
    if limit_kibibytes is not None:
        command = ["bash", "-c", f'ulimit -f {limit_kibibytes}; exec "$@"', "bash", *command]
    done = subprocess.run(
        command, cwd=root, env={**os.environ, "DATASETS_REPO": str(root)}, capture_output=True, text=True
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done


def text_of(html):
    return re.sub(r"\s+", " ", re.sub(r"<style.*?</style>|<[^>]*>", " ", html, flags=re.DOTALL))


def test_the_page_says_what_the_dataset_is_and_shows_some_of_each_class(small):
    done = run(small, "small", "--examples", "9")
    assert done.stdout == "small.html: 9 examples of small/1.0.0 train\n"
    html = (small / "small.html").read_text()
    text = text_of(html)
    for said in (
        "<title>small/1.0.0</title>",
        "version 1.0.0 · CC0",
    ):
        assert said in html
    assert "train 5,300 " in text
    assert "9 of 5,300 examples, about as many of each class" in text
    assert "label ClassLabel int64 3 classes: zero, one, two" in text
    assert re.findall(r"<h3>(\w+)</h3>", html) == ["zero", "one", "two"]
    positions = [int(number) for number in re.findall(r'<th scope="row">train (\d+)</th>', html)]
    assert len(positions) == 9
    assert [position % 1000 % 3 for position in positions] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert max(positions) - min(positions) > 2000
    assert all(f"train {position}" in html for position in positions)
    run(small, "small", "--examples", "9", "--output", "again.html")
    assert (small / "again.html").read_text() == html


def test_the_lines_on_the_page_load_the_split(small, monkeypatch):
    monkeypatch.setenv("DATASETS_REPO", str(small))
    lines = show.load_lines("small", "test", NO_OPTIONS)
    scope = {}
    exec(lines, scope)
    assert len(scope["ds"]) == 70
    given = {**NO_OPTIONS, "repo": "https://me:secret@example.org/x.git", "rev": "v1", "config": "a'b"}
    assert "secret" not in show.load_lines("small", "test", given)
    expected = 'loader.load("small", split="test", config="a\'b", rev="v1", repo="https://example.org/x.git")'
    assert expected in show.load_lines("small", "test", given)


def test_a_part_of_a_split_is_shown_with_its_name(small):
    run(small, "small", "--split", "test[:3]", "--output", "part.html")
    html = (small / "part.html").read_text()
    assert "Examples of test[:3]" in html
    assert "test[:3] 2" in html


def test_the_histogram_is_that_of_the_recorded_statistics_if_there_are_any(small):
    run(small, "small", "--split", "test")
    html = (small / "small.html").read_text()
    assert "Examples of each class in test, from the recorded statistics" in html
    labels = [int(example["label"]) for example in loader.load("small", split="test", repo=small)[1]]
    counts = [labels.count(number) for number in range(3)]
    expected = " ".join(
        f"{name} {count} {count / 70:.1%}" for name, count in zip(("zero", "one", "two"), counts, strict=True)
    )
    assert expected in text_of(html)
    statistics = small / "artifacts/small.stats.json"
    for spoil in (lambda: statistics.write_text("{}"), statistics.unlink):
        spoil()
        run(small, "small", "--split", "test", "--examples", "3")
        html = (small / "small.html").read_text()
        assert "Among 16 of 70 examples, whose labels were read to choose those below" in html
    run(small, "small", "--split", "test[:5]")
    assert "Examples of each class in test[:5]<" in (small / "small.html").read_text()


def test_examples_without_a_class_label_are_evenly_spaced(small, monkeypatch):
    monkeypatch.setattr(_sample, "class_label", lambda features: None)
    shown = show.read_examples("small", None, 10, {**NO_OPTIONS, "repo": small})
    assert shown.choice.positions == tuple(range(0, 5300, 530))
    html = show.page_body(shown, "small", NO_OPTIONS)
    assert "Classes of" not in html
    assert "train 530" in html
    assert "10 of 5,300 examples, evenly spaced" in html


def test_every_feature_of_the_zoo_is_on_a_page_and_a_sheet(tmp_path):
    root = make_zoo(tmp_path / "zoo")
    done = run(root, "small", "--output", "page.html", "--png", "sheet.png")
    assert done.stdout.splitlines() == [
        "sheet.png: 6 examples of small/1.0.0 train",
        "page.html: 6 examples of small/1.0.0 train",
    ]
    drawn = cv2.imread(str(root / "sheet.png"))
    assert drawn.shape[1] == (6 * 128 + 16) * 2
    assert "data:audio/wav" in (root / "page.html").read_text()


def test_a_sheet_alone_writes_no_page(tmp_path):
    root = make_zoo(tmp_path / "zoo")
    run(root, "small", "--png", "sheet.png")
    assert not (root / "small.html").exists()


def test_what_cannot_be_shown_is_one_sentence(small):
    done = run(small, "small", "--png", "sheet.png", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: a PNG shows images, videos or audio, and these examples have none")
    assert done.stderr.count("\n") == 1
    assert not (small / "sheet.png").exists()
    done = run(small, "small", "--split", "validation", check=False)
    assert done.returncode == 1
    assert "validation" in done.stderr
    assert "Traceback" not in done.stderr


def test_large_records_are_read_once(small, monkeypatch):
    monkeypatch.setattr(_sample, "LABELS_BYTES", 100)
    read = []
    decode = loader.Split.decode_range

    def counted(self, start, stop=None):
        for example in decode(self, start, stop):
            read.append(example["text"])
            yield example

    monkeypatch.setattr(loader.Split, "decode_range", counted)
    shown = show.read_examples("small", None, 10, {**NO_OPTIONS, "repo": small})
    assert len(read) == len(set(read)) == len(shown.examples) == 10
    assert list(shown.choice.classes) == sorted(int(example["label"]) for example in shown.examples)


def test_an_empty_part_is_not_shown(small):
    with pytest.raises(NotFoundError, match=re.escape("small/1.0.0 train[:0] has no examples to show")):
        show.read_examples("small", "train[:0]", 10, {**NO_OPTIONS, "repo": small})


def test_a_page_and_a_sheet_cannot_be_one_file(small, monkeypatch):
    monkeypatch.chdir(small)
    with pytest.raises(ArgumentError, match="name two files"):
        show.command("small", output=show.Path("x"), png=small / "x")


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        (".", "is a folder: name a file to write to"),
        ("artifacts", "is a folder: name a file to write to"),
        ("new/page.html", "its folder does not exist; create it with: mkdir -p new"),
        ("/dev/null", "is not a file: name a file to write to"),
    ],
)
def test_only_files_are_written(small, monkeypatch, target, problem):
    monkeypatch.chdir(small)
    with pytest.raises(ArgumentError, match=re.escape(problem)):
        write_output(show.Path(target), b"x")


def test_on_a_full_disk_the_earlier_page_stays(small):
    run(small, "small")
    before = sorted(small.iterdir()), (small / "small.html").read_bytes()
    done = run(small, "small", "--examples", "40", check=False, limit_kibibytes=4)
    assert done.returncode == 1
    assert done.stderr == "error: small.html cannot be written (File too large)\n"
    assert (sorted(small.iterdir()), (small / "small.html").read_bytes()) == before


def test_a_page_that_is_killed_while_it_is_written_leaves_the_earlier_one(tmp_path):
    target = tmp_path / "page.html"
    target.write_bytes(b"old")
    step = 0
    while not kill_at_step(lambda: write_output(target, b"new"), step, root=tmp_path):
        assert target.read_bytes() in (b"old", b"new")
        target.write_bytes(b"old")
        step += 1
    assert target.read_bytes() == b"new"


def test_a_link_is_followed(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "page.html")
    write_output(tmp_path / "link", b"x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "page.html").read_bytes() == b"x"


def test_an_unwritable_folder_is_named(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(show.Path, "write_bytes", refuse)
    with pytest.raises(LoaderError, match=r"page.html cannot be written \(Permission denied\)"):
        write_output(tmp_path / "page.html", b"x")


def test_what_is_only_on_the_remote_is_shown_from_the_needed_records_alone(tmp_path, remote, s3_server):
    root = make_recorded(tmp_path / "repository")
    make_git(root)
    remote.point(root)
    tar = root / "artifacts/small.tar"
    size = tar.stat().st_size
    remote.publish(tar)
    tar.unlink()
    with running_proxy(s3_server.endpoint) as proxy:
        local = root / ".dvc/config.local"
        local.write_text(re.sub("endpointurl = .*", f"endpointurl = {proxy.url}", local.read_text()))
        run(root, "small", "--examples", "6", "--stream")
        moved = proxy.bytes_transferred
    assert "train " in (root / "small.html").read_text()
    # the blocks of its record index are most of it
    assert moved < size / 2.5
    assert not (tmp_path / "loader-cache").exists() or not list((tmp_path / "loader-cache").rglob("*.tar"))


def test_an_image_that_only_tfds_decodes_is_an_error_in_one_sentence(tmp_path, monkeypatch):
    root = make_recorded(tmp_path / "repository")

    def refuse(*_, **__):
        raise UnsupportedError("feature 'x' is a Y, which only TFDS can decode")

    monkeypatch.setattr(loader, "load", refuse)
    with pytest.raises(UnsupportedError, match="only TFDS"):
        show.read_examples("small", None, 10, {**NO_OPTIONS, "repo": root})


def test_a_hundred_examples_of_large_images_stay_within_the_page(small):
    from loader._features.connectors import FeaturesDict, Image

    info, _ = loader.load("small", repo=small)
    pixels = np.random.default_rng(0).integers(0, 256, (500, 500, 3), np.uint8)
    features = FeaturesDict({"image": Image(shape=(None, None, 3), dtype=np.dtype("uint8"))})
    choice = choose_evenly(100, 100)
    shown = show.Sample(
        loader.DatasetInfo(**{**vars(info), "features": features}),
        "train",
        100,
        choice,
        None,
        [{"image": pixels}] * 100,
    )
    assert len(show.page_body(shown, "small", NO_OPTIONS)) < show.PAGE_BYTES
