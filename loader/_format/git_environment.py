"""Where a git repository is, and the environment in which git reads it, and its history as it was committed."""

from __future__ import annotations

import os
from pathlib import Path

# They lead git to another repository, index or history than that of the folder; git sets some of them for its hooks.
_REPOSITORY_VARIABLES = {
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_REPLACE_REF_BASE",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
}
# Git takes a path for a pattern unless it is told not to, and refuses to be told so beside these.
_PATTERN_VARIABLES = {"GIT_GLOB_PATHSPECS", "GIT_ICASE_PATHSPECS", "GIT_NOGLOB_PATHSPECS"}


def git_environment() -> dict[str, str]:
    """Return the variables of this process without those that lead git elsewhere.

    What a commit contains is what its hash says, whatever replacements the repository has. A path names one file or
    folder, whatever characters it has.
    """
    left_out = _REPOSITORY_VARIABLES | _PATTERN_VARIABLES
    kept = {name: value for name, value in os.environ.items() if name not in left_out}
    return {**kept, "GIT_NO_REPLACE_OBJECTS": "1", "GIT_LITERAL_PATHSPECS": "1"}


def work_tree_of(path: Path) -> Path | None:
    """Return the nearest folder above `path` that is a work tree of git, None if there is none."""
    return next((folder for folder in path.parents if os.path.lexists(folder / ".git")), None)
