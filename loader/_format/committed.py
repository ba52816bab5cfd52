"""Whether a file came with a git repository, and so may be anybody's."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from loader._format.git_environment import work_tree_of

SECONDS = 60
# nothing of the repository runs, and nothing is fetched
_SAFE = ("-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null")
_WITHOUT_NETWORK = {"GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": ""}


def is_committed(path: Path) -> bool:
    """Return whether git tracks the file at `path`, or a link or folder through which it is reached.

    The repository is the work tree with the first `.git` above the file, whoever owns it. A bare repository on the way
    does not count: it could be among the files of that work tree. If git does not answer, the file counts as committed;
    if there is no file, or no work tree, as in an unpacked archive, it does not.
    """
    return path.exists() and any(map(_is_tracked, {Path(os.path.abspath(path)), path.resolve()}))  # noqa: PTH100  (it keeps links)


def _is_tracked(path: Path) -> bool:
    work_tree = work_tree_of(path)
    if work_tree is None:
        return False
    relative = path.relative_to(work_tree)
    # some file systems ignore case
    on_the_way = {os.fspath(each).casefold() for each in (relative, *relative.parents)}
    # the caller may be a hook of another repository, which git would use because of its variables
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", *_SAFE, f"--git-dir={work_tree / '.git'}", f"--work-tree={work_tree}", "ls-files", "-z"],
            cwd=work_tree,
            env=environment | _WITHOUT_NETWORK,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return True
    return done.returncode != 0 or not on_the_way.isdisjoint(os.fsdecode(done.stdout).casefold().split("\0"))
