"""A missing artifact is pulled through DVC from a real S3 server, by one process, or one sentence says why not."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import loader
from tests.small import make_dvc, make_small

ROOT = Path(__file__).resolve().parents[2]
READ = """
import sys, loader
info, ds = loader.load("small", repo=sys.argv[1])
print(len(ds["train"]), [name for name in ("dvc", "botocore", "s3fs") if name in sys.modules])
"""


@pytest.fixture
def pushed(tmp_path, remote):
    """A repository whose artifact is on the remote and nowhere else."""
    root = make_small(tmp_path / "repository")
    make_dvc(root, ROOT / ".dvc/config")
    remote.point(root)
    subprocess.run(["dvc", "push", "--quiet"], cwd=root, check=True, capture_output=True)
    forget(root)
    return root


def forget(root):
    (root / "artifacts/small.tar").unlink(missing_ok=True)
    shutil.rmtree(root / ".dvc/cache", ignore_errors=True)
    shutil.rmtree(root / ".dvc/tmp", ignore_errors=True)


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


def failure(root, **environment):
    process = start(root, **environment)
    _, errors = process.communicate()
    assert process.returncode == 1
    last = errors.strip().rpartition("\n")[2]
    assert last.startswith("loader.FetchError: small: "), errors
    assert not (root / "artifacts/small.tar").exists()
    return last


def edit_local(root, change):
    path = root / ".dvc/config.local"
    path.write_text(change(path.read_text()))


def without_keys(text):
    return "".join(
        line for line in text.splitlines(keepends=True) if "credentialpath" not in line and "profile" not in line
    )


def test_it_is_pulled_and_the_caller_does_not_import_dvc(pushed):
    process = start(pushed)
    output, errors = process.communicate()
    assert (process.returncode, output.strip()) == (0, "5300 []"), errors


def test_eight_that_ask_at_once_are_all_served(pushed):
    processes = [start(pushed) for _ in range(8)]
    for process in processes:
        output, errors = process.communicate()
        assert (process.returncode, output.strip()) == (0, "5300 []"), errors


def test_one_that_was_killed_in_the_middle_hinders_nobody(pushed):
    first = start(pushed)
    lock = pushed / ".dvc/tmp/fetch-small.tar.lock"
    while not lock.exists() and first.poll() is None:
        pass
    first.kill()
    first.communicate()
    process = start(pushed)
    output, errors = process.communicate()
    assert (process.returncode, output.strip()) == (0, "5300 []"), errors


def test_a_public_remote_is_read_without_credentials(pushed, tmp_path):
    edit_local(pushed, without_keys)
    process = start(pushed, HOME=os.fspath(tmp_path / "home"), AWS_SHARED_CREDENTIALS_FILE=os.fspath(tmp_path / "none"))
    output, errors = process.communicate()
    assert (process.returncode, output.strip()) == (0, "5300 []"), errors


def test_what_is_in_the_dvc_cache_needs_no_remote(pushed):
    subprocess.run(["dvc", "pull", "--quiet"], cwd=pushed, check=True, capture_output=True)
    (pushed / "artifacts/small.tar").unlink()
    edit_local(
        pushed, lambda text: text.replace("endpointurl = http://127.0.0.1:", "endpointurl = http://127.0.0.1:1#")
    )
    process = start(pushed)
    output, errors = process.communicate()
    assert (process.returncode, output.strip()) == (0, "5300 []"), errors


def test_what_is_rotten_in_the_dvc_cache_is_pulled_anew(pushed):
    subprocess.run(["dvc", "pull", "--quiet"], cwd=pushed, check=True, capture_output=True)
    (pushed / "artifacts/small.tar").unlink()
    (cached,) = (path for path in (pushed / ".dvc/cache/files").rglob("*") if path.is_file())
    data = bytearray(cached.read_bytes())
    data[data.index(b"train 4000")] ^= 1
    cached.chmod(0o644)
    cached.write_bytes(data)
    cached.chmod(0o444)  # DVC believes what is read-only
    process = start(pushed)
    output, errors = process.communicate()
    assert (process.returncode, output.strip()) == (0, "5300 []"), errors
    _, ds = loader.load("small", repo=pushed)
    assert len(list(ds["train"])) == 5300


def test_wrong_keys(pushed):
    edit_local(pushed, without_keys)
    message = failure(pushed, AWS_ACCESS_KEY_ID="WRONG", AWS_SECRET_ACCESS_KEY="wrong")
    assert "refuses access" in message
    assert "check the AWS credentials" in message


def test_a_profile_that_does_not_exist(pushed):
    edit_local(pushed, without_keys)
    assert "(nonesuch) could not be found" in failure(pushed, AWS_PROFILE="nonesuch")


def test_the_server_is_gone(pushed, s3_server):
    edit_local(pushed, lambda text: text.replace(s3_server.endpoint, "http://127.0.0.1:9"))
    assert "at http://127.0.0.1:9 cannot be reached" in failure(pushed)


def test_the_object_is_missing(pushed, remote):
    (key,) = remote.keys("public")
    remote.remove(key)
    assert "does not have it" in failure(pushed)


def test_the_object_is_truncated(pushed, remote):
    (key,) = remote.keys("public")
    data = remote.read(key)
    remote.write(key, data[:1000])
    assert f"has 1,000 bytes, dvc.lock records {len(data):,}" in failure(pushed)


def test_the_object_is_tampered_with(pushed, remote):
    (key,) = remote.keys("public")
    data = bytearray(remote.read(key))
    data[len(data) // 2] ^= 1
    remote.write(key, bytes(data))
    assert "is not the one that dvc.lock records" in failure(pushed)


def test_an_artifact_that_was_never_recorded(pushed):
    (pushed / "dvc.lock").unlink()
    assert "make build DATASET=small" in failure(pushed)


def test_a_damaged_artifact_comes_back_by_the_command_in_the_message(pushed):
    start(pushed).communicate()
    tar = pushed / "artifacts/small.tar"
    data = bytearray(tar.read_bytes())
    data[data.index(b"train 4000")] ^= 1
    tar.unlink()
    tar.write_bytes(data)
    _, ds = loader.load("small", repo=pushed)
    with pytest.raises(loader.IntegrityError) as raised:
        list(ds["train"])
    command = str(raised.value).partition("or pulled: ")[2]
    subprocess.run(command, shell=True, cwd=pushed, check=True, capture_output=True)
    _, ds = loader.load("small", repo=pushed)
    assert len(list(ds["train"])) == 5300


def test_rot_in_a_file_that_is_linked_to_the_cache_is_mended_by_the_same_command(pushed):
    start(pushed).communicate()
    tar = pushed / "artifacts/small.tar"
    assert tar.stat().st_nlink > 1
    with tar.open("r+b") as file:
        position = tar.read_bytes().index(b"train 4000")
        file.seek(position)
        file.write(b"x")
    _, ds = loader.load("small", repo=pushed)
    with pytest.raises(loader.IntegrityError) as raised:
        list(ds["train"])
    subprocess.run(str(raised.value).partition("or pulled: ")[2], shell=True, cwd=pushed, check=True)
    _, ds = loader.load("small", repo=pushed)
    assert len(list(ds["train"])) == 5300


def test_modules_in_the_working_folder_do_not_disturb(pushed, tmp_path):
    for name in ("logging.py", "loader.py", "json.py"):
        (tmp_path / name).write_text("raise RuntimeError('not this one')")
    code = f"import sys; sys.path.insert(0, {os.fspath(ROOT)!r})\n{READ}"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, pushed], cwd=tmp_path, capture_output=True, text=True, env=dict(os.environ)
    )
    assert (done.returncode, done.stdout.strip()) == (0, "5300 []"), done.stderr


def test_without_dvcs_folder_it_is_one_error(pushed):
    shutil.rmtree(pushed / ".dvc")
    assert "has no .dvc folder; restore it with: git checkout -- .dvc" in failure(pushed)
    assert not (pushed / ".dvc").exists()
