"""The command line of the loader: list, info, versions and fetch."""

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import loader
from tests.helpers.made_up_registry import make_registry
from tests.helpers.recorded_dataset import make_dvc, make_git, make_recorded

ROOT = Path(__file__).resolve().parents[2]
ENTRY = {
    "name", "kind", "builder", "version", "visibility", "license", "description", "citation", "homepage",
    "default_config", "configs", "sources", "parents", "children", "toolchain", "statistics", "state", "withdrawn",
    "revision", "size",
}  # fmt: skip
CONFIG = {"name", "version", "filename", "size", "sha256", "md5", "splits", "features", "place", "remote"}
STATE = {"words", "places", "remotes", "outdated", "problem"}
VERSION = {"name", "version", "date", "commit", "tags", "size", "artifacts", "is_current"}


def run(*arguments, env=None, **options):
    return subprocess.run(
        [sys.executable, "-m", "loader", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        **options,
    )


def output(*arguments, **options):
    done = run(*arguments, **options)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def on_a_terminal(*arguments, columns=80):
    """Return what a command prints on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "loader", *map(str, arguments)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "COLUMNS": str(columns)}
    )
    os.close(theirs)
    text = b""
    try:
        while chunk := os.read(ours, 4096):
            text += chunk
    except OSError:  # how the end of a terminal is told
        pass
    os.close(ours)
    assert process.wait() == 0
    return text.decode()


@pytest.fixture
def repository(small):
    make_git(small)
    options = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", "add", "--all"], cwd=small, check=True)
    subprocess.run(["git", *options, "commit", "--quiet", "-m", "test"], cwd=small, check=True)
    return small


class TestList:
    def test_the_real_datasets_are_lines_with_every_column(self, clone):
        lines = output("list", "--repo", clone.root).splitlines()
        assert lines[0].split() == [
            "NAME", "KIND", "VERSION", "CONFIGS", "LICENSE", "VISIBILITY", "SPLITS", "SIZE", "STATE",
        ]  # fmt: skip
        assert [line.split(" ")[0] for line in lines[1:]] == ["digit", "digit_speakers", "mnist", "mnist_fgsm"]
        assert {len(line.split("  ")) > 8 for line in lines} == {True}
        assert "CC BY-SA 4.0  public      train 1350, test 150     10.3 MB  not on this machine" in lines[1]
        assert "jackson,nicolas,theo" in lines[2]

    @pytest.mark.parametrize(
        ("arguments", "names"),
        [
            (["--kind", "adversarial"], ["mnist_fgsm"]),
            (["--license", "cc by-sa 3"], ["mnist", "mnist_fgsm"]),
            (["--feature", "Audio"], ["digit", "digit_speakers"]),
            (["--feature", "image", "--kind", "standard"], ["mnist"]),
            (["speak"], ["digit", "digit_speakers"]),
            (["adversarial_image"], ["mnist_fgsm"]),
        ],
    )
    def test_filters_choose(self, clone, arguments, names):
        found = json.loads(output("list", "--repo", clone.root, "--json", *arguments))
        assert [entry["name"] for entry in found] == names

    def test_the_names_of_classes_are_searched(self, tmp_path):
        root = make_registry(tmp_path / "registry", datasets=2, versions=1)
        assert len(json.loads(output("list", "--repo", root, "--json", "three"))) == 2

    def test_no_match_is_a_sentence_with_near_names(self, small):
        done = run("list", "--repo", small, "smalll")
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr == "no dataset matches 'smalll'; did you mean small?\n"
        done = run("list", "--repo", small, "--kind", "other", "--json")
        assert (json.loads(done.stdout), done.stderr) == (
            [],
            "no dataset is of the kind 'other'; the kinds are: standard\n",
        )

    def test_json_is_complete_and_its_keys_stay(self, repository):
        [entry] = json.loads(output("list", "--repo", repository, "--json"))
        assert set(entry) == ENTRY
        assert set(entry["configs"][0]) == CONFIG
        assert set(entry["state"]) == STATE
        assert entry["state"]["words"] == "here"
        assert entry["configs"][0]["splits"]["test"]["examples"] == 70

    def test_the_remote_is_asked(self, tmp_path, remote):
        root = make_recorded(tmp_path / "repository")
        make_dvc(root, ROOT / ".dvc/config")
        remote.point(root)
        assert "here; not on its remote" in output("list", "--repo", root, "--remote")
        remote.publish(root / "artifacts/small.tar")
        assert "here; on its remote" in output("list", "--repo", root, "--remote")
        done = run("list", "--repo", root, "--remote", "--offline")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("error: asking the remote needs the network")

    def test_a_commit_and_a_url_are_read(self, repository):
        assert "small" in output("list", "--repo", repository, "--rev", "HEAD")
        assert "not on this machine" in output("list", "--repo", f"file://{repository}")
        assert "not on this machine" in output("list", "--repo", f"file://{repository}", "--offline")


class TestInfo:
    def test_everything_is_printed(self, tmp_path):
        root = make_registry(tmp_path / "registry", datasets=2, versions=3)
        text = " ".join(output("info", "dataset_000", "--repo", root).split())
        for words in (
            "dataset_000 1.0.2\nMade-up images, number 0.",
            "license     CC BY 4.0",
            "visibility  private",
            "toolchain   numpy 2.4.6, protobuf 7.36.2",
            "train      1000   8000       1",
            "image  Image(shape=(28, 28, 1), dtype=uint8, encoding_format='png')",
            "classes of label: zero (250), one (250), two (250), three (250)",
            "image  0..255 33.5 0 0 28 x 28",
            "no example occurs twice, in one split or in two (no leaks)",
            "https://example.org/a.zip",
            "dataset_000@v1.0.1",
            'info, ds = loader.load("dataset_000"',
            "python -m loader fetch dataset_000 --repo",
        ):
            assert " ".join(words.split()) in text

    def test_the_lines_that_load_it_work(self, repository):
        lines = output("info", "small", "--repo", repository, "--rev", "HEAD").splitlines()
        python = "\n".join(lines[-4:-2])
        program = f"{python}\nprint(len(ds['test']))"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert done.stdout == "70\n", done.stderr
        assert output(*lines[-1].split()[3:]).strip() == str(repository / "artifacts/small.tar")

    def test_relatives_are_named(self, clone):
        assert "parent of   digit_speakers" in output("info", "digit", "--repo", clone.root)
        text = output("info", "digit_speakers", "--repo", clone.root)
        assert "derived from digit 1.0.8" in text
        assert "features of config jackson" in text
        assert 'config="jackson"' in text

    def test_json_has_the_versions(self, repository):
        found = json.loads(output("info", "small", "--repo", repository, "--json"))
        assert set(found) == ENTRY | {"read_from", "versions"}
        assert set(found["versions"][0]) == VERSION

    def test_a_dataset_that_was_never_built_says_how(self, small):
        with (small / "params.yaml").open("a") as params:
            params.write("planned: {builder: datasets/standard/planned, version: 0.1.0, license: MIT}\n")
        assert output("info", "planned", "--repo", small).endswith("load it\nmake build DATASET=planned\n")
        done = run("versions", "planned", "--repo", small)
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr == "no version of planned is recorded: it was never built\n"

    def test_an_unknown_name_is_one_sentence(self, small):
        done = run("info", "smal", "--repo", small)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("error: there is no dataset 'smal' in")
        assert done.stderr.endswith("did you mean small?\n")


class TestVersions:
    def test_they_are_lines(self, tmp_path):
        root = make_registry(tmp_path / "registry", datasets=1, versions=30)
        lines = output("versions", "dataset_000", "--repo", root).splitlines()
        assert lines[0].split() == ["VERSION", "DATE", "COMMIT", "SIZE", "TAGS"]
        assert lines[1].startswith("1.0.29 *  2023-11-16  ")
        assert lines[1].endswith("10.2 kB  dataset_000@v1.0.29")
        assert len(lines) == 31
        found = json.loads(output("versions", "dataset_000", "--repo", root, "--json"))
        assert {frozenset(version) for version in found} == {frozenset(VERSION)}


class TestFetch:
    def test_the_paths_are_printed(self, small):
        assert output("fetch", "small", "--repo", small) == f"{small / 'artifacts/small.tar'}\n"
        assert output("fetch", "small", "--repo", small, "--version", "1.0.0").endswith("small.tar\n")

    def test_a_dataset_is_fetched_from_its_remote(self, tmp_path, remote):
        root = make_recorded(tmp_path / "repository")
        make_dvc(root, ROOT / ".dvc/config")
        remote.point(root)
        remote.publish(root / "artifacts/small.tar")
        (root / "artifacts/small.tar").unlink()
        shutil.rmtree(root / ".dvc/cache")
        [path] = output("fetch", "small", "--repo", root).splitlines()
        assert Path(path).is_relative_to(os.environ["DATASETS_CACHE"])

    def test_what_cannot_be_fetched_is_one_sentence(self, clone):
        done = run("fetch", "digit_speakers", "--repo", clone.root, "--offline")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("error: digit_speakers: digit_speakers-jackson.tar is not on this machine")
        done = run("fetch", "digit_speakers", "--config", "other", "--repo", clone.root)
        assert "its configs: jackson, nicolas, theo" in done.stderr


class TestCache:
    def test_what_the_cache_holds_is_a_table(self):
        folder = loader.cache.folder()
        assert output("cache") == f"{folder}: 0 B\n"
        (folder / "artifacts/hash").mkdir(parents=True)
        (folder / "artifacts/hash/small.tar").write_bytes(b"small/1.0.0/record_index.json".ljust(1000, b"\0"))
        heading, line, empty, total = output("cache").splitlines()
        assert heading.split() == ["NAME", "KIND", "VERSION", "REVISION", "ARRIVED", "SIZE", "USED"]
        assert line.split()[:7] == ["small.tar", "artifacts", "1.0.0", "-", "100", "%", "1.0"]
        assert (empty, total) == ("", f"{folder}: 1.0 kB")
        [entry] = json.loads(output("cache", "--json"))
        assert set(entry) == set(loader.cache.Entry._fields)


class TestTerminal:
    def test_tables_are_drawn_and_nothing_is_lost(self, repository):
        text = on_a_terminal("list", "--repo", repository)
        assert "\x1b[1m" in text
        assert "small" in text
        assert "1.0.0" in text

    def test_long_tables_are_cut(self, tmp_path):
        root = make_registry(tmp_path / "registry", datasets=1, versions=30)
        text = on_a_terminal("info", "dataset_000", "--repo", root)
        assert "... 10 more: python -m loader versions dataset_000" in text

    def test_what_a_repository_says_controls_no_terminal(self, repository):
        path = repository / "artifacts/small.json"
        manifest = json.loads(path.read_text())
        hostile = "\x1b]0;title\x07 [bold red]markup[/] \x9b31m \u202e :smile: \r"
        changed = {**manifest, "license": hostile, "description": f"{hostile}\nsecond", "citation": hostile}
        changed["homepage"] = hostile
        changed["toolchain"] = {hostile: hostile}
        changed["sources"] = [{"url": hostile, "filename": hostile, "size": hostile, "sha256": hostile}]
        path.write_text(json.dumps(changed))
        for command in (["list"], ["info", "small"], ["list", "smalll"]):
            for text in (on_a_terminal(*command, "--repo", repository), run(*command, "--repo", repository).stdout):
                assert not set(text) & {"\x07", "\x9b", "\u202e"}
                assert "\x1b]" not in text
                assert ":smile:" in text or "markup" not in text
        text = run("info", "small", "--repo", repository).stdout
        assert "[bold red]markup[/]" in text
        assert r"\x1b]0;title\x07" in text
        assert run("info", "small", "--repo", repository, "--json").stdout.isascii()


class TestProgram:
    def test_help_documents_the_commands_and_exit_codes(self):
        text = output("--help")
        for words in (
            "list",
            "info",
            "versions",
            "changelog",
            "diff",
            "show",
            "fetch",
            "cache",
            "catalog",
            "report",
            "Exit codes: 0 if it worked",
        ):
            assert words in text

    def test_a_wrong_command_line_ends_with_2(self):
        for arguments in (["nothing"], ["info"], ["list", "--nothing"]):
            done = run(*arguments)
            assert (done.returncode, done.stdout) == (2, "")
            assert "Usage: python -m loader" in done.stderr

    def test_the_shell_completes_names(self, clone):
        words = {"COMP_WORDS": "loader info mn", "COMP_CWORD": "2", "DATASETS_REPO": str(clone.root)}
        done = run(env={"_LOADER_COMPLETE": "complete_bash", **words})
        assert done.stdout.split() == ["mnist", "mnist_fgsm"]
        done = run(env={"_LOADER_COMPLETE": "complete_bash", **words, "DATASETS_REPO": "/nowhere"})
        assert (done.stdout.strip(), done.stderr) == ("", "")
        done = run("--show-completion", env={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}, check=False)
        assert done.returncode == 2  # without a shell, one has to be named

    def test_help_imports_nothing_heavy(self):
        code = (
            "import runpy, sys, contextlib\nsys.argv = ['loader', '--help']\n"
            "with contextlib.suppress(SystemExit): runpy.run_module('loader', run_name='__main__')\n"
            "print({'dvc', 'tensorflow', 'botocore', 'jinja2', 'rich', 'cv2', 'ruamel'} & sys.modules.keys())"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "set()"
