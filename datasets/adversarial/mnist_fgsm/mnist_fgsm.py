"""MNIST test images under the fast gradient sign method, against a linear classifier; in integers throughout."""

import numpy as np
import tensorflow_datasets as tfds

import loader

_DESCRIPTION = """\
The 10,000 test images of MNIST and their adversarial counterparts: a white-box, untargeted, single-step attack with the
fast gradient sign method, bounded in the L-infinity norm, against a linear classifier trained on MNIST's train split.
Each example also has the classifier's predictions on both images.
"""

_CITATION = """\
@inproceedings{goodfellow2015explaining,
  author = {Goodfellow, Ian J. and Shlens, Jonathon and Szegedy, Christian},
  title = {Explaining and Harnessing Adversarial Examples},
  booktitle = {International Conference on Learning Representations},
  year = {2015},
  url = {https://arxiv.org/abs/1412.6572}
}
@article{lecun1998gradient,
  author = {LeCun, Yann and Bottou, L{\\'e}on and Bengio, Yoshua and Haffner, Patrick},
  title = {Gradient-Based Learning Applied to Document Recognition},
  journal = {Proceedings of the IEEE},
  volume = {86},
  number = {11},
  pages = {2278--2324},
  year = {1998}
}
"""

_SHAPE = (28, 28, 1)
_CLASSES = 10
_WHITE = 255  # the highest pixel level

_EPOCHS = 5
_BATCH_SIZE = 100
_STEPS_PER_MARGIN = 500  # the inverse of the learning rate, for pixels in [0, 1] and a margin of 1
_MARGIN = _STEPS_PER_MARGIN * _WHITE**2  # the same in scores of pixel levels, where a step adds a whole image


class MnistFgsm(tfds.core.GeneratorBasedBuilder):
    """The perturbed test images of MNIST.

    Parameters
    ----------
    epsilon
        The bound of the perturbation in the L-infinity norm, in pixel levels: a whole number from 1 to 255.
    **kwargs
        Those of every TFDS builder.

    Raises
    ------
    ValueError
        epsilon is none of these numbers.
    """

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, *, epsilon, **kwargs):
        if type(epsilon) is not int or not 1 <= epsilon <= _WHITE:
            raise ValueError(f"epsilon is a whole number of pixel levels from 1 to {_WHITE}, not {epsilon!r}")
        self.epsilon = epsilon
        super().__init__(**kwargs)
        self._original_state["epsilon"] = epsilon  # what TFDS pickles and makes the builder anew from

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            description=_DESCRIPTION,
            features=tfds.features.FeaturesDict(
                {
                    "index": tfds.features.Scalar(np.int64, doc="Position of the image in the parent's test split."),
                    "image": tfds.features.Image(shape=_SHAPE),
                    "adversarial_image": tfds.features.Image(shape=_SHAPE),
                    "label": tfds.features.ClassLabel(num_classes=_CLASSES),
                    "prediction": tfds.features.ClassLabel(num_classes=_CLASSES),
                    "adversarial_prediction": tfds.features.ClassLabel(num_classes=_CLASSES),
                }
            ),
            supervised_keys=("adversarial_image", "label"),
            homepage="https://arxiv.org/abs/1412.6572",
            citation=_CITATION,
            metadata=tfds.core.MetadataDict(),
        )

    def _split_generators(self, dl_manager):
        _, (train, test) = loader.load("mnist", split=["train", "test"])
        weights = train_classifier(*_arrays(train))
        images, labels = _arrays(test)
        adversarial_images = perturb(images, labels, weights, epsilon=self.epsilon)
        predictions = predict(images, weights)
        adversarial_predictions = predict(adversarial_images, weights)
        self.info.metadata.update(
            epsilon=self.epsilon,
            clean_accuracy=_accuracy(predictions, labels),
            adversarial_accuracy=_accuracy(adversarial_predictions, labels),
        )
        return {
            "test": self._generate_examples(
                image=images.reshape(-1, *_SHAPE),
                adversarial_image=adversarial_images.reshape(-1, *_SHAPE),
                label=labels,
                prediction=predictions,
                adversarial_prediction=adversarial_predictions,
            )
        }

    def _generate_examples(self, **columns):
        for index, values in enumerate(zip(*columns.values(), strict=True)):
            yield index, {"index": index, **dict(zip(columns, values, strict=True))}


# The classifier is linear: the score of a class is the product of its weights, a row of `weights`, with the image's
# pixels and a last one that is always white, for the bias. All of it is int64, whose products NumPy computes without
# BLAS and without rounding, in whatever order, as long as none overflows. None does: in an epoch each of the 60,000
# images changes a weight by 255 at most, so that no weight exceeds 5 * 60,000 * 255 < 2**27, and no score
# 785 * 255 * 2**27 < 2**45.


def train_classifier(images, labels):
    """Train a multiclass linear classifier by stochastic gradient descent on the hinge loss of Crammer and Singer.

    The loss of an image is max(0, margin + the highest score of a wrong class - the score of the label). A step adds
    the images of the batch whose loss is positive to the weights of their label, and takes them off those of the
    highest wrong class. The learning rate is constant, so it can stand in the margin and a step is of whole images.
    Batches are in the order of the images, in every epoch.

    Parameters
    ----------
    images
        Pixel levels, uint8 of shape (n, pixels); n is at most 60,000, and pixels 784.
    labels
        The classes, int64 of shape (n,).

    Returns
    -------
    weights
        int64 of shape (10, pixels + 1), the bias last.
    """
    weights = np.zeros((_CLASSES, images.shape[1] + 1), np.int64)
    one_hot = np.eye(_CLASSES, dtype=np.int64)
    for _ in range(_EPOCHS):
        for start in range(0, len(images), _BATCH_SIZE):
            inputs, own = _inputs(images[start : start + _BATCH_SIZE]), labels[start : start + _BATCH_SIZE]
            scores = inputs @ weights.T
            rivals = _rivals(scores, own)
            rows = np.arange(len(own))
            violates = scores[rows, own] - scores[rows, rivals] < _MARGIN
            steps = one_hot[own[violates]] - one_hot[rivals[violates]]
            weights += steps.T @ inputs[violates]
    return weights


def predict(images, weights):
    """Return the class of the highest score for each image, the lowest of such classes where there are several."""
    return (_inputs(images) @ weights.T).argmax(axis=1)


def perturb(images, labels, weights, *, epsilon):
    """Return the images after one step of the fast gradient sign method.

    The loss is the highest score of a wrong class minus the score of the label, which is the classifier's hinge loss
    without margin and without the maximum with 0, so its gradient does not vanish on images that are classified with
    confidence. With respect to the pixels it is the difference of the two classes' weights.

    Parameters
    ----------
    images
        Pixel levels, uint8 of shape (n, pixels).
    labels
        The classes, int64 of shape (n,).
    weights
        What `train_classifier` gives.
    epsilon
        The step, in pixel levels.

    Returns
    -------
    adversarial_images
        clip(image + epsilon * sign(gradient), 0, 255), dtype and shape as images; the sign of 0 is 0.
    """
    rivals = _rivals(_inputs(images) @ weights.T, labels)
    gradients = weights[rivals, :-1] - weights[labels, :-1]
    return np.clip(images + epsilon * np.sign(gradients), 0, _WHITE).astype(np.uint8)


def _rivals(scores, labels):
    """The wrong class of the highest score, the lowest of such classes where there are several."""
    scores = scores.copy()
    scores[np.arange(len(labels)), labels] = np.iinfo(np.int64).min
    return scores.argmax(axis=1)


def _inputs(images):
    return np.pad(images.astype(np.int64), ((0, 0), (0, 1)), constant_values=_WHITE)


def _arrays(split):
    """All images of a split, each as a row, and their labels."""
    batch = next(iter(split.batches(len(split))))
    return batch["image"].reshape(len(split), -1), batch["label"]


def _accuracy(predictions, labels):
    """The one float: a quotient of two counts, which IEEE 754 rounds in one way."""
    return int((predictions == labels).sum()) / len(labels)
