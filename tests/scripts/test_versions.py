"""Versions that the builder states, of the dataset and of its configs."""

import json
import re

import pytest

from scripts._define.definition import read_definition
from scripts._define.versions import highest, line_of_version
from scripts._process.errors import ScriptError
from scripts._release.recorded_objects import current_records, recorded_objects
from scripts._tfds.builder import make_builder
from tests.conftest import make_clone
from tests.helpers.buildable_dataset import add_buildable
from tests.helpers.commented_repository import git_commit

BUILDER = '''
"""Configs with versions of their own."""

import tensorflow_datasets as tfds


class Tiny(tfds.core.GeneratorBasedBuilder):
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name="a", version=tfds.core.Version("1.0.0")),
        tfds.core.BuilderConfig(
            name="b",
            version="2.0.0",
        ),
    ]

    def _info(self):
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({"t": tfds.features.Text()}))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(4)}

    def _generate_examples(self, count):
        for number in range(count):
            yield number, {"t": str(number)}
'''
BOTH = "  configs: [a, b]\n"


def define(root, block, *, builder=BUILDER, configs=("a", "b")):
    """Define the dataset `tiny`, with these lines in its block instead of a version."""
    add_buildable(root, builder=builder, visibility="private")
    params, stages = root / "params.yaml", root / "dvc.yaml"
    params.write_text(params.read_text().replace("standard/tiny\n  version: 1.0.0\n", f"standard/tiny\n{block}"))
    out = "      - artifacts/tiny.tar:\n          remote: private\n"
    entry = "  tiny: {path: artifacts/tiny.tar, type: dataset}\n"
    text = stages.read_text()
    for one in (out, entry):
        assert one in text
        text = text.replace(one, "".join(one.replace("tiny", f"tiny-{each}") for each in configs))
    stages.write_text(text)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A clone with the dataset built and committed, its block without a version; tests must not change it."""
    clone = make_clone(tmp_path_factory.mktemp("versions") / "clone")
    define(clone.root, BOTH)
    clone.run("dvc", "repro", "tiny")
    git_commit(clone.root)
    return clone


def test_without_a_version_the_dataset_has_the_highest_of_its_configs(built):
    manifest = json.loads((built.root / "artifacts/tiny.json").read_bytes())
    assert manifest["version"] == "2.0.0"
    assert {each["config"]: each["version"] for each in manifest["artifacts"].values()} == {"a": "1.0.0", "b": "2.0.0"}
    croissant = (built.root / "artifacts/tiny.croissant.json").read_text()
    assert "tiny/a/1.0.0/record_index.json" in croissant
    assert "tiny/b/2.0.0/record_index.json" in croissant
    assert "tiny: ok: a: the tar holds the 6 members" in built.scripts("verify", "tiny")
    assert "the records agree" in built.scripts("check")
    assert "tiny/a/1.0.0\n" in built.scripts("extract", "tiny", "--to", str(built.root.parent / "extracted"))


def test_each_config_is_loaded_with_its_version(built):
    loaded = built.python(
        "import loader\n"
        "wanted = (None, 'a'), (None, 'b'), ('1.0.0', 'a'), ('2.0.0', 'a'), ('2.0.0', 'b'), ('1.*.*', 'a')\n"
        "for version, config in wanted:\n"
        "    info, ds = loader.load('tiny', config=config, version=version)\n"
        "    print(info.full_name, len(ds['train']))\n"
        "entry = loader.info('tiny')\n"
        "print(entry.version, [(each.name, each.version) for each in entry.configs])\n"
        "print([each.version for each in loader.versions('tiny')])\n"
        "try:\n"
        "    loader.load('tiny', config='b', version='1.0.0')\n"
        "except loader.NotFoundError as error:\n"
        "    print(error)\n"
    )
    a, b = "tiny/a/1.0.0 4\n", "tiny/b/2.0.0 4\n"
    assert loaded.startswith(f"{a}{b}{a}{a}{b}{a}2.0.0 [('a', '1.0.0'), ('b', '2.0.0')]\n['2.0.0']\n")
    assert "tiny has no version '1.0.0' in the history of" in loaded
    shown = built.run("python", "-m", "loader", "info", "tiny").stdout
    assert re.search(r"^a 1\.0\.0 +train", shown, re.MULTILINE)
    assert re.search(r"^b 2\.0\.0 +train", shown, re.MULTILINE)


def test_a_recorded_object_without_a_version_in_its_block_has_that_of_the_manifest(built):
    assert {record.version for record in current_records(built.root) if record.dataset == "tiny"} == {"2.0.0"}
    found = [record for records in recorded_objects(built.root).values() for record in records]
    assert {(each.version, bool(each.commits)) for each in found if each.dataset == "tiny"} == {("2.0.0", True)}


PLACE = r"datasets/standard/tiny/tiny\.py"
CLASS = "    VERSION = tfds.core.Version('3.0.0')\n\n    def _info"


@pytest.mark.parametrize(
    ("block", "message"),
    [
        (
            f"  version: 1.0.0\n{BOTH}",
            rf"tiny: params\.yaml:LINE says version 1\.0\.0, but its config b has version 2\.0\.0 \({PLACE}:12\); make "
            r"the two agree, or write into params\.yaml what each config has: configs: {a: 1\.0\.0, b: 2\.0\.0}$",
        ),
        (
            "  configs:\n    a: 1.0.1\n    b: 2.0.0\n",
            rf"tiny: params\.yaml:LINE says version 1\.0\.1, but its config a has version 1\.0\.0 \({PLACE}:9\); make",
        ),
        ("  configs: [a, c]\n", r"tiny: its builder has no config 'c'; it has: a, b"),
    ],
)
def test_a_version_that_disagrees_is_refused_before_anything_is_built(clone, block, message, tmp_path):
    configs = ("a", "c") if "c]" in block else ("a", "b")
    define(clone.root, block, configs=configs)
    lines = (clone.root / "params.yaml").read_text().splitlines()
    stated = max(number for number, line in enumerate(lines, 1) if line.strip() in ("version: 1.0.0", "a: 1.0.1"))
    with pytest.raises(ScriptError, match=message.replace("LINE", str(stated))):
        make_builder(read_definition("tiny", root=clone.root), data_dir=tmp_path, config="a")


def test_the_version_of_a_builder_without_configs_disagrees_with_its_line(clone, tmp_path):
    builder = re.sub(r"    BUILDER_CONFIGS = .*?\n    \]\n\n    def _info", CLASS, BUILDER, flags=re.DOTALL)
    define(clone.root, "  version: 1.0.0\n", builder=builder, configs=())
    (clone.root / "dvc.yaml").write_text(
        (clone.root / "dvc.yaml").read_text().replace("    outs:\n      - artifacts/tiny.json", OUTPUT)
    )
    with pytest.raises(
        ScriptError, match=rf"has version 3\.0\.0 \({PLACE}:8\); make the two agree, or leave version out"
    ):
        make_builder(read_definition("tiny", root=clone.root), data_dir=tmp_path)


OUTPUT = "    outs:\n      - artifacts/tiny.tar:\n          remote: private\n      - artifacts/tiny.json"


def test_the_configs_may_have_versions_beside_that_of_the_dataset(clone, tmp_path):
    define(clone.root, "  version: 7.0.0\n  configs: {a: 1.0.0, b: 2.0.0}\n")
    definition = read_definition("tiny", root=clone.root)
    assert (definition.version, definition.configs) == ("7.0.0", ("a", "b"))
    for config, version in (("a", "1.0.0"), ("b", "2.0.0")):
        assert str(make_builder(definition, data_dir=tmp_path, config=config).version) == version


def test_versions_are_compared_by_their_numbers():
    assert highest(["1.9.0", "1.10.0", "1.2.11"]) == "1.10.0"


@pytest.mark.parametrize("source", ["", "def f(:", "class Other:\n    VERSION = 1\n", "class Tiny:\n    x = 1\n"])
def test_a_source_that_states_no_version_has_no_line_for_it(tmp_path, source):
    (tmp_path / "tiny.py").write_text(source)
    assert line_of_version(tmp_path / "tiny.py", "Tiny") is None
    assert line_of_version(tmp_path / "missing.py", "Tiny") is None
