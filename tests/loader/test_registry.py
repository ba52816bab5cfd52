"""`loader.names` and `loader.info`: what a repository says of its datasets, in the work tree, a commit and a clone."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

import loader
from loader._registry.entry import SplitEntry
from loader._registry.lookup import entries
from loader._registry.statistics import Duplicates
from loader._registry.usage import load_call, shell_options
from tests.helpers.made_up_registry import dataset_name, make_registry
from tests.helpers.recorded_dataset import make_git

REAL = ["digit", "digit_speakers", "mnist", "mnist_fgsm"]


def commit_all(root):
    options = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", "add", "--all"], cwd=root, check=True)
    subprocess.run(["git", *options, "commit", "--quiet", "-m", "test"], cwd=root, check=True)
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, check=True, capture_output=True, text=True).stdout[
        :40
    ]


@pytest.fixture
def repository(small):
    make_git(small)
    commit_all(small)
    return small


def where(root):
    """The places to read a repository from: its work tree, its commit, a clone of its URL."""
    return [{"repo": root}, {"repo": root, "rev": "HEAD"}, {"repo": f"file://{root}"}]


def test_the_real_datasets_are_described(clone):
    for options in where(clone.root):
        assert loader.names(**options) == REAL
        digit = loader.info("digit", **options)
        assert (digit.kind, digit.builder, digit.version) == ("standard", "datasets/standard/digit", "1.0.8")
        assert (digit.visibility, digit.license, digit.children) == ("public", "CC BY-SA 4.0", ("digit_speakers",))
        assert digit.configs[0].splits["test"] == SplitEntry(150, 950658, 1)
        assert digit.sources[0]["size"] == 6808749
        assert digit.toolchain["protobuf"] == "7.36.2"
        speakers = loader.info("digit_speakers", **options)
        assert speakers.parents == {"digit": "1.0.8"}
        assert [config.name for config in speakers.configs] == ["jackson", "nicolas", "theo"]
        assert speakers.default_config == "jackson"
        fgsm = loader.info("mnist_fgsm", **options)
        assert (fgsm.kind, fgsm.parents) == ("adversarial", {"mnist": "3.0.1"})


def test_every_place_says_the_same(repository):
    tree, commit, url = (loader.info("small", **options) for options in where(repository))
    assert tree.configs[0].sha256 == commit.configs[0].sha256 == url.configs[0].sha256
    assert tree.configs[0].md5 == commit.configs[0].md5 == url.configs[0].md5
    assert tree.configs[0].features == commit.configs[0].features == url.configs[0].features
    assert [str(entry.state) for entry in (tree, commit, url)] == ["here", "here", "not on this machine"]


def test_a_dataset_that_was_never_built_is_listed(small):
    with (small / "params.yaml").open("a") as params:
        params.write("planned: {builder: datasets/adversarial/planned, version: 0.1.0, license: MIT}\n")
    assert loader.names(repo=small) == ["planned", "small"]
    planned = loader.info("planned", repo=small)
    assert (planned.version, planned.kind, planned.license, planned.configs) == (None, "adversarial", "MIT", ())
    assert str(planned.state) == "never built"


def test_files_beside_the_manifests_are_no_datasets(small):
    (small / "artifacts/small.croissant.json").write_text("{}")
    assert loader.names(repo=small) == ["small"]
    with pytest.raises(loader.NotFoundError, match="it has: small"):
        loader.load("other", repo=small)


def test_an_unknown_name_is_an_error_with_the_nearest_one(small):
    with pytest.raises(loader.NotFoundError, match=r"there is no dataset 'smal' in .*; did you mean small\?"):
        loader.info("smal", repo=small)
    with pytest.raises(loader.NotFoundError, match="did you mean small"):
        loader.versions("smal", repo=small)


def test_a_broken_manifest_is_an_error_of_its_dataset_only(small):
    (small / "artifacts/broken.json").write_text("{")
    with pytest.raises(loader.ManifestError, match=r"broken: .*broken\.json is not a usable manifest"):
        loader.info("broken", repo=small)
    states = {entry.name: str(entry.state) for entry in entries(repo=small)}
    assert states["small"] == "here"
    assert states["broken"].startswith("unreadable: broken: ")


@pytest.mark.parametrize("file", ["params.yaml", "dvc.yaml", "dvc.lock"])
def test_broken_records_are_an_error_that_names_the_file(repository, file):
    (repository / file).write_text("toolchain: {}\n- a")
    with pytest.raises(loader.ManifestError, match=f"{file} of .* cannot be read.*git checkout -- {file}"):
        entries(repo=repository)


def test_a_repository_whose_parameters_are_no_yaml_is_found_and_the_problem_named(small, monkeypatch):
    monkeypatch.delenv("DATASETS_REPO", raising=False)
    monkeypatch.chdir(small / "artifacts")
    for text in ("x: [", "<<<<<<< HEAD\na: 1\n=======\na: 2\n>>>>>>> main\n"):
        (small / "params.yaml").write_text(text)
        with pytest.raises(loader.ManifestError, match=r"params\.yaml of .* cannot be read: .*; restore it with"):
            loader.names()


def test_entries_are_short_in_a_session_and_readable_when_printed(repository):
    entry, [version] = loader.info("small", repo=repository), loader.versions("small", repo=repository)
    assert repr(entry).startswith("<DatasetEntry small 1.0.0: train ")
    assert repr(entry).endswith("; here>")
    assert repr(entry.configs[0]).startswith("<ConfigEntry small.tar: train ")
    assert repr(version).startswith(f"<VersionEntry small 1.0.0: {version.commit} of ")
    assert max(len(repr(each)) for each in (entry, version, entry.configs[0])) < 120
    assert "\nstate       here\n" in str(entry)
    hostile = replace(entry, license="<b>\x1b[31m")
    assert r"license     <b>\x1b[31m" in str(hostile)
    assert r"&lt;b&gt;\x1b[31m" in hostile._repr_html_()


@pytest.mark.parametrize(
    "text", ["", "[1, 2]", "stages: 5", "stages: {small: 3}", "stages: {small: {outs: x, deps: {a: b}, params: 1}}"]
)
@pytest.mark.parametrize("file", ["dvc.yaml", "dvc.lock"])
def test_records_of_other_types_say_nothing(small, file, text):
    (small / file).write_text(text)
    [entry] = entries(repo=small)
    assert entry.name == "small"


def test_optional_parts_of_a_manifest_may_have_any_type(small):
    path = small / "artifacts/small.json"
    manifest = json.loads(path.read_text())
    odd = {"license": 1, "sources": {}, "parents": [1], "toolchain": 3, "description": None, "citation": []}
    manifest["artifacts"]["small.tar"] |= {"splits": {"train": 3}, "features": 7}
    path.write_text(json.dumps({**manifest, **odd}))
    [entry] = entries(repo=small)
    assert (entry.license, entry.sources, entry.parents, entry.toolchain) == ("CC0", (), {}, {})
    assert entry.configs[0].splits == {"train": SplitEntry(0, 0, 0)}


@pytest.mark.parametrize(
    "ask", [lambda: loader.names(), lambda: loader.info("small"), lambda: loader.versions("small")]
)
def test_a_builder_cannot_ask(small, ask):
    limit = loader.reading_only({"small": ["small.tar"]}, reader="derived", root=small)
    with limit, pytest.raises(loader.AccessError, match="derived: its builder asks what datasets a repository has"):
        ask()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rev": ""}, "rev= is empty"),
        ({"rev": 1}, "rev= takes a string"),
        ({"repo": 1}, "repo=1 is not a path"),
        ({"offline": "no"}, "offline= takes True or False"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    for ask in (loader.names, lambda **options: loader.info("small", **options)):
        with pytest.raises(loader.ArgumentError, match=message):
            ask(**options)


def test_the_remote_is_not_asked_offline(small):
    with pytest.raises(loader.ArgumentError, match="asking the remote needs the network"):
        loader.info("small", repo=small, offline=True, ask_remote=True)


def test_a_repository_with_many_datasets_is_read_without_dvc_and_tensorflow(tmp_path):
    root = make_registry(tmp_path / "registry", datasets=300, versions=2)
    code = """
import sys
from loader._registry.lookup import entries
for options in ({"repo": sys.argv[1]}, {"repo": sys.argv[1], "rev": "HEAD"}):
    print(len(entries(**options)), {str(entry.state) for entry in entries(**options)})
print(sorted({"dvc", "tensorflow", "ruamel", "pathspec", "botocore", "jinja2", "rich", "cv2"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code, root], capture_output=True, text=True, check=True)
    assert done.stdout == "300 {'not on this machine'}\n" * 2 + "[]\n"


def test_a_commit_is_read_by_few_processes(tmp_path, monkeypatch):
    from loader._fetch import git

    root = make_registry(tmp_path / "registry", datasets=50, versions=2)
    commands = []
    run = git.run_git

    def count(*arguments, **options):
        commands.append(arguments)
        return run(*arguments, **options)

    monkeypatch.setattr(git, "run_git", count)
    assert len(entries(repo=root, rev="HEAD")) == 50
    assert len(commands) < 10


def test_a_statistics_file_is_read(tmp_path):
    root = make_registry(tmp_path / "registry", datasets=2, versions=1)
    for options in where(root):
        assert loader.info(dataset_name(1), **options).statistics.classes == 4
    (root / f"artifacts/{dataset_name(1)}.stats.json").write_text("{}")
    with pytest.raises(loader.ManifestError, match=r"stats\.json does not hold usable statistics"):
        loader.info(dataset_name(1), repo=root)


def test_the_lines_that_load_a_dataset_have_no_password():
    url = "https://me:secret@example.org/x.git"
    assert load_call("digit", repo=url, rev=None) == 'loader.load("digit", repo="https://example.org/x.git")'
    assert shell_options(rev="v 1", config=None, repo=url) == " --rev 'v 1' --repo https://example.org/x.git"


def test_the_command_that_lists_the_names_lists_those_of_the_same_repository(tmp_path):
    root = make_registry(tmp_path / "a registry", datasets=30, versions=1)
    with pytest.raises(loader.NotFoundError) as caught:
        loader.info("zzz", repo=root, rev="HEAD")
    assert str(caught.value).endswith(f"its 30 datasets with: python -m loader list --rev HEAD --repo '{root}'")


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (Duplicates(None, "record", ("train",), 1, ()), "1 example of train repeats an earlier one"),
        (Duplicates(None, "record", ("train", "test"), 1, ()), "1 example of test is in train too"),
        (
            Duplicates("b", "image", ("train", "test"), 1200, ()),
            "1,200 examples of test of config b are in train too, by image",
        ),
    ],
)
def test_duplicates_are_said_in_words(found, sentence):
    assert str(found) == sentence
