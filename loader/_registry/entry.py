"""What a repository says of a dataset: `DatasetEntry`, with its `ConfigEntry`s, `State` and `VersionEntry`s."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from loader._errors import printable

if TYPE_CHECKING:
    from loader._registry.statistics import Statistics

HERE, IN_CACHE, MISSING = "here", "in a cache", "not on this machine"
ON_REMOTE, NOT_ON_REMOTE = "on its remote", "not on its remote"
UNKNOWN = "remote unknown"
NO_ANSWER = "its remote cannot be asked: "
"""Begins what is said of an artifact whose remote does not answer; the reason follows."""
NEVER_BUILT = "never built"


class SplitEntry(NamedTuple):
    """A split: its number of examples, the bytes of their records, and its number of shards."""

    examples: int
    bytes: int
    shards: int


@dataclass(frozen=True)
class ConfigEntry:
    """An artifact of a dataset: one config, or the whole dataset if it has none.

    Attributes
    ----------
    name
        The config; None for a dataset without configs.
    filename
        The tar's name in `artifacts/`.
    size
        The number of its bytes.
    sha256, md5
        Its hashes (hex), from the manifest and from `dvc.lock`; the MD5 is None if `dvc.lock` does not record it.
    splits
        The splits by name.
    features
        `features.json`, as JSON values.
    place
        Where the artifact is: "here" (in `artifacts/`), "in a cache" (DVC's or the loader's), "not on this machine".
    remote
        "on its remote", "not on its remote" or a sentence that says why this is unknown; None if the remote was not
        asked.
    version
        The version of the config; None if the configs have no versions of their own, but that of the dataset.
    """

    name: str | None
    filename: str
    size: int
    sha256: str
    md5: str | None
    splits: dict[str, SplitEntry]
    features: dict[str, Any]
    place: str = MISSING
    remote: str | None = None
    version: str | None = None

    @property
    def label(self) -> str:
        """Its name, and its version if that is its own; empty for a dataset without configs."""
        return " ".join(filter(None, (self.name, self.version)))

    def __repr__(self) -> str:
        """Return the entry in one line: the attributes have the rest."""
        return printable(f"<ConfigEntry {self.filename}: {_splits(self)}; {self.size:,} bytes; {self.place}>")


@dataclass(frozen=True)
class State:
    """Whether the artifacts of a dataset are at hand, and whether they are what its definition says.

    Attributes
    ----------
    places
        Where each artifact is, as in `ConfigEntry.place`; empty if the dataset was never built.
    remotes
        What its remote has of each artifact, as in `ConfigEntry.remote`; empty if the remote was not asked.
    outdated
        What has changed since the dataset was built, like "params.yaml (epsilon)"; empty if nothing has.
    problem
        Why the dataset's records cannot be read; None if they can.
    """

    places: tuple[str, ...] = ()
    remotes: tuple[str, ...] = ()
    outdated: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def unknown(self) -> tuple[str, ...]:
        """Why remotes cannot be asked, in words."""
        return tuple(each.removeprefix(NO_ANSWER) for each in self.remotes if each.startswith(NO_ANSWER))

    def __str__(self) -> str:
        if self.problem is not None:
            return f"unreadable: {self.problem}"
        if not self.places:
            return NEVER_BUILT
        parts = [_count(self.places)]
        if self.remotes:
            parts.append(_count(tuple(UNKNOWN if each.startswith(NO_ANSWER) else each for each in self.remotes)))
        if self.outdated:
            parts.append(f"outdated: {', '.join(self.outdated)}")
        return "; ".join(parts)


@dataclass(frozen=True)
class DatasetEntry:
    """A dataset of a repository, described without its data.

    Attributes
    ----------
    name
        The dataset.
    kind
        "standard" or "adversarial": the folder of `datasets/` that it belongs to.
    builder
        The folder of its builder, or the name of a builder of TFDS.
    version
        The recorded version; None if it was never built.
    visibility
        "public" or "private".
    license, description, citation, homepage
        As recorded; empty if not.
    default_config
        The config that is loaded if none is named; None without configs.
    configs
        Its artifacts.
    sources
        Its source files, each with `url`, `filename`, `size` and `sha256`.
    parents
        The datasets that it is derived from, with the versions that it was built from.
    children
        The datasets that are derived from it.
    toolchain
        The versions of the packages that decide its bytes, by package.
    statistics
        What `artifacts/<name>.stats.json` says; None if there is none, and in lists.
    state
        Where its artifacts are, and whether they are outdated.
    withdrawn
        Commits whose records of it do not count.
    revision
        The repository and revision that this was read from, for messages.
    """

    name: str
    kind: str
    builder: str
    version: str | None
    visibility: str
    license: str
    description: str
    citation: str
    homepage: str
    default_config: str | None
    configs: tuple[ConfigEntry, ...]
    sources: tuple[dict[str, Any], ...]
    parents: dict[str, str]
    children: tuple[str, ...]
    toolchain: dict[str, str]
    statistics: Statistics | None
    state: State
    withdrawn: tuple[str, ...]
    revision: str

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What is said of the dataset in one line each: its label and value, without those that are empty."""
        facts = {
            "state": str(self.state),
            "kind": self.kind,
            "license": self.license,
            "visibility": self.visibility,
            "homepage": self.homepage,
            "builder": self.builder,
            "derived from": ", ".join(f"{name} {version}".rstrip() for name, version in self.parents.items()),
            "parent of": ", ".join(self.children),
            "toolchain": ", ".join(f"{package} {version}" for package, version in self.toolchain.items()),
            "revision": self.revision,
        }
        return [(label, value) for label, value in facts.items() if value]

    def __repr__(self) -> str:
        """Return the entry in one line: the attributes have the rest."""
        parts = [each for each in (_splits(self.loaded_config), str(self.state)) if each]
        return printable(f"<DatasetEntry {self.name} {self.version or ''}".rstrip() + f": {'; '.join(parts)}>")

    def __str__(self) -> str:
        """Return the entry as lines of text, for `print`."""
        lines = [f"{self.name} {self.version or ''}".rstrip(), *self.description.strip().splitlines(), ""]
        lines += [f"{label + ' ':<12}{value}" for label, value in self._lines()]
        return "\n".join(map(printable, lines))

    def _repr_html_(self) -> str:
        """Return the entry as a table, for notebooks."""
        rows = [
            f"<tr><th style='text-align: left'>{escape(printable(label))}</th>"
            f"<td style='text-align: left'>{escape(printable(value))}</td></tr>"
            for label, value in (("name", self.name), ("version", self.version or ""), *self._lines())
        ]
        return f"<table>{''.join(rows)}</table>"

    def _lines(self) -> list[tuple[str, str]]:
        names = (f"{config.label}: " if config.name else "" for config in self.configs)
        return [
            *self.facts,
            *(("splits", f"{name}{_splits(config)}") for name, config in zip(names, self.configs, strict=True)),
        ]

    @property
    def loaded_config(self) -> ConfigEntry | None:
        """The config that is loaded if none is named; None if the dataset was never built."""
        default = (config for config in self.configs if config.name == self.default_config)
        return next(default, None) or next(iter(self.configs), None)

    @property
    def size(self) -> int:
        """Number of bytes of all artifacts."""
        return sum(config.size for config in self.configs)

    def as_json(self) -> dict[str, Any]:
        """Return the entry as JSON values; the state has its words too."""
        values = asdict(self)
        for config, raw in zip(self.configs, values["configs"], strict=True):
            raw["splits"] = {name: split._asdict() for name, split in config.splits.items()}
        return values | {"size": self.size, "state": {"words": str(self.state), **values["state"]}}


@dataclass(frozen=True)
class VersionEntry:
    """A content of a dataset that the repository's history records.

    Attributes
    ----------
    name
        The dataset's name then.
    version
        The version.
    date
        When the commit that first recorded it was made, in ISO 8601; empty if no commit records it.
    commit
        That commit, abbreviated.
    tags
        The tags on commits that record this content.
    size
        Number of bytes of all artifacts.
    artifacts
        The SHA-256 (hex) of each artifact, by file name.
    is_current
        Whether it is the content of the revision that was asked for.
    """

    name: str
    version: str
    date: str
    commit: str
    tags: tuple[str, ...]
    size: int
    artifacts: dict[str, str]
    is_current: bool

    def __repr__(self) -> str:
        """Return the entry in one line: the attributes have the rest."""
        where = f"{self.commit} of {self.date[:10]}" if self.commit else "not committed"
        parts = [where, f"{self.size:,} bytes", *self.tags, *(["current"] if self.is_current else [])]
        return printable(f"<VersionEntry {self.name} {self.version}: {', '.join(parts)}>")


def unknown_remotes(found: Iterable[DatasetEntry]) -> list[str]:
    """Return why remotes cannot be asked: one artifact's error for each remote, whose name and address come first."""
    reasons: dict[str, str] = {}
    for entry in found:
        for reason in entry.state.unknown:
            reasons.setdefault(reason.partition(" (")[0], reason)
    return list(reasons.values())


def _splits(config: ConfigEntry | None) -> str:
    return ", ".join(f"{name} {split.examples}" for name, split in config.splits.items()) if config else ""


def _count(words: tuple[str, ...]) -> str:
    """Return the words that hold of all artifacts, or how many each holds of."""
    distinct = dict.fromkeys(words)
    if len(distinct) == 1:
        return words[0]
    return ", ".join(f"{words.count(word)} of {len(words)} {word}" for word in distinct)
