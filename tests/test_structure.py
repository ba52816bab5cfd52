"""Which module may import which, and that no two import each other."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import LONGEST

ROOT = Path(__file__).resolve().parents[1]
# each may import those before it
ROOMS = ("_process", "_dvc", "_define", "_merge", "_sources", "_tfds", "_build", "_verify", "_release")
LOADER_ROOMS = ("_errors", "_format", "_features", "_display", "_fetch", "_registry")
ABOVE_THE_API = ("_catalog", "_commands")  # rooms that use the public API of the loader; `__main__` runs the commands


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules(*folders):
    """The modules below some folders, by name."""
    return {module_name(path): path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))}


OURS = modules("loader", "scripts", "datasets", "tests", "benchmarks")


@cache
def imports(path):
    """The modules of this repository that a file imports, wherever in it, for type checking too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {name if (name := f"{node.module}.{alias.name}") in OURS else node.module for alias in node.names}
    return {name for name in found if name.partition(".")[0] in ("loader", "scripts", "tests", "datasets")}


COMMANDS = {name for name, path in OURS.items() if path.parent == ROOT / "scripts" and not path.name.startswith("__")}


def violations(folders, is_allowed):
    """The imports of the modules below some folders that are not allowed."""
    return [
        f"{name} imports {other}"
        for name, path in modules(*folders).items()
        for other in sorted(imports(path))
        if not is_allowed(name, other)
    ]


def room(name):
    """The room of a module, as `_format` of `loader._format.index`."""
    return name.split(".")[1] if name.count(".") else ""


def is_below(rooms):
    """Whether an import leads from a room into the same or a lower one; other imports are not judged."""

    def judge(name, other):
        inside = room(name) in rooms and other.partition(".")[0] == name.partition(".")[0]
        return not inside or (room(other) in rooms and rooms.index(room(other)) <= rooms.index(room(name)))

    return judge


def test_the_loader_imports_nothing_from_elsewhere():
    assert violations(["loader"], lambda _, other: other.startswith("loader")) == []


def test_a_dataset_imports_the_public_loader_only():
    assert violations(["datasets"], lambda _, other: other == "loader") == []


def test_scripts_enter_the_loader_by_its_public_face_its_errors_and_the_format():
    public = ("loader._errors", "loader._format")
    assert (
        violations(
            ["scripts", "tests/scripts"],
            lambda _, other: not other.startswith("loader.") or other.startswith(public),
        )
        == []
    )


def test_commands_stand_alone():
    commands = {name for name, path in OURS.items() if path.parent == ROOT / "scripts" and path.name[0] != "_"}
    assert [name for name in commands if "\ndef command(" not in OURS[name].read_text()] == []
    assert violations(["scripts"], lambda name, other: name == "scripts.__main__" or other not in commands) == []


def test_a_room_imports_only_what_is_below_it():
    assert violations(["scripts"], is_below(ROOMS)) == []
    assert violations(["loader"], is_below(LOADER_ROOMS)) == []
    assert violations(["loader/_catalog"], lambda _, other: room(other) != "_commands") == []


def test_only_the_commands_are_above_the_api_of_the_loader():
    above = ("loader.__main__", *(f"loader.{each}" for each in ABOVE_THE_API))
    assert violations(["loader"], lambda name, other: name.startswith(above) or room(other) not in ABOVE_THE_API) == []


def test_no_modules_import_each_other():
    graph = {name: imports(path) & OURS.keys() for name, path in modules("loader", "scripts").items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_modules_are_of_a_size_that_can_be_read():
    lengths = {name: len(path.read_text().splitlines()) for name, path in modules("loader", "scripts").items()}
    assert {name: length for name, length in lengths.items() if length > 320} == {}


def test_the_files_whose_tests_start_first_exist():
    assert [name for name in LONGEST if not (ROOT / "tests" / name).exists()] == []
