"""A build that cannot fit on the disk is refused before it starts."""

from dataclasses import replace

import pytest

from loader._format.manifest import read_manifest
from scripts._build import room
from scripts._define.definition import read_definition
from scripts._process.errors import ScriptError


class _Usage:
    free = 1000


@pytest.fixture
def definition(small, monkeypatch):
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: _Usage)
    return read_definition("small", root=small)


def check(definition):
    artifacts = definition.manifest.parent
    room.check_room(definition, artifacts, artifacts)


def test_a_version_that_is_known_not_to_fit_is_refused_with_the_figures(definition):
    (entry,) = read_manifest(definition.manifest).artifacts
    with pytest.raises(ScriptError) as raised:
        check(definition)
    assert str(raised.value) == (
        f"small: version {definition.version} needs {int(room.SCRATCH * entry.size):,} bytes to be built, "
        f"{definition.manifest.parent} has 1,000 left; make room and build again"
    )


def test_of_another_version_it_is_only_said(definition, capsys):
    check(replace(definition, version="9.0.0"))
    assert capsys.readouterr().err.endswith("has 1,000 left; another version may need as much\n")


def test_a_dataset_that_was_never_built_is_not_checked(definition):
    definition.manifest.unlink()
    check(definition)
