"""What a builder may read beside its sources: the artifacts that its stage depends on, as they are here."""

from dataclasses import replace

import pytest

import loader
from scripts._build.prepare import reading_parents
from scripts._define.definition import read_definition
from scripts._process.errors import ScriptError


@pytest.fixture
def derived(small):
    """A dataset of the repository that is derived from `small`."""
    return replace(read_definition("small", root=small), name="derived", parents={"small": ("small.tar",)})


def test_a_parent_is_read_as_it_is_here(derived):
    version = read_definition("small", root=derived.root).version
    with reading_parents(derived):
        assert loader.load("small")[0].version == loader.load("small", version=version)[0].version == version


@pytest.mark.parametrize("option", [{"version": "9.9.9"}, {"rev": "HEAD"}, {"repo": "elsewhere"}])
def test_no_parent_is_read_of_another_revision_or_repository(derived, option):
    (name, value), *_ = option.items()
    with (
        reading_parents(derived),
        pytest.raises(ScriptError, match=rf"derived: its builder reads the dataset small with {name}='{value}'; .*"),
    ):
        loader.load("small", **option)


def test_what_the_stage_does_not_depend_on_is_not_read(derived):
    with (
        reading_parents(replace(derived, parents={})),
        pytest.raises(ScriptError, match="on which its stage does not depend"),
    ):
        loader.load("small")
