"""Reading mnist from an S3 server: streaming compared with fetching the whole artifact first.

    make benchmark TABLE=streaming        (needs artifacts/mnist.tar: make build DATASET=mnist, or dvc pull mnist)

The server is SeaweedFS on this machine, so the seconds do not include a network; the bytes are the same everywhere.
Each figure is measured in a new process with an empty cache.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import TIMED

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts._dvc.remotes import point_local  # noqa: E402
from scripts._process import s3_server  # noqa: E402
from scripts.push import push  # noqa: E402

ROUNDS = 5

READ = """
import json, resource, sys
import loader, loader._fetch.s3
read, moved = loader._fetch.s3.S3Object.read, []
loader._fetch.s3.S3Object.read = lambda self, offset, size: (moved.append(size), read(self, offset, size))[1]
_, split = loader.load("mnist", split=sys.argv[2], repo=sys.argv[1], stream=sys.argv[3] == "stream")
for example in split:
    pass
print(json.dumps({
    "examples": len(split), "moved": sum(moved), "requests": len(moved),
    "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
}))
"""


def main() -> None:
    """Start a server, push, measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        root, server = Path(folder, "repository"), s3_server.start(Path(folder, "s3"))
        try:
            subprocess.run(["git", "clone", "--quiet", str(ROOT), str(root)], check=True)
            for name in ("mnist.tar", "mnist.json"):
                shutil.copy(ROOT / "artifacts" / name, root / "artifacts")
            point_local(root, {name: f"s3://{name}" for name in s3_server.BUCKETS}, server.endpoint, server.credentials)
            push("mnist", public=True, root=root)
            size = (root / "artifacts/mnist.tar").stat().st_size
            (root / "artifacts/mnist.tar").unlink()
            print("| mnist | seconds | bytes moved | of the artifact | requests | peak memory (MB) |")
            print("|---|---:|---:|---:|---:|---:|")
            for split, what in (("test[:1]", "first example"), ("test[:100]", "test[:100]"), ("train", "all of train")):
                for way in ("stream", "fetch"):
                    rounds = [_run(root, split, way) for _ in range(ROUNDS)]
                    median = {key: statistics.median(figures[key] for figures in rounds) for key in rounds[0]}
                    name = f"{what}, {'streamed' if way == 'stream' else 'everything fetched first'}"
                    print(
                        f"| {name} | {median['seconds']:.2f} | {median['moved']:,.0f} | {median['moved'] / size:.1%} "
                        f"| {median['requests']:.0f} | {median['megabytes']:.0f} |"
                    )
        finally:
            s3_server.stop(Path(folder, "s3"))


def _run(root: Path, split: str, way: str) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, "-c", READ, str(root), split, way]
        done = subprocess.run(
            [sys.executable, "-c", TIMED, *command],
            check=True,
            stdout=subprocess.PIPE,
            # DATASETS_REPO, because otherwise the DVC cache of this repository would be used
            env={**os.environ, "DATASETS_CACHE": cache, "DATASETS_REPO": str(root)},
        )
    return dict(json.loads(done.stdout))


if __name__ == "__main__":
    main()
