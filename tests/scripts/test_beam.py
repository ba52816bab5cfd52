"""Builders that use Apache Beam: the same bytes on every runner, and clear errors."""

import hashlib
import importlib.util
import os
import pickle
import re
import socket
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest

from scripts._define.definition import read_definition
from scripts._process.errors import ScriptError
from scripts._tfds.shards import ShardWriter
from tests.conftest import clean_environment, make_clone
from tests.helpers.buildable_dataset import BUILDER, add_buildable

needs_beam = pytest.mark.skipif(importlib.util.find_spec("apache_beam") is None, reason="add Beam with: make beam")

# Hard to send to a worker: elements of a class in the module, a method of the builder, a shared PCollection.
HEAD, BODY = BUILDER.split("    def _split_generators(self, dl_manager):")
BEAM_BUILDER = (
    HEAD.replace("import json", "import dataclasses\nimport json").replace(
        "class Tiny(",
        "@dataclasses.dataclass(frozen=True)\nclass Number:\n    value: int\n\n\n"
        "def is_in_test(number):\n    return number.value < 30\n\n\nclass Tiny(",
    )
    + """
    def _split_generators(self, dl_manager, pipeline):
        import apache_beam as beam

        path = dl_manager.download(URL)
        numbers = pipeline | beam.Create(range(200)) | beam.Map(Number) | beam.Reshuffle()
        return {
            "train": numbers | "train" >> beam.Map(self._make, path),
            "test": numbers | beam.Filter(is_in_test) | "test" >> beam.Map(self._make, path),
        }

    def _generate_examples(self):
        raise NotImplementedError

    def _make(self, number, path):
        words = json.loads(path.read_text())
        number = number.value
        image = np.arange(number, number + 192, dtype=np.int64).astype(np.uint8).reshape(8, 8, 3)
        text = words[number % len(words)]
        stored = number / 3 or 1e-50  # which is stored as 0.0
        return f"{number}", {"image": image, "label": number % 2, "number": stored, "text": text}
"""
)

# A short builder, for errors in `make`.
FAILING_BUILDER = (
    HEAD
    + """
    def _split_generators(self, dl_manager):
        import apache_beam as beam

        return {"train": beam.Create(range(3)) | beam.Map(make)}

    def _generate_examples(self):
        raise NotImplementedError


def make(number):
    FAIL
"""
)


def md5(clone):
    return hashlib.md5((clone.root / "artifacts/tiny.tar").read_bytes(), usedforsecurity=False).hexdigest()


def leftovers(clone):
    return [path.name for path in (clone.root / ".scratch").iterdir() if path.suffix != ".lock"]


@pytest.fixture(scope="module")
def beam_clone(tiny_was_built, tmp_path_factory):
    """A clone whose `tiny` uses Beam, and the md5 of the same data built by a generator."""
    clone = make_clone(tmp_path_factory.mktemp("beam_clone") / "clone")
    add_buildable(clone.root, builder=BEAM_BUILDER)
    return clone, md5(tiny_was_built)


def check_same_bytes(beam_clone, options, **environment):
    clone, expected = beam_clone
    output = clone.scripts("build", "tiny", env={"DATASETS_BEAM": options, **environment})
    assert md5(clone) == expected
    assert re.sub(r"\d", "", output).splitlines() == [
        "tiny: building ..",
        "tiny: feature 'number': some values are not stored as given, first e- as . in the example with key ''; "
        "the feature is float; to store such values exactly, declare tfds.features.Tensor(shape=(), dtype=np.float, "
        'encoding="bytes")',
        f"tiny: packing {re.sub(r'[0-9]', '', str(clone.root))}/artifacts/tiny.tar",
        "tiny: packed, , bytes, train , test ",
        "tiny: computing statistics",
    ], output
    assert leftovers(clone) == []


@needs_beam
def test_beam_gives_the_same_bytes_as_a_generator_with_threads(beam_clone):
    """With processes, and with Dask without a cluster: tests/scripts/test_packages.py."""
    check_same_bytes(beam_clone, "--runner DirectRunner --direct_num_workers 3 --direct_running_mode multi_threading")


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A function that starts a server of a cluster outside the repository."""
    started = []
    folder = tmp_path_factory.mktemp("services")

    def start(*command, port):
        environment = {**clean_environment(), "TF_CPP_MIN_LOG_LEVEL": "3"}
        with (folder / f"{len(started)}.log").open("w") as log:
            started.append(subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log))
        deadline = time.monotonic() + 60
        while port:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < deadline, (folder / f"{len(started) - 1}.log").read_text()
            time.sleep(0.1)

    yield start
    for process in reversed(started):  # a worker of Dask that loses its scheduler may never end
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@needs_beam
@pytest.mark.slow
def test_beam_gives_the_same_bytes_on_a_running_dask_cluster(beam_clone, service):
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    dask = (sys.executable, "-m", "dask")
    service(*dask, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard", port=port)
    service(*dask, "worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard", port=None)
    # the worker must not keep an earlier version of the builder
    path = beam_clone[0].root / "datasets/standard/tiny/tiny.py"
    path.write_text(BEAM_BUILDER.replace("number / 3", "1 / 0"))
    failed = beam_clone[0].scripts(
        "build", "tiny", check=False, env={"DATASETS_BEAM": f"--runner=dask --dask_client_address={address}"}
    )
    path.write_text(BEAM_BUILDER)
    assert "ZeroDivisionError: division by zero" in failed
    check_same_bytes(beam_clone, f"--runner=DaskRunner --dask_client_address={address}")


@pytest.fixture(scope="module")
def job_server(service):
    """The options for a job server whose workers do not inherit the build's environment variables."""
    jobs, pool = free_port(), free_port()
    service(
        *(sys.executable, "-m", "apache_beam.runners.portability.local_job_service_main", "--port", str(jobs)),
        port=jobs,
    )
    service(
        *(sys.executable, "-m", "apache_beam.runners.worker.worker_pool_main", "--service_port", str(pool)), port=pool
    )
    return (
        f"--runner=PortableRunner --job_endpoint=localhost:{jobs} "
        f"--environment_type=EXTERNAL --environment_config=localhost:{pool}"
    )


@needs_beam
@pytest.mark.slow
def test_beam_gives_the_same_bytes_through_a_job_server_like_those_of_flink_and_spark(beam_clone, job_server):
    check_same_bytes(beam_clone, job_server)


@needs_beam
@pytest.mark.slow
def test_a_worker_on_a_cluster_reads_only_declared_parents(clone, job_server):
    builder = FAILING_BUILDER.replace("FAIL", 'import loader; loader.load("mnist")')
    add_buildable(clone.root, builder=builder)
    output = clone.scripts("build", "tiny", check=False, env={"DATASETS_BEAM": job_server})
    assert re.search(
        r"^error: tiny: its builder failed: datasets/standard/tiny/tiny\.py:\d+: loader\.\S*AccessError: tiny: "
        r"its builder reads the dataset mnist, on which its stage does not depend; .*$",
        output,
        re.MULTILINE,
    ), output
    assert not (clone.root / "artifacts/tiny.tar").exists()


@needs_beam
@pytest.mark.slow
@pytest.mark.parametrize(
    ("failure", "options", "message"),
    [
        (
            "return 1 // 0",
            "--direct_num_workers=1",
            r"its builder failed: datasets/standard/tiny/tiny\.py:\d+: ZeroDivisionError: integer division .* by zero$",
        ),
        (
            'return 0, {"image": np.zeros((8, 8, 3), np.uint8), "label": 7, "number": 1, "text": ""}',
            "--direct_running_mode=in_memory --direct_num_workers=1",
            r"its builder failed on Beam's FnApiRunner: ValueError: .* Class label 7 greater than",
        ),
        (
            "import os; os.kill(os.getpid(), 9)",
            "--direct_num_workers=1",
            r"on Beam's FnApiRunner: a worker process was killed by signal 9; is there enough memory\?$",
        ),
    ],
)
def test_an_error_in_a_worker_is_one_sentence(clone, failure, options, message):
    add_buildable(clone.root, builder=FAILING_BUILDER.replace("FAIL", failure))
    output = clone.scripts("build", "tiny", check=False, env={"DATASETS_BEAM": options})
    first, *others = output.splitlines()
    assert first == "tiny: building 1.0.0"
    assert len(others) == 1, output
    assert others[0].startswith("error: tiny: ")
    assert re.search(message, others[0]), output
    assert leftovers(clone) == []


@needs_beam
@pytest.mark.slow
def test_no_example_is_lost_between_threads(clone):
    # with Beam's own settings, its runner loses some examples of this size in most builds
    builder = FAILING_BUILDER.replace("range(3)", "range(1500)")
    image = "np.random.default_rng(number).integers(0, 256, (200, 200, 3), np.uint8)"
    builder = builder.replace("(8, 8, 3)", "(200, 200, 3)").replace(
        "FAIL", f'return number, {{"image": {image}, "label": 0, "number": 0, "text": ""}}'
    )
    add_buildable(clone.root, builder=builder)
    options = "--direct_running_mode=multi_threading --direct_num_workers=3"
    assert "train 1,500" in clone.scripts("build", "tiny", env={"DATASETS_BEAM": options})


def test_a_split_that_lacks_examples_is_refused(tmp_path):
    from scripts._build.beam.pipelines import _check_complete

    definition, writer = read_definition("digit"), ShardWriter(tmp_path, {})
    (tmp_path / "shards").mkdir()
    for shard in range(2):
        path = tmp_path / "shards" / f"digit-train.tfrecord-0000{shard}-of-00002"
        writer.write_records(path, [(number, b"record") for number in range(30)])
    writer.write_records(tmp_path / "shards/digit-test.tfrecord-00000-of-00001", [(0, b"record")])
    _check_complete(definition, "train", 60, tmp_path)
    with pytest.raises(ScriptError, match="its builder yielded 61 examples for train, but 60 were written"):
        _check_complete(definition, "train", 61, tmp_path)


@needs_beam
@pytest.mark.slow
def test_the_workers_of_a_killed_build_end(clone):
    add_buildable(clone.root, builder=FAILING_BUILDER.replace("FAIL", "import time; time.sleep(600)"))
    command = [sys.executable, "-m", "scripts", "build", "tiny"]
    build = subprocess.Popen(command, cwd=clone.root, env=clean_environment())
    deadline = time.monotonic() + 120
    workers = []
    while not workers:
        assert build.poll() is None and time.monotonic() < deadline
        time.sleep(0.2)
        children = psutil.Process(build.pid).children()
        with suppress(psutil.NoSuchProcess):  # one that has just ended
            workers = [child for child in children if "beam.worker" in " ".join(child.cmdline())]
    build.kill()
    build.wait()
    assert psutil.wait_procs(workers, timeout=30)[1] == []


def test_a_builder_that_uses_beam_without_beam_says_how_to_add_it(clone):
    add_buildable(clone.root, builder=FAILING_BUILDER.replace("FAIL", "pass"))
    code = (
        "import sys; sys.modules['apache_beam'] = None; sys.argv[1:] = ['build', 'tiny']; "
        "from scripts.__main__ import main; main()"
    )
    output = clone.python(code, check=False)
    assert re.search(r"error: tiny: .*tiny\.py:\d+: ModuleNotFoundError: .*; add it with: make beam$", output.strip())


def test_beam_options_without_beam_say_how_to_add_it(monkeypatch):
    from scripts._build.beam import options as beam_options

    monkeypatch.setenv(beam_options.VARIABLE, "--runner=DirectRunner")
    for name in ("apache_beam", "apache_beam.options.pipeline_options"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ScriptError, match="BEAM needs Apache Beam, which is not installed; add it with: make beam"):
        beam_options.read()


@needs_beam
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--runner=FlinkRuner", r"BEAM: Beam has no runner FlinkRuner; did you mean FlinkRunner\?"),
        ("--runner=x.Y", "BEAM: Beam has no runner x.Y; it has "),
        ("--direct_num_workrs=2", "BEAM: Beam has no option --direct_num_workrs; did you mean --direct_num_workers?"),
        ("DirectRunner", "BEAM: Beam has no option DirectRunner"),
        ("--direct_num_workers=two", "BEAM: argument --direct_num_workers: invalid int value: 'two'"),
        ("--direct_running_mode=x", "BEAM: argument --direct_running_mode: invalid choice: 'x'"),
        ("--runner='", 'BEAM="--runner=\'" cannot be read: No closing quotation'),
    ],
)
def test_unknown_beam_options_are_refused(monkeypatch, options, message):
    from scripts._build.beam import options as beam_options

    monkeypatch.setenv(beam_options.VARIABLE, options)
    with pytest.raises(ScriptError, match=re.escape(message).replace(re.escape(r"\?"), r"\?")):
        beam_options.read()


def test_a_worker_with_another_toolchain_fails(tmp_path):
    writer = pickle.dumps(ShardWriter(tmp_path, {"protobuf": "1.0", "numpy": "1"}))
    with pytest.raises(RuntimeError, match=r"params.yaml asks for protobuf 1\.0, on this worker it is \d"):
        pickle.loads(writer)


def test_make_passes_beam_options_to_the_stage(clone):
    done = clone.run("make", "--dry-run", "build", "DATASET=tiny", "BEAM=--runner=FlinkRunner --parallelism=8")
    assert (
        "DATASETS_BEAM='--runner=FlinkRunner --parallelism=8' .venv/bin/python -m scripts repro  -- 'tiny'"
        in done.stdout
    )


@needs_beam
def test_the_dask_runner_refuses_unsupported_transforms(monkeypatch):
    import apache_beam as beam
    from apache_beam.runners.dask import overrides

    from scripts._build.beam import dask as beam_dask

    def translate(*transforms):
        pipeline = beam.Pipeline(runner=beam_dask.DaskRunner())
        values = pipeline
        for transform in transforms:
            values = values | transform
        pipeline.replace_all([beam_dask._CombineInPartitions(), *overrides.dask_overrides()])
        pipeline.visit(beam_dask._Translation({"npartitions": 1}))

    translate(beam.Create([1]), beam.Map(str), beam.combiners.Count.Globally())
    with pytest.raises(ScriptError, match="the Dask runner supports no transform with several outputs"):
        translate(beam.Create([1]), beam.Map(str).with_outputs("a", main="b"))
    with pytest.raises(ScriptError, match="the Dask runner does not support ReadFromText"):
        translate(beam.io.ReadFromText(os.devnull))
