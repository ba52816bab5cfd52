"""The loader's cache: artifacts by content, shared by all revisions and processes of this machine.

It lies in the platform's cache folder, or where the variable DATASETS_CACHE says; all of it can be fetched again.

    loader.cache.folder()           where it is
    loader.cache.entries()          what is kept, the longest unused first
    loader.cache.limit(50 * 10**9)  keep it within 50 GB from now on
    loader.cache.clear()            remove it
"""

from loader._fetch.places import cache_folder as folder
from loader._fetch.store import Entry, clear, entries, limit

__all__ = ["Entry", "clear", "entries", "folder", "limit"]
