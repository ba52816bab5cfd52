"""Having TFDS build a generator's splits from examples that an encoder encodes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from scripts._build.encode import Encoder, Key


@contextmanager
def encoding_in(encoder: Encoder) -> Iterator[None]:
    """Let TFDS pass what a generator yields through the encoder; all else of building a split stays its own."""
    from tensorflow_datasets.core import example_serializer, split_builder, splits, utils, writer
    from tensorflow_datasets.core.features import image_feature

    class Encoded(example_serializer.Serializer):  # type: ignore[misc]
        """Stands in for TFDS's serializer where an example comes as its bytes."""

        def serialize_example(self, example: bytes) -> bytes:
            return example

    class Interruptible:
        """Writes shards as `writer` does, until the build ends."""

        def __init__(self, writer: Any) -> None:
            self._writer = writer

        def write(self, path: Any, examples: Iterable[Any]) -> None:
            self._writer.write(path, encoder.until_stopped(examples))

    class SplitBuilder(split_builder.SplitBuilder):  # type: ignore[misc]
        def _build_from_generator(
            self, split_name: str, generator: Any, filename_template: Any, disable_shuffling: bool
        ) -> Any:
            features = self._features
            serializer = example_serializer.ExampleSerializer(features.get_serialized_info())

            def serialize(encoded: Any) -> bytes:
                return bytes(serializer.get_tf_example(encoded).SerializeToString(deterministic=True))

            split = writer.Writer(
                serializer=Encoded(serializer.example_specs),
                filename_template=filename_template,
                hash_salt=split_name,
                disable_shuffling=disable_shuffling,
                shard_config=self._shard_config,
                example_writer=Interruptible(self._example_writer),
                ignore_duplicates=self._ignore_duplicates,
            )
            examples = encoder.encoded(_with_progress(generator, split_name), features, serialize)
            for number, (key, data) in enumerate(examples):
                split.write(number if disable_shuffling and not isinstance(key, int) else key, data)

            def finalize() -> Any:
                try:
                    return split.finalize()
                except Exception as error:
                    utils.reraise(error, prefix=f"the split {split_name} cannot be written: ")

            written = encoder.finish(finalize)

            def info() -> Any:
                lengths, size = written.result()
                return splits.SplitInfo(
                    name=split_name, shard_lengths=lengths, num_bytes=size, filename_template=filename_template
                )

            return split_builder._SplitInfoFuture(info)

    theirs, encode_png = split_builder.SplitBuilder, image_feature._ENCODE_FN["png"]
    split_builder.SplitBuilder, image_feature._ENCODE_FN["png"] = SplitBuilder, lambda: _encode_png
    try:
        with encoder:
            yield
    finally:
        split_builder.SplitBuilder, image_feature._ENCODE_FN["png"] = theirs, encode_png


def _with_progress(generator: Iterable[tuple[Key, Any]], split: str) -> Iterable[tuple[Key, Any]]:
    from tensorflow_datasets.core import utils

    description = f"Generating {split} examples..."
    counted: Iterable[tuple[Key, Any]] = utils.tqdm(generator, desc=description, unit=" examples", leave=False)
    return counted


def _encode_png(image: np.ndarray) -> Any:
    """What `tf.image.encode_png` does with one image, without the third of its time that goes into Python."""
    import tensorflow as tf

    # as a tensor, since of an array the raw operation takes the lower 8 bits of 16
    return tf.raw_ops.EncodePng(image=tf.constant(image), compression=-1)
