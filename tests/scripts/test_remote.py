"""Where the remotes' configuration is written, and what keeps private data from a public bucket."""

import shutil
import subprocess
from pathlib import Path

import pytest
from dvc.config import Config

from scripts._dvc.remotes import check_apart, clear_local, point, point_local
from scripts._process.errors import ScriptError
from tests.helpers.recorded_dataset import make_dvc, make_recorded

ROOT = Path(__file__).resolve().parents[2]
URLS = {"public": "s3://our-public/data", "private": "s3://our-private"}
LOCAL = {"public": "s3://public", "private": "s3://private"}


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    root = make_recorded(tmp_path_factory.mktemp("remote") / "repository")
    make_dvc(root, ROOT / ".dvc/config")
    return root


@pytest.fixture
def root(template, tmp_path):
    """A DVC repository with the configuration of the real one."""
    return shutil.copytree(template, tmp_path / "repository")


def remotes(root):
    """The remotes as DVC obeys them."""
    return Config(str(root / ".dvc"))["remote"]


def committed(root):
    """What the committed file says of the remotes, in the values that DVC obeys."""
    written = Config(str(root / ".dvc")).load_one("repo")["remote"]
    meant = remotes(root)
    return {name: {option: meant[name][option] for option in options} for name, options in written.items()}


def local(root):
    """The remotes of the local file alone, their options as written."""
    return Config(str(root / ".dvc")).load_one("local")["remote"]


def dvc(root, *arguments):
    return subprocess.run(["dvc", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


def local_file(root):
    return root / ".dvc/config.local"


def test_point_writes_the_committed_file(root):
    point(root, URLS, None)
    assert committed(root) == {name: {"url": url, "verify": True} for name, url in URLS.items()}
    assert local(root) == {}
    assert dvc(root, "config", "core.remote").strip() == "public"
    assert dvc(root, "remote", "list").split() == [
        "public", "s3://our-public/data", "(default)", "private", "s3://our-private"
    ]  # fmt: skip


def test_point_keeps_the_rest_of_the_committed_file(root):
    before = Config(str(root / ".dvc")).load_one("repo")
    point(root, URLS, "https://s3.example.org")
    after = Config(str(root / ".dvc")).load_one("repo")
    assert before["core"]
    assert before["cache"]
    del before["remote"], after["remote"]
    assert after == before


@pytest.mark.parametrize("endpoint", [None, "https://s3.example.org"])
def test_verify_stays_true(root, endpoint):
    # without it DVC believes what a remote holds by its name
    text = (root / ".dvc/config").read_text()
    assert text.count("verify = true") == 2
    point(root, URLS, endpoint)
    assert [remote["verify"] for remote in remotes(root).values()] == [True, True]
    (root / ".dvc/config").write_text(text.replace("    verify = true\n", ""))
    point(root, URLS, endpoint)
    assert [remote["verify"] for remote in committed(root).values()] == [True, True]


def test_an_endpoint_is_written_for_both_and_leaves_with_the_next_pointing(root):
    point(root, URLS, "https://s3.example.org")
    assert {remote["endpointurl"] for remote in committed(root).values()} == {"https://s3.example.org"}
    point(root, URLS, None)
    assert [remote.get("endpointurl") for remote in committed(root).values()] == [None, None]


def test_point_keeps_other_options_of_a_remote(root):
    dvc(root, "remote", "modify", "private", "profile", "ours")
    point(root, URLS, None)
    assert committed(root)["private"] == {"url": URLS["private"], "verify": True, "profile": "ours"}


def test_pointing_twice_changes_nothing(root):
    point(root, URLS, "https://s3.example.org")
    before = (root / ".dvc/config").read_bytes()
    point(root, URLS, "https://s3.example.org")
    assert (root / ".dvc/config").read_bytes() == before


def test_point_makes_a_remote_that_is_not_there(root):
    dvc(root, "remote", "remove", "private")
    point(root, URLS, None)
    assert committed(root)["private"] == {"url": URLS["private"], "verify": True}


def point_here(root):
    point_local(root, LOCAL, "http://127.0.0.1:9000", root / "credentials")


def test_point_local_writes_the_file_that_git_ignores_and_no_other(root):
    before = (root / ".dvc/config").read_bytes()
    point_here(root)
    assert (root / ".dvc/config").read_bytes() == before
    expected = {"endpointurl": "http://127.0.0.1:9000", "region": "us-east-1", "profile": "datasets-s3"}
    for name, remote in local(root).items():
        assert remote == {**expected, "url": LOCAL[name], "credentialpath": str(root / "credentials")}
    assert set(local(root)) == {"public", "private"}
    ignored = subprocess.run(["git", "check-ignore", ".dvc/config.local"], cwd=root, capture_output=True, text=True)
    assert ignored.stdout.strip() == ".dvc/config.local"


def test_what_point_local_wrote_wins_and_verify_stays_true(root):
    point_here(root)
    assert {name: remote["url"] for name, remote in remotes(root).items()} == LOCAL
    assert [remote["verify"] for remote in remotes(root).values()] == [True, True]


def test_point_ends_the_reign_of_point_local(root):
    point_here(root)
    point(root, URLS, None)
    assert {name: remote["url"] for name, remote in remotes(root).items()} == URLS
    assert [remote.get("endpointurl") for remote in remotes(root).values()] == [None, None]


def test_clear_local_takes_out_all_that_point_local_wrote(root):
    before = dict(remotes(root))
    point_here(root)
    clear_local(root)
    assert local(root) == {}
    assert "127.0.0.1" not in local_file(root).read_text()
    assert dict(remotes(root)) == before


def test_clear_local_keeps_other_local_settings(root):
    point_here(root)
    dvc(root, "remote", "modify", "--local", "public", "allow_anonymous_login", "true")
    dvc(root, "remote", "add", "--local", "mine", "s3://mine")
    dvc(root, "config", "--local", "core.autostage", "true")
    clear_local(root)
    assert local(root) == {"public": {"allow_anonymous_login": "true"}, "mine": {"url": "s3://mine"}}
    assert dvc(root, "config", "--local", "core.autostage").strip() == "true"


def test_clear_local_is_at_ease_where_there_is_nothing_to_clear(root):
    assert not local_file(root).exists()
    clear_local(root)
    clear_local(root)
    assert local(root) == {}


def test_clear_local_keeps_a_profile_that_point_local_did_not_write(root):
    dvc(root, "remote", "modify", "--local", "private", "profile", "ours")
    clear_local(root)
    assert local(root) == {"private": {"profile": "ours"}}


@pytest.mark.parametrize(
    "urls",
    [
        {"public": "s3://one", "private": "s3://one"},
        {"public": "s3://one", "private": "s3://one/"},
        {"public": "s3://one/public", "private": "s3://one/private"},
        {"public": "S3://one", "private": "s3://one/private"},
    ],
)
def test_two_remotes_in_one_bucket_are_refused(root, urls):
    before = (root / ".dvc/config").read_bytes()
    with pytest.raises(ScriptError, match="public and private are in one bucket, 'one'; give each its own"):
        check_apart(urls)
    with pytest.raises(ScriptError, match="in one bucket"):
        point(root, urls, None)
    assert (root / ".dvc/config").read_bytes() == before
    assert not local_file(root).exists()


@pytest.mark.parametrize("name", ["public", "private"])
@pytest.mark.parametrize(
    "url", ["", "bucket", "s3:bucket", "s3:///folder", "s3://", "gs://bucket", "/tmp/x", "https://s3.x/b"]
)
def test_a_remote_that_is_none_of_s3_is_refused(root, name, url):
    before = (root / ".dvc/config").read_bytes()
    urls = {**URLS, name: url}
    with pytest.raises(ScriptError, match=f"the {name} remote needs a URL like s3://bucket"):
        check_apart(urls)
    with pytest.raises(ScriptError, match=f"the {name} remote needs"):
        point(root, urls, None)
    assert (root / ".dvc/config").read_bytes() == before


def test_two_buckets_are_apart():
    check_apart(URLS)
    check_apart({"public": "s3://data-public", "private": "s3://data-private/data-public"})
