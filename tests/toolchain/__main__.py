"""Build the dataset of every encoder and keep its digests: `python -m tests.toolchain`."""

import tempfile
from pathlib import Path

from tests.conftest import make_clone
from tests.toolchain.measure import build, keep

with tempfile.TemporaryDirectory() as folder:
    keep(build(make_clone(Path(folder) / "clone")))
