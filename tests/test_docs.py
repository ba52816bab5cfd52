"""README.md and the pages in docs/: commands run, sessions give what they show, links lead somewhere."""

import doctest
import importlib.util
import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import Clone

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BUILT = {  # what each page's commands and sessions find built
    "README.md": ["mnist"],
    "loading.md": ["digit_speakers", "mnist"],
    "datasets.md": ["mnist"],
}
FRAMEWORKS = {"torch": "torch", "tf": "tensorflow"}


def blocks(page, language):
    """The fenced blocks of a page that are in `language`, as "sh" or "python torch"."""
    fenced = re.findall(r"^```(.*)\n((?:.*\n)*?)```$", page.read_text(), re.MULTILINE)
    return [content for found, content in fenced if found.strip() == language]


def commands(page):
    """The commands of a page, without their comments; those of the README's start are tested by CI itself."""
    shown = blocks(page, "sh")[1:] if page == README else blocks(page, "sh")
    found = [line for line in "".join(shown).splitlines() if line.partition("#")[0].strip()]
    return re.findall(r"^(?:.*<<'END'\n(?:.*\n)*?END|.+)$", "\n".join(found), re.MULTILINE)


def run_session(name, session):
    """Run a session as doctest does; return how many examples it has."""
    test = doctest.DocTestParser().get_doctest(session, {}, name, name, 0)
    outcome = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False).run(test)
    assert outcome.failed == 0
    assert outcome.attempted == session.count(">>> ")
    return outcome.attempted


@pytest.fixture
def clone(built, tmp_path, request):
    """A clone in which everything that the page needs is built; it may be written to."""
    names = BUILT.get(request.param.name, [])
    clone = Clone(tmp_path / "clone")
    first, *others = [built(name) for name in names or ["mnist"]]
    shutil.copytree(first.root, clone.root, symlinks=True)
    for name, other in zip(names[1:], others, strict=True):
        shutil.copytree(other.root / ".dvc/cache", clone.root / ".dvc/cache", dirs_exist_ok=True)
        clone.run("dvc", "checkout", name)
    return clone


def pages_with(*languages):
    found = [page for page in PAGES if any(blocks(page, language) for language in languages)]
    return pytest.mark.parametrize(("clone", "page"), [(page, page) for page in found], indirect=["clone"])


@pytest.mark.slow
@pages_with("sh")
def test_the_commands_do_what_they_say(clone, page):
    try:
        for command in commands(page):
            clone.run("sh", "-c", command)
    finally:
        clone.run("make", "s3-stop")


@pytest.mark.slow
@pages_with("python", *(f"python {framework}" for framework in FRAMEWORKS))
def test_the_sessions_give_what_they_show(clone, page, monkeypatch):
    monkeypatch.chdir(clone.root)
    run_session(page.name, "".join(blocks(page, "python")))
    for framework, package in FRAMEWORKS.items():
        if importlib.util.find_spec(package):
            for session in blocks(page, f"python {framework}"):
                run_session(f"{page.name} {framework}", f">>> import loader\n{session}")


def test_the_two_commands_are_there():
    shown = [line.split("#")[0].strip() for line in blocks(README, "sh")[0].splitlines()]
    assert shown == ["make build DATASET=mnist", "make test"]
    assert "make test" in (ROOT / ".ci/run").read_text()


def test_the_readme_is_a_front_page():
    assert len(README.read_text().splitlines()) <= 130


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_exists(page):
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = page.read_text()
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    code = re.findall(r"`[^`]+`", prose) + blocks(page, "sh")
    assert set(re.findall(r"\bmake ([a-z0-9-]+)", "\n".join(code))) <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\((?!http)([^)]+)\)", page.read_text()):
        file, _, anchor = target.partition("#")
        found = (page.parent / file) if file else page
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", found.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_every_path_of_the_tree_exists():
    (tree,) = blocks(README, "")
    for line in tree.splitlines():
        assert (ROOT / line.split()[0]).exists(), line


def test_every_target_is_in_the_readme():
    listed = set(re.findall(r"^([a-z0-9-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = README.read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    assert {target for target in listed if not re.search(rf"`make {target}\b", text)} == {"help"}
