"""Credentials go to AWS and to endpoints that the user has named, never to one that only `.dvc/config` names."""

import configparser
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from dvc.config import Config

from loader._errors import FetchError
from scripts._dvc.remotes import confirm_command, point_committed, unconfirmed_options
from scripts._process.errors import ScriptError
from scripts._process.s3_server import S3_PROFILE
from scripts.pull import pull
from scripts.push import push
from tests.helpers.commented_repository import git_commit
from tests.helpers.faulty_s3 import faulty_s3
from tests.helpers.recorded_dataset import make_dvc, make_recorded

ROOT = Path(__file__).resolve().parents[2]
ENDPOINT = "https://s3.example.org"


@pytest.fixture(autouse=True)
def own_configuration(tmp_path, monkeypatch):
    """No AWS configuration and no configuration of DVC but those of the test."""
    for name in ("AWS_PROFILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws-config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "dvc-global"))


@pytest.fixture
def keys(s3_server, monkeypatch):
    """The server's keys, in the environment."""
    read = configparser.ConfigParser(interpolation=None)
    read.read(s3_server.credentials)
    for name, value in read[S3_PROFILE].items():
        monkeypatch.setenv(name.upper(), value)


@pytest.fixture
def proxy(s3_server):
    with faulty_s3(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def repository(tmp_path, remote, proxy, keys):
    """A repository whose committed file names the proxy as the endpoint of both remotes."""
    root = make_recorded(tmp_path / "repository")
    make_dvc(root, ROOT / ".dvc/config")
    remote.point(root)
    local = root / ".dvc/config.local"
    lines = [line for line in local.read_text().splitlines() if "credentialpath" not in line and "profile" not in line]
    committed = "\n".join(lines).replace(remote.server.endpoint, proxy.url)
    (root / ".dvc/config").write_text(f"{committed}\n")
    local.unlink()
    return root


def signed(proxy):
    """For each request, whether it has credentials."""
    return {"Authorization" in headers for _, _, headers in proxy.requests}


def remove_artifact(root):
    (root / "artifacts/small.tar").unlink()
    shutil.rmtree(root / ".dvc/cache")


def test_a_push_to_an_endpoint_that_only_the_committed_file_names_is_refused(repository, proxy):
    with pytest.raises(ScriptError, match=f"only .dvc/config, .* sets endpointurl = {proxy.url}; ") as raised:
        push("small", public=True, root=repository)
    assert proxy.requests == []
    command = str(raised.value).partition("run: ")[2]
    subprocess.run(shlex.split(command), cwd=repository, check=True)
    push("small", public=True, root=repository)
    assert signed(proxy) == {True}


def test_a_pull_from_there_is_anonymous(repository, proxy, monkeypatch):
    with monkeypatch.context() as context:
        context.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
        push("small", public=True, root=repository)
    remove_artifact(repository)
    proxy.requests.clear()
    pull("small", root=repository)
    assert signed(proxy) == {False}
    assert (repository / "artifacts/small.tar").exists()


def test_a_private_artifact_there_is_refused_with_the_reason(repository, proxy):
    dvc_yaml = repository / "dvc.yaml"
    dvc_yaml.write_text(dvc_yaml.read_text().replace("remote: public", "remote: private"))
    remove_artifact(repository)
    with pytest.raises(FetchError, match=r"refuses access without credentials, and gets none, because only") as raised:
        pull("small", root=repository)
    assert str(raised.value).endswith(f"run: dvc remote modify --local private endpointurl {proxy.url}")
    assert signed(proxy) == {False}


def name_in_environment(url, root, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"{url}/")


def name_for_s3_in_environment(url, root, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)


def name_in_profile(url, root, monkeypatch):
    (root.parent / "aws-config").write_text(f"[default]\nendpoint_url = {url}\n")


def name_in_services(url, root, monkeypatch):
    text = f"[profile ours]\nservices = minio\n[services minio]\ns3 =\n  endpoint_url = {url}\n"
    (root.parent / "aws-config").write_text(text)
    monkeypatch.setenv("AWS_PROFILE", "ours")


def name_in_dvcs_global_file(url, root, monkeypatch):
    subprocess.run(["dvc", "remote", "add", "--global", "mine", "s3://mine"], cwd=root, check=True)
    subprocess.run(["dvc", "remote", "modify", "--global", "mine", "endpointurl", url], cwd=root, check=True)


@pytest.mark.parametrize(
    "name",
    [
        name_in_environment,
        name_for_s3_in_environment,
        name_in_profile,
        name_in_services,
        name_in_dvcs_global_file,
    ],
)
def test_an_endpoint_that_the_user_names_gets_credentials(repository, proxy, name, monkeypatch):
    name(proxy.url, repository, monkeypatch)
    push("small", public=True, root=repository)
    assert signed(proxy) == {True}


def unconfirmed(root, options, local=None):
    """The unconfirmed options of a remote with these options in the committed and in the local file."""
    root.mkdir()
    for name, settings in (("config", {"url": "s3://bucket", **options}), ("config.local", local or {})):
        lines = "".join(f"    {option} = {value}\n" for option, value in settings.items())
        (root / name).write_text(f"['remote \"public\"']\n{lines}" if settings else "")
    return unconfirmed_options(Config(str(root)), "public")


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://s3.amazonaws.com",
        "https://s3.eu-central-1.amazonaws.com/",
        "https://s3-us-west-2.amazonaws.com",
        "https://s3.dualstack.eu-west-1.amazonaws.com",
        "https://s3-fips.us-gov-west-1.amazonaws.com",
        "https://s3.cn-north-1.amazonaws.com.cn",
    ],
)
def test_aws_itself_gets_credentials(tmp_path, endpoint):
    assert unconfirmed(tmp_path / ".dvc", {"endpointurl": endpoint}) == {}


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://s3.amazonaws.com",
        "https://s3.amazonaws.com.example.org",
        "https://s3.example.org",
        "https://example.org/s3.amazonaws.com",
        "https://s3.amazonaws.com@example.org",
        "https://abcdef1234.execute-api.us-east-1.amazonaws.com",
        "https://ec2-1-2-3-4.compute-1.amazonaws.com",
        "https://s3.evil.elb.amazonaws.com",
    ],
)
def test_others_do_not(tmp_path, endpoint):
    assert unconfirmed(tmp_path / ".dvc", {"endpointurl": endpoint}) == {"endpointurl": endpoint}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("use_ssl", False),
        ("ssl_verify", False),
        ("ssl_verify", "/ca.pem"),
        ("configpath", "/aws"),
        ("credentialpath", "/c"),
    ],
)
def test_other_options_that_decide_the_server_count_too(tmp_path, option, value):
    found = unconfirmed(tmp_path / ".dvc", {option: value})
    assert found == {option: value}
    assert unconfirmed(tmp_path / "confirmed", {option: value}, {option: value}) == {}
    config = Config(str(tmp_path / ".dvc"))
    assert confirm_command(config, "public", found).startswith(f"dvc remote modify --local public {option} ")


def test_a_committed_local_file_is_not_the_users_own(tmp_path):
    folder = tmp_path / ".dvc"
    assert unconfirmed(folder, {"endpointurl": ENDPOINT}, {"endpointurl": ENDPOINT}) == {}
    for command in (["init", "--quiet"], ["add", "--force", ".dvc/config.local"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    config = Config(str(folder))
    found = unconfirmed_options(config, "public")
    assert found == {"endpointurl": ENDPOINT}
    assert confirm_command(config, "public", found).startswith("git rm -f .dvc/config.local && dvc remote modify")


def test_nor_is_it_if_git_cannot_be_asked(tmp_path, monkeypatch):
    folder = tmp_path / ".dvc"
    assert unconfirmed(folder, {"endpointurl": ENDPOINT}, {"endpointurl": ENDPOINT}) == {}
    (tmp_path / ".git").mkdir()  # damaged
    assert unconfirmed_options(Config(str(folder)), "public") == {"endpointurl": ENDPOINT}


def test_with_a_committed_local_file_the_printed_command_still_makes_the_server_trusted(repository, proxy):
    local = repository / ".dvc/config.local"
    local.write_text((repository / ".dvc/config").read_text())
    git_commit(repository)
    subprocess.run(["git", "add", "--force", local], cwd=repository, check=True)
    with pytest.raises(ScriptError, match="gets no credentials") as raised:
        push("small", public=True, root=repository)
    assert proxy.requests == []
    command = str(raised.value).partition("run: ")[2]
    subprocess.run(command, shell=True, cwd=repository, check=True)
    push("small", public=True, root=repository)
    assert signed(proxy) == {True}


def test_make_remote_confirms_its_endpoint_for_this_clone_only(repository, remote, proxy):
    urls = {name: f"s3://{name}/{remote.root.name}" for name in ("public", "private")}
    point_committed(repository, urls, proxy.url)
    push("small", public=True, root=repository)
    assert signed(proxy) == {True}
    (repository / ".dvc/config.local").unlink()  # another clone
    with pytest.raises(ScriptError, match="gets no credentials"):
        push("small", public=True, root=repository)
