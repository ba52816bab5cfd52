"""Convert examples and batches to what was asked for: a framework's types, text as str, channels first, tuples.

A framework is imported only if its format is requested.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any, Literal, overload

import numpy as np

from loader._errors import DecodeError, UnsupportedError
from loader._features.connectors import Dataset, Feature, FeaturesDict, Image, Text
from loader._features.connectors import Sequence as SequenceFeature
from loader._supervised import Keys, arrange
from loader._supervised import text as keys_text

Format = Literal["numpy", "tf", "torch", "jax"]
SplitFormat = Literal["numpy", "torch", "jax"]
TextType = Literal["bytes", "str"]
Step = Callable[[Any], Any]

_PACKAGES = {  # what each format imports, and the package that has it
    "numpy": {},
    # TFDS imports importlib_resources without declaring it
    "tf": {
        "tensorflow_datasets": "tensorflow-datasets",
        "tensorflow": "tensorflow",
        "importlib_resources": "importlib-resources",
    },
    "torch": {"torch": "torch"},
    "jax": {"jax": "jax"},
}


def check_installed(format: Format) -> None:
    """Check that the packages that a format needs are installed, without importing them.

    Raises
    ------
    UnsupportedError
        One is not.
    """
    missing = [package for module, package in _PACKAGES[format].items() if importlib.util.find_spec(module) is None]
    if missing:
        raise UnsupportedError(
            f'format="{format}" needs {" and ".join(missing)}, which {"is" if len(missing) == 1 else "are"} not '
            f"installed; install {'it' if len(missing) == 1 else 'them'} with: pip install {' '.join(missing)}"
        )


class Converter:
    """Converts NumPy values to those handed out, of an example or of a batch; it can be pickled.

    Text and other strings stay bytes or str in every format, because neither PyTorch nor JAX has a type for them.

    Parameters
    ----------
    features
        The features of the examples.
    format
        "numpy", "torch" or "jax".
    text
        "bytes" or "str", the type of Text features.
    chw
        Whether images have their channels before their height and width.
    keys
        If not None, the structure of tuples and dicts in which the values are returned.
    name
        The dataset, for messages.
    """

    def __init__(
        self, features: FeaturesDict, format: SplitFormat, text: TextType, chw: bool, keys: Keys | None, name: str
    ) -> None:
        self._arguments = (features, format, text, chw, keys, name)
        self.chw = chw
        self._keys = keys
        framework = {"numpy": _same, "torch": _to_torch, "jax": _to_jax}[format]

        def leaf(feature: Feature, path: str) -> Step:
            if isinstance(feature, Text) and text == "str":
                return lambda value: framework(_to_str(value, f"{name}: feature {path!r}"))
            if isinstance(feature, Image) and chw:
                return lambda value: _channels_first(framework(value))
            return framework

        self._by_name = {each: _step(feature, each, leaf) for each, feature in features.items()}

    def __call__(self, values: dict[str, Any]) -> Any:
        """Return the values of an example or a batch, converted and in the structure of the keys."""
        converted = self.values(values)
        return converted if self._keys is None else arrange(self._keys, converted)

    def values(self, values: dict[str, Any]) -> dict[str, Any]:
        """Return the values of some of the features, converted."""
        return {name: self._by_name[name](value) for name, value in values.items()}

    def by_name(self) -> Converter:
        """Return the converter that returns dicts, whatever the structure of the keys."""
        features, framework, text, chw, _, name = self._arguments
        return Converter(features, framework, text, chw, None, name)

    @property
    def structure(self) -> str:
        """The structure in which the values are returned, as "(image, label)"; empty if it is that of the examples."""
        return "" if self._keys is None else keys_text(self._keys)

    @property
    def options(self) -> tuple[Any, ...]:
        """What does not depend on the dataset: format, text, chw, keys."""
        return self._arguments[1:-1]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._arguments


def _step(feature: Feature, path: str, leaf: Callable[[Feature, str], Step]) -> Step:
    """Return the function that converts the values of a feature; `leaf` returns it for one without others in it."""
    if isinstance(feature, FeaturesDict):
        inner = {name: _step(each, f"{path}/{name}", leaf) for name, each in feature.items()}

        def convert(values: Any) -> Any:
            if isinstance(values, list):  # of a batch of sequences of dicts
                return [convert(each) for each in values]
            return {name: inner[name](value) for name, value in values.items()}

        return convert
    if isinstance(feature, Dataset):
        return _nested(_step(feature.feature, path, leaf))
    if isinstance(feature, SequenceFeature):
        return _step(feature.feature, path, leaf)
    return leaf(feature, path)


def _nested(step: Step) -> Step:
    def convert(value: Any) -> Any:
        if isinstance(value, list):  # of a batch
            return [NestedExamples(examples, step) for examples in value]
        return NestedExamples(value, step)

    return convert


class NestedExamples(Sequence[Any]):
    """The examples of a nested dataset, each decoded and converted on access; pickling produces a list."""

    def __init__(self, examples: Sequence[Any], step: Step) -> None:
        self._examples = examples
        self._step = step

    def __len__(self) -> int:
        return len(self._examples)

    @overload
    def __getitem__(self, key: int, /) -> Any: ...
    @overload
    def __getitem__(self, key: slice, /) -> list[Any]: ...
    def __getitem__(self, key: int | slice, /) -> Any:
        found = self._examples[key]
        return [self._step(each) for each in found] if isinstance(key, slice) else self._step(found)

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)

    def __repr__(self) -> str:
        return repr(self._examples)


def _same(value: Any) -> Any:
    return value


def _to_str(value: Any, label: str) -> Any:
    if isinstance(value, list):
        return [_to_str(part, label) for part in value]
    try:
        if isinstance(value, bytes):
            return value.decode()
        decoded = np.empty(value.size, object)
        decoded[:] = [each.decode() for each in value.flat]
        return decoded.reshape(value.shape)
    except UnicodeDecodeError as error:
        raise DecodeError(f'{label} is not text in UTF-8 ({error}); read it with text="bytes"') from error


def _to_torch(value: Any) -> Any:
    import torch

    if isinstance(value, dict):  # of a feature that TFDS decoded
        return {name: _to_torch(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_to_torch(part) for part in value]
    if isinstance(value, np.ndarray) and value.dtype == object:
        return value.tolist()  # a DataLoader can batch lists
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value if value.flags.writeable else value.copy())
    if isinstance(value, np.generic):
        return torch.from_numpy(np.asarray(value))
    return value


def _channels_first(value: Any) -> Any:
    """Return tensors of shape (..., height, width, channels) as (..., channels, height, width)."""
    if isinstance(value, list):
        return [_channels_first(part) for part in value]
    moved = value.movedim(-1, -3).contiguous()  # as torchvision's ToTensor, so that `view` works
    # with one channel the strides are still those of channels last, which convolutions would keep; `view` sets them
    return moved.view(moved.shape)


def _to_jax(value: Any) -> Any:
    import jax.numpy as jnp

    if isinstance(value, dict):  # of a feature that TFDS decoded
        return {name: _to_jax(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_to_jax(part) for part in value]
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype != object:
        return jnp.asarray(value)
    return value
