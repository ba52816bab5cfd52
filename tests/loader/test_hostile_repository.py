"""A repository of someone else gets no credentials, runs no program, and cannot make the loader wait for ever."""

import os
import re
import shlex
import shutil
import socket
import subprocess
import threading
from pathlib import Path

import pytest

import loader
from loader._fetch import clone as clone_module
from loader._fetch import git_process, s3
from loader._fetch.remote import read_config
from loader._fetch.store import lock
from tests.helpers.recorded_dataset import make_git, make_recorded
from tests.helpers.scripted_s3 import error, scripted_s3

HIDDEN = "hunter2"


def git(root, *arguments, check=True):
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "protocol.file.allow=always")
    done = subprocess.run(["git", *identity, *arguments], cwd=root, check=check, capture_output=True, text=True)
    return done.stdout.strip()


def commit(root, message="more"):
    git(root, "add", "--all", "--force")
    git(root, "commit", "--quiet", "--allow-empty", "-m", message)
    return git(root, "rev-parse", "HEAD")


@pytest.fixture(autouse=True)
def keys(monkeypatch, tmp_path):
    """A machine with AWS credentials, and with its own configuration of git and DVC."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "dvc-global"))
    monkeypatch.setenv("DVC_SYSTEM_CONFIG_DIR", str(tmp_path / "dvc-system"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDUSER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    monkeypatch.setattr(s3, "FIRST_PAUSE_SECONDS", 0.001)


@pytest.fixture
def listener():
    """The server of the repository's owner, which refuses everything."""
    with scripted_s3() as running:
        running.answer = lambda request, send: send(error(403, "AccessDenied"))
        yield running


@pytest.fixture
def root(tmp_path):
    """A repository whose artifact is only on a remote."""
    root = make_recorded(tmp_path / "repository")
    (root / "artifacts/small.tar").unlink()
    make_git(root)
    write_config(root, "url = s3://bucket/data\nendpointurl = http://127.0.0.1:9")
    return root


@pytest.fixture
def hostile(root, listener):
    """A repository whose committed configuration names its owner's server."""
    write_config(root, f"url = s3://bucket/data\nendpointurl = {listener.url}")
    commit(root)
    return root


def write_config(root, options, file=".dvc/config"):
    path = Path(root / file)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"[core]\nremote = public\n['remote \"public\"']\n{options}\n")


def refusal(repo, **options):
    with pytest.raises(loader.FetchError) as raised:
        loader.load("small", repo=repo, **options)
    assert "\n" not in str(raised.value)
    return str(raised.value)


class TestCredentials:
    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("at_a_url", [False, True])
    def test_they_are_not_sent_to_a_server_that_only_the_repository_names(self, hostile, listener, stream, at_a_url):
        message = refusal(f"file://{hostile}" if at_a_url else hostile, stream=stream)
        assert listener.requests
        assert not any(request.is_signed for request in listener.requests)
        assert not any("AKIDUSER" in f"{request.path}{request.headers}" for request in listener.requests)
        assert f"set AWS_ENDPOINT_URL={listener.url}" in message

    def test_the_command_in_the_message_makes_the_server_trusted(self, hostile, listener):
        message = refusal(hostile)
        command = re.search("dvc remote modify --local .*", message)[0]
        subprocess.run(command, shell=True, cwd=hostile, check=True, capture_output=True)
        listener.requests.clear()
        refusal(hostile)
        assert all(request.is_signed for request in listener.requests)

    @pytest.mark.parametrize(
        "way", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "profile", "service", "global", "system"]
    )
    @pytest.mark.parametrize("at_a_url", [False, True])
    def test_they_are_sent_to_a_server_that_the_user_names(
        self, hostile, listener, tmp_path, monkeypatch, way, at_a_url
    ):
        if way.startswith("AWS_"):
            monkeypatch.setenv(way, listener.url)
        elif way in ("profile", "service"):
            named = f"endpoint_url = {listener.url}"
            text = named if way == "profile" else f"services = mine\n[services mine]\ns3 =\n  {named}"
            (tmp_path / "aws").write_text(f"[default]\n{text}\n")
            monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "aws"))
        else:
            write_config(tmp_path, f"url = s3://mine\nendpointurl = {listener.url}", f"dvc-{way}/config")
        refusal(f"file://{hostile}" if at_a_url else hostile)
        assert [request.is_signed for request in listener.requests] == [True]

    def test_another_named_server_does_not_vouch_for_it(self, hostile, listener, tmp_path, monkeypatch):
        monkeypatch.setenv("AWS_ENDPOINT_URL", listener.url.replace("127.0.0.1", "localhost"))
        write_config(tmp_path, "url = s3://mine\nendpointurl = http://127.0.0.1:1", "dvc-global/config")
        refusal(hostile)
        assert not any(request.is_signed for request in listener.requests)

    @pytest.mark.parametrize("link", [False, True])
    def test_a_committed_config_local_is_not_the_users_own(self, hostile, listener, link):
        write_config(hostile, f"endpointurl = {listener.url}\nprofile = work", ".dvc/config.local")
        if link:
            (hostile / ".dvc/config.local").rename(hostile / "innocent")
            (hostile / ".dvc/config.local").symlink_to("../innocent")
        commit(hostile)
        refusal(hostile)
        assert listener.requests
        assert not any(request.is_signed for request in listener.requests)

    @pytest.mark.parametrize("at", ["data", "data/.dvc"])
    def test_a_bare_repository_among_the_files_does_not_hide_that_it_is_committed(
        self, hostile, listener, at, tmp_path
    ):
        outer = tmp_path / "outer"
        shutil.copytree(hostile, outer / "data", ignore=shutil.ignore_patterns(".git"))
        write_config(outer, f"endpointurl = {listener.url}", "data/.dvc/config.local")
        git(outer, "init", "--quiet")
        commit(outer)
        (outer / at / "HEAD").write_text("ref: refs/heads/main\n")
        for folder in ("objects", "refs"):
            (outer / at / folder).mkdir()
        message = refusal(outer / "data")
        assert "dvc remote modify --local" not in message  # it would not count
        assert listener.requests
        assert not any(request.is_signed for request in listener.requests)

    def test_without_git_a_config_local_of_a_clone_does_not_count(self, hostile, listener, monkeypatch, tmp_path):
        write_config(hostile, f"endpointurl = {listener.url}", ".dvc/config.local")
        commit(hostile)
        monkeypatch.setenv("PATH", str(tmp_path))
        refusal(hostile)
        assert listener.requests
        assert not any(request.is_signed for request in listener.requests)

    def test_not_for_a_bucket_that_needs_a_session_either(self, root, listener):
        write_config(root, f"url = s3://data--use1-az4--x-s3/data\nendpointurl = {listener.url}")
        refusal(root)
        assert listener.requests
        assert not any(request.is_signed for request in listener.requests)

    def test_other_options_count_only_in_the_users_own_configuration(self, root, tmp_path):
        committed = "profile=x\nuse_ssl=false\nssl_verify=false\naccess_key_id=x\nsecret_access_key=x\nsession_token=x"
        committed += "\nconfigpath=/x\ncredentialpath=/x\nsse_customer_key=x"
        write_config(root, f"url = s3://bucket/data\nregion = eu-west-1\n{committed}")
        for config in (read_config(root / ".dvc"), read_config(None, committed=(root / ".dvc/config").read_bytes())):
            remote = config["remote"]["public"]
            assert remote["region"] == "eu-west-1"
            assert remote["use_ssl"] is True  # DVC's default
            assert not {line.partition("=")[0] for line in committed.split()} - {"use_ssl"} & remote.keys()
        write_config(root, "profile = mine\nuse_ssl = false\nssl_verify = false", ".dvc/config.local")
        remote = read_config(root / ".dvc")["remote"]["public"]
        assert (remote["profile"], remote["use_ssl"], remote["ssl_verify"]) == ("mine", False, False)

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            (f"url = s3://me:{HIDDEN}@bucket/data", "a user name or password in its url"),
            (f"url = s3://bucket\nendpointurl = http://me:{HIDDEN}@127.0.0.1:9", "password in its endpointurl"),
            (f"url = https://me:{HIDDEN}@127.0.0.1:9/data", "password in its url"),
            (f"url = https://127.0.0.1:9/data?token={HIDDEN}", "not on S3"),
            ("url = ssh://127.0.0.1/data", "not on S3"),
            ("url = ../data", "not on S3"),
            ("url = s3://arn:aws:s3:::x/data", "not on S3"),
            ("url = s3://[x", "configuration cannot be read"),
            ("url = s3://bucket\nendpointurl = http://[::1", "which is not an address like https://host"),
            ("url = s3://bucket\nendpointurl = http://h:99999999", "which is not an address like https://host"),
            ("url = s3://bucket\nendpointurl = x", "which is not an address like https://host"),
            ("url = nonsense://x/y", "configuration cannot be read"),
            ("url = %(url)s", "configuration cannot be read"),
            ("url = s3://bucket\n[remote]\nx = y", "configuration cannot be read"),
        ],
    )
    @pytest.mark.parametrize("at_a_url", [False, True])
    def test_a_remote_of_another_kind_is_an_error(self, root, options, sentence, at_a_url):
        write_config(root, options)
        commit(root)
        message = refusal(f"file://{root}" if at_a_url else root)
        assert sentence in message
        assert HIDDEN not in message

    def test_a_region_cannot_lead_elsewhere(self, root):
        write_config(root, "url = s3://bucket/data\nregion = evil.example/")
        assert "AWS configuration" in refusal(root)


@pytest.fixture
def program(tmp_path):
    """A program that leaves a mark when it runs."""
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {shlex.quote(str(tmp_path))}/ran\nexit 1\n")
    program.chmod(0o755)
    yield program
    assert not (tmp_path / "ran").exists()


def older_version(root):
    """Commit another version on top, so that finding the older one walks through the history."""
    first = commit(root, "first")
    manifest = root / "artifacts/small.json"
    manifest.write_text(manifest.read_text().replace("1.0.0", "2.0.0"))
    commit(root, "second")
    return first


class TestPrograms:
    def test_a_folder_cannot_name_a_program_for_signatures(self, root, program):
        first = older_version(root)
        raw = git(root, "cat-file", "commit", first)
        head, _, body = raw.partition("\n\n")
        signed = f"{head}\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\n{body}\n"
        (root / ".git/signed").write_text(signed)
        new = git(root, "hash-object", "-t", "commit", "-w", ".git/signed")
        tree = git(root, "rev-parse", "HEAD^{tree}")
        git(root, "reset", "--quiet", "--soft", git(root, "commit-tree", tree, "-p", new, "-m", "second"))
        git(root, "config", "log.showSignature", "true")
        git(root, "config", "gpg.program", str(program))
        assert "cannot be reached" in refusal(root, version="1.0.0")

    @pytest.mark.parametrize(
        "key", ["core.fsmonitor", "core.pager", "core.sshCommand", "diff.external", "alias.rev-list"]
    )
    def test_nor_for_anything_else(self, root, program, key):
        older_version(root)
        (root / ".dvc/config.local").write_text("")
        git(root, "config", key, str(program))
        (root / ".git/hooks").mkdir(exist_ok=True)
        for hook in ("reference-transaction", "post-index-change", "post-checkout", "pre-auto-gc"):
            shutil.copy(program, root / ".git/hooks" / hook)
        refusal(root, version="1.0.0")

    def test_a_bare_repository_among_the_files_is_not_used(self, root, program, tmp_path):
        commit(root)
        outer = tmp_path / "outer"
        shutil.copytree(root, outer / "inner", ignore=shutil.ignore_patterns(".git"))
        for part in ("HEAD", "objects", "refs", "config"):
            source = root / ".git" / part
            target = outer / "inner" / part
            shutil.copytree(source, target) if source.is_dir() else shutil.copy(source, target)
        git(outer / "inner", "config", "--file", "config", "core.worktree", ".")
        git(outer, "init", "--quiet")
        with pytest.raises(loader.NotFoundError, match="has no revision"):
            loader.load("small", repo=outer / "inner", rev="HEAD")

    @pytest.mark.parametrize("option", ["uploadpack", "vcs", "ext"])
    def test_an_object_that_is_missing_in_a_partial_clone_starts_no_program(self, root, program, tmp_path, option):
        commit(root)
        git(root, "config", "uploadpack.allowFilter", "true")
        partial = tmp_path / "partial"
        git(tmp_path, "clone", "--quiet", "--no-checkout", "--filter=blob:none", f"file://{root}", partial)
        if option == "uploadpack":
            git(partial, "config", "remote.origin.uploadpack", str(program))
        elif option == "vcs":
            program.rename(tmp_path / "git-remote-evil")
            os.environ["PATH"] += f"{os.pathsep}{tmp_path}"
            git(partial, "config", "remote.origin.vcs", "evil")
        else:
            git(partial, "config", "protocol.ext.allow", "always")
            git(partial, "config", "remote.origin.url", f"ext::{program}")
        for path in ("params.yaml", "dvc.yaml"):
            shutil.copy(root / path, partial / path)
        (partial / "artifacts").mkdir()
        assert "if it is a partial clone, complete it with: git -C" in refusal(partial, rev="HEAD")

    def test_the_command_in_the_message_completes_a_partial_clone(self, root, tmp_path):
        commit(root)
        git(root, "config", "uploadpack.allowFilter", "true")
        partial = tmp_path / "partial"
        git(tmp_path, "clone", "--quiet", "--no-checkout", "--filter=blob:none", f"file://{root}", partial)
        for path in ("params.yaml", "dvc.yaml"):
            shutil.copy(root / path, partial / path)
        (partial / "artifacts").mkdir()
        command = refusal(partial, rev="HEAD").partition("complete it with: ")[2]
        subprocess.run(command, shell=True, check=True, capture_output=True)
        # now only the artifact is missing
        assert "partial clone" not in refusal(partial, rev="HEAD", offline=True)

    def test_the_repository_of_the_working_folder_has_no_say_in_a_fetch(self, root, program, tmp_path, monkeypatch):
        commit(root)
        here = tmp_path / "here"
        git(tmp_path, "init", "--quiet", here)
        git(here, "config", "protocol.ext.allow", "always")
        git(here, "config", f"url.ext::{program} .insteadOf", "file://")
        monkeypatch.chdir(here)
        assert "cannot fetch" not in refusal(f"file://{root}")

    def test_a_url_that_names_a_program_is_refused(self, program):
        for url in (f"ext::{program}", f"ext::{program} x://y"):
            with pytest.raises(loader.LoaderError):
                loader.load("small", repo=url)

    def test_replaced_objects_do_not_count(self, root):
        first = older_version(root)
        git(root, "replace", first, "HEAD")
        assert (
            loader._fetch.repository.open_repository(root)
            .revision("small", rev=first, version=None)
            .manifest("small")
            .version
            == "1.0.0"
        )


@pytest.fixture
def silent():
    """The port of a server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


class TestWaiting:
    def test_a_silent_git_server_is_an_error(self, silent, monkeypatch):
        monkeypatch.setattr(git_process, "NETWORK_SECONDS", 1)
        url = f"git://127.0.0.1:{silent}/x.git"
        assert f"git fetch takes longer than 1 seconds in {url}" in refusal(url)
        assert not any((loader.cache.folder() / "repositories").iterdir())

    def test_a_configuration_that_never_ends_is_an_error(self, root, tmp_path, monkeypatch):
        commit(root)
        os.mkfifo(tmp_path / "fifo")
        git(root, "config", "include.path", str(tmp_path / "fifo"))
        monkeypatch.setattr(git_process, "SECONDS", 1)
        assert "takes longer than 1 seconds" in refusal(root, rev="HEAD")

    def test_a_password_is_not_asked_for(self, server, program, monkeypatch):
        for name in ("GIT_ASKPASS", "SSH_ASKPASS"):
            monkeypatch.setenv(name, str(program))
        server.respond("/x.git/info/refs?service=git-upload-pack", b"", 401, WWW_Authenticate='Basic realm="x"')
        assert "cannot fetch" in refusal(f"{server.url}/x.git")

    @pytest.mark.parametrize("status", [301, 302, 307])
    def test_a_redirect_of_a_git_server_is_not_followed_but_named(self, server, status):
        with scripted_s3() as elsewhere:
            location = (
                f"http://me:{HIDDEN}@{elsewhere.url.removeprefix('http://')}/y.git/info/refs?service=git-upload-pack"
            )
            server.respond("/x.git/info/refs?service=git-upload-pack", b"", status, Location=location)
            message = refusal(f"{server.url}/x.git")
            assert f"{server.url}/x.git redirects to {elsewhere.url}/y.git, which is not followed" in message
            assert elsewhere.requests == []

    def test_a_fetch_of_another_process_is_not_waited_for_without_end(self, root, monkeypatch):
        first = commit(root)
        url = f"file://{root}"
        refusal(url)
        (clone,) = (loader.cache.folder() / "repositories").iterdir()
        monkeypatch.setattr(clone_module, "NETWORK_SECONDS", 0.1)
        is_held, may_end = threading.Event(), threading.Event()

        def hold():
            with lock(clone.name):
                is_held.set()
                may_end.wait()

        thread = threading.Thread(target=hold)
        thread.start()
        is_held.wait()
        try:
            assert "another process has been fetching" in refusal(url)
            assert "is not on this machine" in refusal(url, rev=first, offline=True)
            # a commit that was fetched before needs neither the lock nor the network
            assert "another process" not in refusal(url, rev=first)
        finally:
            may_end.set()
            thread.join()

    def test_a_killed_fetch_does_not_block_the_next_one(self, root):
        commit(root)
        refusal(f"file://{root}")
        (clone,) = (loader.cache.folder() / "repositories").iterdir()
        branch = git(root, "branch", "--show-current")
        for left_over in ("packed-refs.lock", f"refs/heads/{branch}.lock", "HEAD.lock"):
            (clone / left_over).write_text("")
        newer = commit(root)
        refusal(f"file://{root}")
        assert git(clone, "rev-parse", "HEAD") == newer


@pytest.mark.parametrize(
    "url",
    [
        f"http://me:{HIDDEN}@127.0.0.1:9/x.git",
        f"http://me:a/{HIDDEN}@127.0.0.1:9/x.git",
        f"http://{HIDDEN}@127.0.0.1:9/x.git",
        f"http://127.0.0.1:9/x.git?token={HIDDEN}",
        f"http://127.0.0.1:9/x.git#{HIDDEN}",
        f"http:/me:{HIDDEN}@127.0.0.1:9/x.git",
        f"nonsense://me:{HIDDEN}@127.0.0.1:9/x.git",
    ],
)
def test_a_secret_in_a_url_is_not_shown(url):
    for offline in (False, True):
        with pytest.raises(loader.LoaderError) as raised:
            loader.load("small", repo=url, offline=offline)
        shown = [str(each) for each in (raised.value, raised.value.__cause__, raised.value.__context__)]
        assert HIDDEN not in "".join(shown)


def test_a_secret_in_a_url_is_not_stored(root, server, monkeypatch, tmp_path):
    commit(root)
    git(root, "repack", "-a", "-d")
    git(root, "update-server-info")
    (tmp_path / "home").mkdir()
    (tmp_path / "home/.gitconfig").write_text("[core]\nlogAllRefUpdates = always\n")
    for path in (root / ".git").rglob("*"):
        if path.is_file():
            name = f"/x.git/{path.relative_to(root / '.git')}"
            server.respond(name, path.read_bytes())
            server.respond(f"{name}?token={HIDDEN}", path.read_bytes())
    server.respond("/x.git/info/refs?service=git-upload-pack", (root / ".git/info/refs").read_bytes())
    address = server.url.removeprefix("http://")
    message = refusal(f"http://me:{HIDDEN}@{address}/x.git")
    assert HIDDEN not in message
    folder = loader.cache.folder()
    (clone,) = (folder / "repositories").iterdir()
    assert git(clone, "rev-parse", "HEAD") == git(root, "rev-parse", "HEAD")
    refusal(f"http://me:another@{address}/x.git")
    assert [*(folder / "repositories").iterdir()] == [clone]  # the same clone with a new password
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert [path for path in files if HIDDEN.encode() in path.read_bytes() or HIDDEN in path.name] == []
