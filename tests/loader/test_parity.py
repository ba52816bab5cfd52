"""In every example of the real datasets, the loader's values are those of `tfds.as_numpy`."""

import subprocess

import numpy as np
import pytest

import loader


@pytest.mark.filterwarnings("ignore")  # TensorFlow warns
@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("digit", "1.0.8"),
        pytest.param("mnist", "3.0.1", marks=pytest.mark.slow),
        pytest.param("mnist_fgsm", "1.0.0", marks=pytest.mark.slow),
    ],
)
def test_every_example_is_the_same_as_in_tfds(built, tmp_path, name, version):
    import tensorflow_datasets as tfds

    root = built(name).root
    subprocess.run(["tar", "xf", root / f"artifacts/{name}.tar", "-C", tmp_path], check=True)
    builder = tfds.builder_from_directory(str(tmp_path / name / version))
    info, ds = loader.load(name, repo=root)
    _, from_folder = loader.from_directory(tmp_path / name / version)
    in_record_order = tfds.ReadConfig(interleave_cycle_length=1)
    assert {s: split.num_examples for s, split in builder.info.splits.items()} == {s: len(ds[s]) for s in ds}
    for split in ds:
        in_tfds = tfds.as_numpy(builder.as_dataset(split=split, shuffle_files=False, read_config=in_record_order))
        for from_tar, expected, from_shard in zip(ds[split], in_tfds, from_folder[split], strict=True):
            assert from_tar.keys() == expected.keys()
            for feature, value in expected.items():
                for actual in (from_tar[feature], from_shard[feature]):
                    assert type(actual) is type(value)
                    if isinstance(value, np.ndarray):
                        assert actual.dtype == value.dtype
                        assert actual.shape == value.shape
                        assert np.array_equal(actual, value)
                    else:
                        assert actual == value
    assert info.features["label"].num_classes == builder.info.features["label"].num_classes
