"""The real datasets, every example: the loader's values are those of `tfds.as_numpy`."""

import subprocess

import numpy as np
import pytest

import loader


@pytest.mark.filterwarnings("ignore")  # TensorFlow's own
@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("digit", "1.0.8"),
        pytest.param("mnist", "3.0.1", marks=pytest.mark.slow),
        pytest.param("mnist_fgsm", "1.0.0", marks=pytest.mark.slow),
    ],
)
def test_every_example_is_that_of_tfds(built, tmp_path, name, version):
    import tensorflow_datasets as tfds

    root = built(name).root
    subprocess.run(["tar", "xf", root / f"artifacts/{name}.tar", "-C", tmp_path], check=True)
    builder = tfds.builder_from_directory(str(tmp_path / name / version))
    info, ds = loader.load(name, repo=root)
    _, from_folder = loader.from_directory(tmp_path / name / version)
    in_record_order = tfds.ReadConfig(interleave_cycle_length=1)
    assert {s: split.num_examples for s, split in builder.info.splits.items()} == {s: len(ds[s]) for s in ds}
    for split in ds:
        theirs = tfds.as_numpy(builder.as_dataset(split=split, shuffle_files=False, read_config=in_record_order))
        for ours, expected, same in zip(ds[split], theirs, from_folder[split], strict=True):
            assert ours.keys() == expected.keys()
            for feature, value in expected.items():
                for found in (ours[feature], same[feature]):
                    assert type(found) is type(value)
                    if isinstance(value, np.ndarray):
                        assert found.dtype == value.dtype
                        assert found.shape == value.shape
                        assert np.array_equal(found, value)
                    else:
                        assert found == value
    assert info.features["label"].num_classes == builder.info.features["label"].num_classes
