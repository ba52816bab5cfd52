"""Collate examples into a batch of PyTorch tensors, padding those whose shape varies."""

from __future__ import annotations

from typing import Any

import numpy as np

from loader._features.connectors import Dataset, Feature, FeaturesDict, Image, Sequence, Shape


def pad_collate(examples: list[Any], features: FeaturesDict, *, chw: bool) -> Any:
    """Return a batch of examples; see `Split.pad_collate`. `chw` is whether images have their channels first."""
    batch = _join(examples)
    if isinstance(batch, dict):
        _add_lengths(batch, examples, features, chw)
    return batch


def _join(values: list[Any]) -> Any:
    import torch

    first = values[0]
    if isinstance(first, dict):
        return {name: _join([value[name] for value in values]) for name in first}
    if isinstance(first, tuple):
        return tuple([_join(list(column)) for column in zip(*values, strict=True)])
    if isinstance(first, (np.ndarray, np.generic)) and first.dtype != object:
        values = [torch.as_tensor(value) for value in values]
    if not isinstance(values[0], torch.Tensor):
        return values
    if len({value.shape for value in values}) == 1:
        return torch.utils.data.default_collate(values)  # which puts it into memory that processes share
    if len({value.dim() for value in values}) > 1:
        return values
    shape = np.max([value.shape for value in values], axis=0).tolist()
    padded = values[0].new_zeros((len(values), *shape))
    for row, value in zip(padded, values, strict=True):
        row[tuple(map(slice, value.shape))] = value
    return padded


def _add_lengths(batch: dict[str, Any], examples: list[dict[str, Any]], features: FeaturesDict, chw: bool) -> None:
    """Add `<name>_length` for each feature whose declared shape has unknown sizes, unless a feature has this name."""
    import torch

    for name, feature in features.items():
        values, inner = batch.get(name), _columns(feature)
        if inner is not None and isinstance(values, dict):
            _add_lengths(values, [example[name] for example in examples], inner, chw)
            continue
        shape = _shape(feature, chw)
        axes = [axis for axis, size in enumerate(shape) if size is None]
        if axes and isinstance(values, torch.Tensor) and _fits(values.shape[1:], shape):  # a transform may change it
            lengths = torch.tensor([[example[name].shape[axis] for axis in axes] for example in examples])
            batch.setdefault(f"{name}_length", lengths[:, 0] if len(axes) == 1 else lengths)


def _columns(feature: Feature) -> FeaturesDict | None:
    """Return the features of the dict to which a feature decodes, None if it does not."""
    if isinstance(feature, Sequence) and not isinstance(feature, Dataset):
        inner = _columns(feature.feature)
        return inner and FeaturesDict({name: Sequence(each, feature.length) for name, each in inner.items()})
    return feature if isinstance(feature, FeaturesDict) else None


def _fits(found: tuple[int, ...], shape: Shape) -> bool:
    return len(found) == len(shape) and all(size in (None, each) for each, size in zip(found, shape, strict=True))


def _shape(feature: Feature, chw: bool) -> Shape:
    """Return the shape of a feature's values; () if they are several arrays."""
    shape = () if isinstance(feature, FeaturesDict) else feature.shape or ()
    while isinstance(feature, Sequence):
        feature = feature.feature
    return (*shape[:-3], shape[-1], *shape[-3:-1]) if chw and isinstance(feature, Image) else shape
