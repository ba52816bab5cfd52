"""`report`: what a branch does to every dataset."""

from __future__ import annotations

from dataclasses import replace

from loader._arguments import check_flags, check_path, check_text
from loader._diff import Difference, open_comparison
from loader._errors import NotFoundError
from loader._fetch.places import is_offline
from loader._fetch.repository import PathLike, Repository, open_repository


def report(base: str = "main", *, repo: PathLike | None = None, offline: bool | None = None) -> list[Difference]:
    """Compare every dataset of the work tree with the commit at which its branch left `base`.

    Where a record index can neither be read on this machine nor on its remote, or where the artifact in the work tree
    is that of another revision, the difference has a note that says so.

    Parameters
    ----------
    base
        A branch, commit or tag; a branch that only the remote `origin` has is found there.
    repo, offline
        As in `diff`.

    Raises
    ------
    LoaderError
        As `diff`.
    """
    check_text(base=base)
    check_path("repo", repo, optional=True)
    check_flags(offline=offline)
    repository = open_repository(repo, offline=is_offline(offline))
    base, start = _branching_point(repository, base)
    comparison = replace(open_comparison(start, None, repo=repo, offline=offline), old_label=f"{base} ({start[:12]})")
    names = sorted({*comparison.old.names, *comparison.new.names})
    outdated = comparison.outdated(names)
    return [replace(comparison.compare(name, is_needed=False), outdated=outdated.get(name, ())) for name in names]


def _branching_point(repository: Repository, base: str) -> tuple[str, str]:
    """Return the name of the base and the commit at which HEAD left it; the base itself if they have none in common."""
    git = repository.git
    try:
        commit = git.commit(base)
    except NotFoundError as error:  # a clone of one branch has the others as branches of its remote
        try:
            base, commit = f"origin/{base}", git.commit(f"refs/remotes/origin/{base}")
        except NotFoundError:
            raise error from None
    return base, git.merge_base(commit, git.commit("HEAD")) or commit
