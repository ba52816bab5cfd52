"""What other libraries call the methods of a split, for the message of whoever tries one of their names here."""

from __future__ import annotations

_COLUMNS = "split[['image', 'label']] keeps features, and map() renames or adds some"
_FORMAT = 'loader.load(..., format="torch") chooses the format'
_CLASSES = "info.features['label'] has names, int2str() and str2int()"
_KEEP = "split.to_pandas() and split.to_arrow() write files, and split.cache(disk=True) keeps what was decoded"
_PARTS = (
    "split.shuffle(0)[:1000] and [1000:] are random parts, those of split_by(feature, [0.9, 0.1], seed=0) stratified"
)

_METHODS = {
    "add_column": _COLUMNS,
    "as_numpy_iterator": "iter(split) gives NumPy values",
    "batch": "split.batches(256)",
    "class_to_idx": _CLASSES,
    "classes": _CLASSES,
    "column_names": "list(split.features)",
    "concatenate": "split + other",
    "data": "split['image'], with the name of the feature",
    "interleave": "split + other, and then shuffle()",
    "iter": "split.batches(256)",
    "num_examples": "len(split)",
    "num_rows": "len(split)",
    "prefetch": "split.batches(256, workers=2) decodes ahead",
    "random_split": _PARTS,
    "remove_columns": _COLUMNS,
    "rename_column": _COLUMNS,
    "rename_columns": _COLUMNS,
    "repeat": "split.batches(256, shuffle=True) can be iterated once for each epoch",
    "save_to_disk": _KEEP,
    "select": "split[[3, 1, 2]]",
    "select_columns": "split[['image', 'label']]",
    "set_epoch": "split.batches(256, shuffle=True).epoch(3), or split.shuffle(0, epoch=3)",
    "set_format": _FORMAT,
    "set_transform": "split.map(function)",
    "sort": "split[np.argsort(split['label'], kind='stable')]",
    "targets": "split['label'], with the name of the feature",
    "to_csv": _KEEP,
    "to_dict": "split.arrays()",
    "to_parquet": _KEEP,
    "to_polars": "polars.from_arrow(split.to_arrow())",
    "train_test_split": _PARTS,
    "unbatch": "the split itself",
    "unique": "np.unique(split['label'])",
    "with_format": _FORMAT,
    "with_transform": "split.map(function)",
}
_ARGUMENTS = {
    "as_supervised": "supervised=True",
    "batch_size": "split.batches(256), or split.arrays() for everything",
    "builder_kwargs": "the arguments of params.yaml",
    "cache_dir": "the variable DATASETS_CACHE",
    "columns": "features=[...]",
    "data_files": "loader.open(path)",
    "download": "nothing: what is not on this machine is fetched",
    "num_proc": "split.batches(256, workers=2)",
    "revision": "rev=",
    "root": "repo=, or the variable DATASETS_CACHE",
    "shuffle_files": "split.shuffle(0)",
    "streaming": "stream=True",
    "train": 'split="train" or split="test"',
    "transform": "split.map(function)",
    "trust_remote_code": "nothing: reading runs no code of a dataset",
    "try_gcs": "nothing: what is not on this machine is fetched",
    "with_info": "nothing: load() always returns (info, splits)",
}


def method_hint(name: str) -> str | None:
    """Return what to write here for a method or an attribute of another library, None if none is known."""
    return _METHODS.get(name)


def argument_hint(name: str) -> str | None:
    """Return what to write here for a keyword of another library's `load`, None if none is known."""
    return _ARGUMENTS.get(name)
