"""Convert an example or a batch to a framework's types. A framework is imported only if its format is requested."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any, Literal, get_args

import numpy as np

from loader._errors import ArgumentError, UnsupportedError

Format = Literal["numpy", "tf", "torch", "jax"]
SplitFormat = Literal["numpy", "torch", "jax"]


def check_format(format: str, *, features: object, stream: bool, keywords: dict[str, Any]) -> None:
    """Check that a format can be combined with the other arguments.

    Parameters
    ----------
    format
        The format.
    features, stream
        As in `loader.load`.
    keywords
        Keyword arguments for TFDS's `as_dataset`.

    Raises
    ------
    ArgumentError
        The format is unknown, or cannot be combined with the other arguments.
    """
    if format not in get_args(Format):
        raise ArgumentError(f"there is no format {format!r}; the formats are {', '.join(get_args(Format))}")
    if format != "tf" and keywords:
        raise ArgumentError(f'unknown keyword {next(iter(keywords))}=; keywords of as_dataset need format="tf"')
    if format == "tf" and (features is not None or stream):
        raise ArgumentError('features= and stream= do not work with format="tf"; choose features with decoders=')


def converter(format: str) -> Callable[[Any], Any] | None:
    """Return the function that converts NumPy values to "torch" or "jax"; None for "numpy".

    Text and other strings stay bytes, because neither PyTorch nor JAX has a type for them.

    Raises
    ------
    UnsupportedError
        The framework is not installed.
    """
    if format == "numpy":
        return None
    if importlib.util.find_spec(format) is None:
        raise UnsupportedError(
            f'format="{format}" needs {format}, which is not installed; install it with: pip install {format}'
        )
    return _to_torch if format == "torch" else _to_jax


def _to_torch(value: Any) -> Any:
    import torch

    if isinstance(value, dict):
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


def _to_jax(value: Any) -> Any:
    import jax.numpy as jnp

    if isinstance(value, dict):
        return {name: _to_jax(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_to_jax(part) for part in value]
    if isinstance(value, (np.ndarray, np.generic)) and value.dtype != object:
        return jnp.asarray(value)
    return value
