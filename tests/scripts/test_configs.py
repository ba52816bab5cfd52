"""A dataset with several builder configs: one stage, one manifest, one tar for each config."""

import json
import re
import shutil

import pytest

from tests.conftest import make_clone
from tests.helpers.buildable_dataset import BUILDER, add_buildable

CONFIGS = """    BUILDER_CONFIGS = [tfds.core.BuilderConfig(name="two.words"), tfds.core.BuilderConfig(name="one-word")]
    DEFAULT_BUILDER_CONFIG_NAME = "one-word"
"""


def add_configs(root, *configs):
    """Define the dataset, with these configs in params.yaml."""
    builder = BUILDER.replace("\n    def _info", f"{CONFIGS}\n    def _info", 1).replace(
        "words[number % len(words)]", "words[number % (1 + (self.builder_config.name == 'two.words'))]"
    )
    add_buildable(root, builder=builder)
    params, stages = root / "params.yaml", root / "dvc.yaml"
    params.write_text(params.read_text() + f"  configs: [{', '.join(configs)}]\n")
    outs = "".join(f"      - artifacts/tiny-{config}.tar:\n          remote: public\n" for config in configs)
    one = "      - artifacts/tiny.tar:\n          remote: public\n"
    assert one in stages.read_text()
    stages.write_text(stages.read_text().replace(one, outs))


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A clone in which both configs are built; tests must not change it."""
    clone = make_clone(tmp_path_factory.mktemp("configs") / "clone")
    add_configs(clone.root, "two.words", "one-word")
    clone.run("dvc", "repro", "tiny")
    return clone


@pytest.fixture
def copy(both, tmp_path):
    """A copy of the clone `both`."""
    shutil.copytree(both.root, tmp_path / "clone", symlinks=True)
    return type(both)(tmp_path / "clone")


def texts(clone, config):
    load = f"loader.load('tiny', config={config!r}, split='test')"
    return clone.python(f"import loader; print(*sorted({{e['text'].decode() for e in {load}[1]}}))").split()


def test_each_config_has_a_tar_and_the_default_is_that_of_tfds(both):
    manifest = json.loads((both.root / "artifacts/tiny.json").read_bytes())
    assert {name: entry["config"] for name, entry in manifest["artifacts"].items()} == {
        "tiny-two.words.tar": "two.words",
        "tiny-one-word.tar": "one-word",
    }
    assert manifest["default_config"] == "one-word"
    assert len(manifest["sources"]) == 1
    assert texts(both, "two.words") == ["one", "two"]
    assert texts(both, "one-word") == texts(both, None) == ["one"]
    wrong = both.python("import loader; loader.load('tiny', config='three')", check=False)
    assert "NotFoundError: tiny has no config 'three'; its configs: two.words, one-word" in wrong


@pytest.mark.slow
def test_both_configs_are_verified_extracted_pushed_and_pulled(copy, remote):
    remote.point(copy.root)
    checked = copy.scripts("verify", "tiny")
    assert "tiny: ok: two.words: all 230 records" in checked
    assert "tiny: ok: one-word: all 230 records" in checked
    extracted = copy.scripts("extract", "tiny")
    for config in ("two.words", "one-word"):
        assert f"extracted/tiny/{config}/1.0.0" in extracted
        assert (copy.root / f"extracted/tiny/{config}/1.0.0/features.json").is_file()
    assert copy.scripts("push", "tiny", "--public").count("on the remote at s3://public/") == 2
    assert len(remote.keys("public")) == 2
    for tar in (copy.root / "artifacts").glob("tiny-*.tar"):
        tar.unlink()
    shutil.rmtree(copy.root / ".dvc/cache")
    assert copy.scripts("pull", "tiny").count(".tar") == 2  # in one line
    assert "tiny: ok: one-word:" in copy.scripts("verify", "tiny")


def test_a_damaged_config_is_named(copy):
    tar = copy.root / "artifacts/tiny-one-word.tar"
    data = bytearray(tar.read_bytes())
    data[-20_000] ^= 1
    tar.unlink()
    tar.write_bytes(data)
    assert "error: tiny:" in (text := copy.scripts("verify", "tiny", check=False))
    assert "tiny-one-word.tar is not what dvc.lock records" in text


def test_a_config_must_be_named_if_the_default_config_is_not_recorded(clone):
    add_configs(clone.root, "two.words")
    clone.scripts("build", "tiny")
    assert texts(clone, None) == ["one", "two"]  # the only config
    manifest = clone.root / "artifacts/tiny.json"
    document = json.loads(manifest.read_bytes())
    other = json.loads(json.dumps(document["artifacts"]["tiny-two.words.tar"]).replace("two.words", "three"))
    document["artifacts"]["tiny-three.tar"] = other
    manifest.write_text(json.dumps(document))
    text = clone.python("import loader; loader.load('tiny')", check=False)
    assert re.search(r"NotFoundError: tiny .*default config 'one-word'; name one: two\.words, three", text)


def test_a_config_that_the_builder_does_not_have_is_one_sentence(clone):
    add_configs(clone.root, "two.words", "tree")
    text = clone.scripts("build", "tiny", check=False)
    assert "error: tiny: its builder has no config 'tree'; it has: two.words, one-word" in text
    assert "Traceback" not in text
    assert not (clone.root / "artifacts/tiny.json").exists()
