"""A repository of two datasets whose files have many kinds of comments and layouts, for testing edits."""

from __future__ import annotations

import subprocess
from pathlib import Path

DVC_YAML = """\
# One stage per dataset.
#
# The manifest persists.
stages:
  # the first, and the best
  first:
    desc: "quoted: as it is"
    cmd: python -m scripts build first
    deps: [datasets/standard/first]   # in one line
    params:
    - first
    - toolchain
    outs:
      - artifacts/first.tar: {remote: public}
    metrics: &metrics
      - artifacts/first.json: {cache: false, persist: true}


  second:   # two blank lines above
    desc: >-
      folded,
      # no comment
    cmd: python -m scripts build second
    params: [second, toolchain]
    outs:
      - artifacts/second-a.tar: {remote: private}
      - artifacts/second-b.tar: {remote: private}
    # a comment of second's
    metrics:
      - artifacts/second.json: {cache: false, persist: true}
  # a comment of nobody's, at the end of the stages

# and what follows them
artifacts:
  something:
    path: artifacts/other.tar
"""

PARAMS_YAML = """\
# What to build.

# The packages that decide bytes.
toolchain: {}

# The first.
first:
  builder: datasets/standard/first
  version: 1.0.0   # aligned
  license: "CC0"

second:
  builder: second
  version: 2.0.0
  license: CC BY 4.0
  configs: [a, b]
# The end.
"""

DVC_LOCK = """\
schema: '2.0'
stages:
  first:
    cmd: python -m scripts build first
    outs:
    - path: artifacts/first.tar
      hash: md5
      md5: 76752c200a431146ec293e550857523b
      size: 26234880
"""


def make_commented_repository(root: Path) -> Path:
    """Create the repository at `root` and commit it to git."""
    (root / "datasets/standard/first").mkdir(parents=True)
    (root / "artifacts").mkdir()
    files = {
        "dvc.yaml": DVC_YAML,
        "params.yaml": PARAMS_YAML,
        "dvc.lock": DVC_LOCK,
        "artifacts/first.json": "{}",
        "datasets/standard/first/first.py": "# a builder\n",
        "datasets/standard/first/README.md": "# first\n",
        ".gitignore": "__pycache__/\n/.scratch/\n/artifacts/*.tar\n",
    }
    for file, text in files.items():
        (root / file).write_text(text)
    subprocess.run(["git", "init", "--quiet"], cwd=root, check=True)
    git_commit(root)
    return root


def git_commit(root: Path) -> None:
    """Commit all files."""
    subprocess.run(["git", "add", "--all"], cwd=root, check=True)
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", *identity, "commit", "--quiet", "-m", "x"], cwd=root, check=True)


def git_status(root: Path) -> list[str]:
    """Return the output of `git status --porcelain`, one line per change."""
    command = ["git", "status", "--porcelain", "--untracked-files=all"]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.splitlines()
