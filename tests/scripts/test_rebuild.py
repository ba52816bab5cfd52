"""`verify REBUILD=1` without the artifact: what is built is compared with the recorded hashes."""

import shutil

import pytest

from scripts._process.errors import ScriptError
from scripts.verify import verify
from tests.helpers.buildable_dataset import add_buildable

pytestmark = pytest.mark.slow


@pytest.fixture
def unpulled(built_tiny):
    """A clone that records `tiny`, but has its artifact neither in the work tree nor in DVC's cache."""
    (built_tiny.root / "artifacts/tiny.tar").unlink()
    shutil.rmtree(built_tiny.root / ".dvc/cache")
    return built_tiny


def test_a_dataset_is_proved_to_be_reproducible_without_pulling_it(unpulled):
    (line,) = verify("tiny", rebuild=True, root=unpulled.root)
    assert line.startswith("a build from its sources gives the same bytes")
    assert not (unpulled.root / "artifacts/tiny.tar").exists()


def test_other_bytes_are_found_by_their_hash(unpulled):
    builder = unpulled.root / "datasets/standard/tiny/tiny.py"
    builder.write_text(builder.read_text().replace("number / 3", "number / 4"))
    with pytest.raises(ScriptError, match=r"tiny\.tar has md5 \w+, dvc\.lock records \w+") as raised:
        verify("tiny", rebuild=True, root=unpulled.root)
    assert "to see what differs, pull it first: make pull DATASET=tiny" in str(raised.value)


def test_a_readme_that_the_builder_reads_is_part_of_the_rebuild(clone):
    add_buildable(clone.root)
    builder = clone.root / "datasets/standard/tiny/tiny.py"
    text = builder.read_text()
    info = "builder=self,\n"
    readme = "builder=self,\n            description=(Path(__file__).parent / 'README.md').read_text(),\n"
    assert info in text
    builder.write_text("from pathlib import Path\n" + text.replace(info, readme))
    (builder.parent / "README.md").write_text("The description.\n")
    clone.run("dvc", "repro", "tiny")
    assert any("same bytes" in line for line in verify("tiny", rebuild=True, root=clone.root))
