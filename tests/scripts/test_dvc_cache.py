"""A built artifact and DVC's cache share their bytes, and DVC does not read them again."""

import os
import re

import pytest

from tests.helpers.buildable_dataset import add_buildable

# runs `dvc repro tiny`, and prints each file that DVC hashes
HASHED = """
import sys
from dvc_data.hashfile import hash as hashing
original = hashing._hash_file
def hash_file(path, *arguments, **options):
    print("hashed", path)
    return original(path, *arguments, **options)
hashing._hash_file = hash_file
from dvc.cli import main
sys.exit(main(["repro", "tiny"]))
"""


@pytest.fixture
def built(clone):
    """A clone in which DVC has built `tiny`, and what it printed."""
    add_buildable(clone.root)
    return clone, clone.python(HASHED)


def cached(root):
    """The object in DVC's cache that dvc.lock records for the artifact."""
    (md5,) = re.findall(r"path: artifacts/tiny\.tar\n\s+hash: md5\n\s+md5: (\w+)", (root / "dvc.lock").read_text())
    return root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]


@pytest.mark.slow
def test_an_artifact_is_linked_into_the_cache_and_hashed_once(built):
    clone, output = built
    tar = clone.root / "artifacts/tiny.tar"
    assert tar.samefile(cached(clone.root))
    assert "hashed" in output
    assert not re.search(r"hashed .*tiny\.tar", output)
    assert clone.run("dvc", "status", "tiny").stdout.strip() == "Data and pipelines are up to date."

    # a build repairs an artifact that is damaged together with the cache
    whole = tar.read_bytes()
    tar.chmod(0o644)
    tar.write_bytes(b"damaged")
    clone.run("make", "build", "DATASET=tiny", "OVERWRITE=1")
    assert tar.read_bytes() == cached(clone.root).read_bytes() == whole
    assert tar.samefile(cached(clone.root))


def test_a_cache_that_is_configured_to_copy_is_left_to_dvc(clone):
    add_buildable(clone.root)
    clone.run("dvc", "config", "--local", "cache.type", "copy")
    clone.run("dvc", "repro", "tiny")
    tar = clone.root / "artifacts/tiny.tar"
    assert not tar.samefile(cached(clone.root))
    assert os.access(tar, os.W_OK)
    assert tar.read_bytes() == cached(clone.root).read_bytes()
