"""The loader's cache: artifacts by hash, shared by all revisions and processes of this machine.

It is in the platform's cache folder, or in the folder DATASETS_CACHE. Everything in it can be fetched again.

    loader.cache.folder()           return its path
    loader.cache.entries()          list its entries, the least recently used first
    loader.cache.limit(50 * 10**9)  keep it within 50 GB from now on
    loader.cache.clear()            remove its entries
"""

from loader._fetch.places import cache_folder as folder
from loader._fetch.store import Entry, clear, entries, limit

__all__ = ["Entry", "clear", "entries", "folder", "limit"]
