"""The fast gradient sign method on MNIST: the classifier and the attack in Python's integers, and what was recorded."""

import hashlib
import json
import pickle
import random
import re
import sys

import numpy as np
import pytest

import loader
from scripts._define.definition import ROOT, read_definition
from scripts._tfds.builder import find_builder
from tests.conftest import copy_clone

README = ROOT / "datasets/adversarial/mnist_fgsm/README.md"
EPSILON = 26
PIXELS, CLASSES = 784, 10


@pytest.fixture(scope="module")
def builder_class():
    return find_builder(read_definition("mnist_fgsm"))


@pytest.fixture(scope="module")
def module(builder_class):
    return sys.modules[builder_class.__module__]


def score(weights, image):
    """Python's integers, for each class; the last weight is that of a white pixel."""
    return [sum(w * x for w, x in zip(row, [*image, 255], strict=True)) for row in weights]


def rival(scores, label):
    return max((c for c in range(CLASSES) if c != label), key=lambda c: (scores[c], -c))


def sign(number):
    return (number > 0) - (number < 0)


def attacked(weights, image, label, epsilon):
    other = rival(score(weights, image), label)
    gradient = [o - t for o, t in zip(weights[other], weights[label], strict=True)][:-1]
    return [min(max(x + epsilon * sign(g), 0), 255) for x, g in zip(image, gradient, strict=True)]


@pytest.mark.parametrize("epsilon", [1, 26, 255])
def test_a_step_is_that_of_plain_integers(module, epsilon):
    draw = random.Random(epsilon)
    weights = [[draw.randint(-2, 2) for _ in range(41)] for _ in range(CLASSES)]
    weights[3] = weights[5] = weights[7]  # scores that are equal
    images = [[draw.choice([0, 10, 128, 250, 255]) for _ in range(40)] for _ in range(60)]
    labels = [draw.randrange(CLASSES) for _ in images]
    found = module.perturb(np.array(images, np.uint8), np.array(labels), np.array(weights), epsilon=epsilon)
    assert found.dtype == np.uint8
    assert found.tolist() == [
        attacked(weights, image, label, epsilon) for image, label in zip(images, labels, strict=True)
    ]
    expected = [max(range(CLASSES), key=lambda c: (scores[c], -c)) for scores in (score(weights, i) for i in images)]
    assert module.predict(np.array(images, np.uint8), np.array(weights)).tolist() == expected


def test_training_is_that_of_plain_integers(module, monkeypatch):
    monkeypatch.setattr(module, "_BATCH_SIZE", 7)
    draw = random.Random(0)
    templates = [[draw.choice([0, 255]) for _ in range(60)] for _ in range(CLASSES)]
    labels = [draw.randrange(CLASSES) for _ in range(100)]
    images = [[min(max(x + draw.randint(-60, 60), 0), 255) for x in templates[label]] for label in labels]
    weights = [[0] * 61 for _ in range(CLASSES)]
    violations = 0
    for _ in range(5):
        for start in range(0, 100, 7):
            batch = list(zip(images, labels, strict=True))[start : start + 7]
            steps = []
            for image, label in batch:
                scores = score(weights, image)
                other = rival(scores, label)
                if 500 * 255**2 + scores[other] - scores[label] > 0:
                    steps += [(label, 1, image), (other, -1, image)]
                    violations += 1
            for of, direction, image in steps:
                weights[of] = [w + direction * x for w, x in zip(weights[of], [*image, 255], strict=True)]
    assert 100 < violations < 450  # of 500: images within the margin and beyond it
    assert module.train_classifier(np.array(images, np.uint8), np.array(labels)).tolist() == weights


@pytest.mark.parametrize("epsilon", [0, 256, -1, 0.1, 26.0, True, "26", None])
def test_a_bad_epsilon_is_an_error(builder_class, epsilon, tmp_path):
    with pytest.raises(ValueError, match="a whole number of pixel levels from 1 to 255, not"):
        builder_class(epsilon=epsilon, data_dir=tmp_path)


def test_a_pickled_builder_keeps_epsilon(builder_class, tmp_path):
    builder = pickle.loads(pickle.dumps(builder_class(epsilon=7, data_dir=tmp_path)))
    assert builder.epsilon == 7
    assert str(builder.version) == "1.0.0"


@pytest.mark.slow
def test_what_is_recorded_is_so(built, module):
    root = built("mnist_fgsm").root
    _, ds = loader.load("mnist_fgsm", repo=root)
    assert list(ds) == ["test"]
    (batch,) = ds["test"].batches(10_000)
    _, (train, test) = loader.load("mnist", repo=root, split=["train", "test"])

    clean, adversarial = (batch[name].reshape(10_000, PIXELS) for name in ("image", "adversarial_image"))
    (parent,) = test[batch["index"]].batches(10_000)
    assert sorted(batch["index"].tolist()) == list(range(10_000))
    assert np.array_equal(clean, parent["image"].reshape(10_000, PIXELS))
    assert np.array_equal(batch["label"], parent["label"])

    change = np.abs(adversarial.astype(int) - clean)
    assert change.max() == EPSILON
    clipped = (adversarial == 0) | (adversarial == 255)
    assert set(np.unique(change[~clipped])) <= {0, EPSILON}

    (training,) = train.batches(60_000)
    weights = module.train_classifier(training["image"].reshape(60_000, PIXELS), training["label"])
    assert weights.dtype == np.int64
    rows = weights.tolist()
    for number in range(0, 10_000, 500):
        image, label = clean[number].tolist(), int(batch["label"][number])
        assert adversarial[number].tolist() == attacked(rows, image, label, EPSILON)
    for images, recorded in ((clean, batch["prediction"]), (adversarial, batch["adversarial_prediction"])):
        assert np.array_equal(recorded, module.predict(images, weights))
        scores = score(rows, images[0].tolist())
        assert scores[int(recorded[0])] == max(scores)

    table = dict(re.findall(r"epsilon (\d+)\**,?.* \| ([\d,]+) \|", README.read_text()))
    assert len(table) == 5
    for epsilon, count in table.items():
        images = module.perturb(clean, batch["label"], weights, epsilon=int(epsilon))
        assert f"{(module.predict(images, weights) == batch['label']).sum():,}" == count

    manifest = json.loads((root / "artifacts/mnist_fgsm.json").read_text())
    correct = {name: int((batch[name] == batch["label"]).sum()) for name in ("prediction", "adversarial_prediction")}
    assert correct == {"prediction": 9256, "adversarial_prediction": 1128}  # as its README says
    assert manifest["artifacts"]["mnist_fgsm.tar"]["metadata"] == {
        "epsilon": EPSILON,
        "clean_accuracy": correct["prediction"] / 10_000,
        "adversarial_accuracy": correct["adversarial_prediction"] / 10_000,
    }
    sha256 = hashlib.sha256((root / "artifacts/mnist.tar").read_bytes()).hexdigest()
    assert manifest["parents"] == {"mnist": {"version": "3.0.1", "artifacts": {"mnist.tar": sha256}}}


@pytest.mark.slow
def test_another_epsilon_changes_this_one_alone(built, tmp_path):
    clone = copy_clone(built("mnist_fgsm").root, tmp_path / "clone")
    params = clone.root / "params.yaml"
    params.write_text(params.read_text().replace("epsilon: 26", "epsilon: 8"))
    assert list(json.loads(clone.run("dvc", "status", "mnist", "mnist_fgsm", "--json").stdout)) == ["mnist_fgsm"]


def test_dvc_knows_what_it_is_derived_from(clone):
    assert '"mnist" -> "mnist_fgsm"' in clone.run("dvc", "dag", "--dot").stdout
