"""What the page of a dataset shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from loader._catalog.examples import Examples
from loader._catalog.history import Version
from loader._catalog.lineage import Node, lineage_svg, relatives
from loader._catalog.names import page_name
from loader._catalog.statistics_html import duplicates, histograms, values_html
from loader._display.dataset import features_html, link_html
from loader._display.markup import escape, table_html
from loader._registry.entry import ConfigEntry, DatasetEntry
from loader._registry.features import recorded_features
from loader._registry.statistics import Statistics
from loader._registry.usage import load_call, quoted, shell_options


@dataclass(frozen=True)
class DatasetPage:
    """The parts of the page of a dataset, for the template.

    Attributes
    ----------
    entry
        The dataset.
    by_name
        The datasets of the site.
    found
        Its examples, or a sentence that says why there are none.
    versions, older
        Its newest versions, and the number of the others.
    given
        The keywords and options that the lines to load it need.
    """

    entry: DatasetEntry
    by_name: Mapping[str, DatasetEntry]
    found: Examples | str
    versions: Sequence[Version]
    older: int
    given: Mapping[str, str]

    @property
    def examples(self) -> Examples | None:
        """The examples; None if there are none."""
        return self.found if isinstance(self.found, Examples) else None

    @property
    def config(self) -> ConfigEntry | None:
        """The config whose features, statistics and examples are shown."""
        return self.entry.loaded_config

    @property
    def statistics(self) -> Statistics | None:
        """The statistics, if they are those of this version."""
        found = self.entry.statistics
        return found if found is not None and found.version == self.entry.version else None

    @property
    def num_examples(self) -> int:
        """Number of examples in all splits of all configs."""
        return sum(split.examples for config in self.entry.configs for split in config.splits.values())

    @property
    def contents(self) -> list[tuple[str, str]]:
        """The sections of the page: the id and the title of each."""
        is_built, entry = self.config is not None, self.entry
        sections = {
            "Load": is_built,
            "Examples": is_built,
            "Splits": is_built,
            "Features": is_built,
            "Statistics": is_built,
            "Lineage": self.has_lineage,
            "Versions": bool(self.versions),
            "Citation": bool(entry.citation),
            "Files and hashes": is_built,
        }
        return [(title.partition(" ")[0].lower(), title) for title, is_there in sections.items() if is_there]

    @property
    def paragraphs(self) -> list[str]:
        """The description."""
        return [" ".join(part.split()) for part in self.entry.description.split("\n\n") if part.strip()]

    @property
    def homepage(self) -> Markup:
        """A link to the homepage."""
        return Markup(link_html(self.entry.homepage))

    @property
    def python(self) -> str:
        """The lines of Python that load the dataset."""
        return self._python({})

    @property
    def pinned(self) -> str:
        """The lines that load this content whatever is recorded later; empty if no commit records it."""
        commit = next((each.entry.commit for each in self.versions if each.entry.is_current), "")
        return self._python({"rev": commit}) if commit else ""

    def _python(self, more: Mapping[str, str]) -> str:
        assert self.config is not None
        call = load_call(self.entry.name, **self._config_option, **self.given, **more)
        split = self.examples.split if self.examples else next(iter(self.config.splits), "train")
        return f"import loader\n\ninfo, ds = {call}\nexample = ds[{quoted(split)}][0]"

    @property
    def shell(self) -> str:
        """The commands that fetch the dataset and show examples."""
        return f"{self.command('fetch', **self._config_option)}\n{self.command('show', **self._config_option)}"

    def command(self, name: str, **options: str) -> str:
        """Return a command of the loader about the dataset."""
        return f"python -m loader {name} {self.entry.name}{shell_options(**options, **self.given)}"

    @property
    def _config_option(self) -> dict[str, str]:
        if len(self.entry.configs) > 1 and self.config is not None and self.config.name is not None:
            return {"config": self.config.name}
        return {}

    @property
    def examples_html(self) -> Markup:
        """The examples."""
        assert self.examples is not None
        return Markup(self.examples.html)

    @property
    def splits_html(self) -> Markup:
        """The splits of all configs as a table."""
        has_configs = any(config.name for config in self.entry.configs)
        head = [*(["config"] if has_configs else []), "split", "examples", "bytes of records", "shards"]
        rows = [
            [*([escape(config.label)] if has_configs else []), escape(name), *(f"{number:,}" for number in split)]
            for config in self.entry.configs
            for name, split in config.splits.items()
        ]
        numeric = range(len(head) - 3, len(head))
        return Markup(table_html(head, rows, label="Splits", has_row_heads=True, numeric=numeric))

    @property
    def features_html(self) -> Markup | None:
        """The features of the shown config as a table; None if they cannot be read."""
        assert self.config is not None
        features = self.examples.features if self.examples else recorded_features(self.config.features)
        return None if features is None else Markup(features_html(features))

    @property
    def histograms(self) -> list[Markup]:
        """How many examples each class of the shown config has."""
        return histograms(self.statistics, self._config_name) if self.statistics else []

    @property
    def values_html(self) -> Markup:
        """The statistics of the values of the shown config as a table."""
        assert self.statistics is not None
        return values_html(self.statistics, self._config_name)

    @property
    def duplicates(self) -> list[str]:
        """What the statistics found of examples that repeat others, in sentences."""
        assert self.statistics is not None
        return duplicates(self.statistics)

    @property
    def _config_name(self) -> str | None:
        assert self.config is not None
        return self.config.name

    @property
    def has_lineage(self) -> bool:
        """Whether it has parents or children."""
        return bool(self.entry.parents or self.entry.children)

    @property
    def lineage(self) -> Markup:
        """The drawing of its ancestors and descendants."""
        names = relatives(
            self.entry.name,
            {name: entry.parents for name, entry in self.by_name.items()},
            {name: entry.children for name, entry in self.by_name.items()},
        )
        nodes = {name: self._node(name) for name in names}
        return Markup(lineage_svg(self.entry.name, nodes, self.link))

    def _node(self, name: str) -> Node:
        if name in self.by_name:
            entry = self.by_name[name]
            return Node(name, entry.version or "", tuple(entry.parents))
        return Node(name, self.entry.parents.get(name, ""), ())

    def link(self, name: str) -> str:
        """Return the address of another dataset's page, as seen from this one; empty if it has none."""
        return page_name(name).rpartition("/")[2] if name in self.by_name else ""

    @property
    def sources(self) -> list[dict[str, Any]]:
        """The source files: `filename`, `size`, `sha256`, and `link`, a link to where each is from."""
        return [
            {
                "filename": str(source.get("filename") or ""),
                "size": source.get("size") if type(source.get("size")) is int else None,
                "sha256": str(source.get("sha256") or ""),
                "link": Markup(link_html(str(source.get("url") or ""))),
            }
            for source in self.entry.sources
        ]
