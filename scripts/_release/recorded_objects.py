"""Which objects of DVC the whole history of a clone records."""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from loader._format.names import ARTIFACTS
from scripts._define.definition import PARAMS_FILE
from scripts._dvc.remotes import PRIVATE
from scripts._dvc.stages import LOCK_FILE, STAGES_FILE, STAGES_KEY
from scripts._process.errors import ScriptError
from scripts._process.files import read_yaml
from scripts._process.git import git, object_ids, read_blobs

SOURCES = "sources"
MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")
"""The md5 of an object; of a folder, whose object lists its files, with `.dir` behind it."""
_TAGS, _HEAD = "refs/tags/", "HEAD"
_AT_ONCE = 100  # files that one process of git reads, and that are in memory
# how DVC writes an output; also in a file that cannot be read as a whole, because of a merge conflict for example
_OUTPUT = re.compile(rb"md5: ([0-9a-f]{32}(?:\.dir)?)\s+size: ([0-9]+)")


@dataclass
class Recorded:
    """What records an object: an output of a stage in `dvc.lock`, or a mirrored file in `sources/<name>.dvc`.

    Attributes
    ----------
    md5, size
        The md5 (hex; of a folder with `.dir` behind it) and the size in bytes.
    dataset
        The dataset, empty if the record cannot be read.
    version
        Its version; empty for a source file.
    path
        The file, relative to the root.
    remotes
        The remotes that the records name.
    commits
        The commits of any branch or tag that changed the records and record it, whole, newest first.
    branches
        The branches whose last commit records it, those of remotes included (as `origin/main`), and any other reference
        that is not a tag (as `HEAD` or `stash`).
    tags
        The tags that record it.
    is_current
        Whether the files in the work tree record it.
    """

    md5: str
    size: int
    dataset: str
    version: str
    path: str
    remotes: set[str] = field(default_factory=set)
    commits: list[str] = field(default_factory=list)
    branches: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    is_current: bool = False

    @property
    def is_source(self) -> bool:
        """Whether it is a mirrored source file, not an artifact."""
        return self.path.startswith(f"{SOURCES}/")


def recorded_objects(root: Path) -> dict[str, list[Recorded]]:
    """Return what records each object, by md5: in any commit of any branch or tag, and in the work tree.

    Most objects have one record; two datasets or versions can record the same bytes.
    A shallow clone does not have all commits, and no clone has those that it did not fetch yet.

    Raises
    ------
    ScriptError
        git fails, or a record in the work tree cannot be read.
    """
    found: dict[tuple[str, ...], Recorded] = {}
    listed = git(root, "for-each-ref", "--format=%(refname)").decode(errors="surrogateescape")
    references = listed.removesuffix("\n").split("\n") if listed else []  # a name may have other line breaks
    changes = git(root, "rev-list", "--all", "--full-history", "--", LOCK_FILE, SOURCES).decode().split()
    for place, records in _committed(root, [*changes, *references, _HEAD]):
        for record in records:
            known = _merged(found, record)
            if place.startswith(_TAGS):
                known.tags.append(place.removeprefix(_TAGS))
            elif place == _HEAD or place.startswith("refs/"):
                known.branches.append(re.sub("^refs/(heads/|remotes/)?", "", place))
            else:
                known.commits.append(place)
    for record in current_records(root):
        _merged(found, record).is_current = True
    by_md5: dict[str, list[Recorded]] = {}
    for record in found.values():
        by_md5.setdefault(record.md5, []).append(record)
    return by_md5


def current_records(root: Path) -> list[Recorded]:
    """Return the objects that `dvc.lock` and `sources/*.dvc` in the work tree record.

    Raises
    ------
    ScriptError
        A file cannot be read, or does not have DVC's format.
    """
    found: list[Recorded] = []
    stages = read_yaml(root / STAGES_FILE) if (root / STAGES_FILE).exists() else {}
    files = [*([root / LOCK_FILE] if (root / LOCK_FILE).exists() else []), *sorted((root / SOURCES).glob("*.dvc"))]
    for file in files:
        relative = file.relative_to(root).as_posix()
        try:
            found += _records(relative, read_yaml(file), stages, _ManifestVersions(root).version)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ScriptError(f"{relative} does not have DVC's format: {error!r}") from error
    for record in found:
        record.is_current = True
    return found


def _merged(found: dict[tuple[str, ...], Recorded], record: Recorded) -> Recorded:
    """Return the record of the same object that is known already, now with the remotes of this one too."""
    known = found.setdefault((record.md5, record.dataset, record.version, record.path), record)
    known.remotes |= record.remotes
    return known


def _committed(root: Path, places: Iterable[str]) -> Iterator[tuple[str, list[Recorded]]]:
    """Yield what each commit or reference records; each content of a file is parsed once."""
    places = list(places)
    ids = object_ids(root, (f"{place}:./{file}" for place in places for file in (LOCK_FILE, STAGES_FILE, SOURCES)))
    trees = {tree: _files_in(root, tree) for place in places if (tree := ids.get(f"{place}:./{SOURCES}"))}
    keys: dict[str, list[tuple[str, str, str | None]]] = {}
    for place in places:
        stages = ids.get(f"{place}:./{STAGES_FILE}")
        lock, tree = ids.get(f"{place}:./{LOCK_FILE}"), ids.get(f"{place}:./{SOURCES}")
        keys[place] = [(LOCK_FILE, lock, stages)] if lock else []
        keys[place] += [(path, blob, None) for path, blob in (trees[tree] if tree else {}).items()]
    wanted = list(dict.fromkeys(key for each in keys.values() for key in each))
    parsed: dict[tuple[str, str, str | None], list[Recorded]] = {}
    version_of = _ManifestVersions(root).version
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        contents = read_blobs(root, (blob for _, *blobs in some for blob in blobs if blob))
        parsed |= {key: _parse(*key, contents, version_of) for key in some}
    for place in places:
        records = (each for key in keys[place] for each in parsed[key])
        yield (
            place,
            [Recorded(each.md5, each.size, each.dataset, each.version, each.path, {*each.remotes}) for each in records],
        )


def _files_in(root: Path, tree: str) -> dict[str, str]:
    """Return the blobs of the `.dvc` files in the tree of the folder of source files, by path."""
    found = {}
    for entry in filter(None, git(root, "ls-tree", "-z", "--full-tree", tree).split(b"\0")):
        what, _, name = entry.partition(b"\t")
        if name.endswith(b".dvc") and what.split()[1] == b"blob":
            found[posixpath.join(SOURCES, name.decode(errors="replace"))] = what.split()[2].decode()
    return found


class _ManifestVersions:
    """The versions that manifests state, in any commit and in the work tree; read when the first is asked for."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def version(self, md5: str) -> str:
        """Return the version in the manifest with an md5 (hex), empty if there is none."""
        return self._known.get(md5, "")

    @cached_property
    def _known(self) -> dict[str, str]:
        listed = git(self._root, "rev-list", "--objects", "--all", "--full-history", "--", ARTIFACTS)
        blobs = [line.split(b" ")[0].decode() for line in listed.splitlines() if line.endswith(b".json")]
        here = [path.read_bytes() for path in (self._root / ARTIFACTS).glob("*.json")]
        found = {}
        for data in [*read_blobs(self._root, blobs).values(), *here]:
            try:
                found[hashlib.md5(data, usedforsecurity=False).hexdigest()] = str(json.loads(data)["version"])
            except (ValueError, KeyError, TypeError):
                continue
        return found


def _parse(
    path: str, blob: str, stages: str | None, contents: Mapping[str, bytes], version_of: Callable[[str], str]
) -> list[Recorded]:
    """Return what a committed file records; of one that cannot be read, the bare hashes in it."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    yaml = YAML(typ="safe")
    try:
        defined = yaml.load(contents[stages]) if stages else {}
        return list(_records(path, yaml.load(contents[blob]), defined, version_of))
    except (YAMLError, KeyError, TypeError, ValueError, AttributeError):
        return [Recorded(md5.decode(), int(size), "", "", path) for md5, size in _OUTPUT.findall(contents[blob])]


def _records(path: str, content: Any, defined: Any, version_of: Callable[[str], str]) -> Iterator[Recorded]:
    """Yield what a record file says; raise whatever Python raises if it does not have DVC's format.

    The version of a dataset is that of its parameters, or else that of the manifest, which `version_of` returns for the
    md5 of one.
    """
    if path != LOCK_FILE:
        dataset = Path(path).stem
        for out in content["outs"]:
            file = posixpath.join(SOURCES, str(out["path"]))
            yield Recorded(str(out["md5"]), int(out["size"]), dataset, "", file, {str(out.get("remote") or PRIVATE)})
        return
    for name, stage in (content.get(STAGES_KEY) or {}).items():
        options = _output_options(((defined or {}).get(STAGES_KEY) or {}).get(name) or {})
        params = ((stage.get("params") or {}).get(PARAMS_FILE) or {}).get(name)
        version = str(params.get("version", "")) if isinstance(params, dict) else ""
        if not version:
            md5 = {str(out["path"]): str(out.get("md5")) for out in stage.get("outs") or ()}
            version = version_of(md5.get(f"{ARTIFACTS}/{name}.json", ""))
        for out in stage.get("outs") or ():
            option = options.get(str(out["path"]), {})
            if "md5" in out and option.get("cache", True):  # git keeps the others
                remote = str(option.get("remote") or PRIVATE)
                yield Recorded(str(out["md5"]), int(out["size"]), str(name), version, str(out["path"]), {remote})


def _output_options(stage: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the options of each output of a stage of `dvc.yaml`, metrics and plots included."""
    outs = [*(stage.get("outs") or ()), *(stage.get("metrics") or ()), *(stage.get("plots") or ())]
    return {
        str(path): options or {}
        for out in outs
        for path, options in (out.items() if isinstance(out, dict) else ((out, None),))
    }
