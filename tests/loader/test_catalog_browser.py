"""The catalog in headless Chromium: it asks for nothing, axe finds nothing, all of it works by keyboard."""

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from loader._catalog.names import page_name
from loader._catalog.site import write_catalog
from tests.helpers.browser import Browser
from tests.helpers.written_records import (
    ROOT,
    SECRET,
    make_family,
    pages,
    secrets,
)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    return make_family(tmp_path_factory.mktemp("repository") / "family")


@pytest.fixture(scope="module")
def site(repository, tmp_path_factory):
    output = tmp_path_factory.mktemp("site") / "site"
    write_catalog(output, repo=repository)
    return output


@pytest.fixture(scope="module")
def browser():
    with Browser() as browser:
        yield browser


class Links(HTMLParser):
    """The links and the ids of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.ids = [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids.add(found.get("id"))
        self.links += [found[key] for key in ("href", "src") if key in found]


def test_every_link_leads_to_a_page_of_the_site_or_names_a_web_address(site):
    found = {page: Links(page) for page in pages(site)}
    assert len(found) == 6
    for page, parsed in found.items():
        for link in parsed.links:
            if link.startswith(("https://", "http://", "data:")):
                continue
            path, _, fragment = link.partition("#")
            target = (page.parent / unquote(path)).resolve() if path else page
            assert target in found, link
            assert not fragment or fragment in found[target].ids, link


@pytest.mark.slow
@pytest.mark.parametrize("dark", [False, True])
def test_no_page_asks_for_anything_or_reports_a_problem_and_axe_finds_nothing(site, browser, dark):
    for page in pages(site):
        visit = browser.open(page, dark=dark)
        assert (page, visit.requests, visit.problems) == (page, [], [])
        assert (page, visit.axe("moderate", "serious", "critical")) == (page, [])


def test_no_page_is_wider_than_a_phone(site, browser):
    for page in pages(site):
        visit = browser.open(page, width=375, height=800)
        assert (page, visit.is_wider_than_the_window()) == (page, False)
        assert visit.axe() == []


def shown(visit):
    return visit.page.eval_on_selector_all(
        "#datasets tbody tr", "rows => rows.filter(row => !row.hidden).map(row => row.querySelector('a').textContent)"
    )


def test_searching_by_keyboard_leaves_the_datasets_that_have_every_word(site, browser):
    visit = browser.open(site / "index.html")
    assert visit.page.get_by_role("searchbox", name="Search").count() == 1
    while visit.focused() != "input":
        visit.page.keyboard.press("Tab")
    visit.page.keyboard.type("ABOUT fac")
    assert shown(visit) == ["faces"]
    assert visit.page.get_by_role("status").inner_text() == "1 of 5 datasets"
    visit.page.keyboard.type("zzz")
    assert shown(visit) == []
    visit.page.keyboard.press("Tab")
    visit.page.keyboard.press("Enter")
    assert len(shown(visit)) == 5
    assert visit.focused() == "input"
    visit.page.keyboard.type("zero")  # a class, which only the statistics name
    assert shown(visit) == ["small"]


def test_sorting_by_keyboard_says_how_the_table_is_sorted(site, browser):
    visit = browser.open(site / "index.html")
    head = visit.page.get_by_role("columnheader", name="Examples")
    head.get_by_role("button").focus()
    visit.page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    assert shown(visit)[-1] == "small"  # 5,370 examples
    visit.page.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "descending"
    assert shown(visit)[0] == "small"
    assert visit.page.locator("[aria-sort]").count() == 1


def test_the_skip_link_and_the_links_are_reached_by_keyboard_with_a_visible_focus(site, browser):
    visit = browser.open(site / "index.html")
    visit.page.keyboard.press("Tab")
    assert visit.page.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert visit.page.evaluate("document.activeElement.getBoundingClientRect().top") >= 0
    assert visit.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    visit.page.keyboard.press("Enter")
    assert visit.page.evaluate("document.activeElement.id") == "content"
    tags = browser.open(site / "index.html").tab_through()
    assert tags.count("button") == 7
    assert tags.count("a") == 6  # and the skip link


def test_a_citation_is_copied(site, browser):
    visit = browser.open(site / "datasets/photos.html")
    visit.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    visit.page.get_by_role("button", name="Copy: Citation").click()
    visit.page.get_by_text("Copied").first.wait_for()
    assert visit.page.evaluate("navigator.clipboard.readText()") == "@misc{photos}"


def test_the_lines_that_load_a_dataset_work_as_printed(repository, site, browser, tmp_path):
    visit = browser.open(site / "datasets/small.html")
    environment = {**os.environ, "DATASETS_REPO": str(repository), "DATASETS_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    environment |= {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    blocks = visit.page.locator("#load ~ .code code").all_inner_texts()
    assert len(blocks) == 3
    for block in blocks[:2]:
        code = f"{block}\nprint(sorted(example))"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path
        )
        assert (done.stdout, done.stderr) == ("['label', 'samples', 'text']\n", "")
    subprocess.run(["bash", "-e", "-c", blocks[2]], check=True, capture_output=True, env=environment, cwd=tmp_path)
    assert (tmp_path / "small.html").exists()


def test_without_javascript_the_table_is_complete_and_nothing_is_offered_that_does_not_work(site, browser):
    visit = browser.open(site / "index.html", javascript=False)
    assert len(visit.page.locator("#datasets tbody tr").all()) == 5
    assert visit.page.get_by_text("5 datasets").is_visible()
    assert not visit.page.locator("#search").is_visible()
    assert visit.page.get_by_role("button").count() == 0


def test_what_a_repository_says_is_text_and_never_markup(site, browser):
    page = site / page_name("Straße")
    text = page.read_text(encoding="utf-8")
    assert "{{ 7 * 7 }}" in text
    assert "<script>alert" not in text + (site / "index.html").read_text(encoding="utf-8")
    assert "<img" not in text
    assert 'href="javascript:' not in text
    assert "\0" not in text
    assert browser.open(page).problems == []


def test_with_private_ones_the_site_shows_them_and_warns(repository, tmp_path, browser):
    written = write_catalog(tmp_path / "site", repo=repository, private=True)
    assert (written.datasets, written.private) == (6, 0)
    page = tmp_path / f"site/datasets/{SECRET}.html"
    for secret in secrets(repository):
        assert secret in page.read_text() + (tmp_path / "site/datasets/faces.html").read_text()
    visit = browser.open(page)
    assert visit.axe() == []
    assert visit.page.get_by_text("Do not publish this site.").is_visible()
    assert visit.page.locator("svg.lineage a").count() >= 2


def test_the_page_of_a_real_dataset_shows_and_plays_its_recordings(built, tmp_path, browser, monkeypatch):
    root = built("digit").root
    monkeypatch.setenv("DATASETS_REPO", str(root))  # or the caches of the checkout under test are looked into as well
    written = write_catalog(tmp_path / "site", repo=root)
    assert written.with_examples == 1
    for options in ({"width": 1280}, {"width": 375, "dark": True}):
        visit = browser.open(tmp_path / "site/datasets/digit.html", **options)
        assert (visit.requests, visit.problems, visit.axe()) == ([], [], [])
        assert not visit.is_wider_than_the_window()
        assert visit.page.locator("audio").count() == 20
        assert visit.page.eval_on_selector("audio", "audio => audio.duration > 0.1")
        assert visit.page.get_by_text("No example repeats another one").is_visible()
