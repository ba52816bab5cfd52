"""Changing how TFDS builds a split: our encoder encodes a generator's examples, and Beam runs in our pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from scripts._process.errors import ScriptError
from scripts._tfds.features import raise_with_prefix
from scripts._tfds.names import check_class_names, check_split_names
from scripts._tfds.shuffle import Shuffler
from scripts._tfds.yielded import BuilderError, Example, Yielded, at_line
from scripts._tfds.yielded import Key as Key

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

    def watch(self, split: str, examples: Any, features: Any) -> tuple[Any, Any]:
        """Watch the examples of a split while the pipeline runs; return those and the features to give to TFDS."""


@contextmanager
def building_splits(encoder: Encoder, pipelines: Pipelines, *, dataset: str) -> Iterator[None]:
    """Change how TFDS builds the splits of `dataset` inside a `with` block; everything else stays TFDS's own.

    Only when a builder runs is it known whether it uses Beam: TFDS then asks for the pipeline.
    """
    from tensorflow_datasets.core import example_serializer, hashing, shuffle, split_builder, splits, writer
    from tensorflow_datasets.core.features import image_feature

    class EncodedSerializer(example_serializer.Serializer):  # type: ignore[misc]
        """A serializer of TFDS for examples that are bytes already."""

        def serialize_example(self, example: bytes) -> bytes:
            return example

    class StoppableWriter:
        """Writes shards with `writer` until the build ends, and names the key that two examples share."""

        def __init__(self, writer: Any, yielded: Yielded) -> None:
            self._writer = writer
            self._yielded = yielded
            self._last = -1

        def write(self, path: Any, examples: Iterable[Any]) -> None:
            def remembering() -> Iterator[Any]:
                for example in examples:
                    self._last = example[0]
                    yield example

            try:
                self._writer.write_records(path, encoder.until_stopped(remembering()))
            except shuffle.DuplicatedKeysError as error:
                hasher = hashing.Hasher(self._yielded.split)
                # if the split is not shuffled, they are ordered by the keys themselves
                raise _duplicate(self._yielded, lambda key: self._last in (hasher.hash_key(key), key)) from error

    class SplitBuilder(split_builder.SplitBuilder):  # type: ignore[misc]
        @cached_property
        def beam_pipeline(self) -> Any:
            pipeline, self._beam_pipeline = pipelines.start()
            return pipeline

        def normalize_legacy_split_generators(self, split_generators: Any, **options: Any) -> Any:
            if not split_generators:
                raise ScriptError(f"{dataset}: its builder gives no split")
            generators = super().normalize_legacy_split_generators(split_generators=split_generators, **options)
            check_split_names(generators, dataset)
            check_class_names(self._features, dataset)  # a builder may have completed them just now
            return generators

        def _build_from_pcollection(self, split_name: str, generator: Any, **options: Any) -> Any:
            features = self._features
            examples, checked = pipelines.watch(split_name, generator, features)
            try:
                self._features: Any = checked
                return super()._build_from_pcollection(split_name=split_name, generator=examples, **options)
            finally:
                self._features = features

        def _build_from_generator(
            self, split_name: str, generator: Any, filename_template: Any, disable_shuffling: bool
        ) -> Any:
            features, yielded = self._features, Yielded(split_name)
            serializer = example_serializer.ExampleSerializer(features.get_serialized_info())

            def serialize(encoded: Any) -> bytes:
                return bytes(serializer.get_tf_example(encoded).SerializeToString(deterministic=True))

            split = writer.Writer(
                serializer=EncodedSerializer(serializer.example_specs),
                filename_template=filename_template,
                hash_salt=split_name,
                disable_shuffling=disable_shuffling,
                shard_config=self._shard_config,
                example_writer=StoppableWriter(self._example_writer, yielded),
                ignore_duplicates=self._ignore_duplicates,
            )
            examples = encoder.encode(_with_progress(yielded.watch(generator), split_name), features, serialize)
            written = 0
            try:
                for key, data in examples:
                    split.write(written if disable_shuffling and not isinstance(key, int) else key, data)
                    written += 1
            except Exception as error:
                yielded.explain(error, written)
                raise

            def finalize() -> Any:
                try:
                    return split.finalize()
                except BuilderError:
                    raise
                except Exception as error:
                    raise_with_prefix(error, f"the split {split_name} cannot be written: ")

            writing = encoder.start_writing(finalize)

            def info() -> Any:
                lengths, size = writing.result()
                return splits.SplitInfo(
                    name=split_name, shard_lengths=lengths, num_bytes=size, filename_template=filename_template
                )

            return split_builder._SplitInfoFuture(info)

    encoders = image_feature._ENCODE_FN
    original_builder, original_png, original_shuffler = split_builder.SplitBuilder, encoders["png"], shuffle.Shuffler
    split_builder.SplitBuilder, encoders["png"], shuffle.Shuffler = SplitBuilder, lambda: _encode_png, Shuffler
    try:
        yield
    finally:
        split_builder.SplitBuilder, encoders["png"] = original_builder, original_png
        shuffle.Shuffler = original_shuffler


def _duplicate(yielded: Yielded, matches: Callable[[Key], bool]) -> Exception:
    """Return the error of two or more examples with one key."""
    found: list[Example] = yielded.find(lambda each: matches(each.key))
    keys = " and ".join(dict.fromkeys(repr(each.key) for each in found))
    numbers = ", ".join(f"{each.number:,}" for each in found[:3]) + (" ..." if len(found) > 3 else "")
    error = BuilderError(
        f"{len(found):,} examples of the split {yielded.split} have the key {keys}: those with the numbers {numbers}; "
        f"a key must be unique in its split"
    )
    return at_line(error, found[-1].line)


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
