"""Build a dataset with TFDS alone: `python tfds_build.py NAME|FOLDER DATA_DIR SOURCES`."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

import tensorflow_datasets as tfds

name, data_dir, sources = sys.argv[1:]
if "/" in name:  # a folder of this repository with a builder
    sys.path.insert(0, name)
    importlib.import_module(name := Path(name).name)
tfds.disable_progress_bar()
tfds.builder(name, data_dir=data_dir).download_and_prepare(
    download_dir=f"{data_dir}/downloads",
    download_config=tfds.download.DownloadConfig(manual_dir=sources, try_download_gcs=False),
)
