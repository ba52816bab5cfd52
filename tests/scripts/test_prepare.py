"""A builder may read its sources and the artifacts that its stage depends on, as they are in the work tree."""

import json
import multiprocessing
import pickle
import shutil
import subprocess
import sys
import zlib
from dataclasses import replace

import pytest

import loader
from scripts._build.prepare import prepare
from scripts._define.definition import read_definition
from scripts._sources.extractions import Extractions
from scripts._tfds.shards import ShardWriter
from scripts.build import build
from scripts.extract import extract
from tests.conftest import clean_environment
from tests.helpers.buildable_dataset import BUILDER, add_buildable


@pytest.fixture
def derived(small):
    """A dataset of the repository that is derived from the dataset `small`."""
    return replace(read_definition("small", root=small), name="derived", parents={"small": ("small.tar",)})


@pytest.fixture
def prepared(small, tmp_path):
    """The dataset `small` in a folder prepared by TFDS that a build may not read."""
    return extract("small", to=tmp_path / "elsewhere", root=small)


def test_a_parent_is_read_from_the_work_tree(derived, tmp_path):
    version = read_definition("small", root=derived.root).version
    with derived.limit_reading(tmp_path / "scratch"):
        assert loader.load("small")[0].version == loader.load("small", version=version)[0].version == version
        assert loader.ensure("small") == derived.root / "artifacts/small.tar"
        assert len(loader.open(derived.root / "artifacts/small.tar")[1]["test"]) == 70


@pytest.mark.parametrize("option", [{"version": "9.9.9"}, {"rev": "HEAD"}, {"repo": "elsewhere"}])
@pytest.mark.parametrize("read", [loader.load, loader.ensure])
def test_a_parent_of_another_version_revision_or_repository_is_refused(derived, tmp_path, option, read):
    (name, value), *_ = option.items()
    with (
        derived.limit_reading(tmp_path / "scratch"),
        pytest.raises(
            loader.AccessError, match=rf"derived: its builder reads the dataset small with {name}='{value}'; .*"
        ),
    ):
        read("small", **option)


@pytest.mark.parametrize("read", [loader.load, loader.ensure])
def test_a_dataset_that_the_stage_does_not_depend_on_is_refused(derived, tmp_path, read):
    limited = replace(derived, parents={})
    with (
        limited.limit_reading(tmp_path / "scratch"),
        pytest.raises(loader.AccessError, match=r"reads the dataset small, on which its stage does not depend; name"),
    ):
        read("small")


def test_a_config_that_the_stage_does_not_depend_on_is_refused(derived, tmp_path):
    manifest = derived.root / "artifacts/small.json"
    raw = json.loads(manifest.read_text())
    entry = raw["artifacts"].pop("small.tar")
    raw["artifacts"] = {f"small-{name}.tar": {**entry, "config": name} for name in ("a", "b")}
    manifest.write_text(json.dumps(raw))
    tar = derived.root / "artifacts/small.tar"
    for name in ("a", "b"):
        shutil.copy(tar, tar.with_name(f"small-{name}.tar"))
    with replace(derived, parents={"small": ("small-a.tar",)}).limit_reading(tmp_path / "scratch"):
        # config a may be read; that the copied tar is not one of a config is found out then
        with pytest.raises(loader.IntegrityError, match=r"is not in small/a/1\.0\.0"):
            loader.load("small", config="a")
        with pytest.raises(loader.AccessError, match=r"reads the artifact small-b\.tar, on which its stage does not"):
            loader.load("small", config="b")
        with pytest.raises(loader.AccessError, match=r"reads .*/artifacts/small-b\.tar, which is neither"):
            loader.open(tar.with_name("small-b.tar"))


def test_a_prepared_folder_is_read_only_from_the_extracted_sources(derived, prepared, tmp_path):
    inside = tmp_path / "scratch"
    shutil.copytree(prepared.parents[1], inside / "extracted")
    with derived.limit_reading(inside):
        assert len(loader.from_directory(inside / "extracted/small/1.0.0")[1]["test"]) == 70
        assert len(loader.load("small", data_dir=inside / "extracted")[1]["test"]) == 70
        for read in (
            lambda: loader.from_directory(prepared),
            lambda: loader.load("small", data_dir=prepared.parents[1]),
        ):
            with pytest.raises(loader.AccessError, match=r"its builder reads .*, which is neither part of its"):
                read()
        (inside / "link").symlink_to(prepared)
        with pytest.raises(loader.AccessError):
            loader.from_directory(inside / "link")


READ = "import loader, sys; loader.load(sys.argv[1])"


def test_processes_that_the_build_starts_are_limited_too(derived, tmp_path):
    limited = replace(derived, parents={})
    with limited.limit_reading(tmp_path / "scratch") as environment:
        with (
            multiprocessing.get_context("spawn").Pool(1) as pool,
            pytest.raises(loader.AccessError, match="on which its stage does not depend"),
        ):
            pool.apply(loader.load, ("small",))
        done = subprocess.run([sys.executable, "-c", READ, "small"], capture_output=True, text=True)
        assert "AccessError: derived: its builder reads the dataset small" in done.stderr
    # and a process that is started elsewhere with these variables, like Beam's workers
    done = subprocess.run(
        [sys.executable, "-c", READ, "small"], env=environment, capture_output=True, text=True, cwd=derived.root
    )
    assert "AccessError: derived: its builder reads the dataset small" in done.stderr


def test_the_limit_ends_with_the_build(derived, tmp_path):
    with derived.limit_reading(tmp_path / "scratch"):
        pass
    with pytest.raises(loader.NotFoundError):
        loader.load("no_such_dataset", repo=derived.root)
    assert loader.load("small", repo=derived.root)[0].name == "small"


PURE_PYTHON = {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"}


def test_another_implementation_of_protobuf_is_refused(clone):
    add_buildable(clone.root)
    output = clone.scripts("build", "tiny", check=False, env=PURE_PYTHON)
    assert output.strip() == (
        "tiny: building 1.0.0\nerror: tiny: protobuf runs its implementation 'python' here, which gives other bytes "
        "than 'upb'; unset PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION, or install the locked protobuf with: make setup"
    )


@pytest.mark.parametrize(
    ("libraries", "environment", "message"),
    [
        ({}, PURE_PYTHON, "the build uses protobuf's upb, this worker python"),
        ({"zlib": "0.1"}, {}, f"the build uses zlib 0.1, on this worker it is {zlib.ZLIB_RUNTIME_VERSION}"),
        ({"zlib": zlib.ZLIB_RUNTIME_VERSION}, {}, ""),
    ],
)
def test_a_worker_with_another_implementation_or_library_fails(tmp_path, libraries, environment, message):
    writer = pickle.dumps(ShardWriter(tmp_path, libraries))
    done = subprocess.run(
        [sys.executable, "-c", f"import pickle; pickle.loads({writer!r})"],
        env={**clean_environment(), **environment},
        capture_output=True,
        text=True,
    )
    assert done.stderr.strip().rpartition("\n")[2] == (f"RuntimeError: {message}" if message else "")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize(
    ("feature", "value", "libraries"),
    [
        ("np.float32", "number / 3", {}),
        ("tfds.features.Tensor(shape=(), dtype=np.float32, encoding='bytes')", "np.float32(number)", {}),
        (
            "tfds.features.Tensor(shape=(), dtype=np.float32, encoding='zlib')",
            "np.float32(number)",
            {"zlib": zlib.ZLIB_RUNTIME_VERSION},
        ),
        (
            "tfds.features.Sequence({'a': tfds.features.Tensor(shape=(3,), dtype=np.int64, encoding='zlib')})",
            "[{'a': np.zeros(3, np.int64)}]",
            {"zlib": zlib.ZLIB_RUNTIME_VERSION},
        ),
    ],
)
def test_the_zlib_of_python_is_reported_if_it_decides_bytes(clone, tmp_path, feature, value, libraries):
    text = BUILDER.replace('"number": np.float32', f'"number": {feature}').replace("number / 3", value)
    add_buildable(clone.root, builder=text)
    (tmp_path / "scratch").mkdir()
    prepared = prepare(
        read_definition("tiny", root=clone.root),
        scratch=tmp_path / "scratch",
        extractions=Extractions(tmp_path / "scratch/extracted", dataset="tiny"),
    )
    assert prepared.libraries == libraries


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_a_rebuild_with_another_zlib_is_announced(clone, capfd):
    feature = "tfds.features.Tensor(shape=(), dtype=np.float32, encoding='zlib')"
    text = BUILDER.replace('"number": np.float32', f'"number": {feature}').replace("number / 3", "np.float32(number)")
    add_buildable(clone.root, builder=text)
    build("tiny", root=clone.root)
    assert "zlib" not in capfd.readouterr().err
    path = clone.root / "artifacts/tiny.json"
    manifest = json.loads(path.read_text())
    manifest["toolchain"]["zlib"] = "0.1"
    path.write_text(json.dumps(manifest))
    build("tiny", root=clone.root)
    assert f"tiny: its features are compressed with zlib {zlib.ZLIB_RUNTIME_VERSION}, and were with zlib 0.1; if" in (
        capfd.readouterr().err
    )
