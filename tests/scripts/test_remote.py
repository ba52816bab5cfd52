"""Writing the configuration of the remotes, and refusing one bucket for public and private data."""

import shutil
import subprocess
from pathlib import Path

import pytest
from dvc.config import Config

from scripts._dvc.remotes import check_apart, check_remotes, clear_local, point_committed, point_local
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
    """The remotes as DVC sees them."""
    return Config(str(root / ".dvc"))["remote"]


def committed(root):
    """The options in the committed file, with the values that DVC sees."""
    written = Config(str(root / ".dvc")).load_one("repo")["remote"]
    effective = remotes(root)
    return {name: {option: effective[name][option] for option in options} for name, options in written.items()}


def local(root):
    """The remotes in the local file only, with their options as written."""
    return Config(str(root / ".dvc")).load_one("local")["remote"]


def dvc(root, *arguments):
    return subprocess.run(["dvc", *arguments], cwd=root, check=True, capture_output=True, text=True).stdout


def local_file(root):
    return root / ".dvc/config.local"


def test_point_committed_writes_the_committed_file(root):
    point_committed(root, URLS, None)
    assert committed(root) == {name: {"url": url, "verify": True} for name, url in URLS.items()}
    assert local(root) == {}
    assert dvc(root, "config", "core.remote").strip() == "private"
    assert dvc(root, "remote", "list").split() == [
        "public", "s3://our-public/data", "private", "s3://our-private", "(default)"
    ]  # fmt: skip


def test_point_committed_keeps_the_rest_of_the_committed_file(root):
    before = Config(str(root / ".dvc")).load_one("repo")
    point_committed(root, URLS, "https://s3.example.org")
    after = Config(str(root / ".dvc")).load_one("repo")
    assert before["core"]
    assert before["cache"]
    del before["remote"], after["remote"]
    assert after == before


@pytest.mark.parametrize("endpoint", [None, "https://s3.example.org"])
def test_verify_stays_true(root, endpoint):
    # without it DVC does not check the content of objects
    text = (root / ".dvc/config").read_text()
    assert text.count("verify = true") == 2
    point_committed(root, URLS, endpoint)
    assert [remote["verify"] for remote in remotes(root).values()] == [True, True]
    (root / ".dvc/config").write_text(text.replace("    verify = true\n", ""))
    point_committed(root, URLS, endpoint)
    assert [remote["verify"] for remote in committed(root).values()] == [True, True]


def test_an_endpoint_is_written_for_both_remotes_and_removed_if_the_next_call_has_none(root):
    point_committed(root, URLS, "https://s3.example.org")
    assert {remote["endpointurl"] for remote in committed(root).values()} == {"https://s3.example.org"}
    assert local(root) == {name: {"endpointurl": "https://s3.example.org"} for name in URLS}
    point_committed(root, URLS, None)
    assert [remote.get("endpointurl") for remote in committed(root).values()] == [None, None]
    assert local(root) == {}


def test_an_endpoint_of_this_clone_that_an_earlier_call_did_not_write_is_kept(root):
    dvc(root, "remote", "modify", "--local", "private", "endpointurl", "https://gateway.example.org")
    point_committed(root, URLS, None)
    assert local(root) == {"private": {"endpointurl": "https://gateway.example.org"}}


def test_point_committed_keeps_other_options_of_a_remote(root):
    dvc(root, "remote", "modify", "private", "profile", "ours")
    point_committed(root, URLS, None)
    assert committed(root)["private"] == {"url": URLS["private"], "verify": True, "profile": "ours"}


def test_pointing_twice_changes_nothing(root):
    point_committed(root, URLS, "https://s3.example.org")
    before = (root / ".dvc/config").read_bytes()
    point_committed(root, URLS, "https://s3.example.org")
    assert (root / ".dvc/config").read_bytes() == before


def test_point_committed_adds_a_missing_remote(root):
    dvc(root, "remote", "remove", "private")
    point_committed(root, URLS, None)
    assert committed(root)["private"] == {"url": URLS["private"], "verify": True}


def point_at_local_server(root):
    point_local(root, LOCAL, "http://127.0.0.1:9000", root / "credentials")


def test_point_local_writes_only_the_file_that_git_ignores(root):
    before = (root / ".dvc/config").read_bytes()
    point_at_local_server(root)
    assert (root / ".dvc/config").read_bytes() == before
    expected = {"endpointurl": "http://127.0.0.1:9000", "region": "us-east-1", "profile": "datasets-s3"}
    for name, remote in local(root).items():
        assert remote == {**expected, "url": LOCAL[name], "credentialpath": str(root / "credentials")}
    assert set(local(root)) == {"public", "private"}
    ignored = subprocess.run(["git", "check-ignore", ".dvc/config.local"], cwd=root, capture_output=True, text=True)
    assert ignored.stdout.strip() == ".dvc/config.local"


def test_local_settings_take_precedence_and_verify_stays_true(root):
    point_at_local_server(root)
    assert {name: remote["url"] for name, remote in remotes(root).items()} == LOCAL
    assert [remote["verify"] for remote in remotes(root).values()] == [True, True]


def test_point_committed_removes_the_settings_of_point_local(root):
    point_at_local_server(root)
    point_committed(root, URLS, None)
    assert {name: remote["url"] for name, remote in remotes(root).items()} == URLS
    assert [remote.get("endpointurl") for remote in remotes(root).values()] == [None, None]


def test_clear_local_removes_the_settings_of_point_local(root):
    before = dict(remotes(root))
    point_at_local_server(root)
    clear_local(root)
    assert local(root) == {}
    assert "127.0.0.1" not in local_file(root).read_text()
    assert dict(remotes(root)) == before


def test_clear_local_keeps_other_local_settings(root):
    point_at_local_server(root)
    dvc(root, "remote", "modify", "--local", "public", "allow_anonymous_login", "true")
    dvc(root, "remote", "add", "--local", "mine", "s3://mine")
    dvc(root, "config", "--local", "core.autostage", "true")
    clear_local(root)
    assert local(root) == {"public": {"allow_anonymous_login": "true"}, "mine": {"url": "s3://mine"}}
    assert dvc(root, "config", "--local", "core.autostage").strip() == "true"


def test_clear_local_without_a_local_file_is_no_error(root):
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
        point_committed(root, urls, None)
    assert (root / ".dvc/config").read_bytes() == before
    assert not local_file(root).exists()


@pytest.mark.parametrize("name", ["public", "private"])
@pytest.mark.parametrize(
    "url", ["", "bucket", "s3:bucket", "s3:///folder", "s3://", "gs://bucket", "/tmp/x", "https://s3.x/b", "s3://[x"]
)
def test_a_url_that_is_not_an_s3_url_is_refused(root, name, url):
    before = (root / ".dvc/config").read_bytes()
    urls = {**URLS, name: url}
    with pytest.raises(ScriptError, match=f"the {name} remote needs a URL like s3://bucket"):
        check_apart(urls)
    with pytest.raises(ScriptError, match=f"the {name} remote needs"):
        point_committed(root, urls, None)
    assert (root / ".dvc/config").read_bytes() == before


def test_two_buckets_are_accepted():
    check_apart(URLS)
    check_apart({"public": "s3://data-public", "private": "s3://data-private/data-public"})


@pytest.mark.parametrize(
    "url",
    [
        "s3://b:443",
        "s3://b:443/",
        "s3://x@b",
        "s3://x:y@b/f",
        "s3://arn:aws:s3:us-east-1:1:ap/b",
        "s3://x/../b",
        "s3://x/..",
    ],
)
def test_a_bucket_in_disguise_is_refused(url):
    """DVC ignores a port and a user, and a server may resolve a path, so two URLs would be one bucket."""
    with pytest.raises(ScriptError, match="the private remote needs a URL like s3://bucket"):
        check_apart({"public": "s3://b", "private": url})


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://127.0.0.1:9000/public",
        "http://127.0.0.1:9000/public/",
        "http://127.0.0.1:9000/x/../public",
        "http://127.0.0.1:9000//public",
        "http://127.0.0.1:9000/?public",
        "http://127.0.0.1:9000#public",
        "https://public.s3.amazonaws.com",
        "https://public.s3-us-west-2.amazonaws.com",
        "https://public.s3.dualstack.eu-west-1.amazonaws.com/",
        "http://me:hunter2@127.0.0.1:9000",
        "s3://public",
        "127.0.0.1:9000",
        "x",
        "http://",
        "http://h:99999999",
        "http://h:65536",
        "http://[::1",
    ],
)
def test_an_endpoint_that_names_more_or_less_than_a_server_is_refused(root, endpoint):
    before = (root / ".dvc/config").read_bytes()
    with pytest.raises(ScriptError, match="an endpoint must be the address of a server alone") as raised:
        point_committed(root, URLS, endpoint)
    assert "hunter2" not in str(raised.value)
    assert (root / ".dvc/config").read_bytes() == before
    for name in URLS:
        remotes = {each: {"url": url} for each, url in URLS.items()}
        remotes[name]["endpointurl"] = endpoint
        with pytest.raises(ScriptError, match="an endpoint must be"):
            check_remotes({"remote": remotes})


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://s3.example.org",
        "http://127.0.0.1:9000/",
        "http://[::1]:9000",
        "http://minio_1:9000",
        "https://s3.eu-central-1.amazonaws.com",
        "https://s3.dualstack.eu-west-1.amazonaws.com",
        "https://bucket.vpce-1a2b3c4d-5e6f.s3.us-east-1.vpce.amazonaws.com",
    ],
)
def test_the_address_of_a_server_is_accepted(root, endpoint):
    point_committed(root, URLS, endpoint)
    check_remotes(Config(str(root / ".dvc")))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("acl", "public-read"),
        ("acl", "authenticated-read"),
        ("grant_read", "uri=http://acs.amazonaws.com/groups/global/AllUsers"),
        ("grant_full_control", "id=1"),
    ],
)
@pytest.mark.parametrize("level", [[], ["--local"]])
def test_private_objects_that_others_could_read_are_refused_until_the_printed_command_is_run(
    root, option, value, level
):
    dvc(root, "remote", "modify", *level, "private", option, value)
    config = Config(str(root / ".dvc"))
    with pytest.raises(ScriptError, match=f"the private remote has {option} = {value}") as raised:
        check_remotes(config, config.load_one("local"))
    dvc(root, *str(raised.value).partition("with: dvc ")[2].split())
    check_remotes(Config(str(root / ".dvc")))


def test_what_keeps_private_objects_private_is_accepted(root):
    dvc(root, "remote", "modify", "private", "acl", "bucket-owner-full-control")
    dvc(root, "remote", "modify", "public", "acl", "public-read")
    check_remotes(Config(str(root / ".dvc")))
