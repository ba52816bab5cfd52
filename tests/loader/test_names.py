"""A dataset is named as in TFDS: "name/config:version", with versions like "1.*.*"."""

import json

import pytest
from typer.testing import CliRunner

import loader
from loader._arguments import parse_name
from loader._commands.app import app
from tests.helpers.dataset_history import History, records_of
from tests.helpers.recorded_dataset import prepare_recorded


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    history = History(tmp_path_factory.mktemp("history") / "repository")
    for number, version in enumerate(("1.0.0", "1.2.0", "1.10.0", "2.0.0", "1.3.0")):
        history.commit(records_of(train=range(number + 1), test=range(1)), version=version)
    return history.root


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("mnist", ("mnist", None, None)),
        ("digit_speakers/theo", ("digit_speakers", "theo", None)),
        ("mnist:3.0.1", ("mnist", None, "3.0.1")),
        ("x/a-b.c+d:1.*.*", ("x", "a-b.c+d", "1.*.*")),
    ],
)
def test_a_name_is_read_as_tfds_reads_it(name, parsed):
    assert parse_name(name) == parsed
    naming = pytest.importorskip("tensorflow_datasets").core.naming
    found, options = naming.parse_builder_name_kwargs(name)
    assert (found.name, options.get("config"), options.get("version")) == parsed


@pytest.mark.parametrize("name", ["x:1.0", "x:", "x/", "x/a/b", "x/a=b", "x:1.0.0/a", "1x", "x y", "x/a b", ":1.0.0"])
def test_another_name_is_an_argument_error(name):
    for function in (loader.load, loader.ensure, loader.info, loader.versions, loader.diff, loader.changelog):
        with pytest.raises(loader.ArgumentError, match="is not the name of a dataset"):
            function(name)


def test_what_is_given_twice_must_be_the_same(history):
    assert loader.load("small:1.2.0", version="1.2.0", repo=history)[0].version == "1.2.0"
    with pytest.raises(
        loader.ArgumentError, match=r"has another version than version='1\.2\.0': leave out one of them"
    ):
        loader.load("small:1.0.0", version="1.2.0", repo=history)
    with pytest.raises(loader.ArgumentError, match="has another config than config='b'"):
        loader.load("small/a", config="b", repo=history)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("1.*.*", "1.10.0"), ("*.*.*", "2.0.0"), ("1.0.*", "1.0.0"), ("2.*.*", "2.0.0"), ("1.3.*", "1.3.0")],
)
def test_a_pattern_is_the_highest_version_that_matches(history, wanted, found):
    assert loader.load("small", version=wanted, repo=history)[0].version == found
    assert loader.load(f"small:{wanted}", "train", repo=history, rev="HEAD")[0].version == found
    assert loader.info(f"small:{wanted}", repo=history).version == found


def test_a_pattern_without_a_version_names_those_there_are(history):
    with pytest.raises(loader.NotFoundError, match=r"no version that matches '3\.\*\.\*' .*: 2\.0\.0, 1\.10\.0, 1\.3"):
        loader.load("small:3.*.*", repo=history)
    for malformed in ("1.*", "*", "1.*.x"):
        with pytest.raises(loader.ArgumentError, match="neither a version like"):
            loader.load("small", version=malformed, repo=history)


def test_a_version_of_an_unknown_dataset_is_no_excuse_for_a_misspelled_name(history):
    with pytest.raises(loader.NotFoundError, match=r"there is no dataset 'smal' in .*; did you mean small\?"):
        loader.load("smal:1.0.0", repo=history)


def test_versions_are_those_that_match(history):
    found = [each.version for each in loader.versions("small:1.*.*", repo=history)]
    assert found == ["1.3.0", "1.10.0", "1.2.0", "1.0.0"]
    assert loader.versions("small/other", repo=history) == []


def test_several_versions_are_compared_so_none_is_named(history):
    for function in (loader.diff, loader.changelog):
        with pytest.raises(loader.ArgumentError, match=r"leave out :1\.0\.0$"):
            function("small:1.0.0", repo=history)
    with pytest.raises(loader.NotFoundError, match="config 'other'"):
        loader.info("small/other", repo=history)


def test_a_folder_of_tfds_is_named_alike(tmp_path):
    data_dir = prepare_recorded(tmp_path).data_dir
    assert len(loader.load("small:1.*.*", "test", data_dir=data_dir)[1]) == 70
    with pytest.raises(loader.NotFoundError, match=r"has no version '2\.\*\.\*'; it has: 1\.0\.0"):
        loader.load("small:2.*.*", data_dir=data_dir)


def test_the_command_line_takes_these_names_too(history, tmp_path):
    def run(*arguments):
        done = CliRunner().invoke(app, [*arguments, "--repo", str(history)], catch_exceptions=False)
        assert done.exit_code == 0
        return done.stdout

    assert run("info", "small:1.0.0").startswith("small 1.0.0\n")
    assert len(json.loads(run("versions", "small:1.*.*", "--json"))) == 4
    assert run("show", "small:2.*.*", "--output", str(tmp_path / "page.html")).endswith(
        "examples of small/2.0.0 train\n"
    )
