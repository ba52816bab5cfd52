"""What is streamed is kept in a sparse copy: read again from there, repaired, shared, and completed."""

import errno
import hashlib
import io
import multiprocessing
import os
import pickle
import re
import signal
import subprocess
import sys
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import loader
from loader._fetch import arrivals, blocks, read_ahead, s3
from loader._fetch.reference import find_artifact
from loader._fetch.sparse import SparseCopy
from loader._fetch.stream import StreamedArtifact
from loader._format import rows
from tests.helpers.recorded_dataset import make_git, make_recorded, record
from tests.helpers.s3_proxy import running_proxy

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def published(tmp_path_factory, s3_server):
    """A repository whose artifact is only on the remote, the artifact's bytes and its record index."""
    from tests.conftest import Remote

    root = make_recorded(tmp_path_factory.mktemp("streamed") / "repository")
    make_git(root)
    remote = Remote(s3_server, root)
    remote.point(root)
    remote.publish(root / "artifacts/small.tar")
    tar = (root / "artifacts/small.tar").read_bytes()
    rows = find_artifact("small", repo=root).open().header.rows
    (root / "artifacts/small.tar").unlink()
    return root, tar, rows.offset


@pytest.fixture
def proxy(published, s3_server):
    root, *_ = published
    with running_proxy(s3_server.endpoint) as running:
        path = root / ".dvc/config.local"
        path.write_text(re.sub("endpointurl = .*", f"endpointurl = {running.url}", path.read_text()))
        yield running


@pytest.fixture
def train(published, proxy):
    return open_train(published)


def open_train(published, split="train"):
    return loader.load("small", split=split, repo=published[0], stream=True)[1]


def texts(examples):
    return [example["text"] for example in examples]


def moved(proxy):
    """The bytes transferred since the last call."""
    total = proxy.bytes_transferred
    proxy.responses.clear()
    return total


def copy_of():
    [entry] = loader.cache.entries()
    [part] = entry.path.glob("*.part")
    return part


def completed_files():
    """The files of the only artifact in the cache, once it is whole."""
    deadline = time.monotonic() + 30
    while loader.cache.entries()[0].arrived < 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    return {path.name: path.read_bytes() for path in loader.cache.entries()[0].path.glob("*.tar*")}


def expected(order):
    return [f"train {number}".encode() for number in order]


def orders(train, epoch=0):
    """The order of the shuffled examples, which is that of the local artifact."""
    return [int(text.split()[1]) for text in texts(train.shuffle(7, epoch=epoch))]


@pytest.mark.parametrize("workers", [1, 3])
def test_a_shuffled_epoch_moves_each_byte_once_and_the_second_none(published, proxy, train, workers):
    batches = train.batches(64, shuffle=True, seed=7, workers=workers)
    first = [text for batch in batches for text in batch["text"]]
    assert sorted(first) == sorted(expected(range(5300)))
    size = len(published[1])
    assert size * 0.5 < moved(proxy) < size * 1.02
    assert proxy.requests < 60
    second = [text for batch in batches for text in batch["text"]]
    assert second != first
    assert sorted(second) == sorted(first)
    assert [text for batch in batches.epoch(0) for text in batch["text"]] == first
    assert texts(open_train(published).shuffle(7)) == first  # as another process would
    assert moved(proxy) == 0


def test_passes_at_once_move_each_byte_once(published, proxy, train):
    def read(seed):
        return [text for batch in train.batches(64, shuffle=True, seed=seed) for text in batch["text"]]

    with ThreadPoolExecutor(4) as pool:
        assert [sorted(found) for found in pool.map(read, range(4))] == [sorted(expected(range(5300)))] * 4
    assert moved(proxy) < len(published[1]) * 1.02


def test_loads_at_once_move_each_byte_once(published, proxy):
    wanted = ["train", "train", "train", "test"]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda split: texts(open_train(published, split)), wanted))
    assert [len(each) for each in found] == [5300, 5300, 5300, 70]
    assert found[0] == found[1] == found[2] == expected(range(5300))
    assert moved(proxy) < len(published[1]) * 1.05  # each may read the index header and the metadata


def test_an_example_that_a_pass_is_about_to_request_is_waited_for(published, proxy, train, monkeypatch):
    def join(units, **arguments):
        is_marked.set()
        time.sleep(0.3)
        return joined(units, **arguments)

    is_marked, joined = threading.Event(), read_ahead.joined
    monkeypatch.setattr(read_ahead, "joined", join)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: list(train[:3000]))
        is_marked.wait()
        assert texts(map(train.__getitem__, range(9))) == expected(range(9))
    assert proxy.requests < 9


def test_passes_that_end_at_once_complete_no_artifact_that_lacks_a_block(published, proxy, train, monkeypatch):
    completed, gate = [], threading.Barrier(8, timeout=60)
    monkeypatch.setattr(StreamedArtifact, "complete", completed.append)
    list(train[:4096])  # the first of two blocks
    found = train._source._records._arrivals

    def end(_):
        for _ in range(20):
            gate.wait()
            found._whole_to = 0
            gate.wait()
            found.complete_if_whole()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(end, range(8)))
    assert not completed


def test_offline_what_has_arrived_is_read_and_the_rest_is_refused(published, proxy):
    root, *_ = published
    list(open_train(published)), list(open_train(published, "test[:35]"))
    requests = proxy.requests
    ds = loader.load("small", repo=root, stream=True, offline=True)[1]
    train, test = pickle.loads(pickle.dumps([ds["train"], ds["test"]]))
    assert texts(train.shuffle(7)) == expected(orders(open_train(published)))
    assert [len(batch["text"]) for batch in test[:30].batches(10)] == [10] * 3
    problem = r"^small: record 36 of split 'test' is not on this machine, which has about 50% of that split, "
    with pytest.raises(loader.FetchError, match=problem) as raised:
        test[36]
    with pytest.raises(loader.FetchError, match=r"^small: record 35 of split 'test' is not on this machine"):
        list(test)
    assert proxy.requests == requests
    command = str(raised.value).rpartition("without offline=True and DATASETS_OFFLINE, with: ")[2]
    subprocess.run(f"{Path(sys.executable).parent}/{command}", shell=True, check=True, capture_output=True)
    assert test[36]["text"] == b"test 36"


def test_a_copy_of_which_all_has_arrived_becomes_the_cached_artifact(published, proxy):
    root, tar, _ = published
    both = open_train(published, "train+test")
    assert len(list(both)) == 5370
    assert completed_files() == {"small.tar": tar}
    moved(proxy)
    assert texts(both)[:3] == expected(range(3))
    assert both[3]["text"] == b"train 3"
    assert texts(loader.load("small", split="test", repo=root, offline=True)[1])[0] == b"test 0"
    assert moved(proxy) == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda part: os.truncate(part, part.stat().st_size + 100),
        lambda part: part.with_suffix(".arrived").unlink(),
    ],
    ids=["a longer file", "lost hints"],
)
def test_a_copy_whose_files_were_changed_meanwhile_becomes_the_cached_artifact_too(published, proxy, change):
    both = open_train(published, "train+test")
    assert both[0]["text"] == b"train 0"
    change(copy_of())
    assert len(list(both)) == 5370
    assert completed_files() == {"small.tar": published[1]}


@pytest.mark.parametrize(
    "damage",
    [
        lambda data, at: data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :],
        lambda data, at: data[:at] + bytes(300) + data[at + 300 :],
        lambda data, at: data[:at],
        lambda data, at: b"",
    ],
    ids=["a flipped bit", "lost writes", "truncated", "emptied"],
)
def test_what_is_wrong_in_the_copy_is_fetched_again(published, proxy, damage):
    _, tar, _ = published
    train = open_train(published)
    assert len(list(train)) == 5300
    part = copy_of()
    at = tar.index(record("train", 4000)) + 5
    part.write_bytes(damage(part.read_bytes(), at))  # the same file, which is open
    moved(proxy)
    assert texts(train.shuffle(7)) == expected(orders(train))
    assert train[4000]["text"] == b"train 4000"
    del train  # the next one reads the copy's files anew
    assert texts(open_train(published)) == expected(range(5300))
    once = moved(proxy)
    assert 0 < once < len(tar) * 1.1
    list(open_train(published))
    assert moved(proxy) == 0


def test_flipped_bits_beside_the_records_are_fetched_again(published, proxy):
    _, tar, _ = published
    assert len(list(open_train(published))) == 5300
    with tarfile.open(fileobj=io.BytesIO(tar)) as file:
        places = [each.offset_data + 3 for each in file.getmembers() if ".tfrecord" not in each.name]
    with copy_of().open("r+b") as part:
        for at in places:
            part.seek(at)
            part.write(bytes([tar[at] ^ 1]))
    moved(proxy)
    assert texts(open_train(published)) == expected(range(5300))
    assert 0 < moved(proxy) < len(tar) * 0.3
    repaired = copy_of().read_bytes()
    assert [repaired[at] for at in places] == [tar[at] for at in places]


def test_what_has_arrived_is_read_from_a_remote_that_always_fails(published, proxy, monkeypatch):
    monkeypatch.setattr(s3, "FIRST_PAUSE_SECONDS", 0.01)
    list(open_train(published, "train[:1000]"))
    usual = vars(proxy).copy()
    for change, reason in [
        ({"fault": lambda number: "drop"}, "cannot be reached .*tried 5 times"),
        ({"fault": lambda number: "500"}, "answers with an error .*500.*tried 5 times"),
        ({"change": lambda offset, data: data[:-1]}, "tried 5 times"),
    ]:
        vars(proxy).update(change)
        train = open_train(published)
        assert texts(train[:1000]) == expected(range(1000))
        with pytest.raises(loader.FetchError, match=f"^small: .*{reason}"):
            train[4095]
        vars(proxy).update(usual)
    assert train[4095]["text"] == b"train 4095"


def test_hints_are_not_trusted(published, proxy):
    open_train(published)[0]
    [arrived] = copy_of().parent.glob("*.arrived")
    arrived.write_bytes(b"\xff" * 8 + b"\1" * 9000)  # everything, and more
    fresh = open_train(published)
    assert texts(fresh[4990:5010]) == expected(range(4990, 5010))
    assert fresh[17]["text"] == b"train 17"


def test_the_beginning_of_an_interrupted_download_is_used(published, proxy):
    root, tar, _ = published
    tracked = find_artifact("small", repo=root).tracked
    folder = loader.cache.folder() / "artifacts" / tracked.md5
    folder.mkdir(parents=True)
    (folder / "small.tar.part").write_bytes(tar[: len(tar) * 2 // 3])
    assert texts(open_train(published).shuffle(7)) == expected(orders(open_train(published)))
    assert 0 < moved(proxy) < len(tar) * 0.36


def _read_shuffled(split, seed):
    return sum(len(batch["text"]) for batch in split.batches(100, shuffle=True, seed=seed))


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:os.fork.. was called:RuntimeWarning")
def test_processes_share_what_arrives(published, proxy, train, method):
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.starmap(_read_shuffled, [(train, 1), (train, 2)]) == [5300, 5300]
    assert moved(proxy) < len(published[1]) * 1.25


def test_a_batch_of_indices_is_requested_at_once_and_then_with_its_neighbors(published, proxy, train):
    proxy.fault = lambda number: "slow" if number > 4 else None  # half a second each
    started = time.monotonic()
    numbers = np.random.default_rng(0).permutation(5300)
    assert texts(train.__getitems__(numbers[:48].tolist())) == expected(numbers[:48])
    assert time.monotonic() - started < 10
    assert moved(proxy) < len(published[1]) * 0.5  # the index, and 48 records
    proxy.fault = lambda number: None
    before = proxy.requests
    for batch in numbers.reshape(-1, 100):
        assert texts(train.__getitems__(batch.tolist())) == expected(batch)
    assert proxy.requests - before < 60


@pytest.mark.parametrize("fault", ["drop", "500", "503"])
def test_a_shuffled_epoch_survives_a_server_that_fails(proxy, train, monkeypatch, fault):
    monkeypatch.setattr(s3, "FIRST_PAUSE_SECONDS", 0.01)
    first = proxy.requests
    # so few that no request fails five times
    proxy.fault = lambda number: fault if number - first in (1, 2, 4, 5) else None
    assert sorted(texts(train.shuffle(7))) == sorted(expected(range(5300)))


def test_bytes_that_were_changed_on_their_way_are_fetched_again(published, proxy):
    seen = set()

    def change(offset, data):
        end = offset + len(data)
        is_first = end not in seen
        seen.add(end)
        return data[:-10] + bytes([data[-10] ^ 1]) + data[-9:] if is_first and len(data) > 100 else data

    proxy.change = change
    assert sorted(texts(open_train(published).shuffle(7))) == sorted(expected(range(5300)))


def test_a_killed_process_loses_nothing_that_has_arrived(published, proxy):
    root, tar, _ = published
    code = (
        f"import loader, sys\n_, train = loader.load('small', split='train', repo={str(root)!r}, stream=True)\n"
        "for number, _ in enumerate(train.shuffle(7)):\n"
        "    if number == 2000: print('here', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True
    )
    assert process.stdout.readline() == "here\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    first = moved(proxy)
    assert sorted(texts(open_train(published).shuffle(8))) == sorted(expected(range(5300)))
    assert first + moved(proxy) < len(tar) * 1.1


def test_leaving_a_pass_does_not_keep_the_program_from_exiting(published, proxy):
    proxy.fault = lambda number: "hang" if number > 6 else None
    local = published[0] / ".dvc/config.local"
    text = local.read_text()
    local.write_text(text.replace("endpointurl", "read_timeout = 200\n    endpointurl"))
    code = (
        f"import loader\n_, train = loader.load('small', split='train', repo={str(published[0])!r}, stream=True)\n"
        "train[0]\nexamples = iter(train.batches(256, shuffle=True))\n"
        "import threading; threading.Thread(target=next, args=(examples,), daemon=True).start()"
    )
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    local.write_text(text)
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("workers", [1, 2])
def test_a_program_that_reads_all_in_batches_leaves_the_whole_artifact(published, proxy, workers):
    code = (
        f"import loader\n_, both = loader.load('small', split='train+test', repo={str(published[0])!r}, stream=True)\n"
        f"for _ in both.batches(100, workers={workers}): pass"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    [entry] = loader.cache.entries()
    assert entry.arrived == 1
    assert [path.name for path in entry.path.glob("small*")] == ["small.tar"]


def test_a_program_that_ends_while_its_copy_is_completed_writes_nothing_to_the_terminal(published, proxy):
    code = (
        f"import loader\n_, both = loader.load('small', split='train+test', repo={str(published[0])!r}, stream=True)\n"
        "for _ in both.batches(100): pass"
    )
    ours, theirs = os.openpty()
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, stderr=theirs)
    os.set_blocking(ours, False)
    os.close(theirs)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)):  # the end, at once
        os.read(ours, 1000)
    os.close(ours)


@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_process_goes_on_with_the_iterators_that_it_finds(published, proxy, train):
    shuffled = train.shuffle(7)
    examples, *both = iter(shuffled), iter(shuffled.batches(100)), iter(shuffled.batches(100, workers=2))
    next(examples), *map(next, both)
    reading, writing = os.pipe()
    child = os.fork()
    rest = b" ".join([*texts(examples), *(text for batches in both for batch in batches for text in batch["text"])])
    if not child:
        os.write(writing, hashlib.sha256(rest).digest())
        os._exit(0)
    deadline = threading.Timer(60, os.kill, (child, signal.SIGKILL))
    deadline.start()
    os.close(writing)
    assert len(rest.split()) == 2 * (5299 + 2 * 5200)
    assert os.read(reading, 100) == hashlib.sha256(rest).digest()
    os.close(reading)
    deadline.cancel()
    os.waitpid(child, 0)


@pytest.fixture
def _no_cache(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("DATASETS_CACHE", str(tmp_path / "file/cache"))


@pytest.mark.usefixtures("_no_cache")
def test_a_cache_that_cannot_be_written_to_is_streamed_without(published, proxy):
    problem = r"^small: .*/file/cache/.* cannot be written to \(Not a directory\), so .*; set DATASETS_CACHE to another"
    with pytest.warns(UserWarning, match=problem):
        train = open_train(published)
    for epoch in range(2):
        assert sorted(texts(train.shuffle(7, epoch=epoch))) == sorted(expected(range(5300)))
    assert len(published[1]) < moved(proxy) < len(published[1]) * 2.2  # no record twice in an epoch
    assert train[5]["text"] == b"train 5"


@pytest.mark.usefixtures("_no_cache")
@pytest.mark.filterwarnings("ignore:small. .* is not kept")
def test_without_a_cache_batches_in_another_order_than_planned_move_each_byte_once(published, proxy):
    batches = open_train(published).batches(64, shuffle=True, seed=7).epoch(0)
    moved(proxy)
    numbers = [number ^ 1 for number in range(len(batches) // 2 * 2)]  # 1, 0, 3, 2, ... as of two threads
    assert sum(len(batches[number]["text"]) for number in numbers) == len(numbers) * 64
    assert moved(proxy) < len(published[1]) * 1.02


@pytest.mark.usefixtures("_no_cache")
@pytest.mark.filterwarnings("ignore:small. .* is not kept")
def test_without_a_cache_threads_may_read_the_same_example(published, proxy, monkeypatch):
    train, receive, overtaking = open_train(published), arrivals.Arrivals._receive, []

    def receive_and_be_overtaken(self, numbers):
        found = receive(self, numbers)
        if not overtaking:  # by another thread
            overtaking.append(1)
            overtaking.append(train[5]["text"])
        return found

    monkeypatch.setattr(arrivals.Arrivals, "_receive", receive_and_be_overtaken)
    assert [train[5]["text"], *overtaking[1:]] == [b"train 5"] * 2


@pytest.mark.usefixtures("_no_cache")
@pytest.mark.filterwarnings("ignore:small. .* is not kept")
def test_the_only_thread_for_records_may_wait_for_their_rows(published, proxy, monkeypatch):
    monkeypatch.setattr(arrivals, "CONNECTIONS", 1)
    for module in (rows, blocks):
        monkeypatch.setattr(module, "BLOCKS_KEPT", 0)
    found = []
    reading = threading.Thread(target=lambda: found.extend(texts(open_train(published)[:9])), daemon=True)
    reading.start()
    reading.join(60)
    assert found == expected(range(9))


def test_a_disk_that_fills_up_ends_keeping_and_not_the_epoch(published, proxy, train, monkeypatch):
    write, written = SparseCopy.write, []

    def fail_later(self, offset, data):
        written.append(len(data))
        if sum(written) > 200_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, offset, data)

    monkeypatch.setattr(SparseCopy, "write", fail_later)
    with pytest.warns(UserWarning, match=r"cannot be written to \(No space left on device\)"):
        assert sorted(texts(train.shuffle(7))) == sorted(expected(range(5300)))
    assert sorted(texts(train.shuffle(8))) == sorted(expected(range(5300)))


def test_what_does_not_fit_into_the_limit_is_not_kept(published, proxy, monkeypatch):
    monkeypatch.setattr(arrivals, "CHECK_BYTES", 1)
    loader.cache.limit(1000)
    train = open_train(published)
    with pytest.warns(UserWarning, match="^small: the cache is at its limit, so what is streamed is not kept; raise"):
        assert sorted(texts(train.shuffle(7))) == sorted(expected(range(5300)))
    assert moved(proxy) < len(published[1]) * 2  # what had been requested to be kept, and then each record once
    del train
    loader.cache.limit(1000)
    assert loader.cache.entries() == []


def test_a_copy_is_not_made_while_another_process_downloads(published, proxy):
    from loader._fetch import store

    tracked = find_artifact("small", repo=published[0]).tracked
    with store.lock(tracked.md5):
        assert texts(open_train(published)[:3]) == expected(range(3))
    assert not list(store.entry_folder("artifacts", tracked.md5).glob("*.tar*"))


class TestSparseCopy:
    def test_it_has_what_was_written_and_zeros(self, tmp_path):
        copy = SparseCopy(tmp_path / ("0" * 32), "a.tar", size=1 << 20)
        copy.write(1000, b"abc")
        copy.mark(7, 2)
        again = SparseCopy(tmp_path / ("0" * 32), "a.tar", size=1 << 20)
        assert again.read(998, 7) == b"\0\0abc\0\0"
        assert again.arrived(6, 4).tolist() == [False, True, True, False]
        assert again.path.stat().st_blocks * 512 < 1 << 19

    def test_a_whole_artifact_has_none(self, tmp_path):
        folder = tmp_path / ("0" * 32)
        folder.mkdir(parents=True)
        (folder / "a.tar").write_bytes(b"whole")
        with pytest.raises(FileExistsError):
            SparseCopy(folder, "a.tar", size=5)

    def test_a_thread_that_has_finished_leaves_the_claim_of_another_one(self, tmp_path):
        copy = SparseCopy(tmp_path / ("0" * 32), "a.tar", size=100)
        code = (
            f"import fcntl; file = open({str(copy.arrived_path)!r}, 'r+b')\n"
            "fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 5)"
        )

        def is_claimed():
            return subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL).returncode != 0

        with copy.claim(4, 3):
            with copy.claim(5, 3):
                assert is_claimed()
            assert is_claimed()
        assert not is_claimed()

    def test_only_one_process_has_a_unit(self, tmp_path):
        copy = SparseCopy(tmp_path / ("0" * 32), "a.tar", size=100)
        code = (
            "import sys; from pathlib import Path; from loader._fetch.sparse import SparseCopy\n"
            f"copy = SparseCopy(Path({str(copy.path.parent)!r}), 'a.tar', size=100)\n"
            "with copy.claim(5, 3): print('claimed', flush=True); sys.stdin.read()"
        )
        other = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True
        )
        assert other.stdout.readline() == "claimed\n"
        with copy.claim(4), copy.claim(8):
            pass
        with ThreadPoolExecutor(1) as pool:

            def claim():
                with copy.claim(6):
                    return "claimed"

            waiting = pool.submit(claim)
            time.sleep(0.1)
            assert not waiting.done()
            other.kill()
            other.communicate()
            assert waiting.result(10) == "claimed"
