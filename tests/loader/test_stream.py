"""Streaming examples from a real S3 server, through a proxy that counts requests, fails and changes bytes."""

import multiprocessing
import pickle
import re
from itertools import islice

import numpy as np
import pytest

import loader
from loader._fetch import s3
from loader._fetch.read_ahead import FIRST_CHUNK_BYTES
from loader._fetch.reference import find_artifact
from loader._fetch.units import WINDOW_BITS
from loader._format.index import BLOCK_BYTES, HEADER_NAME, ROWS_NAME
from tests.helpers.recorded_dataset import example, make_git, make_recorded
from tests.helpers.s3_proxy import running_proxy


@pytest.fixture
def proxy(s3_server):
    with running_proxy(s3_server.endpoint) as running:
        yield running


@pytest.fixture
def streamed(tmp_path, remote, proxy):
    """A repository whose artifact is only on the remote, behind the proxy."""
    root = make_recorded(tmp_path / "repository")
    make_git(root)
    remote.point(root)
    remote.publish(root / "artifacts/small.tar")
    (root / "artifacts/small.tar").rename(tmp_path / "small.tar")
    edit_local(root, lambda text: re.sub("endpointurl = .*", f"endpointurl = {proxy.url}", text))
    return root


@pytest.fixture
def artifact(streamed, tmp_path):
    """The artifact before it was pushed."""
    (tmp_path / "small.tar").rename(streamed / "artifacts/small.tar")
    found = find_artifact("small", repo=streamed).open()
    assert found.header
    (streamed / "artifacts/small.tar").unlink()
    return found


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch):
    monkeypatch.setattr(s3, "FIRST_PAUSE_SECONDS", 0.01)


def edit_local(root, change):
    path = root / ".dvc/config.local"
    path.write_text(change(path.read_text()))


def stream(root, **options):
    return loader.load("small", repo=root, stream=True, **options)


def assert_example(found, split, number):
    expected = example(split, number)
    assert (found["label"], found["text"]) == (expected["label"], expected["text"])
    np.testing.assert_array_equal(found["samples"], expected["samples"], strict=True)


def test_every_example_is_streamed(streamed, proxy):
    info, ds = stream(streamed)
    assert info.full_name == "small/1.0.0"
    for split, count in (("train", 5300), ("test", 70)):
        assert len(ds[split]) == count
        for number, found in enumerate(ds[split]):
            assert_example(found, split, number)
    assert not (streamed / "artifacts/small.tar").exists()
    assert len(proxy.responses) < 60  # records are read together, not one by one


def test_reading_few_examples_transfers_few_bytes(streamed, proxy, artifact):
    rows = artifact.header.rows.size
    _, part = stream(streamed, split="test[:10]")
    assert len(list(part)) == 10
    records = sum(artifact.read(artifact.header.rows.offset + (5300 + n) * 44 + 8, 4)[0] for n in range(10))
    metadata = [artifact.header.member(name) for name in ("dataset_info.json", "label.labels.txt")]
    metadata_size = metadata[1].offset + metadata[1].size - metadata[0].offset
    # only the index header, the metadata, one block, the ten records and their framing
    block = rows - 4096 * 44
    assert proxy.bytes_transferred == artifact.entry.index_size + metadata_size + block + records + 10 * 16


def test_an_example_is_one_request_for_its_bytes_only(streamed, proxy):
    _, train = stream(streamed, split="train")
    train[0]  # also reads the block
    before = proxy.bytes_transferred, proxy.requests
    assert_example(train[4000], "train", 4000)
    assert proxy.requests - before[1] == 1
    assert proxy.bytes_transferred - before[0] < 100


@pytest.mark.slow
def test_selected_and_shuffled_examples_arrive_in_order(streamed):
    _, train = stream(streamed, split="train")
    selected = [5, 4, 5299, 0, 4096, 4095, 7]
    for number, found in zip(selected, train[selected], strict=True):
        assert_example(found, "train", number)
    texts = [text for batch in train[:500].batches(64, shuffle=True, seed=1, workers=3) for text in batch["text"]]
    assert sorted(texts) == sorted(f"train {n}".encode() for n in range(500))
    assert texts == [e["text"] for e in train[:500].shuffle(1)]


def test_stopping_early_does_not_transfer_the_rest(streamed, proxy):
    _, train = stream(streamed, split="train")
    list(islice(train, 5))
    # opening, a block, the first read, and one read ahead
    assert proxy.bytes_transferred < 10_000 + BLOCK_BYTES + FIRST_CHUNK_BYTES + (1 << WINDOW_BITS)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["drop", "500", "503", "slow"])
def test_failed_requests_are_retried(streamed, proxy, fault):
    proxy.fault = lambda number: fault if number % 3 else None
    _, test = stream(streamed, split="test")
    assert [e["text"] for e in test] == [f"test {n}".encode() for n in range(70)]


@pytest.mark.parametrize(
    ("fault", "reason"), [("drop", "cannot be reached"), ("500", r"answers with an error \(.*500")]
)
def test_a_server_that_always_fails_is_an_error(streamed, proxy, fault, reason):
    proxy.fault = lambda number: fault
    with pytest.raises(
        loader.FetchError, match=rf"^small: remote 'public' at .* {reason}.*tried 5 times \(s3://"
    ) as raised:
        stream(streamed)
    assert "\n" not in str(raised.value)
    assert proxy.requests == 5


@pytest.mark.slow
def test_a_server_that_hangs_is_an_error_after_the_timeout(streamed, proxy):
    edit_local(streamed, lambda text: text.replace("endpointurl", "read_timeout = 1\n    endpointurl"))
    _, test = stream(streamed, split="test")
    proxy.fault = lambda number: "hang"
    with pytest.raises(loader.FetchError, match="tried 5 times"):
        test[0]
    proxy.fault = lambda number: None
    assert_example(test[0], "test", 0)


@pytest.mark.parametrize(
    ("member", "error"),
    [
        (HEADER_NAME, loader.ManifestError),
        (ROWS_NAME, loader.IntegrityError),
        ("dataset_info.json", loader.IntegrityError),
        ("features.json", loader.IntegrityError),
        ("label.labels.txt", loader.IntegrityError),
        ("small-test.tfrecord-00000-of-00001", loader.IntegrityError),
    ],
)
def test_a_changed_byte_is_an_error(streamed, proxy, artifact, member, error):
    entry, found = artifact.entry, artifact.header.member(member)
    start = entry.index_offset if found is None else found.offset
    size = entry.index_size if found is None else found.size
    at = start + min(15, size // 2)  # in a shard: in its first record

    def flip(offset, data):
        if not offset <= at < offset + len(data):
            return data
        index = at - offset
        return data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :]

    proxy.change = flip
    with pytest.raises(error, match="small"):
        list(stream(streamed, split="test+train")[1])


@pytest.mark.parametrize(
    "change", [lambda offset, data: data[:-1], lambda offset, data: data + b"x", lambda offset, data: b""]
)
def test_a_response_of_another_length_is_an_error(streamed, proxy, change):
    _, test = stream(streamed, split="test")
    proxy.change = change
    with pytest.raises(loader.LoaderError):
        test[0]


def test_a_private_remote_needs_credentials(streamed, remote, monkeypatch):
    (key,) = remote.keys("public")
    remote.write(key.replace("public", "private", 1), remote.read(key))
    remote.remove(key)
    path = streamed / "dvc.yaml"
    path.write_text(path.read_text().replace("remote: public", "remote: private"))
    assert_example(stream(streamed, split="train")[1][7], "train", 7)
    loader.cache.clear()
    edit_local(streamed, lambda text: re.sub(" *(credentialpath|profile) = .*\n", "", text))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(loader.FetchError, match=r"refuses access without credentials .*set AWS_PROFILE"):
        stream(streamed)


def test_a_public_remote_needs_no_credentials(streamed, monkeypatch, tmp_path):
    edit_local(streamed, lambda text: re.sub(" *(credentialpath|profile) = .*\n", "", text))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    assert_example(stream(streamed, split="train")[1][7], "train", 7)


def test_a_missing_object_is_an_error(streamed, remote):
    (key,) = remote.keys("public")
    remote.remove(key)
    with pytest.raises(loader.FetchError, match=r"does not have it \(s3://.*make push DATASET=small PUBLIC=1$"):
        stream(streamed)


def test_nothing_is_streamed_offline(streamed, proxy):
    with pytest.raises(loader.FetchError, match="streaming needs the network"):
        stream(streamed, offline=True)
    assert proxy.requests == 0


def _read(split, number):
    return split[number]["text"]


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork.. was called:RuntimeWarning")  # if another test imported JAX
def test_worker_processes_read_it(streamed, method):
    _, train = stream(streamed, split="train")
    train[0]  # connected before the fork
    with multiprocessing.get_context(method).Pool(2) as pool:
        found = pool.starmap(_read, [(train, number) for number in (0, 4999, 5299)])
    assert found == [b"train 0", b"train 4999", b"train 5299"]
    assert len(pickle.dumps(train)) < 20_000
