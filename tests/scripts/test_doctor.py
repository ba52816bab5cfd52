"""The doctor, with a real S3 server whose objects are damaged, and with a damaged clone."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from email.utils import formatdate
from pathlib import Path

import pytest

from scripts._dvc.remotes import point_local
from scripts._process.errors import ScriptError
from scripts._release.doctor.interrupted import check_interrupted
from scripts._release.recorded_objects import current_records, recorded_objects
from scripts.doctor import doctor
from scripts.push import push
from tests.conftest import clean_environment
from tests.helpers.faulty_s3 import faulty_s3_of
from tests.helpers.recorded_dataset import fill_dvc_cache, make_git, make_recorded
from tests.helpers.scripted_s3 import scripted_s3

ROOT = Path(__file__).resolve().parents[2]
IDENTITY = ("-c", "user.name=test", "-c", "user.email=test@example.org")


@pytest.fixture
def repository(tmp_path, remote):
    """A repository whose dataset is on its remote, and in which all is well."""
    root = make_recorded(tmp_path / "repository")
    make_git(root)
    with (root / ".gitignore").open("a") as file:
        file.write("/artifacts/.*\n/.scratch*\n.*.part\n/sources/?*\n!/sources/*.dvc\n/scripts\n")
    fill_dvc_cache(root)
    commit(root)
    remote.point(root)
    push("small", public=True, root=root)
    return root


def commit(root, message="records"):
    subprocess.run(["git", "add", "--all"], cwd=root, check=True)
    subprocess.run(["git", *IDENTITY, "commit", "--quiet", "-m", message], cwd=root, check=True)


def texts(result):
    return [problem.text for problem in result.problems]


def repair(result):
    """Repair what can be repaired; return what was done."""
    return [problem.fix() for problem in result.problems if problem.fix is not None]


def tar_of(root):
    return root / "artifacts/small.tar"


def object_of(root):
    """The path of the artifact in DVC's cache."""
    (record,) = current_records(root)
    return root / ".dvc/cache/files/md5" / record.md5[:2] / record.md5[2:]


def damage(path):
    """Change a byte of a file, of this name only."""
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.unlink()
    path.write_bytes(data)
    return bytes(data)


def run(root, *arguments):
    """Run the command in a repository with its own copy of `scripts`; return its exit code, stdout and stderr."""
    if not (root / "scripts").exists():
        shutil.copytree(ROOT / "scripts", root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "scripts", "doctor", *arguments]
    done = subprocess.run(command, cwd=root, env=clean_environment(), capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def mirror_a_source(root, remote):
    """Record a source file that is on the public remote, and return its key."""
    data = b"source" * 1000
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    (root / "sources/small").mkdir(parents=True)
    (root / "sources/small/data.bin").write_bytes(data)
    out = {"md5": md5, "size": len(data), "hash": "md5", "path": "small/data.bin", "remote": "public"}
    (root / "sources/small.dvc").write_text(json.dumps({"outs": [out]}))
    commit(root, "mirror")
    (key,) = remote.keys("public")
    source = f"{key.rpartition('/files/md5/')[0]}/files/md5/{md5[:2]}/{md5[2:]}"
    remote.write(source, data)
    return source


@pytest.mark.slow
def test_of_a_lost_a_damaged_and_an_unrecorded_object_all_are_named_and_two_restored(repository, remote):
    (key,) = remote.keys("public")
    source = mirror_a_source(repository, remote)
    right = remote.read(key)
    remote.write(key, right[:5000] + b"x" + right[5001:])
    remote.remove(source)
    unrecorded = key.rpartition("/files/md5/")[0] + "/files/md5/ab/" + "c" * 30
    remote.write(unrecorded, b"12345")
    code, said, error = run(repository)
    assert (code, error) == (1, "error: 2 problems found; repair what is safe with: make doctor FIX=1\n")
    assert f"artifacts/small.tar (small 1.0.0) is damaged on remote 'public' (s3://{key}, judged by its MD5)" in said
    assert f"sources/small/data.bin (small source file) is not on remote 'public' (s3://{source}); upload it" in said
    assert (
        f"1 unrecorded object (5 B), which no commit of a branch or tag of this clone records: s3://{unrecorded}"
        in said
    )
    code, said, error = run(repository, "--fix")
    assert (code, error) == (1, "error: 1 problem found\n")
    assert "fixed: uploaded artifacts/small.tar" in said
    assert "not fixed: small is public: this publishes its source files" in said
    code, said, _ = run(repository, "--fix", "--public", "--deep")
    assert code == 0
    assert "fixed: uploaded sources/small/data.bin" in said
    assert "1 recorded object on remote 'public', checked: 1 by its bytes" in said
    assert remote.read(key) == right
    assert remote.read(source) == (repository / "sources/small/data.bin").read_bytes()
    assert sorted(remote.keys("public")) == sorted([key, source, unrecorded])


@pytest.mark.slow
def test_the_merge_driver_is_set_up(clone):
    code, said, _ = run(clone.root)
    assert code == 1
    assert (
        "this clone does not have it, so git merges params.yaml, dvc.yaml and dvc.lock by line; set it up with" in said
    )
    run(clone.root, "--fix")
    assert "merge-file" in clone.run("git", "config", "merge.datasets.driver").stdout


def test_where_all_is_well_nothing_is_reported_and_what_was_checked_is_said(repository):
    result = doctor(root=repository)
    assert texts(result) == []
    assert result.not_checked == []
    said = "\n".join(result.fine)
    assert "1 recorded object on remote 'public', checked: 1 by its SHA-256" in said
    assert "with the AWS profile 'datasets-s3'" in said
    assert "1 recorded file in DVC's cache and 1 in the work tree" in said


def test_a_lost_object_is_named_and_uploaded_again_only_with_consent(repository, remote):
    (key,) = remote.keys("public")
    remote.remove(key)
    result = doctor(root=repository)
    assert texts(result) == [
        f"artifacts/small.tar (small 1.0.0) is not on remote 'public' (s3://{key}); upload it with: "
        f"make push DATASET=small PUBLIC=1"
    ]
    with pytest.raises(ScriptError, match="small is public: this publishes it"):
        repair(result)
    assert key not in remote.keys("public")
    repair(doctor(root=repository, public=True))
    assert remote.read(key) == tar_of(repository).read_bytes()


def test_a_damaged_object_is_named_and_replaced(repository, remote):
    (key,) = remote.keys("public")
    right = remote.read(key)
    remote.write(key, right[:5000] + b"x" + right[5001:])
    (problem,) = (result := doctor(root=repository)).problems
    assert problem.text.startswith("artifacts/small.tar (small 1.0.0) is damaged on remote 'public'")
    repair(result)
    assert remote.read(key) == right


@pytest.mark.slow
def test_damage_that_the_remote_does_not_report_is_found_by_reading_the_bytes(repository, remote):
    (key,) = remote.keys("public")
    right = remote.read(key)
    remote.write(key, right[:5000] + b"x" + right[5001:])
    with faulty_s3_of(repository, remote.server.endpoint) as proxy:
        (record,) = current_records(repository)
        proxy.change_headers = lambda headers: (
            {name: value for name, value in headers.items() if not name.startswith("x-amz-checksum")}
            | ({"etag": f'"{record.md5}"'} if "etag" in headers else {})
        )
        assert texts(doctor(root=repository)) == []
        (text,) = texts(doctor(root=repository, deep=True))
    assert ", judged by its bytes); " in text


def test_an_object_that_nothing_records_is_a_note(repository, remote):
    (key,) = remote.keys("public")
    other = key.rpartition("/files/md5/")[0] + "/files/md5/ab/" + "c" * 30
    remote.write(other, b"12345")
    result = doctor(root=repository)
    assert texts(result) == []
    (note,) = result.notes
    assert "remote 'public' has 1 unrecorded object (5 B)" in note
    assert f"s3://{other} (5 B, 20" in note
    assert doctor(["small"], root=repository).notes == []


@pytest.mark.slow
def test_an_object_that_another_branch_records_is_no_unrecorded_one(repository, remote):
    old = current_records(repository)[0].md5
    subprocess.run(["git", "checkout", "--quiet", "-b", "other"], cwd=repository, check=True)
    lock = repository / "dvc.lock"
    lock.write_text(lock.read_text().replace(old, "a" * 32))
    commit(repository)
    subprocess.run(["git", "checkout", "--quiet", "-"], cwd=repository, check=True)
    (key,) = remote.keys("public")
    remote.write(key.rpartition("/files/md5/")[0] + "/files/md5/aa/" + "a" * 30, b"12345")
    assert doctor(root=repository).notes == []
    assert recorded_objects(repository)["a" * 32][0].branches == ["other"]


def test_a_private_artifact_on_the_public_remote_is_removed_there_once_the_private_one_has_it(repository, remote):
    (key,) = remote.keys("public")
    subprocess.run(["git", "update-ref", "-d", "HEAD"], cwd=repository, check=True)
    path = repository / "dvc.yaml"
    path.write_text(path.read_text().replace("{remote: public}", "{remote: private}"))
    commit(repository)
    result = doctor(root=repository)
    lost, misplaced = result.problems
    assert "belongs to remote 'private', but lies on remote 'public' too" in misplaced.text
    with pytest.raises(ScriptError, match="is not proved to have"):
        misplaced.fix()
    assert remote.keys("public") == [key]
    lost.fix()
    assert misplaced.fix().startswith(f"removed s3://{key}; remote 'private' has it, checked by")
    assert key not in remote.keys("public")


@pytest.mark.slow
def test_a_dataset_that_was_private_first_is_asked_for_on_the_public_remote_only(repository):
    path = repository / "dvc.yaml"
    public = path.read_text()
    path.write_text(public.replace("{remote: public}", "{remote: private}"))
    commit(repository)
    path.write_text(public)
    commit(repository)
    assert texts(doctor(root=repository)) == []


def test_without_a_readable_record_or_configuration_the_other_checks_are_made(repository):
    scratch = repository / ".scratch/build-small"
    scratch.mkdir(parents=True)
    scratch.with_name("build-small.lock").touch()
    (repository / "dvc.lock").write_text("")
    (repository / ".dvc/config.local").write_text("[core")
    result = doctor(root=repository)
    found = "\n".join(texts(result))
    assert "dvc.lock is empty" in found
    assert "DVC cannot open" in found
    assert "so look first at what changed: git diff HEAD -- dvc.lock" in found
    assert "was left by a command that was killed" in found
    assert len(result.not_checked) == 3


@pytest.mark.slow
def test_a_hook_that_may_not_be_executed_is_named(repository):
    hook = repository / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\n")
    (text,) = texts(doctor(root=repository))
    assert text == f"git ignores hooks that may not be executed (pre-commit); allow it with: chmod +x {hook}"


@pytest.mark.slow
def test_a_released_version_that_is_lost_is_named_with_its_tag(repository, remote):
    subprocess.run(["git", *IDENTITY, "tag", "-a", "-m", "x", "small@v1.0.0"], cwd=repository, check=True)
    lock = repository / "dvc.lock"
    lock.write_text(json.dumps({"schema": "2.0", "stages": {}}))
    commit(repository)
    (key,) = remote.keys("public")
    assert not [text for text in texts(doctor(root=repository)) if "remote" in text]
    remote.remove(key)
    (text,) = [text for text in texts(doctor(root=repository)) if "remote" in text]
    assert "(small 1.0.0, tag small@v1.0.0) is not on remote 'public'" in text
    assert "git checkout small@v1.0.0 && dvc checkout artifacts/small.tar && make push DATASET=small PUBLIC=1" in text


def test_a_damaged_file_in_the_cache_is_replaced_by_the_work_trees(repository):
    cached = object_of(repository)
    damaged = damage(cached)
    (problem,) = doctor(root=repository).problems
    assert f"is damaged in DVC's cache ({cached} has the md5" in problem.text
    problem.fix()
    assert cached.read_bytes() == tar_of(repository).read_bytes()
    assert next((repository / ".dvc/cache/files").glob("*.damaged")).read_bytes() == damaged
    assert texts(doctor(root=repository)) == []


def test_damaged_files_in_the_cache_and_the_work_tree_are_replaced_by_the_remotes(repository, remote):
    (key,) = remote.keys("public")
    damage(object_of(repository))
    damaged = damage(tar_of(repository))
    result = doctor(root=repository)
    assert [text.partition(";")[2] for text in texts(result)] == [
        f" replace it with: rm -f {object_of(repository)} {tar_of(repository)} && make pull DATASET=small"
    ]
    repair(result)
    assert tar_of(repository).read_bytes() == object_of(repository).read_bytes() == remote.read(key)
    assert (repository / "artifacts/.small.tar.damaged").read_bytes() == damaged
    assert texts(doctor(root=repository)) == []


def test_without_any_right_copy_nothing_is_touched(repository, remote):
    (key,) = remote.keys("public")
    remote.write(key, b"wrong")
    damaged = [damage(object_of(repository)), damage(tar_of(repository))]
    result = doctor(root=repository)
    assert [problem.fix for problem in result.problems] == [None] * 2
    assert "build it again with: make build DATASET=small OVERWRITE=1" in texts(result)[0]
    assert [object_of(repository).read_bytes(), tar_of(repository).read_bytes()] == damaged


@pytest.mark.slow
def test_a_pull_that_fails_puts_the_damaged_file_back(repository, remote):
    damaged = damage(tar_of(repository))
    object_of(repository).unlink()
    result = doctor(root=repository)
    remote.remove(remote.keys("public")[0])
    with pytest.raises(Exception, match="does not have it"):
        repair(result)
    assert tar_of(repository).read_bytes() == damaged


@pytest.mark.slow
def test_an_artifact_that_is_not_in_the_work_tree_is_a_note(repository):
    tar_of(repository).unlink()
    result = doctor(root=repository)
    assert texts(result) == []
    assert "1 recorded artifact not in the work tree (artifacts/small.tar)" in result.notes[0]


def test_without_a_server_the_local_checks_are_made_within_seconds(repository, remote):
    point_local(
        repository,
        {each: f"s3://{each}/x" for each in ("public", "private")},
        "http://127.0.0.1:9",
        remote.server.credentials,
    )
    damage(object_of(repository))
    begun = time.monotonic()
    result = doctor(root=repository)
    assert time.monotonic() - begun < 60
    unreachable = [text for text in texts(result) if "does not answer" in text]
    assert len(unreachable) == 2
    assert "remote 'public' at http://127.0.0.1:9 does not answer (Connection refused)" in "".join(unreachable)
    assert "remote 'public': its objects, because its server does not answer" in result.not_checked
    assert [text for text in texts(result) if "is damaged in DVC's cache" in text]


@pytest.mark.slow
def test_a_silent_server_is_waited_for_a_few_seconds(repository, remote):
    with faulty_s3_of(repository, remote.server.endpoint) as proxy:
        proxy.fault = lambda method, path: "silent"
        begun = time.monotonic()
        found = texts(doctor(root=repository))
        assert time.monotonic() - begun < 60
    assert [text for text in found if "does not answer (nothing within 5 seconds)" in text]


def test_a_clock_that_s3_refuses_is_named(repository, remote):
    with scripted_s3() as server:
        date = f"Date: {formatdate(time.time() + 3600, usegmt=True)}\r\n".encode()
        server.answer = lambda request, send: send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n" + date + b"\r\n")
        urls = {"public": "s3://public/x", "private": "s3://private/x"}
        point_local(repository, urls, server.url, remote.server.credentials)
        result = doctor(root=repository)
    assert [
        text
        for text in texts(result)
        if "the clock of this machine is 60 minutes behind that of remote 'public'" in text
    ]
    assert "remote 'public': its objects, because of the clock" in result.not_checked
    assert {request.method for request in server.requests} == {"HEAD"}


@pytest.mark.parametrize(
    ("bucket", "key", "expected"),
    [("private", "nobody", "the AWS credentials in use are not accepted"), ("no-such", None, "has no such bucket")],
)
def test_refused_credentials_and_a_missing_bucket_are_named(repository, remote, bucket, key, expected):
    credentials = repository / ".dvc/tmp/credentials"
    credentials.parent.mkdir(exist_ok=True)
    written = remote.server.credentials.read_text()
    credentials.write_text(re.sub("(?<=aws_access_key_id = ).*", key, written) if key else written)
    point_local(
        repository, {"public": "s3://public/x", "private": f"s3://{bucket}/x"}, remote.server.endpoint, credentials
    )
    code = f"from pathlib import Path; from scripts.doctor import doctor; print(doctor(root=Path({str(repository)!r})))"
    # in a process of its own, because DVC puts the path of the first credentials into the environment
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=clean_environment(), check=True, capture_output=True, text=True
    )
    assert expected in done.stdout


def test_remotes_in_one_bucket_are_named(repository):
    path = repository / ".dvc/config.local"
    path.write_text(path.read_text().replace("s3://private", "s3://public"))
    assert [text for text in texts(doctor(root=repository)) if "are in one bucket, 'public'" in text]


def test_a_reader_without_credentials_is_not_told_to_get_some(repository, remote):
    path = repository / ".dvc/config.local"
    path.write_text(
        "\n".join(line for line in path.read_text().splitlines() if "profile" not in line and "credential" not in line)
    )
    result = doctor(root=repository)
    assert texts(result) == []
    assert [line for line in result.fine if "reached without credentials" in line]
    assert [line for line in result.not_checked if line.startswith("remote 'private': which objects it has")]


def test_ended_processes_in_the_list_of_dvc_are_removed_and_running_ones_stay(repository):
    ended = subprocess.Popen(["true"])
    ended.wait()
    path = repository / ".dvc/tmp/rwlock"
    running = {"pid": os.getpid(), "cmd": " ".join(sys.argv)}
    users = {"write": {"/a": {"pid": ended.pid, "cmd": "dvc repro"}}, "read": {"/b": [running]}}
    path.write_text(json.dumps(users))
    (problem,) = (result := doctor(root=repository)).problems
    assert f".dvc/tmp/rwlock names processes that have ended ({ended.pid})" in problem.text
    repair(result)
    assert json.loads(path.read_text()) == {"write": {}, "read": {"/b": [running]}}


def test_leftovers_of_killed_commands_are_removed_and_what_is_written_now_stays(repository):
    scratch = repository / ".scratch/build-small"
    scratch.mkdir(parents=True)
    scratch.with_name("build-small.lock").touch()
    old, new = repository / "artifacts/.small.part", repository / "artifacts/.other.part"
    for folder in (old, new):
        folder.mkdir()
        (folder / "small.tar").write_bytes(b"x")
    for path in (old / "small.tar", old):
        os.utime(path, (1, 1))
    result = doctor(root=repository)
    assert [text.split(" ")[0] for text in texts(result)] == [str(scratch), str(old)]
    repair(result)
    assert [path.exists() for path in (scratch, old, new)] == [False, False, True]


@pytest.mark.parametrize("place", ["artifacts/.small.tar.part", "cache/small.part"])
def test_a_file_that_a_command_finishes_meanwhile_is_no_leftover(tmp_path, monkeypatch, place):
    (tmp_path / place).parent.mkdir()
    (tmp_path / place).touch()
    stat = Path.stat

    def finish(path, **options):
        if path == tmp_path / place:
            path.unlink(missing_ok=True)
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", finish)
    assert check_interrupted(tmp_path, tmp_path / "cache/md5").problems == []


def test_records_that_are_not_committed_are_named_and_the_command_commits_them(repository):
    params = repository / "params.yaml"
    params.write_text(params.read_text() + "# changed\n")
    (text,) = texts(doctor(root=repository))
    assert "records are not committed, so nobody else has them (params.yaml)" in text
    command = text.partition("with: ")[2].replace("git commit", f"git {' '.join(IDENTITY)} commit")
    subprocess.run(command, shell=True, cwd=repository, check=True, capture_output=True)
    assert texts(doctor(root=repository)) == []


def test_a_merge_driver_that_is_not_set_up_is_named(repository):
    (repository / ".gitattributes").write_text("/dvc.lock merge=datasets\n")
    commit(repository)
    assert [text for text in texts(doctor(root=repository)) if "this clone does not have it" in text]
    subprocess.run(["git", "config", "merge.datasets.driver", "true"], cwd=repository, check=True)
    assert texts(doctor(root=repository)) == []


def test_packages_that_differ_from_the_lock_file_are_named(repository):
    lock = 'numpy==0.0.1 \\\n    --hash=sha256:0\nmissing-one==1 ; sys_platform == "win32" \\\n'
    (repository / "requirements.lock").write_text(lock)
    commit(repository)
    (text,) = texts(doctor(root=repository))
    assert "differs from requirements.lock (numpy " in text
    assert "instead of 0.0.1); set it up with" in text


@pytest.mark.slow
def test_what_make_check_finds_is_reported(repository):
    params = repository / "params.yaml"
    params.write_text(params.read_text().replace("CC0", "CC BY"))
    assert [text for text in texts(doctor(root=repository)) if "params.yaml has changed since it was built" in text]


@pytest.mark.slow
def test_the_disk_must_have_room_for_a_build(repository, monkeypatch):
    usage = shutil.disk_usage(repository)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert [
        text for text in texts(doctor(root=repository)) if "1.0 kB are free in" in text and "a build of small" in text
    ]


def test_a_dataset_that_does_not_exist_is_an_error(repository):
    with pytest.raises(ScriptError, match=r"there is no dataset 'smal' in params\.yaml; did you mean small"):
        doctor(["smal"], root=repository)
