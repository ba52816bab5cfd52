"""`trust=`: what no listed SSH key signed is refused, with real git and ssh-keygen."""

import os
import pickle
import shlex
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

import loader
from loader._fetch import signatures
from tests.helpers.recorded_dataset import fill_dvc_cache, make_git, make_recorded

pytestmark = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed: apt-get install openssh-client"
)

ROOT = Path(__file__).resolve().parents[2]
TAG = "small@v1.0.0"


def git(root, *arguments, input=None):
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=root, check=True, capture_output=True, text=True, input=input
    )
    return done.stdout.strip()


def commit(root, message="more"):
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "-m", message)
    return git(root, "rev-parse", "HEAD")


def sign(root, key, tag=TAG, target="HEAD", *, date=None):
    if date is not None:
        os.environ["GIT_COMMITTER_DATE"] = date
    options = ("-c", "gpg.format=ssh", "-c", "gpg.ssh.program=ssh-keygen", "-c", f"user.signingKey={key}")
    git(root, *options, "tag", "--force", "--sign", "--message", f"release {tag}\n\nGood.", tag, target)


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    """A folder with the SSH keys of Alice, Bob and an authority."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("alice", "bob", "authority"):
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(folder / name)], check=True
        )
    return folder


def line(keys, name, options=""):
    return " ".join(f"{name}@example.org {options} {(keys / f'{name}.pub').read_text()}".split()) + "\n"


@pytest.fixture
def signers(keys, tmp_path):
    """The file of allowed signers, which lists Alice."""
    path = tmp_path / "allowed_signers"
    path.write_text("# who may release\n\n" + line(keys, "alice", 'namespaces="git"'))
    return path


@pytest.fixture
def root(tmp_path, keys):
    """A repository in which Alice signed the release of `small`."""
    root = make_recorded(tmp_path / "repository")
    make_git(root)
    commit(root, "first")
    sign(root, keys / "alice")
    return root


def refusal(repo, trust, **options):
    with pytest.raises(loader.TrustError) as raised:
        loader.load("small", "test", repo=repo, trust=trust, **options)
    message = str(raised.value)
    assert "\n" not in message
    assert message.startswith("small: ")
    return message


def edit_manifest(root, *, old='"CC0"', new='"other"'):
    manifest = root / "artifacts/small.json"
    text = manifest.read_text()
    assert old in text
    manifest.write_text(text.replace(old, new))


def damage(root, text):
    """Change a letter of an example in the artifact."""
    tar = root / "artifacts/small.tar"
    data = tar.read_bytes()
    assert data.count(text) == 1
    tar.write_bytes(data.replace(text, text[:-1] + b"X"))


def replace_tag(root, change, tag=TAG):
    """Change the bytes of the tag object, and let the tag name the new object."""
    data = subprocess.run(["git", "cat-file", "tag", tag], cwd=root, check=True, capture_output=True, text=True).stdout
    changed = change(data)
    assert changed != data
    new = git(root, "hash-object", "-t", "tag", "-w", "--literally", "--stdin", input=changed)
    git(root, "update-ref", f"refs/tags/{tag}", new)


class TestWhatIsSigned:
    @pytest.mark.parametrize("options", [{}, {"version": "1.0.0"}, {"rev": "HEAD"}, {"rev": TAG}, {"stream": False}])
    def test_is_read(self, root, signers, options):
        info, test = loader.load("small", "test", repo=root, trust=signers, offline=True, **options)
        assert (info.version, len(test), test[3]["text"]) == ("1.0.0", 70, b"test 3")

    def test_a_path_is_relative_to_the_working_folder(self, root, signers, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert loader.ensure("small", repo="repository", trust="allowed_signers") == root / "artifacts/small.tar"

    def test_so_is_a_later_commit_with_the_same_manifest(self, root, signers):
        (root / "README").write_text("more")
        commit(root)
        loader.load("small", repo=root, trust=signers, rev="HEAD")
        loader.load("small", repo=root, trust=signers)

    def test_a_repository_can_be_a_subfolder_of_the_git_repository(self, tmp_path, keys, signers):
        outer = tmp_path / "outer"
        inner = make_recorded(outer / "the data")
        (outer / ".gitignore").write_text("*.tar\n")
        git(outer, "init", "--quiet")
        commit(outer)
        sign(outer, keys / "alice")
        loader.load("small", repo=inner, trust=signers)
        edit_manifest(inner)
        refusal(inner, signers)

    def test_a_repository_can_have_sha256_hashes(self, tmp_path, keys, signers, monkeypatch):
        monkeypatch.setenv("GIT_DEFAULT_HASH", "sha256")
        root = make_recorded(tmp_path / "sha256")
        make_git(root)
        assert len(commit(root)) == 64
        sign(root, keys / "alice")
        loader.load("small", repo=root, trust=signers)
        edit_manifest(root)
        refusal(root, signers)

    def test_every_listed_key_counts(self, root, keys, signers):
        signers.write_text(line(keys, "bob") + signers.read_text())
        sign(root, keys / "bob")
        loader.load("small", repo=root, trust=signers)

    def test_a_key_that_a_listed_authority_certified_counts(self, root, keys, signers, tmp_path):
        for suffix in ("", ".pub"):
            shutil.copy(keys / f"bob{suffix}", tmp_path)
        for principal, is_trusted in (("eve@elsewhere.org", False), ("bob@example.org", True)):
            certify = ["ssh-keygen", "-q", "-s", str(keys / "authority"), "-I", "x", "-n", principal, "bob.pub"]
            subprocess.run(certify, cwd=tmp_path, check=True)
            sign(root, tmp_path / "bob-cert.pub")
            authority = (keys / "authority.pub").read_text()
            signers.write_text(f'*@example.org cert-authority,namespaces="git" {authority}')
            if is_trusted:
                loader.load("small", repo=root, trust=signers)
            else:
                refusal(root, signers)

    def test_a_release_outlives_its_key(self, root, keys, signers):
        signers.write_text(line(keys, "alice", 'valid-after="20240101",valid-before="20250101"'))
        sign(root, keys / "alice", date="2024-06-01T12:00:00 +0000")
        loader.load("small", repo=root, trust=signers)

    def test_nothing_is_left_in_the_folder_for_temporary_files(self, root, signers, tmp_path, monkeypatch):
        (tmp_path / "tmp").mkdir()
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
        loader.load("small", repo=root, trust=signers)
        assert [*(tmp_path / "tmp").iterdir()] == []

    def test_a_pickled_split_is_proved_already(self, root, signers):
        _, test = loader.load("small", "test", repo=root, trust=signers)
        pickled = pickle.dumps(test)
        signers.unlink()
        shutil.rmtree(root / ".git")
        assert pickle.loads(pickled)[3]["text"] == b"test 3"

    def test_an_example_that_was_changed_is_still_an_error(self, root, signers):
        _, test = loader.load("small", "test", repo=root, trust=signers)
        damage(root, b"test 33")
        assert test[32]["text"] == b"test 32"
        with pytest.raises(loader.IntegrityError, match="is damaged in record 33"):
            test[33]


class TestTags:
    def test_a_missing_tag_is_fetched_with_the_command_in_the_message(self, root, signers, tmp_path):
        git(tmp_path, "clone", "--quiet", "--no-tags", str(root), "copy")
        copy = tmp_path / "copy"
        shutil.copy(root / "artifacts/small.tar", copy / "artifacts")
        message = refusal(copy, signers)
        assert f"{copy} has no tag {TAG}, whose signature trust={signers} asks for; " in message
        command = message.partition("fetch it with: ")[2].partition(";")[0]
        subprocess.run(shlex.split(command), check=True, capture_output=True)
        loader.load("small", repo=copy, trust=signers)

    def test_a_lightweight_tag_is_refused(self, root, signers):
        git(root, "tag", "--force", TAG, "HEAD")
        assert f"the tag {TAG} of {root} is a lightweight tag, which has no signature; " in refusal(root, signers)

    def test_an_unsigned_tag_is_refused(self, root, signers):
        git(root, "tag", "--force", "--annotate", "--message", "x", TAG, "HEAD")
        assert f"{TAG} of {root} is not signed; ask for a signed release" in refusal(root, signers)

    @pytest.mark.parametrize("kind", ["PGP SIGNATURE", "PGP MESSAGE", "SIGNED MESSAGE"])
    def test_another_kind_of_signature_is_refused(self, root, signers, kind):
        replace_tag(root, lambda tag: tag.replace("SSH SIGNATURE", kind))
        assert "is signed with GPG or X.509, and" in refusal(root, signers)

    def test_an_unlisted_key_is_refused(self, root, keys, signers):
        sign(root, keys / "bob")
        shown = subprocess.run(["ssh-keygen", "-lf", str(keys / "bob")], check=True, capture_output=True, text=True)
        message = refusal(root, signers)
        assert f"is signed with the ED25519 key {shown.stdout.split()[1]}, which {signers} does not allow" in message
        assert "No principal matched.); if you trust its owner" in message

    @pytest.mark.parametrize(
        ("options", "why"),
        [
            ('valid-before="20200101"', "key has expired"),
            ('valid-after="20990101"', "key is not yet valid"),
            ('namespaces="file"', "key is not permitted for use in signature namespace"),
            ("namespaces=file,nonsense", "allowed_signers:1: bad options"),
        ],
    )
    def test_a_key_that_is_listed_for_something_else_is_refused(self, root, keys, signers, options, why):
        signers.write_text(line(keys, "alice", options))
        assert why in refusal(root, signers)

    def test_a_line_of_no_key_is_named(self, root, keys, signers):
        signers.write_text("alice@example.org ssh-ed25519 nonsense\n")
        assert "allowed_signers:1: invalid key" in refusal(root, signers)
        signers.write_text(signers.read_text() + line(keys, "alice"))
        loader.load("small", repo=root, trust=signers)

    @pytest.mark.parametrize(
        "change",
        [
            lambda tag: tag.replace("Good.", "Bad!!"),
            lambda tag: tag.replace("tagger test <test@example.org>", "tagger eve <eve@example.org>"),
            lambda tag: tag.replace("-----END SSH SIGNATURE-----", ""),
            lambda tag: tag[: tag.index("U1NI")] + "x" + tag[tag.index("U1NI") + 1 :],
            lambda tag: tag + tag[tag.index("-----BEGIN") :],
        ],
        ids=["message", "tagger", "end", "letter", "twice"],
    )
    def test_a_damaged_signature_is_refused(self, root, signers, change):
        replace_tag(root, change)
        assert f"the signature of the tag {TAG} of {root} is damaged or of another content (" in refusal(root, signers)

    def test_a_signed_tag_of_another_commit_is_refused(self, root, signers):
        """Whoever can write to the repository lets the signed tag name a commit of theirs."""
        edit_manifest(root)
        evil = commit(root)
        replace_tag(root, lambda tag: tag.replace(git(root, "rev-parse", "HEAD~1"), evil))
        assert "is damaged or of another content" in refusal(root, signers)

    def test_a_signed_tag_under_another_name_is_refused(self, root, keys, signers):
        sign(root, keys / "alice", "small@v0.9.0")
        git(root, "update-ref", f"refs/tags/{TAG}", git(root, "rev-parse", "refs/tags/small@v0.9.0"))
        assert f"{TAG} of {root} is a tag object named 'small@v0.9.0'" in refusal(root, signers)

    def test_a_renamed_tag_is_refused(self, root, keys, signers):
        sign(root, keys / "alice", "small@v0.9.0")
        git(root, "update-ref", f"refs/tags/{TAG}", git(root, "rev-parse", "refs/tags/small@v0.9.0"))
        replace_tag(root, lambda tag: tag.replace("tag small@v0.9.0", f"tag {TAG}"))
        assert "is damaged or of another content" in refusal(root, signers)

    @pytest.mark.parametrize("target", ["HEAD^{tree}", "HEAD:artifacts/small.json", TAG])
    def test_a_tag_of_something_else_than_a_commit_is_refused(self, root, keys, signers, target):
        sign(root, keys / "alice", target=git(root, "rev-parse", target))
        assert "is not the tag of a commit" in refusal(root, signers)

    def test_a_signed_commit_is_no_tag(self, root, keys, signers):
        options = ("-c", "gpg.format=ssh", "-c", f"user.signingKey={keys / 'alice'}")
        git(root, *options, "commit", "--quiet", "--allow-empty", "--gpg-sign", "--message", "signed")
        git(root, "tag", "--force", TAG, "HEAD")
        assert "lightweight" in refusal(root, signers)


class TestManifests:
    def test_one_that_was_edited_is_refused(self, root, signers):
        edit_manifest(root)
        message = refusal(root, signers)
        signed = f"is not the manifest that alice@example.org signed with the tag {TAG}"
        assert (
            f"{root}/artifacts/small.json {signed}; read the signed one, without rev=, with version='1.0.0'" in message
        )
        fill_dvc_cache(root)
        assert loader.load("small", repo=root, trust=signers, version="1.0.0")[0].license == "CC0"

    def test_white_space_counts(self, root, signers):
        edit_manifest(root, old='"CC0"', new='"CC0" ')
        refusal(root, signers)

    @pytest.mark.parametrize("rev", ["HEAD", "branch"])
    def test_one_of_another_commit_is_refused(self, root, signers, rev):
        edit_manifest(root)
        commit(root)
        git(root, "branch", "branch")
        refusal(root, signers, rev=rev)
        loader.load("small", repo=root, trust=signers, rev="HEAD~1")

    def test_one_that_the_signed_commit_lacks_is_refused(self, root, keys, signers):
        git(root, "rm", "--quiet", "--cached", "artifacts/small.json")
        git(root, "commit", "--quiet", "--message", "removed")
        sign(root, keys / "alice")
        refusal(root, signers)

    def test_a_link_in_the_signed_commit_leads_nowhere(self, root, keys, signers):
        (root / "artifacts").rename(root / "elsewhere")
        (root / "artifacts").symlink_to("elsewhere")
        commit(root)
        sign(root, keys / "alice")
        refusal(root, signers)

    @pytest.mark.parametrize("version", ["1.0.0^{}", "1.0.0:x", "1\\u0000", "../x", ""])
    def test_a_version_that_is_no_part_of_a_tag_is_refused(self, root, signers, version):
        edit_manifest(root, old='"version": "1.0.0"', new=f'"version": "{version}"')
        assert "cannot be part of a release tag" in refusal(root, signers)


class TestHostileRepositories:
    @pytest.mark.parametrize(
        "section", ["gpg.ssh.program", "gpg.program", "gpg.x509.program", "gpg.ssh.defaultKeyCommand"]
    )
    def test_their_configuration_names_no_program_and_no_signer(self, root, keys, signers, tmp_path, section):
        program = tmp_path / "program"
        program.write_text(f"#!/bin/sh\ntouch {shlex.quote(str(tmp_path))}/ran\necho Good\n")
        program.chmod(0o755)
        mine = tmp_path / "mine"
        mine.write_text(line(keys, "bob"))
        sign(root, keys / "bob")
        for key, value in {section: program, "gpg.format": "ssh", "gpg.ssh.allowedSignersFile": mine}.items():
            git(root, "config", key, str(value))
        for name in ("cat-file", "rev-parse", "hash-object", "verify-tag"):
            git(root, "config", f"alias.{name}", f"!{program}")
        assert "is signed with the ED25519 key" in refusal(root, signers)
        sign(root, keys / "alice")
        loader.load("small", repo=root, trust=signers)
        assert not (tmp_path / "ran").exists()

    @pytest.mark.parametrize("kind", ["commit", "tree"])
    def test_an_object_with_other_bytes_than_its_name_says_is_an_error(self, root, signers, kind):
        """Git reads it without a word."""
        signed = git(root, "rev-parse", f"HEAD^{{{kind}}}")
        edit_manifest(root)
        commit(root, "evil")
        put = git(root, "rev-parse", f"HEAD^{{{kind}}}")
        replace_object(root, signed, put)
        read = [subprocess.check_output(["git", "cat-file", kind, each], cwd=root) for each in (signed, put)]
        assert read[0] == read[1]
        with pytest.raises(loader.IntegrityError, match=f"has other bytes than those of the {kind} {signed[:12]}"):
            loader.load("small", repo=root, trust=signers)

    def test_so_is_a_manifest(self, root, signers):
        signed = git(root, "rev-parse", "HEAD:artifacts/small.json")
        edit_manifest(root)
        commit(root, "evil")
        replace_object(root, signed, git(root, "rev-parse", "HEAD:artifacts/small.json"))
        assert f"the repository is damaged: git -C {root} fsck" in refusal(root, signers, version="1.0.0")

    def test_replaced_objects_do_not_count(self, root, signers):
        first = git(root, "rev-parse", "HEAD")
        edit_manifest(root)
        git(root, "replace", first, commit(root, "evil"))
        refusal(root, signers)
        git(root, "checkout", "--quiet", first, "--", "artifacts/small.json")
        assert '"other"' in (root / "artifacts/small.json").read_text()  # git believes it
        refusal(root, signers)


def replace_object(root, old, new):
    """Put the bytes of another object into the place of a loose one."""
    paths = [root / ".git/objects" / each[:2] / each[2:] for each in (old, new)]
    data = zlib.decompress(paths[1].read_bytes())
    paths[0].unlink()
    paths[0].write_bytes(zlib.compress(data))


class TestSignersFile:
    def test_a_missing_one_is_an_error(self, root, tmp_path):
        assert "nothing cannot be read (No such file" in refusal(root, tmp_path / "nothing")

    def test_so_is_a_folder_and_a_pipe(self, root, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        assert "cannot be read (it is a folder" in refusal(root, tmp_path)
        assert "cannot be read (it is a named pipe" in refusal(root, tmp_path / "pipe")

    @pytest.mark.parametrize("text", ["", "\n \n", "# alice\n"])
    def test_one_without_a_key_is_an_error(self, root, signers, text):
        signers.write_text(text)
        assert f"{signers} lists no key, so nothing can be trusted" in refusal(root, signers)

    @pytest.mark.parametrize("value", ["", 7, True, b"x", "a\0b"])
    def test_something_else_than_a_path_is_an_error(self, root, value):
        for function in (loader.load, loader.ensure):
            with pytest.raises(loader.ArgumentError, match=r"^trust="):
                function("small", repo=root, trust=value)

    def test_a_folder_of_tfds_has_no_tag(self, root, signers):
        with pytest.raises(loader.ArgumentError, match="leave out one of the two"):
            loader.load("small", data_dir=root, trust=signers)

    @pytest.mark.parametrize("program", ["git", "ssh-keygen"])
    def test_a_missing_program_is_an_error(self, root, signers, tmp_path, monkeypatch, program):
        (tmp_path / "bin").mkdir()
        for name in {"git", "ssh-keygen"} - {program}:
            (tmp_path / "bin" / name).symlink_to(shutil.which(name))
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))
        assert f"trust= checks signatures with {program}, which is not installed" in refusal(root, signers)

    def test_an_ssh_keygen_that_does_not_answer_is_an_error(self, root, signers, tmp_path, monkeypatch):
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin/ssh-keygen").write_text("#!/bin/sh\nexec sleep 60\n")
        (tmp_path / "bin/ssh-keygen").chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.setattr(signatures, "SECONDS", 0.2)
        assert "cannot be checked" in refusal(root, signers)

    def test_a_folder_without_git_is_an_error(self, root, signers):
        shutil.rmtree(root / ".git")
        assert f"has no tag {TAG} (fatal: not a git repository" in refusal(root, signers)


class TestUrls:
    @pytest.fixture
    def url(self, root, remote):
        remote.point(root)
        remote.publish(root / "artifacts/small.tar")
        shutil.copy(root / ".dvc/config.local", root / ".dvc/config")
        commit(root, "where the data are")
        return f"file://{root}"

    @pytest.mark.parametrize("stream", [False, True])
    def test_a_stranger_reads_what_was_signed(self, root, url, signers, keys, stream):
        info, test = loader.load("small", "test", repo=url, trust=signers, stream=stream)
        assert (info.version, test[3]["text"]) == ("1.0.0", b"test 3")
        if not stream:
            loader.load("small", repo=url, trust=signers, offline=True)
        sign(root, keys / "bob")
        assert "is signed with the ED25519 key" in refusal(url, signers, stream=stream)

    def test_a_commit_that_was_fetched_before_it_was_signed_is_read(self, root, url, signers, keys):
        pinned = git(root, "rev-parse", "HEAD")
        git(root, "tag", "--delete", TAG)
        loader.load("small", repo=url, rev=pinned)
        assert f"has no tag {TAG}" in refusal(url, signers, rev=pinned)
        sign(root, keys / "alice")
        assert "load it once without offline=True" in refusal(url, signers, rev=pinned, offline=True)
        loader.load("small", repo=url, rev=pinned, trust=signers)
        loader.load("small", repo=url, rev=pinned, trust=signers, offline=True)


class TestWholeArtifacts:
    def test_ensure_checks_all_of_the_tar(self, root, signers):
        tar = root / "artifacts/small.tar"
        assert loader.ensure("small", repo=root, trust=signers) == tar
        damage(root, b"test 33")
        assert loader.ensure("small", repo=root) == tar  # its index is the recorded one
        with pytest.raises(loader.IntegrityError, match="SHA-256 is not the one in its manifest"):
            loader.ensure("small", repo=root, trust=signers)

    def test_the_command_line_fetches_what_was_signed(self, root, keys, signers):
        def fetch(*options):
            command = [sys.executable, "-m", "loader", "fetch", "small", "--repo", str(root), *options]
            return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

        assert fetch("--trust", str(signers)).stdout.strip() == str(root / "artifacts/small.tar")
        sign(root, keys / "bob")
        for trust, why in ((str(signers), "does not allow"), ("", "trust"), ("nothing", "No such file")):
            refused = fetch("--trust", trust)
            assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
            assert why in refused.stderr


def test_without_trust_nothing_of_it_is_imported(small):
    load = f"import sys, loader; loader.load('small', repo={str(small)!r})"
    code = f"{load}; print('loader._fetch.signatures' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "False"
