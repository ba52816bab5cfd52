"""Building with a real TFDS builder: the same bytes every time, no leftovers after a failure, clear errors."""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import loader
from scripts._process.errors import ScriptError
from scripts._tfds import shards
from scripts._tfds.fetch import fetch_sources
from scripts.build import build
from tests.conftest import clean_environment, make_clone
from tests.helpers.buildable_dataset import BUILDER, add_buildable

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


@pytest.fixture
def tiny(clone):
    add_buildable(clone.root)
    return clone


def artifacts(clone):
    return sorted(path.name for path in (clone.root / "artifacts").iterdir() if "tiny" in path.name)


def leftovers(clone):
    found = [path for folder in (".scratch", "sources") for path in (clone.root / folder).rglob("*")]
    return [str(path) for path in found if not path.name.endswith((".lock", "tiny.json")) and path.name != "tiny"]


def md5(path):
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


VARIED = {
    "TZ": "Pacific/Kiritimati",
    "LC_ALL": "C",
    "LANG": "tr_TR.UTF-8",
    "PYTHONHASHSEED": "12345",
}


@pytest.mark.slow
def test_the_bytes_do_not_depend_on_path_umask_locale_time_zone_home_hash_seed_and_location(tiny, tmp_path):
    tiny.scripts("build", "tiny", env={"PYTHONHASHSEED": "0"})

    other = make_clone(tmp_path / "a longer name, with spaces" / "and ünusual letters")
    add_buildable(other.root, source=None)
    mirror = tmp_path / "mirror/tiny"
    mirror.mkdir(parents=True)
    (tiny.root / "sources/tiny/tiny.json").rename(mirror / "tiny.json")
    code = (
        "import os, sys; os.umask(0o077); from scripts.__main__ import main; sys.argv[1:] = ['build', 'tiny']; main()"
    )
    home = tmp_path / "home"
    home.mkdir()
    environment = {"HOME": os.fspath(home), "DATASETS_MIRROR": os.fspath(mirror.parent), **VARIED}
    other.python(code, env=environment)

    assert md5(other.root / "artifacts/tiny.tar") == md5(tiny.root / "artifacts/tiny.tar")
    assert md5(other.root / "artifacts/tiny.json") == md5(tiny.root / "artifacts/tiny.json")


def test_an_installed_package_named_datasets_is_not_confused_with_the_folder(clone, tmp_path):
    # the examples, which are sent to worker processes, contain a class of the builder's module
    word = BUILDER.replace("class Tiny(", "class Word(str):\n    pass\n\n\nclass Tiny(").replace(
        '"text": text', '"text": Word(text)'
    )
    add_buildable(clone.root, builder=word)
    package = tmp_path / "installed/datasets"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('another package')")
    clone.scripts("build", "tiny", env={"PYTHONPATH": str(package.parent)})
    assert clone.python("import loader; print(len(loader.load('tiny')[1]['train']))").strip() == "200"


def test_the_order_of_generation_does_not_matter(tiny, tmp_path):
    build("tiny", root=tiny.root)
    other = make_clone(tmp_path / "other")
    add_buildable(other.root, builder=BUILDER.replace("range(count)", "reversed(range(count))"))
    build("tiny", root=other.root)
    assert md5(other.root / "artifacts/tiny.tar") == md5(tiny.root / "artifacts/tiny.tar")


def test_dvc_builds_it_once_and_tfds_reads_the_extracted_tar(built_tiny, tmp_path):
    tiny = built_tiny
    before = (tiny.root / "dvc.lock").read_bytes()
    again = tiny.run("dvc", "repro", "tiny")
    assert "didn't change, skipping" in again.stdout
    assert (tiny.root / "dvc.lock").read_bytes() == before
    assert md5(tiny.root / "artifacts/tiny.tar") in before.decode()
    subprocess.run(["tar", "xf", tiny.root / "artifacts/tiny.tar", "-C", tmp_path], check=True)
    read = (
        "import tensorflow_datasets as tfds\n"
        f"builder = tfds.builder_from_directory({os.fspath(tmp_path / 'tiny/1.0.0')!r})\n"
        "expected = [e['number'] for e in tfds.as_numpy(builder.as_dataset(split='train'))]\n"
        "import loader\n"
        "found = [e['number'] for e in loader.load('tiny', split='train')[1]]\n"
        "print(len(found), sorted(found) == sorted(expected))"
    )
    assert tiny.python(read).split() == ["200", "True"]


@pytest.mark.slow
def test_a_killed_build_leaves_nothing_that_looks_finished_and_the_next_build_works(tiny):
    for point in ("sources", "shards", "tar", "rename"):
        # each build runs on the leftovers of the one before it
        killed = tiny.run(sys.executable, "-m", "tests.helpers.faulty_build", point, "tiny", check=False)
        assert killed.returncode == -9, killed.stderr
        assert set(artifacts(tiny)) <= {".tiny.part"}
        with pytest.raises(loader.ManifestError, match="tiny was never built"):
            loader.load("tiny", repo=tiny.root)
    tiny.scripts("build", "tiny")
    assert artifacts(tiny) == ["tiny.croissant.json", "tiny.json", "tiny.stats.json", "tiny.tar"]
    assert leftovers(tiny) == []
    assert len(loader.load("tiny", repo=tiny.root)[1]["train"]) == 200


@pytest.mark.slow
def test_a_build_killed_after_packing_leaves_the_recorded_tar_and_what_describes_it(built_tiny):
    tiny = built_tiny
    before = {path.name: path.read_bytes() for path in (tiny.root / "artifacts").glob("tiny.*")}
    assert set(before) == {"tiny.croissant.json", "tiny.json", "tiny.stats.json", "tiny.tar"}
    builder = tiny.root / "datasets/standard/tiny/tiny.py"
    builder.write_text(BUILDER.replace("number / 3", "number / 4"))
    for point in ("statistics", "manifest"):
        killed = tiny.run(sys.executable, "-m", "tests.helpers.faulty_build", point, "tiny", check=False)
        assert killed.returncode == -9, killed.stderr
        assert {path.name: path.read_bytes() for path in (tiny.root / "artifacts").glob("tiny.*")} == before
        assert (tiny.root / "artifacts/.tiny.part/tiny.tar").exists()
    assert tiny.run("git", "status", "--porcelain", "--", "artifacts/.tiny.part").stdout == ""
    tiny.run("dvc", "checkout", "tiny")
    tiny.run("dvc", "repro", "tiny")
    assert not (tiny.root / "artifacts/.tiny.part").exists()
    assert (tiny.root / "artifacts/tiny.tar").read_bytes() != before["tiny.tar"]


def test_a_terminated_build_cleans_up(tiny):
    ended = tiny.run(sys.executable, "-m", "tests.helpers.faulty_build", "terminate", "tiny", check=False)
    assert ended.returncode == 143
    assert artifacts(tiny) == []
    assert leftovers(tiny) == []


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tiny):
    ended = tiny.run(sys.executable, "-m", "tests.helpers.faulty_build", "full", "tiny", check=False)
    assert ended.returncode == 1
    assert ended.stderr.strip().rpartition("\n")[2] == (
        f"error: {tiny.root / 'artifacts/.tiny.part/tiny.tar'} cannot be written: No space left on device"
    )
    assert artifacts(tiny) == []
    assert leftovers(tiny) == []


def test_a_failed_rebuild_loses_nothing(built_tiny):
    tiny = built_tiny
    before = md5(tiny.root / "artifacts/tiny.tar")
    (tiny.root / "sources/tiny/tiny.json").write_bytes(b'["one", "two", "thre3"]')
    failed = tiny.run("dvc", "repro", "--force", "tiny", check=False, env={"DATASETS_MIRROR": ""})
    assert failed.returncode != 0
    assert tiny.python("import loader; print(len(loader.load('tiny')[1]['train']))").strip() == "200"
    assert md5(Path(tiny.python("import loader; print(loader.ensure('tiny'))").strip())) == before  # in DVC's cache


def test_two_builds_at_once_do_not_disturb_each_other(tiny):
    command = [sys.executable, "-m", "scripts", "build", "tiny"]
    pair = [
        subprocess.Popen(command, cwd=tiny.root, env=clean_environment(), stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    errors = [process.communicate()[1] for process in pair]
    codes = sorted(process.returncode for process in pair)
    assert codes in ([0, 1], [0, 0])
    if codes == [0, 1]:
        assert any("build tiny: another one is at work" in text for text in errors)
    assert leftovers(tiny) == []
    tiny.python("import loader; loader.load('tiny')")


def test_no_network_is_used_if_the_source_files_are_on_this_machine(tiny):
    code = (
        "import socket, sys\n"
        "def refuse(*arguments, **options):\n"
        "    raise AssertionError(f'network: {arguments}')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from scripts.build import build\n"
        "build('tiny')"
    )
    tiny.python(code)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.replace("number / 3", "1 / 0"), r"tiny.py:\d+: ZeroDivisionError"),
        (lambda s: s.replace("import json", "import jsn"), r"tiny.py:2: ModuleNotFoundError: No module named 'jsn'"),
        (lambda s: s.replace("class Tiny(", "class Small("), r"defines no TFDS builder of that name"),
        (lambda s: "X = 1", r"defines no TFDS builder of that name"),
        (lambda s: s.replace("words = json", "raise SystemExit(0)\n        words = json"), r"SystemExit"),
        (lambda s: s.replace('Version("1.0.0")', 'Version("2.0.0")'), r"2\.0\.0"),
        (
            lambda s: s.replace("/tiny.json", "/other.json"),
            r"checksums.tsv has no line for http://127.0.0.1:9/other.json",
        ),
        (
            lambda s: s.replace('yield f"{number}"', 'yield "same"'),
            r"200 examples of the split train have the key 'same': those with the",
        ),
        (
            lambda s: s.replace("range(count)", "range(0)"),
            r"the split train cannot be written: No examples were yielded",
        ),
    ],
)
def test_an_error_in_the_builder_is_one_sentence_with_its_line(clone, change, message):
    add_buildable(clone.root, builder=change(BUILDER))
    with pytest.raises(ScriptError, match=message) as raised:
        build("tiny", root=clone.root)
    assert str(raised.value).startswith("tiny: ")
    assert "\n" not in str(raised.value)
    assert artifacts(clone) == []
    assert leftovers(clone) == []


def test_a_builder_may_have_a_base_class_in_its_module(clone):
    base = "class Base(tfds.core.GeneratorBasedBuilder):\n    pass\n\n\nclass Tiny(Base)"
    add_buildable(clone.root, builder=BUILDER.replace("class Tiny(tfds.core.GeneratorBasedBuilder)", base))
    build("tiny", root=clone.root)


def test_the_artifact_contains_nothing_of_this_machine(tiny, tmp_path):
    # TFDS would record the path and the time of each file that a builder reads through it
    builder = tiny.root / "datasets/standard/tiny/tiny.py"
    builder.write_text(BUILDER.replace("json.loads(path.read_text())", "json.loads(self.read_text_file(path))"))
    build("tiny", root=tiny.root)
    data = (tiny.root / "artifacts/tiny.tar").read_bytes()
    assert os.fsencode(tmp_path) not in data
    assert b"accessTimestamp" not in data


@pytest.mark.slow
def test_a_feature_of_several_values_is_packed_and_read(tiny):
    builder = tiny.root / "datasets/standard/tiny/tiny.py"
    text = BUILDER.replace('"number": np.float32', '"number": tfds.features.Sequence(np.float32)')
    builder.write_text(text.replace('"number": number / 3', '"number": [number / 3]'))
    tiny.run("dvc", "repro", "tiny")
    assert "and none is missing" in tiny.scripts("verify", "tiny")
    assert tiny.python("import loader; print(loader.load('tiny')[1]['train'][0]['number'].shape)") == "(1,)\n"


def test_a_missing_source_lists_every_location(clone):
    add_buildable(clone.root, source=None)
    output = clone.scripts("build", "tiny", check=False, env={"DATASETS_MIRROR": ""})
    assert "error: tiny: source file not found: tiny.json" in output
    for location in (
        "sources/tiny/tiny.json: no such file",
        "mirror (DATASETS_MIRROR)",
        "upstream http",
        "npm package",
    ):
        assert location in output
    assert "put it at sources/tiny/tiny.json" in output
    assert "Traceback" not in output


def test_an_unknown_dataset_and_another_toolchain_are_refused_at_once(tiny):
    output = tiny.scripts("build", "tinny", check=False)
    assert output.strip() == "error: there is no dataset 'tinny' in params.yaml; did you mean tiny?"
    params = tiny.root / "params.yaml"
    params.write_text(params.read_text().replace("tensorflow: ", "tensorflow: 1"))
    output = tiny.scripts("build", "tiny", check=False)
    assert "params.yaml asks for tensorflow 12" in output
    assert "make setup" in output


def test_a_record_that_is_too_long_for_the_index_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "MAX_RECORD_BYTES", 1000)
    with pytest.raises(ValueError, match=r"an example has 1,001 bytes, but a row of the record index can state 1,000 "):
        shards.ShardWriter(tmp_path, {}).write_records(tmp_path / "shard", [(0, bytes(1001))])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mnist", "digit", "mnist_fgsm", "digit_speakers"])
def test_a_fresh_build_has_the_recorded_md5(built, name):
    clone = built(name)
    assert clone.run("git", "status", "--porcelain").stdout == ""
    assert clone.run("dvc", "status", name).stdout.strip() == "Data and pipelines are up to date."


@pytest.mark.slow
def test_the_mnist_shards_are_those_that_tfds_writes(built):
    expected = {
        "train": "3a7e7b2efb51a8a809510eed59d70b35f0eef714ae4fe258216d127e6bbf8186",
        "test": "a3fe366e2c8c7b87c935391435b67297fb3494c5394dc4dab76e3669cc4726dd",
    }
    with tarfile.open(built("mnist").root / "artifacts/mnist.tar") as tar:
        for split, sha256 in expected.items():
            name = f"mnist/3.0.1/mnist-{split}.tfrecord-00000-of-00001"
            assert hashlib.sha256(tar.extractfile(name).read()).hexdigest() == sha256


def test_the_digit_samples_are_those_of_the_wav_files(built):
    import wave

    import numpy as np

    from scripts._define.definition import read_definition
    from scripts._sources.sources import Source, Sources

    root = built("digit").root
    info, ds = loader.load("digit", repo=root)
    assert {name: len(split) for name, split in ds.items()} == {"train": 1350, "test": 150}
    assert info.features["audio"].sample_rate == 8000
    source = json.loads((root / "artifacts/digit.json").read_text())["sources"][0]
    path = Sources(read_definition("digit", root=root)).find(Source(**source))
    with tarfile.open(path) as tar:
        files = {Path(member.name).name: tar.extractfile(member).read() for member in tar if member.isfile()}
    for split, recordings in (("train", range(5, 50)), ("test", range(5))):
        seen = set()
        for example in ds[split]:
            name = example["filename"].decode()
            digit, user, recording = name.removesuffix(".wav").split("_")
            assert (int(example["label"]), example["user"].decode()) == (int(digit), user)
            assert int(recording) in recordings
            seen.add(name)
            with wave.open(io.BytesIO(files[name])) as wav:
                samples = np.frombuffer(wav.readframes(wav.getnframes()), "<i2")
            np.testing.assert_array_equal(example["audio"], samples)
        assert len(seen) == len(ds[split])


def test_a_builder_without_its_files_downloaded_by_hand_says_where_to_put_them(clone):
    add_buildable(clone.root, builder=BUILDER.replace("dl_manager.download(URL)", "dl_manager.manual_dir / 'x'"))
    for command in (build, fetch_sources):
        with pytest.raises(ScriptError, match="tiny: its builder needs files in sources/tiny/manual/, which has none"):
            command("tiny", root=clone.root)
