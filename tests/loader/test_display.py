"""Values as HTML: what is shown of each feature, that data are escaped, and that sizes are limited."""

import base64
import re
import struct
from collections import Counter

import cv2
import numpy as np
import pytest

from loader._display.choice import choose_by_class, choose_evenly, class_label, spread
from loader._display.dataset import features_html, link_html, size_text
from loader._display.examples import examples_html
from loader._display.histogram import histogram_html
from loader._display.page import fragment, page
from loader._display.sheet import sheet
from loader._display.values import example_html, find_boxes, value_html
from loader._errors import UnsupportedError
from loader._features.connectors import (
    Audio,
    BBoxFeature,
    ClassLabel,
    Dataset,
    FeaturesDict,
    Image,
    LabeledImage,
    Sequence,
    Tensor,
    Text,
    TfdsFeature,
    Translation,
    Video,
)
from loader._features.parse import parse_features
from tests.fuzz.zoo import ZOO, handmade_features, serialize
from tests.helpers.parity import document, no_file

HOSTILE = "\"'><script>window.hacked=1</script><img src=http://127.0.0.1:9/x onerror=window.hacked=1><!--"
COLORS = ClassLabel(num_classes=3, given_names=("red", "green", "blue"))


def tensor(shape, dtype):
    return Tensor(shape=shape, dtype=np.dtype(dtype))


def image(dtype="uint8", channels=3):
    return Image(shape=(None, None, channels), dtype=np.dtype(dtype))


def text_of(html):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", html)).strip()


def images_in(html):
    """The images in data URIs, as OpenCV decodes them."""
    found = re.findall(r'src="data:image/(?:png|jpeg);base64,([^"]*)"', html)
    return [cv2.imdecode(np.frombuffer(base64.b64decode(each), np.uint8), cv2.IMREAD_UNCHANGED) for each in found]


def wav_in(html):
    """The sample rate and the samples of the WAV in a data URI."""
    data = base64.b64decode(re.search(r"data:audio/wav;base64,([^\"]*)", html)[1])
    return struct.unpack_from("<I", data, 24)[0], np.frombuffer(data, "<i2", offset=44)


@pytest.mark.parametrize("name", ZOO)
def test_every_feature_of_the_zoo_is_shown(name):
    from loader._features.decode import make_decoder

    stored = handmade_features()[name]
    decode = make_decoder(stored.features)
    examples = [decode(serialize(fields)) for fields in stored.examples]
    for html in (example_html(stored.features, examples[0]), examples_html(stored.features, examples)):
        assert text_of(html) or images_in(html)
        assert html.count("<div") == html.count("</div>")
    assert features_html(stored.features)


def test_pixels_that_fit_are_unchanged():
    pixels = np.random.default_rng(0).integers(0, 256, (28, 20, 3), np.uint8)
    html = value_html(image(), pixels, label="a digit")
    [shown] = images_in(html)
    assert np.array_equal(shown[:, :, ::-1], pixels)
    assert 'alt="a digit" width="80" height="112" class="dv-crisp"' in html


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_images_of_every_dtype_and_number_of_channels_are_shown(dtype, channels):
    pixels = (np.ones((6, 5, channels)) * np.arange(5)[:, None]).astype(dtype)
    html = value_html(image(dtype, channels), pixels)
    [shown] = images_in(html)
    assert shown.shape == {1: (6, 5), 2: (6, 5, 4), 3: (6, 5, 3), 4: (6, 5, 4)}[channels]
    assert ("black is 0, white is 4" in html) == (dtype != "uint8")


def test_a_float_image_with_values_that_are_not_finite_is_shown():
    pixels = np.array([[0.0, 0.5, np.nan, np.inf, 1.0]], np.float32)[:, :, None]
    [shown] = images_in(value_html(image("float32", 1), pixels))
    assert shown.tolist() == [[0, 128, 0, 0, 255]]


@pytest.mark.parametrize("shape", [(3000, 4000, 3), (40_000, 1, 1), (1, 40_000, 3)])
def test_a_large_image_is_reduced_until_it_fits_its_budget(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    html = value_html(image(channels=shape[2]), pixels, budget=20_000)
    assert len(images_in(html)) == 1
    assert len(html) < 21_000


def test_an_image_without_budget_is_described():
    assert text_of(value_html(image(), np.zeros((3, 4, 3), np.uint8), budget=100)) == "image, 4 \u00d7 3"


def test_a_mask_has_a_colour_and_a_name_for_each_class():
    names = ("background", "<cat>")
    feature = LabeledImage(shape=(None, None, 1), dtype=np.dtype("uint8"), num_classes=2, given_names=names)
    html = value_html(feature, np.array([[[0], [1], [7]]], np.uint8))
    assert text_of(html) == "background &lt;cat&gt; class 7"
    assert len({tuple(color) for color in images_in(html)[0][0].tolist()}) == 3


def test_boxes_are_drawn_where_they_are_with_their_classes():
    features = FeaturesDict(
        {
            "image": image(),
            "objects": Sequence(FeaturesDict({"bbox": BBoxFeature(), "label": COLORS})),
            "whole": BBoxFeature(),
        }
    )
    example = {
        "image": np.zeros((100, 200, 3), np.uint8),
        "objects": {"bbox": np.array([[0.1, 0.25, 0.5, 0.75], [0, 0, np.nan, 1]]), "label": np.array([2, -1])},
        "whole": np.array([0, 0, 1, 1], np.float32),
    }
    assert [box.text for box in find_boxes(features, example)] == ["blue", "no label", ""]
    html = example_html(features, example)
    [size] = re.findall(r'viewBox="0 0 (\d+) (\d+)"', html)
    width, height = map(int, size)
    expected = f'x="{width * 0.25:.1f}" y="{height * 0.1:.1f}" width="{width * 0.5:.1f}" height="{height * 0.4:.1f}"'
    assert expected in html
    assert html.count("<rect") == 4  # two for each box, and none for the one that is not a number
    assert ">blue</text>" in html
    nested = FeaturesDict({"image": image(), "a": FeaturesDict({"boxes": Sequence(BBoxFeature()), "c": COLORS})})
    value = {"image": example["image"], "a": {"boxes": np.zeros((2, 4)), "c": np.int64(0)}}
    assert len(find_boxes(nested, value)) == 2


def test_samples_of_16_bits_are_played_unchanged_at_their_rate():
    samples = np.random.default_rng(0).integers(-3000, 3000, 4000).astype(np.int64)
    html = value_html(Audio(shape=(None,), dtype=np.dtype("int64"), sample_rate=8000), samples, label="zero")
    rate, played = wav_in(html)
    assert rate == 8000
    assert np.array_equal(played, samples)
    assert "0.50 s, 8 kHz" in html
    assert 'aria-label="zero"' in html
    assert images_in(html)[0].shape == (80, 240, 3)


@pytest.mark.parametrize(("dtype", "largest"), [("float32", 1.0), ("int32", 2**31 - 1), ("float64", 80.0)])
def test_other_samples_are_scaled(dtype, largest):
    samples = np.array([[0, largest], [-largest, -largest]], dtype)
    _, played = wav_in(value_html(Audio(shape=(None, 2), dtype=np.dtype(dtype), sample_rate=44100), samples))
    assert abs(played[1] + 32767) <= 1


def test_of_a_long_recording_the_beginning_is_played_and_the_rest_is_drawn():
    samples = np.zeros(16_000 * 60, np.int16)
    html = value_html(Audio(shape=(None,), dtype=np.dtype("int16")), samples, budget=100_000)
    assert len(html) < 100_000
    assert "960,000 samples, sample rate not recorded, played at 16 kHz, the first 2." in html


@pytest.mark.parametrize("length", [0, 1, 2, 63, 241])
def test_short_recordings_are_shown(length):
    html = value_html(Audio(shape=(None,), dtype=np.dtype("int16"), sample_rate=8000), np.ones(length, np.int16))
    assert ("no samples" in html) == (length == 0)


def test_a_video_is_a_strip_of_frames_from_all_of_it():
    frames = np.repeat(np.arange(30, dtype=np.uint8), 12).reshape(30, 2, 2, 3)
    html = value_html(Video(image()), frames)
    assert [int(frame[0, 0, 0]) for frame in images_in(html)] == [0, 4, 8, 12, 16, 20, 24, 29]
    assert "8 of 30 frames" in html


@pytest.mark.parametrize(
    ("feature", "value", "shown"),
    [
        (Text(), b"a\r\nb", "a b"),
        (Text(), b"", "empty"),
        (Text(), b"\xff", "\ufffd not valid UTF-8"),
        (Text(), b"a\x00\x1b[31m", "a\ufffd\ufffd[31m"),
        (COLORS, np.int64(1), "green"),
        (COLORS, np.int64(-1), "no label"),
        (COLORS, np.int64(7), "7"),
        (ClassLabel(num_classes=10), np.int64(7), "7"),
        (Sequence(COLORS), np.array([0, 2]), "red blue"),
        (Sequence(Text()), np.array([], object), "empty"),
        (tensor((), "bool"), np.True_, "true"),
        (tensor((), "uint64"), np.uint64(2**64 - 1), "18446744073709551615"),
        (tensor((3,), "float32"), np.array([0.5, np.nan, -1e9], np.float32), "0.5, nan, -1e+09"),
        (tensor((2, 2), "int8"), np.array([[1, 2], [3, 4]], np.int8), "1, 2 3, 4"),
        (tensor((None,), "int8"), np.zeros(0, np.int8), "empty, 0 int8"),
        (tensor((None,), "int64"), np.arange(100), "100 int64, 0 to 99, mean 49.5"),
        (tensor((None,), "bool"), np.arange(100) < 3, "100 bool, 3 of 100 are true"),
        (tensor((None,), "float32"), np.full(20, np.nan, np.float32), "20 float32, no finite value, 20 not finite"),
        (tensor((None,), "complex64"), np.ones(20, np.complex64), "20 complex64, mean 1+0j"),
        (tensor((), object), b"\x00\xff", "00 ff 2 bytes"),
        (Sequence(Sequence(tensor((), "int64"))), [np.array([1, 2]), np.array([], int)], "1, 2 empty"),
        (Translation({"en": Text(), "fr": Text()}), {"en": b"yes", "fr": b"oui"}, "en yes fr oui"),
        (
            Sequence(FeaturesDict({"a": tensor((), "int64"), "b": Text()})),
            {"a": np.arange(12), "b": np.array([b"x"] * 12, object)},
            "a b " + " ".join(f"{n} x" for n in range(10)) + " \u2026and 2 more rows",
        ),
        (Dataset(FeaturesDict({"a": COLORS})), [{"a": 0}, {"a": 1}], "a red green"),
        (TfdsFeature("x.y.Z", {}), {"a": [1, b"b", None], "c": {}}, "a 1 b missing c"),
        (TfdsFeature("x.y.Z", {}), object, "&lt;class &#x27;object&#x27;&gt;"),
        (COLORS, None, "missing"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_values_are_shown_in_words(feature, value, shown):
    assert text_of(value_html(feature, value)) == shown


def test_a_table_of_numbers_is_a_heat_map():
    html = value_html(tensor((None, None), "float32"), np.eye(20, dtype=np.float32), label="weights")
    assert images_in(html)[0].shape == (20, 20, 3)
    assert 'alt="weights, drawn as a heat map"' in html
    assert "20 \u00d7 20 float32, 0 to 1, mean 0.05" in text_of(html)


def test_a_long_text_expands_and_a_longer_one_ends_with_what_is_left_out():
    assert "<details" not in value_html(Text(), b"x" * 240)
    html = value_html(Text(), b"x" * 30_000)
    assert "<summary>" in html
    assert "\u2026and 20,000 more characters" in html
    assert len(html) < 12_000


EXTREMES = {
    "f": [0, -0.0, 1e-40, 1e30, -1e30, np.inf, -np.inf, np.nan],
    "i": [0, -1, 1, 127, -128],
    "u": [0, 1, 255],
    "b": [0, 1],
    "c": [0, 1j, np.inf, np.nan],
}


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int8", "uint16", "int32", "uint64", "float16", "float32", "float64", "complex64"]
)
def test_extreme_numbers_and_sizes_are_shown(dtype):
    random = np.random.default_rng(0)
    features = [
        Tensor(shape=(None,), dtype=np.dtype(dtype)),
        image(dtype, None),
        LabeledImage(shape=(None, None, None), dtype=np.dtype(dtype), num_classes=3),
        Audio(shape=(None,), dtype=np.dtype(dtype), sample_rate=8000),
        Video(image(dtype, None)),
        BBoxFeature(),
        TfdsFeature("x", {}),
    ]
    for _ in range(40):
        shape = random.integers(0, random.choice([2, 5, 30]), random.integers(0, 5))
        with np.errstate(all="ignore"):
            value = random.choice(EXTREMES[np.dtype(dtype).kind], tuple(shape)).astype(dtype)
        for feature in features:
            html = value_html(feature, value)
            assert html
            assert all(shown is not None for shown in images_in(html))


def test_of_a_long_name_the_beginning_is_shown():
    name = "n" * 100_000
    label = ClassLabel(num_classes=1, given_names=(name,))
    features = FeaturesDict({name: label, "text": Text(), "image": image()})
    example = {name: 0, "text": b"a", "image": np.zeros((4, 4, 3), np.uint8)}
    for html in (
        example_html(features, example),
        examples_html(features, [example], names=[name]),
        examples_html(features, [example], names=[name], hidden={"image"}),
        features_html(features),
        histogram_html({name: 1}, label=name),
    ):
        assert len(html) < 3000


def test_everything_that_data_can_name_is_escaped():
    hostile = ClassLabel(num_classes=1, given_names=(HOSTILE,))
    feature = FeaturesDict(
        {
            HOSTILE: Text(),
            "image": image(),
            "label": hostile,
            "mask": LabeledImage(shape=(None, None, 1), dtype=np.dtype("uint8"), num_classes=1, given_names=(HOSTILE,)),
            "objects": Sequence(FeaturesDict({HOSTILE: Text(), "bbox": BBoxFeature(), "label": hostile})),
            "other": TfdsFeature("x", {}),
        }
    )
    example = {
        HOSTILE: HOSTILE.encode(),
        "image": np.zeros((4, 4, 3), np.uint8),
        "label": 0,
        "mask": np.zeros((4, 4, 1), np.uint8),
        "objects": {HOSTILE: [HOSTILE.encode()], "bbox": np.zeros((1, 4)), "label": np.array([0])},
        "other": {HOSTILE: [HOSTILE.encode() * 10]},
    }
    for html in (
        example_html(feature, example),
        examples_html(feature, [example], names=[HOSTILE]),
        features_html(feature),
        histogram_html({HOSTILE: 3}, label=HOSTILE),
        link_html(HOSTILE),
        link_html("https://x/" + HOSTILE),
        page(HOSTILE, ""),
    ):
        assert "<img src=http" not in html
        assert "window.hacked=1</script>" not in html
        assert "\"'>" not in html
    assert link_html("javascript:alert(1)") == "javascript:alert(1)"


def test_a_page_forbids_everything_but_its_own_script():
    html = page("t", "", script="let a = 1")
    assert "default-src 'none'" in html
    assert "script-src 'sha256-" in html
    assert "script-src 'none'" in page("t", "")


def test_no_style_applies_outside_of_a_fragment():
    css = re.search("<style>(.*?)</style>", fragment(""), re.DOTALL)[1]
    selectors = [each.strip() for group in re.findall(r"([^{}]+)\{[^{}]*\}", css) for each in group.split(",")]
    assert len(selectors) > 40
    assert [each for each in selectors if not re.match(r"\.dv[ .,]|\.dv$", each)] == []


def test_many_examples_share_the_budget():
    features = FeaturesDict({"image": image(), "text": Text()})
    pixels = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    examples = [{"image": pixels, "text": b"x" * 20_000}] * 20
    assert len(examples_html(features, examples, budget=200_000)) < 240_000


def test_features_beyond_the_first_50_are_counted():
    features = FeaturesDict({f"f{number}": tensor((), "int64") for number in range(70)})
    example = dict.fromkeys(features, np.int64(1))
    assert "\u2026and 20 more features" in example_html(features, example)
    assert "\u2026and 20 more features" in examples_html(features, [example])


def test_examples_without_images_and_audio_are_a_table():
    html = examples_html(
        FeaturesDict({"text": Text(), "label": COLORS}), [{"text": b"a", "label": 1}], names=["train 7"]
    )
    assert text_of(html) == "example text label train 7 a green"


def test_a_histogram_counts_the_classes_that_it_leaves_out():
    html = histogram_html({f"c{number}": 100 - number for number in range(60)})
    assert html.count("<tr>") == 50
    assert "\u2026and 10 more classes with 455 examples" in html
    assert "width:100.0%" in html
    assert histogram_html({"a": 0}).count("<tr>") == 1


@pytest.mark.parametrize("total", [1, 2, 3, 10, 97, 1000])
def test_the_spread_order_has_every_number_once(total):
    assert sorted(spread(total)) == list(range(total))


def test_the_beginning_of_the_spread_order_is_in_all_parts():
    first = [number for number, _ in zip(spread(1000), range(20), strict=False)]
    assert sorted({number // 100 for number in first}) == list(range(10))


def test_some_examples_of_each_class_are_chosen_and_few_labels_read():
    labels, reads = np.arange(60_000) // 6000, []

    def read(positions):
        reads.extend(positions)
        return labels[positions]

    choice = choose_by_class(60_000, 48, 10, read, most_read=768)
    assert Counter(choice.classes) == {number: 5 if number < 8 else 4 for number in range(10)}
    assert [int(labels[position]) for position in choice.positions] == list(choice.classes)
    assert len(reads) == len(set(reads)) <= 96
    assert choice == choose_by_class(60_000, 48, 10, lambda positions: labels[positions], most_read=768)


def test_of_more_classes_than_examples_evenly_spaced_ones_are_chosen():
    labels = np.arange(5000) % 1000
    choice = choose_by_class(5000, 10, 1000, lambda positions: labels[positions], most_read=4000)
    assert len(set(choice.classes)) == 10
    assert max(choice.classes) - min(choice.classes) > 800


def test_rare_classes_and_small_splits_are_chosen_as_far_as_they_go():
    choice = choose_by_class(3, 48, 10, lambda positions: [-1 for _ in positions], most_read=768)
    assert choice.positions == (0, 1, 2)
    assert choice.classes == (-1, -1, -1)
    assert choose_evenly(10, 5).positions == (0, 2, 4, 6, 8)
    assert choose_evenly(2, 5).positions == (0, 1)


def test_the_class_label_is_the_one_called_label_or_the_first():
    assert class_label(FeaturesDict({"a": COLORS, "label": COLORS})) == "label"
    assert class_label(FeaturesDict({"x": Text(), "a": COLORS})) == "a"
    assert class_label(FeaturesDict({"x": Text()})) is None


@pytest.mark.parametrize(
    ("feature", "value"),
    [
        (image(), np.zeros((300, 200, 3), np.uint8)),
        (image("uint16", 4), np.zeros((3, 2, 4), np.uint16)),
        (image(), np.zeros((0, 2, 3), np.uint8)),
        (Video(image()), np.zeros((3, 4, 4, 3), np.uint8)),
        (Audio(shape=(None,), dtype=np.dtype("int16"), sample_rate=8000), np.zeros(4000, np.int16)),
        (LabeledImage(shape=(None, None, 1), dtype=np.dtype("uint8"), num_classes=2), np.ones((4, 4, 1), np.uint8)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_sheet_is_a_png_of_all_examples(feature, value):
    data = sheet(FeaturesDict({"x": feature, "text": Text()}), [{"x": value, "text": b""}] * 10, ["größer"] * 10)
    drawn = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert drawn.shape[1] == (8 * 128 + 16) * 2
    assert drawn.min() < 100


def test_a_sheet_of_text_is_refused_with_what_to_do_instead():
    with pytest.raises(UnsupportedError, match="--output"):
        sheet(FeaturesDict({"text": Text()}), [{"text": b""}], [""])


def test_sizes_have_few_digits():
    assert [size_text(size) for size in (0, 999, 1500, 950_658, 18_900_000, 2e15)] == [
        "0 bytes", "999 bytes", "1.5 kB", "951 kB", "18.9 MB", "2,000.0 TB",
    ]  # fmt: skip


def test_the_features_table_names_nested_features_and_classes():
    stored = parse_features(document(dicts=ZOO["dicts"][0]), no_file)
    assert "dicts/a Sequence(ClassLabel) int64 3 classes dicts/b Sequence(Text) bytes" in text_of(features_html(stored))
