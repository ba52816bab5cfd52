"""The pages in docs/frameworks: each script runs as it is printed, in a clone, and prints what the page shows.

A page has one ```sh fence with the line that installs what it needs, its script in ```python fences, which are one file
in their order, and in the last plain fence what the script prints; "..." stands for figures that vary.
"""

import doctest
import importlib.metadata
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests import test_docs
from tests.conftest import Clone, Remote, clean_environment
from tests.helpers.slow_wire import running_slow_wire
from tests.test_docs import blocks

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs/frameworks").glob("*.md"))
STREAMING = ROOT / "docs/frameworks/pytorch-streaming.md"
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def required(page):
    """The packages beside the loader that a page's install line brings."""
    (line,) = "".join(blocks(page, "sh")).splitlines()
    pip, install, *words = shlex.split(line)
    assert (pip, install) == ("pip", "install")
    checkout, *others = words
    path, _, extras = checkout.rstrip("]").partition("[")
    assert path == ".", "the loader is installed from the checkout"
    names = [name for extra in filter(None, extras.split(",")) for name in EXTRAS[extra]] + others
    return [Requirement(name) for name in names]


def script_of(page):
    return "\n\n".join(blocks(page, "python"))


def is_installed(package):
    try:
        return package.specifier.contains(importlib.metadata.version(package.name), prereleases=True)
    except importlib.metadata.PackageNotFoundError:
        return False


@pytest.fixture
def clone(built, tmp_path):
    """A function that returns a clone, which may be written to, in which datasets are built."""

    def make(names):
        first, *others = [(name, built(name)) for name in names]
        clone = Clone(tmp_path / "clone")
        shutil.copytree(first[1].root, clone.root, symlinks=True)
        for name, other in others:
            shutil.copytree(other.root / ".dvc/cache", clone.root / ".dvc/cache", dirs_exist_ok=True)
            clone.run("dvc", "checkout", name)
        return clone

    return make


@pytest.mark.slow
@each_page
def test_the_script_prints_what_the_page_shows(page, clone):
    missing = [package.name for package in required(page) if not is_installed(package)]
    if missing:
        pytest.skip(f"{page.name} needs {' and '.join(missing)}: {blocks(page, 'sh')[0].strip()}")
    script = script_of(page)
    names = list(dict.fromkeys(re.findall(r'loader\.load\(\s*"(\w+)"', script)))
    clone = clone(names or ["mnist"])
    # not named after the page: a file jax.py would be imported instead of JAX
    (clone.root / "example.py").write_text(script)

    settings = {
        "OMP_NUM_THREADS": "1",  # or threads wait for each other on a machine that runs other tests
        # Grain frees shared memory in a thread, and what is left at the end Python frees with a warning
        "PYTHONWARNINGS": "ignore:resource_tracker:UserWarning",
    }
    done = clone.run(sys.executable, "example.py", env=settings)

    shown = blocks(page, "")[-1]
    checker = doctest.OutputChecker()
    if not checker.check_output(shown, done.stdout, doctest.ELLIPSIS):
        example = doctest.Example(script, shown)
        pytest.fail(checker.output_difference(example, done.stdout, doctest.ELLIPSIS) + done.stderr)
    assert "Warning" not in done.stderr, done.stderr


@pytest.mark.slow
def test_training_from_s3_that_was_killed_goes_on_with_the_next_batch(clone, s3_server, tmp_path):
    pytest.importorskip("torch")
    clone = clone(["mnist"])
    (clone.root / "example.py").write_text(script_of(STREAMING))
    tar = clone.root / "artifacts/mnist.tar"
    size = tar.stat().st_size
    with running_slow_wire(s3_server.endpoint) as wire:
        remote = Remote(replace(s3_server, endpoint=wire.url), tmp_path)
        remote.publish(tar)
        remote.point(clone.root)
        tar.unlink()
        shutil.rmtree(clone.root / ".dvc/cache")

        def train(cache, last=None):
            """Train until this line was printed, or to the end; return the lines, and the bytes that moved."""
            process = subprocess.Popen(
                [sys.executable, "example.py"],
                cwd=clone.root,
                env={**clean_environment(), "DATASETS_CACHE": str(tmp_path / cache), "OMP_NUM_THREADS": "1"},
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            lines = []
            with process:
                for line in process.stdout:
                    lines.append(line)
                    if last and line.startswith(last):
                        os.killpg(process.pid, signal.SIGKILL)  # with its worker processes
                        break
                lines += process.stdout  # what it still printed before it died
            assert process.returncode == (-signal.SIGKILL if last else 0)
            return lines, wire.counts().bytes

        wire.counts()
        unbroken, moved = train("unbroken")
        (clone.root / "checkpoint.pt").unlink()
        before, moved_before = train("killed", last="epoch 0, batch 50")
        after, moved_after = train("killed")

    assert before + after == unbroken, "it went on with other examples, or with another model"
    assert moved < 0.15 * size, "more was moved than a tenth of the records and their rows, once for both epochs"
    assert moved_before + moved_after < 1.1 * moved, "what had arrived before the kill was moved again"


@each_page
def test_the_install_line_names_extras_that_exist(page):
    assert required(page)


@each_page
def test_every_link_leads_somewhere(page):
    test_docs.test_every_link_leads_somewhere(page)


def test_the_pages_are_linked_from_loading():
    linked = re.findall(r"\]\((frameworks/[^)#]+)\)", (ROOT / "docs/loading.md").read_text())
    assert sorted(set(linked)) == [f"frameworks/{page.name}" for page in PAGES]
