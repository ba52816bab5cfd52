"""What proves that an object has the right content: checksums, ETags, metadata, its bytes; a real S3 server."""

import base64
import hashlib
import os
from pathlib import Path

import pytest

from loader._errors import FetchError
from loader._format.names import object_path
from scripts._dvc.objects import open_repo, remote_object
from scripts._dvc.proof import Finding, crc64nvme, examine
from scripts.push import push
from tests.helpers.faulty_s3 import faulty_s3_of
from tests.helpers.recorded_dataset import make_dvc, make_recorded

ROOT = Path(__file__).resolve().parents[2]
MIB = 1 << 20


@pytest.fixture
def repository(tmp_path, remote):
    root = make_recorded(tmp_path / "repository")
    make_dvc(root, ROOT / ".dvc/config")
    remote.point(root)
    return root


@pytest.fixture
def proxy(repository, s3_server):
    """A proxy between the repository and the S3 server."""
    with faulty_s3_of(repository, s3_server.endpoint) as proxy:
        yield proxy


def tar_of(root):
    return root / "artifacts/small.tar"


def wrong_bytes(root):
    data = tar_of(root).read_bytes()
    return data[:-2000] + b"x" + data[-1999:]


def key_of(root, remote):
    """The key of the artifact's object, which need not exist."""
    return f"public/{remote.root.name}-{id(remote)}/{object_path(md5(tar_of(root).read_bytes()))}"


def md5(data):
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def write_in_parts(remote, key, data, part_bytes):
    """Store an object as programs do that upload in parts."""
    s3 = remote.filesystem
    bucket, _, name = key.partition("/")
    where = {"Bucket": bucket, "Key": name}
    where["UploadId"] = s3.call_s3("create_multipart_upload", **where)["UploadId"]
    parts = []
    for number, start in enumerate(range(0, len(data), part_bytes), 1):
        sent = s3.call_s3("upload_part", **where, PartNumber=number, Body=data[start : start + part_bytes])
        parts.append({"PartNumber": number, "ETag": sent["ETag"]})
    s3.call_s3("complete_multipart_upload", **where, MultipartUpload={"Parts": parts})


def encrypted(headers):
    """What S3 says of an object that is encrypted with a key: an ETag that looks like an MD5, and here no checksum."""
    kept = {name: value for name, value in headers.items() if not name.startswith("x-amz-checksum")}
    if "etag" in kept:
        kept |= {"etag": '"0123456789abcdef0123456789abcdef"', "x-amz-server-side-encryption": "aws:kms"}
    return kept


def encrypted_by_customer(headers):
    changed = encrypted(headers)
    if changed.pop("x-amz-server-side-encryption", None):
        changed["x-amz-server-side-encryption-customer-algorithm"] = "AES256"
    return changed


def without_metadata(headers):
    return {name: value for name, value in headers.items() if not name.startswith("x-amz-meta-")}


def test_a_wrong_object_that_was_uploaded_in_parts_is_replaced(repository, remote):
    key = key_of(repository, remote)
    write_in_parts(remote, key, wrong_bytes(repository), 5 * MIB)
    assert push("small", public=True, root=repository)[0].proof == "its SHA-256"
    assert remote.read(key) == tar_of(repository).read_bytes()


def test_the_right_object_that_was_uploaded_in_parts_is_not_sent_again(repository, remote, proxy):
    write_in_parts(remote, key_of(repository, remote), tar_of(repository).read_bytes(), 5 * MIB)
    assert push("small", public=True, root=repository)[0].proof == "the MD5 of its parts"
    assert set(proxy.methods()) == {"HEAD"}


@pytest.mark.parametrize("change", [encrypted, encrypted_by_customer])
def test_under_a_key_the_metadata_of_the_upload_proves_it(repository, remote, proxy, change):
    proxy.change_headers = change
    assert push("small", public=True, root=repository)[0].proof == "the MD5 in its metadata"
    assert remote.read(key_of(repository, remote)) == tar_of(repository).read_bytes()
    proxy.requests.clear()
    assert push("small", public=True, root=repository)[0].proof == "the MD5 in its metadata"
    assert set(proxy.methods()) == {"HEAD"}


def test_what_nothing_proves_is_called_size_only_and_deep_reads_it_back(repository, remote, proxy):
    key = key_of(repository, remote)
    remote.write(key, wrong_bytes(repository))
    proxy.change_headers = lambda headers: without_metadata(encrypted(headers))
    (stored,) = push("small", public=True, root=repository)
    assert stored.proof is None
    assert "size only" in stored.describe()
    assert stored.describe().endswith("read it back and compare it with: make push DATASET=small PUBLIC=1 DEEP=1")
    assert remote.read(key) == wrong_bytes(repository)
    assert push("small", public=True, deep=True, root=repository)[0].proof == "its bytes"
    assert remote.read(key) == tar_of(repository).read_bytes()


def test_deep_sees_through_false_metadata(repository, remote, proxy):
    tar = tar_of(repository)
    proxy.change_headers = encrypted
    bucket, _, name = key_of(repository, remote).partition("/")
    remote.filesystem.call_s3(
        "put_object",
        Bucket=bucket,
        Key=name,
        Body=wrong_bytes(repository),
        Metadata={"md5": md5(tar.read_bytes()), "size": str(tar.stat().st_size)},
    )
    assert push("small", public=True, root=repository)[0].proof == "the MD5 in its metadata"
    assert push("small", public=True, deep=True, root=repository)[0].proof == "its bytes"
    assert remote.read(key_of(repository, remote)) == tar.read_bytes()


def test_a_server_whose_answers_never_fit_is_one_error_with_a_way_out(repository, proxy):
    proxy.change_headers = lambda headers: without_metadata(encrypted(headers)) | {"x-amz-server-side-encryption": ""}
    with pytest.raises(FetchError, match=r"judged by its MD5; .*: make push DATASET=small PUBLIC=1 DEEP=1$"):
        push("small", public=True, root=repository)
    assert push("small", public=True, deep=True, root=repository)[0].proof == "its bytes"


def test_the_command_prints_the_proof(clone, remote):
    root = make_recorded(remote.root / "datasets-repository")
    make_dvc(root, ROOT / ".dvc/config")
    remote.point(root)
    code = (
        f"import scripts.push as p, pathlib, functools; root = pathlib.Path({os.fspath(root)!r}); "
        "p.push, p.chosen = functools.partial(p.push, root=root), functools.partial(p.chosen, root=root); "
        "p.command(['small'], public=True)"
    )
    printed = clone.python(code)
    assert printed.startswith("small: on the remote at s3://public/")
    assert printed.endswith(", checked by its SHA-256\n")


@pytest.fixture
def large(tmp_path):
    """A file that is uploaded in several batches of parts, the last of them short."""
    path = tmp_path / "large"
    path.write_bytes(os.urandom(47 * MIB + 12_345))
    return path


def large_object(repository, path):
    data = path.read_bytes()
    return remote_object(open_repo(repository), "public", md5=md5(data), size=len(data))


def test_a_large_file_is_stored_in_parts_and_read_back(repository, large, tmp_path):
    found = large_object(repository, large)
    assert found.store(large, deep=False, again="").proof == "the MD5 of its parts"
    assert found.store(large, deep=True, again="").proof == "its bytes"
    copy = tmp_path / "copy"
    copy.write_bytes(large.read_bytes()[:3_333_333])  # of an interrupted download
    found.get(copy)
    assert copy.read_bytes() == large.read_bytes()


def test_the_file_system_of_dvc_uploads_in_parts_that_are_recognized(repository, tmp_path, proxy):
    path = tmp_path / "large"
    path.write_bytes(os.urandom(101 * MIB))
    found = large_object(repository, path)
    found.filesystem.put_file(str(path), found._key)  # as `dvc push` does
    proxy.requests.clear()
    assert found.store(path, deep=False, again="").proof == "the MD5 of its parts"
    assert set(proxy.methods()) == {"HEAD"}


@pytest.mark.slow
def test_a_failed_upload_leaves_no_parts(repository, large, proxy):
    proxy.fault = lambda method, path: "reset" if "partNumber=7" in path else None
    found = large_object(repository, large)
    with pytest.raises(FetchError, match="cannot be reached"):
        found.store(large, deep=False, again="")
    assert proxy.methods()[-1] == "DELETE"
    assert found.head() is None


def test_crc64nvme_has_the_catalogued_value_for_nine_digits(tmp_path):
    path = tmp_path / "data"
    path.write_bytes(b"123456789")
    assert crc64nvme(path).hex() == "ae8b14860a799888"


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("field", ["ChecksumSHA256", "ChecksumCRC64NVME"])
def test_checksums_of_the_whole_object_count_and_those_of_parts_do_not(large, field, right):
    data = large.read_bytes()
    sha256 = hashlib.sha256(data).digest()
    value = sha256 if field == "ChecksumSHA256" else crc64nvme(large)
    if not right:
        value = value[:-1] + bytes([value[-1] ^ 1])
    text = base64.b64encode(value).decode()
    head = {"ContentLength": len(data), "ETag": f'"{"0" * 32}"', "ServerSideEncryption": "aws:kms"}
    whole = {**head, field: text, "ChecksumType": "FULL_OBJECT"}
    assert examine(whole, large, md5=md5(data), size=len(data)).right is right
    for of_parts in ({field: f"{text}-3"}, {field: text, "ChecksumType": "COMPOSITE"}):
        assert examine({**head, **of_parts}, large, md5=md5(data), size=len(data)) == Finding(None, "its size")
