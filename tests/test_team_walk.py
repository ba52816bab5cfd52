"""A team's workflow: two maintainers release, a stranger trusts one of them, the bucket is repaired and cleaned."""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import time

import pytest

from loader._format.names import object_path
from scripts._process.s3_server import BUCKETS, S3_PROFILE
from tests.conftest import BIN, Clone

CHILDREN_FIRST = ("mnist_fgsm", "mnist", "digit_speakers", "digit")
DAYS = 3 * 24 * 3600
UNRECORDED = b"of a build that nobody committed"


class Maintainer:
    """A maintainer with a clone, an SSH key to sign with, and the keys of the buckets."""

    def __init__(self, name, clone, remote):
        self.clone, self.root = clone, clone.root
        self.bucket_keys = {"AWS_SHARED_CREDENTIALS_FILE": str(remote.server.credentials), "AWS_PROFILE": S3_PROFILE}
        key = clone.root.with_name(f"{name}_key")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        public_key = key.with_suffix(".pub")
        self.signer = f'{name}@example.org namespaces="git" {public_key.read_text()}'
        self.git("config", "user.name", name)
        self.git("config", "user.email", f"{name}@example.org")
        self.git("config", "gpg.format", "ssh")
        self.git("config", "user.signingKey", str(public_key))

    def make(self, *arguments, check=True):
        done = self.clone.run("make", "--silent", *arguments, check=check, env=self.bucket_keys)
        assert check or done.returncode
        return done.stdout + done.stderr

    def git(self, *arguments):
        self.clone.run("git", *arguments)

    def raise_version(self, old, new, *, images):
        """Raise the version of the dataset, whose builder takes other images."""
        change(self.root / "params.yaml", f"stripes\n  version: {old}", f"stripes\n  version: {new}")
        builder = self.root / "datasets/standard/stripes/stripes.py"
        change(builder, f'Version("{old}")', f'Version("{new}")')
        change(builder, *(f'glob("{pattern}")' for pattern in images))

    def record(self):
        """Build and push the dataset, publish the commit that records it, and return the md5 of the artifact."""
        self.make("build", "DATASET=stripes")
        self.make("push", "DATASET=stripes", "PUBLIC=1")
        self.git("add", "--all", "artifacts", "datasets", ".dvc/config", "dvc.yaml", "dvc.lock", "params.yaml")
        self.git("commit", "--quiet", "--message", "stripes")
        self.git("push", "--quiet", "origin", "HEAD:main")
        return hashlib.md5((self.root / "artifacts/stripes.tar").read_bytes()).hexdigest()

    def release(self):
        """Tag, sign and publish the dataset with the command that is printed."""
        said = self.make("tag", "DATASET=stripes", "SIGN=1")
        self.git(*shlex.split(said.partition("publish with: git ")[2]))

    def cached(self, md5):
        return self.root / ".dvc/cache" / object_path(md5)


class Stranger:
    """Somebody with an empty cache who knows only the address of the repository, and the keys in `signers`."""

    def __init__(self, folder, hub, *signers):
        folder.mkdir()
        (folder / "allowed_signers").write_text("".join(signers))
        self.shell = Clone(folder)
        self.repo = f"file://{hub}"
        self.home = {"HOME": str(folder), "DATASETS_CACHE": str(folder / "cache")}

    def load(self, version, *, trust="allowed_signers"):
        """Return the version, the license and the number of training images of what is loaded, or the error."""
        return self.shell.python(
            f"""
import loader
try:
    info, ds = loader.load("stripes", version={version!r}, repo={self.repo!r}, trust={trust!r})
    print(info.version, info.license, len([example["image"] for example in ds["train"]]), sep=", ")
except loader.LoaderError as error:
    print(f"{{type(error).__name__}}: {{error}}")
""",
            env=self.home,
        ).strip()


def change(path, old, new):
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


@pytest.fixture
def hub(tmp_path):
    """The repository that the team shares, which is empty."""
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", tmp_path / "hub.git"], check=True)
    return tmp_path / "hub.git"


@pytest.fixture
def alice(clone, remote, hub):
    """A maintainer who has set up the buckets, and has removed the datasets that the project came with."""
    alice = Maintainer("alice", clone, remote)
    alice.git("remote", "add", "origin", str(hub))
    alice.make("setup")
    urls = (f"{bucket.upper()}=s3://{bucket}/{remote.root.name}-{id(remote)}" for bucket in BUCKETS)
    alice.make("remote", *urls, f"ENDPOINT={remote.server.endpoint}")
    alice.make("remove", f"DATASET={' '.join(CHILDREN_FIRST)}")
    return alice


def join(root, hub, remote):
    """Let another maintainer clone what the team shares."""
    subprocess.run(["git", "clone", "--quiet", hub, root], check=True)
    (root / ".venv").symlink_to(BIN.parent)
    os.utime(root / "requirements.lock", (0, 0))  # so that make does not set up the environment
    bob = Maintainer("bob", Clone(root), remote)
    bob.make("setup")
    bob.clone.run("dvc", "remote", "modify", "--local", "public", "endpointurl", remote.server.endpoint)
    return bob


def move_signed_tag(hub, folder):
    """Let the signed tag of 1.0.0 name a commit with another manifest, as whoever can change the hub can."""
    subprocess.run(["git", "clone", "--quiet", hub, folder], check=True)
    mallory = Clone(folder)
    mallory.run("git", "checkout", "--quiet", "stripes@v1.0.0")
    change(folder / "artifacts/stripes.json", '"license": "CC0 1.0"', '"license": "MIT"')
    identity = ("-c", "user.name=mallory", "-c", "user.email=mallory@example.org")
    mallory.run("git", *identity, "commit", "--quiet", "--all", "--message", "MIT")
    commit = mallory.run("git", "rev-parse", "HEAD").stdout
    signed = mallory.run("git", "cat-file", "tag", "stripes@v1.0.0").stdout
    (folder / "tag").write_text(re.sub(r"^object .*\n", f"object {commit}", signed))
    moved = mallory.run("git", "hash-object", "-t", "tag", "-w", "tag").stdout.strip()
    mallory.run("git", "push", "--quiet", "--force", "origin", f"{moved}:refs/tags/stripes@v1.0.0")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")
def test_release_sign_change_release_changelog_trust_doctor_clean_up(alice, hub, remote, tmp_path):
    # Alice releases a new dataset
    alice.make("new", "NAME=stripes")
    change(alice.root / "dvc.yaml", "stripes.tar:\n          remote: private", "stripes.tar:\n          remote: public")
    change(alice.root / "params.yaml", "license: unknown", "license: CC0 1.0")
    first = alice.record()
    alice.release()

    # Bob changes it twice, and releases it once
    bob = join(tmp_path / "bob", hub, remote)
    bob.raise_version("1.0.0", "1.1.0", images=("*.png", "*_[01].png"))
    unreleased = bob.record()
    bob.raise_version("1.1.0", "2.0.0", images=("*_[01].png", "*_[02].png"))
    second = bob.record()
    bob.release()
    keys = {md5: key for key in remote.keys("public") for md5 in (first, unreleased, second) if object_path(md5) in key}
    assert len(keys) == 3

    # Alice reads what he changed
    alice.git("pull", "--quiet", "--tags", "origin", "main")
    log = alice.make("changelog", "DATASET=stripes")
    second_entry, unreleased_entry, first_entry = log.split("\n## ")[1:]
    assert "| split | old | new | added | removed | changed | unchanged | moved |" in second_entry
    assert second_entry.startswith("2.0.0 (")
    assert "Released as `stripes@v2.0.0`" in second_entry
    assert "| train | 4 | 4 | 2 | 2 | 0 | 2 | 0 |" in second_entry
    assert unreleased_entry.startswith("1.1.0 (")
    assert "Not released" in unreleased_entry
    assert "| train | 6 | 4 | 0 | 2 | 0 | 4 | 0 |" in unreleased_entry
    assert first_entry.startswith("1.0.0 (")
    assert "Released as `stripes@v1.0.0`" in first_entry

    # a stranger trusts Alice only, and notices that a tag was tampered with
    stranger = Stranger(tmp_path / "stranger", hub, alice.signer)
    assert stranger.load("1.0.0") == "1.0.0, CC0 1.0, 6"
    assert stranger.load("2.0.0", trust=None) == "2.0.0, CC0 1.0, 4"
    refused = stranger.load("2.0.0")
    assert refused.startswith("TrustError: stripes: the tag stripes@v2.0.0 of ")
    assert "allowed_signers does not allow" in refused
    move_signed_tag(hub, tmp_path / "mallory")
    assert stranger.load("1.0.0", trust=None) == "1.0.0, MIT, 6"
    refused = stranger.load("1.0.0")
    assert refused.startswith("TrustError: stripes: the signature of the tag stripes@v1.0.0 of ")
    assert "is damaged or of another content" in refused
    alice.git("push", "--quiet", "--force", "origin", "stripes@v1.0.0")
    assert stranger.load("1.0.0") == "1.0.0, CC0 1.0, 6"

    # in the bucket, an object is lost, one is damaged, and one is recorded nowhere
    right = {key: remote.read(key) for key in keys.values()}
    unrecorded = hashlib.md5(UNRECORDED).hexdigest()
    keys[unrecorded] = keys[first].replace(object_path(first), object_path(unrecorded))
    remote.write(keys[unrecorded], UNRECORDED)
    remote.remove(keys[first])
    rotten = bytearray(right[keys[second]])
    rotten[5000] ^= 1
    remote.write(keys[second], bytes(rotten))
    lost_line = f"(stripes 1.0.0, tag stripes@v1.0.0) is not on remote 'public' (s3://{keys[first]})"
    damaged_line = f"(stripes 2.0.0) is damaged on remote 'public' (s3://{keys[second]}, judged by its MD5)"
    unrecorded_line = f"which no commit of a branch or tag of this clone records: s3://{keys[unrecorded]} ("

    # Alice's clone has the one, Bob's the other
    said = alice.make("doctor", "FIX=1", "PUBLIC=1", check=False)
    assert [line in said for line in (lost_line, damaged_line, unrecorded_line)] == [True] * 3
    assert said.count("  fixed: ") == 1
    assert "  fixed: uploaded artifacts/stripes.tar" in said.partition(lost_line)[2]
    assert f"{damaged_line}; in a clone that has it, run: make push DATASET=stripes PUBLIC=1" in said
    assert remote.read(keys[first]) == right[keys[first]]
    assert remote.read(keys[second]) == bytes(rotten)
    said = bob.make("doctor", "FIX=1")
    assert [line in said for line in (lost_line, damaged_line, unrecorded_line)] == [False, True, True]
    assert said.endswith("nothing is broken\n")
    assert {key: remote.read(key) for key in remote.keys("public")} == {**right, keys[unrecorded]: UNRECORDED}

    # what nothing needs is removed, here and from the bucket
    bob.cached(unrecorded).parent.mkdir(parents=True, exist_ok=True)
    bob.cached(unrecorded).write_bytes(UNRECORDED)
    os.utime(bob.cached(unrecorded), (time.time() - DAYS,) * 2)
    listed = {line.split()[0]: line for line in bob.make("clean-up").splitlines()}
    assert "tag stripes@v1.0.0" in listed["stripes@1.0.0"]
    assert "only in history" in listed["stripes@1.1.0"]
    assert "tag stripes@v2.0.0, branch main" in listed["stripes@2.0.0"]
    assert "nothing (unrecorded)" in listed[unrecorded[:12]]
    assert bob.make("clean-up", "REMOVE=1").splitlines() == [
        f"{unrecorded[:12]}: removed from DVC's cache, {len(UNRECORDED)} B freed"
    ]
    assert [bob.cached(md5).exists() for md5 in (unreleased, second, unrecorded)] == [True, True, False]
    bob.git("fetch", "--quiet", "--all", "--tags")
    refused = bob.make("clean-up", "REMOTE=1", "YES=stripes@1.1.0 stripes@1.0.0", check=False)
    assert "stripes@1.0.0 is kept by tag stripes@v1.0.0; nothing is removed" in refused
    assert sorted(remote.keys("public")) == sorted(keys.values())
    bob.make("clean-up", "REMOTE=1", f"YES=stripes@1.1.0 {unrecorded[:12]}")
    assert sorted(remote.keys("public")) == sorted([keys[first], keys[second]])

    # whoever comes later and trusts both has every release
    newcomer = Stranger(tmp_path / "newcomer", hub, alice.signer, bob.signer)
    assert newcomer.load("1.0.0") == "1.0.0, CC0 1.0, 6"
    assert newcomer.load("2.0.0") == "2.0.0, CC0 1.0, 4"
    missing = newcomer.load("1.1.0", trust=None)
    assert missing.startswith("FetchError: stripes: stripes.tar is not on this machine and cannot be fetched: ")
    assert f"(s3://{keys[unreleased]})" in missing

    # who still has what was removed can store it again, with the command that the newcomer reads
    command = missing.partition("push it from a clone that has it: ")[2]
    bob.clone.run("sh", "-c", command, env=bob.bucket_keys)
    assert remote.read(keys[unreleased]) == right[keys[unreleased]]
    assert newcomer.load("1.1.0", trust=None) == "1.1.0, CC0 1.0, 4"
