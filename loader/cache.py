"""The loader's cache: artifacts by hash, shared by all revisions and processes of this machine.

It is in the platform's cache folder, or in the folder DATASETS_CACHE. Everything in it can be fetched again.

    loader.cache.folder()           return its path
    loader.cache.entries()          list its entries, the least recently used first
    loader.cache.limit(50 * 10**9)  keep it within 50 GB from now on
    loader.cache.clear()            remove its entries

An entry says which dataset, version and revision it is, how much of it is here, how many bytes it takes and when it was
last used. `python -m loader cache` prints this.
"""

from loader._fetch.cache_entry import Entry
from loader._fetch.places import cache_folder as folder
from loader._fetch.store import clear, entries, limit

__all__ = ["Entry", "clear", "entries", "folder", "limit"]
