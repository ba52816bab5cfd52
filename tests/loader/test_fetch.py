"""A missing artifact is fetched once from a real S3 server into the cache, or one sentence says why not."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import loader
from loader._fetch.s3 import S3Object
from tests.helpers.recorded_dataset import make_git, make_recorded

ROOT = Path(__file__).resolve().parents[2]
READ = """
import sys, loader
info, ds = loader.load("small", repo=sys.argv[1])
print(len(list(ds["train"])))
"""


@pytest.fixture
def pushed(tmp_path, remote):
    """A repository whose artifact is only on the remote."""
    root = make_recorded(tmp_path / "repository")
    make_git(root)
    remote.point(root)
    remote.publish(root / "artifacts/small.tar")
    (root / "artifacts/small.tar").unlink()
    return root


def start(root, **environment):
    environment = {**os.environ, "AWS_EC2_METADATA_DISABLED": "true", **environment}
    return subprocess.Popen(
        [sys.executable, "-c", READ, root],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def failure(root, error="FetchError", **environment):
    process = start(root, **environment)
    _, errors = process.communicate()
    assert process.returncode == 1
    last = errors.strip().rpartition("\n")[2]
    assert last.startswith(f"loader.{error}: small: "), errors
    assert not (root / "artifacts/small.tar").exists()
    assert loader.cache.entries() == []
    return last


def edit_local(root, change):
    path = root / ".dvc/config.local"
    path.write_text(change(path.read_text()))


def without_keys(text):
    return "".join(
        line for line in text.splitlines(keepends=True) if "credentialpath" not in line and "profile" not in line
    )


def test_an_artifact_is_fetched_into_the_cache_and_not_into_the_work_tree(pushed):
    process = start(pushed)
    output, errors = process.communicate()
    assert (process.returncode, output.strip()) == (0, "5300"), errors
    assert not (pushed / "artifacts/small.tar").exists()
    (entry,) = loader.cache.entries()
    assert (entry.name, entry.kind) == ("small.tar", "artifacts")
    assert loader.ensure("small", repo=pushed, offline=True) == entry.path / "small.tar"


def test_eight_processes_can_load_at_once(pushed):
    processes = [start(pushed) for _ in range(8)]
    for process in processes:
        output, errors = process.communicate()
        assert (process.returncode, output.strip()) == (0, "5300"), errors


def test_a_killed_process_does_not_block_the_next_one(pushed, monkeypatch):
    first = start(pushed)
    locks = loader.cache.folder() / "locks"
    while not locks.exists() and first.poll() is None:
        pass
    first.kill()
    first.communicate()
    process = start(pushed)
    output, errors = process.communicate()
    assert (process.returncode, output.strip()) == (0, "5300"), errors


@pytest.mark.parametrize("damaged", [False, True])
def test_an_interrupted_fetch_is_resumed(pushed, remote, monkeypatch, damaged):
    whole = remote.read(*remote.keys("public"))
    md5 = hashlib.md5(whole, usedforsecurity=False).hexdigest()
    folder = loader.cache.folder() / "artifacts" / md5
    folder.mkdir(parents=True)
    begun = whole[:400_000]
    (folder / "small.tar.part").write_bytes(begun[:1000] + b"x" + begun[1001:] if damaged else begun)
    read, requested = S3Object.read, []

    def log(self, offset, size):
        requested.append((offset, size))
        return read(self, offset, size)

    monkeypatch.setattr(S3Object, "read", log)
    path = loader.ensure("small", repo=pushed)
    assert path.read_bytes() == whole
    rest = (len(begun), len(whole) - len(begun))
    assert requested == ([rest, (0, len(whole))] if damaged else [rest])  # after damage, all is fetched again
    assert sorted(file.name for file in folder.iterdir()) == [".dataset.json", "small.tar"]


def test_a_partial_file_larger_than_the_object_is_discarded(pushed, remote):
    whole = remote.read(*remote.keys("public"))
    folder = loader.cache.folder() / "artifacts" / hashlib.md5(whole, usedforsecurity=False).hexdigest()
    folder.mkdir(parents=True)
    (folder / "small.tar.part").write_bytes(whole + b"more")
    assert loader.ensure("small", repo=pushed).read_bytes() == whole


def test_a_truncated_artifact_in_the_cache_is_fetched_again(pushed):
    path = loader.ensure("small", repo=pushed)
    os.truncate(path, 8192)
    assert loader.ensure("small", repo=pushed).stat().st_size == 686_080
    assert len(list(loader.load("small", repo=pushed)[1]["train"])) == 5300


def test_offline_a_missing_artifact_is_an_error(pushed):
    assert "nothing is fetched offline" in failure(pushed, DATASETS_OFFLINE="1")
    with pytest.raises(loader.FetchError, match="nothing is fetched offline"):
        loader.load("small", repo=pushed, offline=True)
    loader.ensure("small", repo=pushed, offline=False)
    assert len(loader.load("small", repo=pushed, offline=True)[1]["train"]) == 5300


def test_too_little_disk_space_is_an_error(pushed, monkeypatch):
    usage = shutil.disk_usage(pushed)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(loader.FetchError, match=r"686,080 bytes are needed.*; make room, or set DATASETS_CACHE"):
        loader.ensure("small", repo=pushed)


def test_a_cache_that_cannot_be_written_is_an_error(pushed, tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot be written" in failure(pushed, DATASETS_CACHE=str(tmp_path / "file/cache"))
    read_only = tmp_path / "read-only"
    read_only.mkdir()
    (read_only / "locks").symlink_to("/proc/self")  # a folder in which root cannot write either
    assert "cannot be written" in failure(pushed, DATASETS_CACHE=str(read_only))


def test_a_public_remote_is_read_without_credentials(pushed, tmp_path):
    edit_local(pushed, without_keys)
    process = start(pushed, HOME=os.fspath(tmp_path / "home"), AWS_SHARED_CREDENTIALS_FILE=os.fspath(tmp_path / "none"))
    output, errors = process.communicate()
    assert (process.returncode, output.strip()) == (0, "5300"), errors


def test_an_artifact_in_the_dvc_cache_is_used_in_place(pushed):
    subprocess.run(["dvc", "pull", "--quiet"], cwd=pushed, check=True, capture_output=True)
    (pushed / "artifacts/small.tar").unlink()
    assert loader.ensure("small", repo=pushed, offline=True).is_relative_to(pushed / ".dvc/cache")
    assert loader.cache.entries() == []


def test_an_artifact_in_a_shared_dvc_cache_is_used_in_place(pushed, tmp_path):
    subprocess.run(["dvc", "pull", "--quiet"], cwd=pushed, check=True, capture_output=True)
    (pushed / "artifacts/small.tar").unlink()
    (pushed / ".dvc/cache").rename(tmp_path / "shared")
    subprocess.run(["dvc", "cache", "dir", "--local", tmp_path / "shared"], cwd=pushed, check=True)
    assert loader.ensure("small", repo=pushed, offline=True).is_relative_to(tmp_path / "shared")


def test_wrong_credentials_are_an_error(pushed, remote):
    (key,) = remote.keys("public")
    remote.write(key.replace("public", "private", 1), remote.read(key))
    edit_local(pushed, lambda text: without_keys(text).replace("s3://public", "s3://private"))
    message = failure(pushed, AWS_ACCESS_KEY_ID="WRONG", AWS_SECRET_ACCESS_KEY="wrong")
    assert "refuses access, because the AWS credentials in use are not accepted" in message
    assert "set AWS_PROFILE" in message


def test_a_public_remote_is_read_in_spite_of_wrong_credentials(pushed):
    edit_local(pushed, without_keys)
    process = start(pushed, AWS_ACCESS_KEY_ID="WRONG", AWS_SECRET_ACCESS_KEY="wrong")
    output, errors = process.communicate()
    assert (process.returncode, output.strip()) == (0, "5300"), errors


def test_a_missing_aws_profile_is_an_error(pushed):
    edit_local(pushed, without_keys)
    assert "(nonesuch) could not be found" in failure(pushed, AWS_PROFILE="nonesuch")


def test_an_unreachable_server_is_an_error(pushed, s3_server):
    edit_local(pushed, lambda text: text.replace(s3_server.endpoint, "http://127.0.0.1:9"))
    assert "at http://127.0.0.1:9 cannot be reached" in failure(pushed)


def test_a_missing_object_is_an_error(pushed, remote):
    (key,) = remote.keys("public")
    remote.remove(key)
    message = failure(pushed)
    assert "does not have it" in message
    assert message.endswith("make push DATASET=small PUBLIC=1")


def test_a_missing_object_is_pushed_from_the_commit_that_records_it(pushed, remote):
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    for command in (["add", "--all"], ["commit", "--quiet", "-m", "x"]):
        subprocess.run(["git", *identity, *command], cwd=pushed, check=True)
    head = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=pushed, text=True)[:12]
    remote.remove(remote.keys("public")[0])
    for stream in (False, True):
        with pytest.raises(loader.FetchError) as raised:
            loader.load("small", "test", repo=pushed, rev="HEAD", stream=stream)[1][0]
        assert str(raised.value).endswith(
            f": git switch --detach {head} && dvc checkout small && make push DATASET=small PUBLIC=1 "
            f"&& git switch - && dvc checkout small"
        )


def test_a_truncated_object_is_an_error(pushed, remote):
    (key,) = remote.keys("public")
    data = remote.read(key)
    remote.write(key, data[:1000])
    assert f"ends before byte {len(data):,}" in failure(pushed)


def test_a_changed_object_is_an_error(pushed, remote):
    (key,) = remote.keys("public")
    data = bytearray(remote.read(key))
    data[len(data) // 2] ^= 1
    remote.write(key, bytes(data))
    message = failure(pushed, "IntegrityError")
    assert "is not the one that dvc.lock records" in message
    assert message.endswith("make push DATASET=small PUBLIC=1")


def test_an_artifact_that_was_never_recorded_is_an_error(pushed):
    (pushed / "dvc.lock").unlink()
    assert "make build DATASET=small" in failure(pushed, "ManifestError")


def test_the_command_in_the_message_fixes_a_damaged_artifact(pushed):
    damage_and_fix(pushed, loader.ensure("small", repo=pushed))


def test_it_also_fixes_an_artifact_that_is_linked_to_dvcs_cache(pushed):
    for name in ("scripts", "loader"):  # what `make pull` runs
        shutil.copytree(ROOT / name, pushed / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "requirements.lock"):
        shutil.copy2(ROOT / name, pushed / name)
    (pushed / ".venv").symlink_to(sys.prefix)
    subprocess.run(["dvc", "pull", "--quiet"], cwd=pushed, check=True, capture_output=True)
    tar = pushed / "artifacts/small.tar"
    assert tar.stat().st_nlink > 1
    damage_and_fix(pushed, tar)


def damage_and_fix(root, path):
    assert loader.ensure("small", repo=root) == path
    with path.open("r+b") as file:
        file.seek(path.read_bytes().index(b"train 4000"))
        file.write(b"x")
    _, ds = loader.load("small", repo=root)
    with pytest.raises(loader.IntegrityError, match=r"record 4,000 of split 'train'") as raised:
        list(ds["train"])
    command = re.search(": (rm [^;]+);", str(raised.value))[1]
    done = subprocess.run(command, shell=True, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    _, ds = loader.load("small", repo=root)
    assert len(list(ds["train"])) == 5300


def test_modules_in_the_working_folder_are_not_imported(pushed, tmp_path):
    for name in ("logging.py", "loader.py", "json.py"):
        (tmp_path / name).write_text("raise RuntimeError('imported by mistake')")
    code = f"import sys; sys.path.insert(0, {os.fspath(ROOT)!r})\n{READ}"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, pushed], cwd=tmp_path, capture_output=True, text=True, env=dict(os.environ)
    )
    assert (done.returncode, done.stdout.strip()) == (0, "5300"), done.stderr


def test_a_missing_dvc_folder_is_an_error(pushed):
    shutil.rmtree(pushed / ".dvc")
    assert "remote 'public' is not configured" in failure(pushed)
    assert not (pushed / ".dvc").exists()


def test_a_remote_that_is_not_on_s3_is_an_error(pushed, tmp_path):
    (pushed / ".dvc/config.local").write_text(f"['remote \"public\"']\n    url = {tmp_path}\n")
    assert "not on S3" in failure(pushed)
