"""ffmpeg is looked for before a long build, and a build that lacks it says how to install it."""

import pytest

from scripts._process.errors import ScriptError
from scripts._tfds.ffmpeg import INSTALL, features_needing_ffmpeg
from scripts.build import build
from tests.helpers.buildable_dataset import BUILDER, add_buildable

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


@pytest.fixture
def no_ffmpeg(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))


def test_the_features_that_need_ffmpeg_are_found():
    import tensorflow_datasets as tfds

    audio, video = tfds.features.Audio, tfds.features.Video(shape=(None, 4, 4, 3))
    features = tfds.features.FeaturesDict(
        {
            "wav": audio(file_format="wav"),
            "any": audio(),
            "image": tfds.features.Image(),
            "video": {"clip": video},
            "sounds": tfds.features.Sequence({"flac": audio(file_format="flac")}),
            "lazy": audio(file_format="mp3", lazy_decode=True),
        }
    )
    assert features_needing_ffmpeg(features) == (["sounds/flac"], ["any", "video/clip"])


def test_a_build_that_needs_ffmpeg_is_refused_before_it_begins(clone, no_ffmpeg):
    builder = BUILDER.replace('"number": np.float32', '"number": tfds.features.Audio(file_format="mp3")')
    add_buildable(clone.root, builder=builder.replace("dl_manager.download(URL)", "dl_manager.never_called"))
    with pytest.raises(ScriptError) as raised:
        build("tiny", root=clone.root)
    message = f"tiny: its feature number is read with ffmpeg, which is not installed; install it with: {INSTALL}"
    assert str(raised.value) == message


def test_a_video_from_frames_needs_no_ffmpeg_but_one_from_a_file_does(clone, no_ffmpeg, capsys):
    video = BUILDER.replace(
        '"image": tfds.features.Image(shape=(8, 8, 3))', '"image": tfds.features.Video((1, 8, 8, 3))'
    )
    add_buildable(clone.root, builder=video.replace('"image": image', '"image": image[None]'))
    build("tiny", root=clone.root)
    assert (
        f"tiny: ffmpeg is not installed; if the builder yields files for its feature image, install it with: {INSTALL}"
    ) in capsys.readouterr().err
    path = clone.root / "datasets/standard/tiny/tiny.py"
    path.write_text(video.replace('"image": image', '"image": b"a video"'))
    with pytest.raises(ScriptError, match=rf"^tiny: .*tiny\.py:35: .*key '0' .*; install it with: {INSTALL}") as raised:
        build("tiny", root=clone.root)
    assert "\n" not in str(raised.value)
