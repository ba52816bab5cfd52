"""The commands that messages print are complete, and do what the message promises."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from tests.helpers.buildable_dataset import SOURCE

ROOT = Path(__file__).resolve().parents[1]
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = dict(re.findall(r"^([a-z0-9-]+):(.*)##", MAKEFILE, re.MULTILINE))
MAKE = re.compile(r"\bmake ([a-z][a-z0-9-]*)((?: [A-Z]+=(?:\"[^\"]*\"|[^\s;,)]+))*)")


def messages(path):
    """The texts of a module that are no docstrings; a value put into one is shown as `…`."""
    tree = ast.parse(path.read_text())
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    inside = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inside |= {id(part) for part in ast.walk(node)} - {id(node)}
            yield node.lineno, "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings | inside:
            yield node.lineno, node.value


def printed_commands():
    for folder in ("scripts", "loader"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for line, text in messages(path):
                for target, variables in MAKE.findall(text):
                    if target in TARGETS or "=" in variables:
                        yield f"{path.relative_to(ROOT)}:{line}", target, variables.strip()


def test_every_make_command_in_a_message_is_complete():
    found = list(printed_commands())
    assert len(found) > 40
    assert [f"{place}: make {target}" for place, target, _ in found if target not in TARGETS] == []
    incomplete = [
        f"{place}: make {target} {variables}"
        for place, target, variables in found
        if ".dataset" in TARGETS[target] and not re.search(r"DATASET=|ALL=1", variables)
    ]
    assert incomplete == []
    known = set(re.findall(r"\b([A-Z]{2,})\b", MAKEFILE))
    assert {name for _, _, variables in found for name in re.findall(r"([A-Z]+)=", variables)} <= known


@pytest.fixture
def tiny(built_tiny):
    """A clone in which `tiny`, a public dataset, is built and committed."""
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    built_tiny.run("git", "add", "--all")
    built_tiny.run("git", *identity, "commit", "--quiet", "-m", "tiny")
    return built_tiny


def advice_of(clone, *command, env=None, pattern=r"(?:with|run|it|pulled): ((?:make|git|dvc|rm) [^;,\n]*)"):
    """Run a command that fails; return its message, and the commands that the message names."""
    failed = clone.run(*command, check=False, env=env)
    assert failed.returncode, f"{command} should have failed"
    text = failed.stdout + failed.stderr
    assert "Traceback" not in text
    advice = re.findall(pattern, text)
    assert advice, f"no command in: {text}"
    return text, [each.strip().rstrip(".") for each in advice]


def remove_artifact(clone):
    (clone.root / "artifacts/tiny.tar").unlink()


def damage_artifact(clone):
    path = clone.root / "artifacts/tiny.tar"
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data[:-4000] + b"x" * 4000)


def change_manifest(clone):
    path = clone.root / "artifacts/tiny.json"
    path.write_text(path.read_text().replace('"CC0"', '"MIT"'))


def remove_manifest(clone):
    (clone.root / "artifacts/tiny.json").unlink()


def change_version(clone):
    for file in ("params.yaml", "datasets/standard/tiny/tiny.py"):
        path = clone.root / file
        head, name, tail = path.read_text().partition("tiny:" if file == "params.yaml" else "Version(")
        path.write_text(head + name + tail.replace("1.0.0", "1.0.1", 1))


def remove_checksum(clone):
    (clone.root / "datasets/standard/tiny/checksums.tsv").write_text("")
    (clone.root / "sources/tiny/tiny.json").write_bytes(SOURCE)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("breaks", "command"),
    [
        (remove_artifact, ["make", "verify", "DATASET=tiny"]),
        (damage_artifact, ["make", "verify", "DATASET=tiny"]),
        (change_manifest, ["make", "verify", "DATASET=tiny"]),
        (remove_manifest, ["make", "verify", "DATASET=tiny"]),
        (change_manifest, ["make", "check"]),
        (change_version, ["make", "verify", "DATASET=tiny"]),
        (change_version, ["make", "check"]),
        (remove_artifact, ["make", "push", "DATASET=tiny", "PUBLIC=1"]),
        (damage_artifact, ["make", "push", "DATASET=tiny", "PUBLIC=1"]),
        (remove_checksum, ["make", "build", "DATASET=tiny", "OVERWRITE=1"]),
    ],
)
def test_following_the_advice_fixes_it(tiny, remote, breaks, command):
    remote.point(tiny.root)
    breaks(tiny)
    for _ in range(2):  # once a damaged file is removed, the next message says how to get it
        text, advice = advice_of(tiny, *command)
        # of several ways (pull it, or build it) one must help
        assert any(tiny.run("sh", "-c", each, check=False).returncode == 0 for each in advice), text
        if tiny.run(*command, check=False).returncode == 0:
            return
    pytest.fail(text)


@pytest.mark.slow
def test_consent_is_asked_for_with_the_command_that_gives_it(tiny, remote):
    remote.point(tiny.root)
    _, (advice,) = advice_of(tiny, "make", "push", "DATASET=tiny")
    assert advice == "make push DATASET=tiny PUBLIC=1"
    tiny.run("sh", "-c", advice)
    assert len(remote.keys("public")) == 1


@pytest.mark.slow
def test_a_missing_object_is_pushed_by_the_command_that_the_reader_is_given(tiny, remote):
    remote.point(tiny.root)
    artifact = tiny.root / "artifacts/tiny.tar"
    kept = artifact.read_bytes()
    artifact.unlink()
    subprocess.run(["rm", "-rf", str(tiny.root / ".dvc/cache")], check=True)
    for command in (["make", "pull", "DATASET=tiny"], ["python", "-c", "import loader; loader.load('tiny')"]):
        failed = tiny.run(*command, check=False)
        assert failed.returncode
        (advice,) = re.findall(r"make push DATASET=tiny PUBLIC=1", failed.stderr)[:1]
    artifact.write_bytes(kept)
    tiny.run("sh", "-c", advice)
    artifact.unlink()
    tiny.run("make", "pull", "DATASET=tiny")
    assert artifact.read_bytes() == kept
