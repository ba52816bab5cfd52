"""Changing how TFDS builds a split: our encoder encodes a generator's examples, and Beam runs in our pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from scripts._tfds.features import raise_with_prefix

Key = int | str | bytes
Serialize = Callable[[Any], bytes]


class Encoder(Protocol):
    """Encodes examples as the bytes of records."""

    def encode(
        self, examples: Iterable[tuple[Key, Any]], features: Any, serialize: Serialize
    ) -> Iterable[tuple[Key, bytes]]:
        """Yield the key and the bytes of each example, in order."""

    def start_writing(self, write: Callable[[], Any]) -> Future[Any]:
        """Write a split while the next one is generated."""

    def until_stopped(self, records: Iterable[Any]) -> Iterator[Any]:
        """Yield records until the build ends."""


class Pipelines(Protocol):
    """Creates the pipelines of a builder that uses Beam."""

    def start(self) -> tuple[Any, Any]:
        """Return a pipeline and the result of its `__enter__`."""

    def count(self, split: str, examples: Any) -> None:
        """Count the examples of a split while the pipeline runs."""


@contextmanager
def building_splits(encoder: Encoder, pipelines: Pipelines) -> Iterator[None]:
    """Change how TFDS builds splits inside a `with` block; everything else stays TFDS's own.

    Only when a builder runs is it known whether it uses Beam: TFDS then asks for the pipeline.
    """
    from tensorflow_datasets.core import example_serializer, split_builder, splits, writer
    from tensorflow_datasets.core.features import image_feature

    class EncodedSerializer(example_serializer.Serializer):  # type: ignore[misc]
        """A serializer of TFDS for examples that are bytes already."""

        def serialize_example(self, example: bytes) -> bytes:
            return example

    class StoppableWriter:
        """Writes shards with `writer` until the build ends."""

        def __init__(self, writer: Any) -> None:
            self._writer = writer

        def write(self, path: Any, examples: Iterable[Any]) -> None:
            self._writer.write(path, encoder.until_stopped(examples))

    class SplitBuilder(split_builder.SplitBuilder):  # type: ignore[misc]
        @cached_property
        def beam_pipeline(self) -> Any:
            pipeline, self._beam_pipeline = pipelines.start()
            return pipeline

        def _build_from_pcollection(self, split_name: str, generator: Any, **options: Any) -> Any:
            pipelines.count(split_name, generator)
            return super()._build_from_pcollection(split_name=split_name, generator=generator, **options)

        def _build_from_generator(
            self, split_name: str, generator: Any, filename_template: Any, disable_shuffling: bool
        ) -> Any:
            features = self._features
            serializer = example_serializer.ExampleSerializer(features.get_serialized_info())

            def serialize(encoded: Any) -> bytes:
                return bytes(serializer.get_tf_example(encoded).SerializeToString(deterministic=True))

            split = writer.Writer(
                serializer=EncodedSerializer(serializer.example_specs),
                filename_template=filename_template,
                hash_salt=split_name,
                disable_shuffling=disable_shuffling,
                shard_config=self._shard_config,
                example_writer=StoppableWriter(self._example_writer),
                ignore_duplicates=self._ignore_duplicates,
            )
            examples = encoder.encode(_with_progress(generator, split_name), features, serialize)
            for number, (key, data) in enumerate(examples):
                split.write(number if disable_shuffling and not isinstance(key, int) else key, data)

            def finalize() -> Any:
                try:
                    return split.finalize()
                except Exception as error:
                    raise_with_prefix(error, f"the split {split_name} cannot be written: ")

            written = encoder.start_writing(finalize)

            def info() -> Any:
                lengths, size = written.result()
                return splits.SplitInfo(
                    name=split_name, shard_lengths=lengths, num_bytes=size, filename_template=filename_template
                )

            return split_builder._SplitInfoFuture(info)

    encoders = image_feature._ENCODE_FN
    original_builder, original_png = split_builder.SplitBuilder, encoders["png"]
    split_builder.SplitBuilder, encoders["png"] = SplitBuilder, lambda: _encode_png
    try:
        yield
    finally:
        split_builder.SplitBuilder, encoders["png"] = original_builder, original_png


def _with_progress(generator: Iterable[tuple[Key, Any]], split: str) -> Iterable[tuple[Key, Any]]:
    from tensorflow_datasets.core import utils

    description = f"Generating {split} examples..."
    counted: Iterable[tuple[Key, Any]] = utils.tqdm(generator, desc=description, unit=" examples", leave=False)
    return counted


def _encode_png(image: np.ndarray) -> Any:
    """Encode an image as `tf.image.encode_png` does, without the third of its time that it spends in Python."""
    import tensorflow as tf

    # of a 16-bit array, the raw operation would use only the lower 8 bits
    return tf.raw_ops.EncodePng(image=tf.constant(image), compression=-1)
