"""Build the dataset with every encoder and record its digests: `python -m tests.toolchain`."""

import tempfile
from pathlib import Path

from tests.conftest import make_clone
from tests.toolchain.measure import build, write_record

with tempfile.TemporaryDirectory() as folder:
    write_record(build(make_clone(Path(folder) / "clone")))
