"""The only package that uses private names of TFDS, or replaces parts of TFDS.

TFDS does not promise to keep these names; they are those of TFDS 4.9.10. `tests/scripts/test_private_names.py` checks
that the installed TFDS has them, that each is used in the module named here, and that nothing else uses private names.
Each line has a name (`tfds` is `tensorflow_datasets`), the module that uses it, and its use:

    tfds.core.dataset_builder.DatasetBuilder._log_download_bytes: builder.py: replaced, to print nothing
    tfds.core.dataset_builder.DatasetBuilder._log_download_done: builder.py: replaced, to print nothing
    tfds.core.dataset_builder.DatasetBuilder._original_state: builder.py: changed, to pass arguments to Beam's workers
    tfds.core.dataset_builder.GeneratorBasedBuilder._example_writer: builder.py: replaced, to use our ShardWriter
    tfds.core.dataset_info.DatasetInfo._identity: builder.py: changed, to set the name of the builder's module
    tfds.core.dataset_info.DatasetInfo.add_file_data_source_access: builder.py: replaced, to record nothing
    tfds.core.dataset_info.DatasetInfo.add_sql_data_source_access: builder.py: replaced, to record nothing
    tfds.core.dataset_info.DatasetInfo.add_tfds_data_source_access: builder.py: replaced, to record nothing
    tfds.core.dataset_builder.DatasetBuilder._make_download_manager: downloads.py: replaced, to change its result
    tfds.core.download.download_manager.DownloadManager._download: downloads.py: replaced, to use our source files
    tfds.core.download.download_manager.DownloadManager._downloader: downloads.py: read, for its progress bar
    tfds.core.download.download_manager.DownloadManager._extract: downloads.py: replaced, to use our extractions
    tfds.core.download.download_manager.DownloadManager._extractor: downloads.py: read, for its progress bar
    tfds.core.download.download_manager.DownloadManager._register_or_validate_checksums: downloads.py: called, for sizes
    tfds.core.download.download_manager.DownloadManager._url_infos: downloads.py: set, to the registered URLs
    tfds.core.download.download_manager.DownloadManager.download_kaggle_data: downloads.py: replaced, to use our files
    tfds.core.download.download_manager.DownloadManager.manual_dir: downloads.py: replaced, to show registered files
    tfds.core.download.downloader._Downloader.tqdm: downloads.py: replaced, to show no progress bar
    tfds.core.download.extractor._Extractor.tqdm: downloads.py: replaced, to show no progress bar
    tensorflow.python.eager.context.context_safe: features.py: called, to find out whether TensorFlow has started
    tfds.core.features: features.py: compared with the module of a feature, to recognize TFDS's own
    tfds.core.utils.reraise: features.py: called, to put text before an error's message
    tfds.core.dataset_builder.GeneratorBasedBuilder._split_generators: gather.py: called, to collect URLs
    tfds.core.dataset_builder.GeneratorBasedBuilder._generate_examples: gather.py: called, to collect more URLs
    tfds.core.dataset_builder.DatasetBuilder.code_path: modules.py: set, to the builder's file
    tfds.core.dataset_builder.DatasetBuilder.pkg_dir_path: modules.py: set, to the builder's folder
    tfds.core.registered.skip_registration: modules.py: entered, to import a builder again
    tfds.core.dataset_info.DatasetInfo.initialize_from_bucket: quiet.py: replaced, to do nothing
    tfds.core.hashing.Hasher.hash_key: shuffle.py: called, to hash a key
    tfds.core.shuffle.DuplicatedKeysError: shuffle.py: raised, as TFDS's Shuffler does
    tfds.core.example_serializer.ExampleSerializer.get_tf_example: splits.py: called, to serialize an example
    tfds.core.example_serializer.Serializer.serialize_example: splits.py: overridden, for serialized examples
    tfds.core.features.image_feature._ENCODE_FN: splits.py: changed, to encode PNG images faster
    tfds.core.shuffle.Shuffler: splits.py: replaced, to sort faster and in less memory
    tfds.core.split_builder.SplitBuilder: splits.py: replaced by a subclass
    tfds.core.split_builder.SplitBuilder._beam_pipeline: splits.py: set, to the pipeline that TFDS exits
    tfds.core.split_builder.SplitBuilder._build_from_generator: splits.py: overridden, to encode in worker processes
    tfds.core.split_builder.SplitBuilder._build_from_pcollection: splits.py: overridden, to watch examples
    tfds.core.split_builder.SplitBuilder._example_writer: splits.py: read
    tfds.core.split_builder.SplitBuilder._features: splits.py: read; replaced while a pipeline is made, to check values
    tfds.core.split_builder.SplitBuilder._ignore_duplicates: splits.py: read
    tfds.core.split_builder.SplitBuilder._shard_config: splits.py: read
    tfds.core.split_builder.SplitBuilder.beam_pipeline: splits.py: overridden, to create the pipeline
    tfds.core.split_builder.SplitBuilder.normalize_legacy_split_generators: splits.py: overridden, to check names
    tfds.core.split_builder._SplitInfoFuture: splits.py: created, as the result of a split
    tfds.core.utils.tqdm: splits.py: called, to show progress
    tfds.core.writer.Writer: splits.py: created, to sort and write a split
    tfds.core.writer.Writer.finalize: splits.py: called, to write the shards
    tfds.core.writer.Writer.write: splits.py: called, to add an example
"""
