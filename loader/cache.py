"""The loader's cache: artifacts by hash, shared by all revisions and processes of this machine.

It is in the platform's cache folder, or in the folder DATASETS_CACHE. Everything in it can be fetched again.

    loader.cache.folder()           return its path
    loader.cache.entries()          list its entries, the least recently used first
    loader.cache.limit(50 * 10**9)  keep it within 50 GB from now on
    loader.cache.clear()            remove its entries

An entry says which dataset, version and revision it is, how much of it is here, how many bytes it takes and when it was
last used. `python -m loader cache` prints this. `loader.cache.has_records_of` also counts what is not in the cache.
"""

from loader._fetch.cache_entry import Entry
from loader._fetch.places import cache_folder as folder
from loader._fetch.reference import find_artifact
from loader._fetch.repository import PathLike
from loader._fetch.store import arrived, clear, entries, limit

__all__ = ["Entry", "clear", "entries", "folder", "has_records_of", "limit"]


def has_records_of(name: str, *, config: str | None = None, repo: PathLike | None = None) -> bool:
    """Return whether this machine has records of a dataset's artifact, so that not all of it is moved to fetch it.

    They may be in the part that has arrived, or in another artifact: another version, or one that it was made from. The
    network is not used. The parameters and errors are those of `loader.load`.
    """
    from loader._fetch.older import find_older  # imports botocore

    reference = find_artifact(name, config=config, repo=repo, offline=True)
    older = find_older(reference.repository, reference.revision, reference.manifest, reference.entry)
    return arrived(reference.tracked.md5) > 0 or any(True for _ in older)
