"""The names of pages: safe on every file system, in every URL, and different for different datasets."""

from __future__ import annotations

import hashlib
import re

FOLDER = "datasets"
_SAFE = re.compile("[a-z][a-z0-9_]{0,99}")
_RESERVED = {"con", "prn", "aux", "nul"}  # on Windows, whatever the extension; the others end with a digit


def page_name(dataset: str) -> str:
    """Return the path of a dataset's page in the site.

    A name that is not plain gets a part of its hash, after a hyphen, which no name of a dataset has: file systems may
    take `Digit` for `digit`, and two spellings of `é` for one.
    """
    if _SAFE.fullmatch(dataset) and dataset not in _RESERVED and not re.fullmatch(r"(com|lpt)\d", dataset):
        return f"{FOLDER}/{dataset}.html"
    plain = re.sub("[^a-z0-9_]+", "_", dataset.lower())[:60]
    digest = hashlib.sha256(dataset.encode(errors="surrogatepass")).hexdigest()
    return f"{FOLDER}/{plain}-{digest[:12]}.html"
