"""The versions of datasets that are stored, what keeps each alive, and which of them may be removed: pure rules."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from scripts._process.errors import ScriptError
from scripts._process.hints import nearest
from scripts._release.recorded_objects import SOURCES, Recorded

YOUNG_SECONDS = 24 * 3600
"""An object that is not older may belong to a commit that is just being made or pushed."""
CACHE, LOADER = "cache", "loader"
MD5_DIGITS = 12
UPLOAD = "upload:"
"""What the name of an unfinished upload begins with."""
LABEL_BYTES = 100
"""The field with the path in the first header of a tar, which names the dataset and version of an artifact."""
_LABEL = re.compile(r"([A-Za-z]\w{0,99})/(?:[\w.-]+/)?(\d+\.\d+\.\d+)/record_index\.json", re.ASCII)
_SHOWN = 3


@dataclass(frozen=True)
class Copy:
    """An object of DVC in one place.

    Attributes
    ----------
    place
        "cache" for DVC's cache, "loader" for the loader's, or the name of a remote.
    md5, size
        Its md5 (hex; of a folder with `.dir` behind it) and its size in bytes.
    frees
        The number of bytes that its removal frees: none, if other files are hard links to it.
    modified
        When it was stored, in seconds since 1970.
    location
        Its path or URL.
    """

    place: str
    md5: str
    size: int
    frees: int
    modified: float
    location: str


@dataclass(frozen=True)
class Version:
    """Objects that are needed or not needed together: the artifacts of a version, or source files.

    Attributes
    ----------
    name
        What the user calls it, such as "digit@1.0.8", or "digit@1.0.8:5f2a9c01d3e4" if there are several.
    dataset
        The dataset; empty if it is unknown.
    copies
        The objects, in every place.
    kept_by
        What needs it, such as "branch main".
    commits
        The commits that record it, newest first.
    """

    name: str
    dataset: str
    copies: tuple[Copy, ...]
    kept_by: tuple[str, ...]
    commits: tuple[str, ...]

    def is_called(self, name: str) -> bool:
        """Return whether a name means this version; its beginning of an md5 may be that of any of its objects."""
        base, _, md5 = name.rpartition(":")
        is_same = base == self.name.partition(":")[0] if base else not self.dataset
        return name == self.name or (
            is_same and len(md5) >= MD5_DIGITS and any(copy.md5.startswith(md5) for copy in self.copies)
        )

    @property
    def is_recorded(self) -> bool:
        """Whether a branch, a tag or an old commit records it."""
        return bool(self.kept_by or self.commits)

    @property
    def reason(self) -> str:
        """What keeps it alive, in words."""
        if self.kept_by:
            more = len(self.kept_by) - _SHOWN
            return ", ".join(self.kept_by[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
        return f"only in history (commit {self.commits[0][:7]})" if self.commits else "nothing (unrecorded)"

    def copies_in(self, *places: str) -> list[Copy]:
        """Return the objects in these places."""
        return [copy for copy in self.copies if copy.place in places]

    def is_young(self, *places: str, now: float | None = None) -> bool:
        """Return whether one of its objects in these places was stored within the last day."""
        now = time.time() if now is None else now
        return any(now - copy.modified < YOUNG_SECONDS for copy in self.copies_in(*places))


def versions(
    copies: Iterable[Copy],
    recorded: Mapping[str, Sequence[Recorded]],
    keepers: Mapping[str, Sequence[str]],
    labels: Mapping[str, tuple[str, str]],
) -> list[Version]:
    """Return the versions that objects belong to, by name; the unrecorded ones last.

    Parameters
    ----------
    copies
        The objects that are stored.
    recorded
        What records each object, by md5.
    keepers
        What keeps each object alive, by md5.
    labels
        The dataset and version that an unrecorded object says it has, by md5.
    """
    together: dict[tuple[str, ...], list[Copy]] = {}
    commits: dict[str, tuple[str, ...]] = {}
    for copy in copies:
        records = recorded.get(copy.md5, ())
        dataset, base = _base_name(copy.md5, records, labels)
        kept = tuple(keepers.get(copy.md5, ()))
        commits[copy.md5] = tuple(dict.fromkeys(commit for record in records for commit in record.commits))
        # each unrecorded object is by itself: nothing says what it belongs to
        apart = "" if records else copy.md5
        together.setdefault((dataset, base, apart, *kept, "", *commits[copy.md5]), []).append(copy)
    number = Counter(key[1] for key in together)
    found = []
    for (dataset, base, apart, *_), same in together.items():
        first = min(copy.md5 for copy in same)
        is_plain = bool(base) and not apart and number[base] == 1
        name = base if is_plain else f"{base}:{first[:MD5_DIGITS]}".removeprefix(":")
        kept_by = tuple(keepers.get(first, ()))
        found.append(Version(name, dataset, tuple(same), kept_by, commits[first]))
    return sorted(found, key=lambda version: (not version.is_recorded, version.dataset == "", version.name))


def _base_name(md5: str, records: Sequence[Recorded], labels: Mapping[str, tuple[str, str]]) -> tuple[str, str]:
    """Return the dataset of an object and what its version is called, both empty if they are unknown."""
    if not records or not records[0].dataset:
        dataset, version = labels.get(md5, ("", ""))
        return dataset, f"{dataset}@{version}" if dataset else ""
    dataset, version = records[0].dataset, records[0].version
    if records[0].path.startswith(f"{SOURCES}/"):
        return dataset, f"{SOURCES}/{dataset}"
    return dataset, f"{dataset}@{version}" if version else dataset


def removable(known: Sequence[Version], places: Collection[str]) -> list[Version]:
    """Return the versions in some places that nothing keeps alive: the unrecorded, and those only in history."""
    return [version for version in known if not version.kept_by and version.copies_in(*places)]


def garbage(known: Sequence[Version], places: Collection[str], *, now: float | None = None) -> list[Version]:
    """Return the versions in some places that no commit records, and that are older than a day."""
    return [
        version
        for version in removable(known, places)
        if not version.is_recorded and not version.is_young(*places, now=now)
    ]


def named(known: Sequence[Version], places: Collection[str], names: Iterable[str]) -> list[Version]:
    """Return the versions with these names, which the user wants to remove from some places.

    Raises
    ------
    ScriptError
        There is no such version in these places, several have the name, or something keeps it alive.
    """
    present = [version for version in known if version.copies_in(*places)]
    found: list[Version] = []
    for name in names:
        meant = [version for version in present if version.is_called(name)]
        several = (meant[1:] and meant) or [each for each in present if each.name.startswith(f"{name}:")]
        if len(meant) != 1 and several:
            raise ScriptError(f"{name!r} is more than one; name one of: {', '.join(each.name for each in several)}")
        if not meant:
            where = "DVC's cache has" if CACHE in places else "the remotes have"
            raise ScriptError(f"{where} no version {name!r}; {nearest(name, [each.name for each in present])}")
        if kept_by := meant[0].kept_by:
            raise ScriptError(f"{name} is kept by {', '.join(kept_by)}; nothing is removed")
        found += [version for version in meant if version not in found]
    return found


def label_of(start: bytes) -> tuple[str, str] | None:
    """Return the dataset and version in the first header of an artifact, None if the bytes do not begin with one."""
    path = start[:LABEL_BYTES].rstrip(b"\0").decode("ascii", errors="replace")
    found = _LABEL.fullmatch(path)
    return (found[1], found[2]) if found else None
