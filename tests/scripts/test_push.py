"""Pushing and pulling with a real S3 server: consent, the right remote, and the check of the uploaded object."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import loader
from scripts._define.definition import read_definition
from scripts._process.errors import ScriptError
from scripts.pull import pull
from scripts.push import push
from tests.helpers.recorded_dataset import make_dvc, make_recorded, record_artifacts

ROOT = Path(__file__).resolve().parents[2]
PUSH = "from pathlib import Path; from scripts.push import push; push('small', public=True, root=Path({!r}))"


@pytest.fixture
def repository(tmp_path, remote):
    root = make_recorded(tmp_path / "repository")
    make_dvc(root, ROOT / ".dvc/config")
    remote.point(root)
    return root


def make_private(root, option="{remote: private}"):
    path = root / "dvc.yaml"
    path.write_text(path.read_text().replace("{remote: public}", option))


def test_a_public_dataset_needs_consent(repository, remote):
    with pytest.raises(ScriptError, match="consent with: make push DATASET=small PUBLIC=1"):
        push("small", public=False, root=repository)
    assert remote.keys("public") == []


def test_the_artifact_is_stored_on_the_remote(repository, remote):
    (stored,) = push("small", public=True, root=repository)
    (key,) = remote.keys("public")
    assert (stored.url, stored.proof) == (f"s3://{key}", "its SHA-256")
    assert remote.read(key) == (repository / "artifacts/small.tar").read_bytes()
    assert remote.keys("private") == []


def test_an_upload_that_does_not_arrive_is_an_error(repository, monkeypatch):
    from scripts._dvc.remote_object import RemoteObject

    monkeypatch.setattr(RemoteObject, "put", lambda *_: None)
    with pytest.raises(loader.FetchError, match=r"s3://public/.* does not have the content of .*small\.tar"):
        push("small", public=True, root=repository)


def test_a_dataset_with_an_unknown_license_is_not_published(repository, remote):
    params = repository / "params.yaml"
    params.write_text(params.read_text().replace("license: CC0", "license: unknown, see https://example.org"))
    with pytest.raises(ScriptError, match="under which it may be published"):
        push("small", public=True, root=repository)
    assert remote.keys("public") == []


def test_pushing_twice_is_no_error(repository):
    assert push("small", public=True, root=repository) == push("small", public=True, root=repository)


def test_a_private_dataset_goes_to_the_private_remote_only(repository, remote):
    make_private(repository)
    with pytest.raises(ScriptError, match="never pushed to the public remote"):
        push("small", public=True, root=repository)
    push("small", public=False, root=repository)
    assert remote.keys("public") == []
    assert len(remote.keys("private")) == 1


def test_no_dvc_push_sends_a_private_dataset_to_the_public_remote(repository, remote):
    make_private(repository)
    for options in ((), ("-r", "public"), ("small",), ("-r", "public", "small")):
        subprocess.run(["dvc", "push", *options], cwd=repository, capture_output=True)
        assert remote.keys("public") == []


def test_without_a_remote_in_dvc_yaml_a_dataset_is_private_and_another_default_remote_is_refused(repository, remote):
    make_private(repository, "{}")
    subprocess.run(["dvc", "remote", "default", "--local", "public"], cwd=repository, check=True)
    with pytest.raises(ScriptError, match="small is private"):
        push("small", public=True, root=repository)
    with pytest.raises(ScriptError, match="DVC's default remote is 'public', where a plain dvc push") as raised:
        push("small", public=False, root=repository)
    assert remote.keys("public") == remote.keys("private") == []
    subprocess.run(str(raised.value).partition("with: ")[2].split(), cwd=repository, check=True)
    push("small", public=False, root=repository)
    assert remote.keys("public") == []
    assert len(remote.keys("private")) == 1


@pytest.mark.parametrize("named_by", ["configuration", "environment"])
def test_an_endpoint_that_leads_into_one_bucket_is_refused(repository, remote, monkeypatch, named_by):
    make_private(repository)
    path = repository / ".dvc/config.local"
    text = path.read_text().replace("s3://private", "s3://bbb").replace("s3://public", "s3://aaa")
    into_public = f"{remote.server.endpoint}/public"
    if named_by == "configuration":
        path.write_text(text.replace(remote.server.endpoint, into_public))
    else:
        path.write_text("\n".join(line for line in text.splitlines() if "endpointurl" not in line))
        monkeypatch.setenv("AWS_ENDPOINT_URL", into_public)
    before = remote.keys("public/bbb")
    with pytest.raises(ScriptError, match="an endpoint must be the address of a server alone"):
        push("small", public=False, root=repository)
    assert remote.keys("public/bbb") == before == []


def test_a_private_artifact_is_not_pushed_so_that_others_can_read_it(repository, remote):
    make_private(repository)
    subprocess.run(["dvc", "remote", "modify", "private", "acl", "public-read"], cwd=repository, check=True)
    with pytest.raises(ScriptError, match="the private remote has acl = public-read"):
        push("small", public=False, root=repository)
    assert remote.keys("private") == []


def test_one_bucket_for_both_is_refused(repository):
    path = repository / ".dvc/config.local"
    path.write_text(path.read_text().replace("s3://private", "s3://public"))
    with pytest.raises(ScriptError, match="in one bucket"):
        push("small", public=True, root=repository)


def test_an_artifact_that_is_not_the_recorded_one_is_not_pushed(repository, remote):
    tar = repository / "artifacts/small.tar"
    data = bytearray(tar.read_bytes())
    data[5000] ^= 1
    tar.unlink()
    tar.write_bytes(data)
    with pytest.raises(ScriptError, match=r"is not what dvc\.lock records"):
        push("small", public=True, root=repository)
    assert remote.keys("public") == []


def test_the_error_for_a_missing_artifact_names_the_command(repository):
    (repository / "artifacts/small.tar").unlink()
    with pytest.raises(ScriptError, match="make build DATASET=small"):
        push("small", public=True, root=repository)


def test_a_truncated_object_on_the_remote_is_replaced(repository, remote):
    push("small", public=True, root=repository)
    (key,) = remote.keys("public")
    whole = remote.read(key)
    remote.write(key, whole[:1000])
    push("small", public=True, root=repository)
    assert remote.read(key) == whole


def test_an_artifact_that_is_not_in_dvcs_cache_is_pushed_too(repository, remote):
    subprocess.run(["rm", "-rf", repository / ".dvc/cache"], check=True)
    push("small", public=True, root=repository)
    (key,) = remote.keys("public")
    assert remote.read(key) == (repository / "artifacts/small.tar").read_bytes()


@pytest.mark.slow
def test_an_unreachable_server_is_one_error(repository, s3_server):
    path = repository / ".dvc/config.local"
    path.write_text(path.read_text().replace(s3_server.endpoint, "http://127.0.0.1:9"))
    with pytest.raises(loader.FetchError, match=r"at http://127\.0\.0\.1:9 cannot be reached"):
        push("small", public=True, root=repository)


def test_wrong_keys_are_one_error(repository, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.write_text("[datasets-s3]\naws_access_key_id = WRONG\naws_secret_access_key = wrong\n")
    path = repository / ".dvc/config.local"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(f"    credentialpath = {wrong}" if "credentialpath" in line else line for line in lines))
    code = PUSH.format(os.fspath(repository))
    done = subprocess.run(["python", "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "loader.FetchError: remote 'public'" in done.stderr
    assert "refuses access" in done.stderr


def test_pushing_without_write_access_is_refused(repository, tmp_path):
    path = repository / ".dvc/config.local"
    lines = path.read_text().splitlines()
    kept = [line for line in lines if "credentialpath" not in line and "profile" not in line]
    path.write_text("\n".join(kept))
    code = PUSH.format(os.fspath(repository))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    environment |= {"HOME": os.fspath(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    done = subprocess.run(["python", "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "refuses access" in done.stderr.strip().rpartition("\n")[2]


def test_a_pushed_artifact_can_be_pulled(repository, remote):
    push("small", public=True, root=repository)
    tar = repository / "artifacts/small.tar"
    before = tar.read_bytes()
    subprocess.run(["rm", "-rf", tar, repository / ".dvc/cache"], check=True)
    assert pull("small", root=repository) == [tar]
    assert tar.read_bytes() == before


def test_pulling_an_unknown_dataset_is_one_error(repository):
    with pytest.raises(ScriptError, match="did you mean small"):
        pull("smal", root=repository)


def test_a_private_artifact_cannot_be_read_anonymously(repository, remote, tmp_path):
    make_private(repository)
    push("small", public=False, root=repository)
    subprocess.run(["rm", "-rf", repository / "artifacts/small.tar", repository / ".dvc/cache"], check=True)
    path = repository / ".dvc/config.local"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(line for line in lines if "credentialpath" not in line and "profile" not in line))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    environment |= {"HOME": os.fspath(tmp_path), "AWS_EC2_METADATA_DISABLED": "true"}
    code = f"import loader; loader.load('small', repo={os.fspath(repository)!r})"
    done = subprocess.run(["python", "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert "remote 'private'" in done.stderr
    assert "refuses access" in done.stderr


def test_with_dvcs_own_commands_another_clone_can_pull_a_dataset(built_tiny, remote, tmp_path):
    clone = built_tiny
    remote.point(clone.root)
    clone.run("dvc", "push", "tiny")
    clone.run("git", "add", "--all")
    clone.run("git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "tiny")
    second = type(clone)(tmp_path / "second")
    clone.run("git", "clone", "--quiet", ".", os.fspath(second.root))
    remote.point(second.root)
    second.run("dvc", "pull", "tiny")
    assert "didn't change, skipping" in second.run("dvc", "repro", "tiny").stdout
    assert second.run("git", "status", "--porcelain").stdout == ""
    assert second.python("import loader; print(loader.load('tiny')[1]['train'][0]['text'])").strip()


def test_a_damaged_file_in_dvcs_cache_is_not_pushed(repository, remote):
    tar = repository / "artifacts/small.tar"
    whole = tar.read_bytes()
    (cached,) = (path for path in (repository / ".dvc/cache/files").rglob("*") if path.stat().st_size == len(whole))
    tar.unlink()
    tar.write_bytes(whole)
    cached.chmod(0o644)
    cached.write_bytes(whole[:-2000] + b"x" + whole[-1999:])
    cached.chmod(0o444)
    push("small", public=True, root=repository)
    (key,) = remote.keys("public")
    assert remote.read(key) == whole


def test_another_object_of_the_same_size_is_replaced(repository, remote):
    push("small", public=True, root=repository)
    (key,) = remote.keys("public")
    whole = remote.read(key)
    remote.write(key, whole[:-2000] + b"x" + whole[-1999:])
    push("small", public=True, root=repository)
    assert remote.read(key) == whole


def test_a_remote_that_is_not_configured_is_one_error(repository):
    for name in ("config", "config.local"):
        path = repository / ".dvc" / name
        path.write_text(path.read_text().partition("['remote \"private\"']")[0])
    with pytest.raises(ScriptError, match="the private remote needs a URL"):
        push("small", public=True, root=repository)


@pytest.mark.parametrize("command", ["push", "pull"])
def test_a_url_without_a_bucket_is_named(repository, command):
    for name in ("config", "config.local"):
        path = repository / ".dvc" / name
        path.write_text(path.read_text().replace("url = s3://public", "url = s3:///public"))
    (repository / "artifacts/small.tar").unlink(missing_ok=command == "pull")
    with pytest.raises(loader.FetchError, match=r"remote 'public' has the url 's3:///[^']*', which names no bucket; "):
        push("small", public=True, root=repository) if command == "push" else pull("small", root=repository)


@pytest.mark.parametrize("command", ["push", "pull"])
@pytest.mark.parametrize(
    ("option", "of_push", "of_pull"),
    [
        ("url = s3://[x", "'s3://[x', which names no bucket", "'s3://[x', which names no bucket"),
        ("endpointurl = http://[::1", "not 'http://[::1'", "at http://[::1 cannot be reached"),
        ("endpointurl = http://h:99999999", "not 'http://h:99999999'", "at http://h:99999999 cannot be reached"),
    ],
)
def test_a_url_that_cannot_be_parsed_is_one_error(repository, command, option, of_push, of_pull):
    path = repository / ".dvc/config.local"
    name = option.partition(" ")[0]
    path.write_text(re.sub(f"(?m)^ *{name} = .*", option, path.read_text()))
    if command == "pull":
        (repository / "artifacts/small.tar").unlink()
        shutil.rmtree(repository / ".dvc/cache")
    with pytest.raises((loader.FetchError, ScriptError), match=re.escape(of_push if command == "push" else of_pull)):
        push("small", public=True, root=repository) if command == "push" else pull("small", root=repository)


def test_a_pull_does_not_overwrite_a_changed_artifact(repository):
    push("small", public=True, root=repository)
    tar = repository / "artifacts/small.tar"
    data = tar.read_bytes()
    tar.unlink()
    tar.write_bytes(data + b"mine")
    with pytest.raises(loader.FetchError, match=r"small: .*small\.tar is in the way.*: rm "):
        pull("small", root=repository)
    assert tar.read_bytes() == data + b"mine"


@pytest.fixture
def commit(repository):
    """A function that commits the repository and returns the abbreviated commit."""

    def git(*command):
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        return subprocess.run(
            ["git", *identity, *command], cwd=repository, check=True, capture_output=True, text=True
        ).stdout

    def commit():
        git("add", "--all")
        git("commit", "--quiet", "--allow-empty", "--message", "record")
        return git("rev-parse", "--short", "HEAD").strip()

    return commit


def build_again(root):
    """Record other bytes, as a changed builder would."""
    tar, manifest = root / "artifacts/small.tar", root / "artifacts/small.json"
    data = tar.read_bytes() + bytes(512)
    tar.unlink()
    tar.write_bytes(data)
    record = json.loads(manifest.read_text())
    record["artifacts"]["small.tar"] |= {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    manifest.write_text(json.dumps(record))
    record_artifacts(root)


def test_a_version_that_is_on_the_remote_with_other_bytes_is_refused(repository, remote, commit):
    push("small", public=True, root=repository)
    first = commit()
    build_again(repository)
    message = rf"small 1\.0\.0 is on the remote with other bytes \(recorded in commit {first}\): raise the version in"
    for _ in range(2):
        with pytest.raises(ScriptError, match=message):
            push("small", public=True, root=repository)
        commit()  # it is as wrong once it is committed
    assert len(remote.keys("public")) == 1


def test_withdrawing_a_commit_does_not_withdraw_what_is_on_the_remote(repository, remote, commit):
    """Somebody may have loaded it: `withdrawn` says that it was never released, and the remote says otherwise."""
    push("small", public=True, root=repository)
    first = commit()
    build_again(repository)
    params = repository / "params.yaml"
    params.write_text(params.read_text().replace("license: CC0", f"license: CC0\n  withdrawn: [{first}]"))
    assert read_definition("small", root=repository).withdrawn == (first,)
    with pytest.raises(ScriptError, match=rf"is on the remote with other bytes \(recorded in commit {first}\)"):
        push("small", public=True, root=repository)


def test_a_version_whose_earlier_bytes_were_never_pushed_may_have_others(repository, remote, commit):
    commit()
    build_again(repository)
    push("small", public=True, root=repository)
    assert len(remote.keys("public")) == 1


def test_without_gits_history_a_push_says_so_and_goes_on(repository, remote, capsys):
    subprocess.run(["rm", "-rf", repository / ".git"], check=True)
    path = repository / ".dvc/config"
    path.write_text(path.read_text().replace("[core]", "[core]\n    no_scm = true"))
    push("small", public=True, root=repository)
    assert "small: not checked whether its version was pushed with other bytes: git " in capsys.readouterr().err
    assert len(remote.keys("public")) == 1
