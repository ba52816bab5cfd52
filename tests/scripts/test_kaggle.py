"""Kaggle's data, downloaded with the user's key from a server on this machine that stands for Kaggle's API.

The real API was not tried. KAGGLE_API_ENDPOINT is a variable of Kaggle's own programs.
"""

import io
import json
import zipfile
from base64 import b64encode

import pytest

from scripts._process.errors import ScriptError, UnavailableError
from scripts._sources.download import download
from scripts._sources.kaggle import kaggle_url
from scripts.build import build
from scripts.register import register
from tests.helpers.source_files_dataset import make_source_files_dataset, tsv_path
from tests.helpers.web_server import WebServer

pytestmark = [
    pytest.mark.usefixtures("upstream_only"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning"),
]
DATASET = "/api/v1/datasets/download/zillow/zecon"
COMPETITION = "/api/v1/competitions/data/download-all/titanic"
BASIC = f"Basic {b64encode(b'me:k3y').decode()}"


@pytest.fixture
def home(tmp_path, monkeypatch, server):
    """An empty home folder, and the web server in place of Kaggle's."""
    for name in ("KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KAGGLE_API_ENDPOINT", server.url)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def storage():
    """The server to which the API redirects."""
    server = WebServer()
    yield server
    server.close()


def write_key(folder, content):
    folder.mkdir(parents=True)
    (folder / "kaggle.json").write_text(content)


def archive(**members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, text in members.items():
            file.writestr(zipfile.ZipInfo(f"{name}.csv"), text)
    return out.getvalue()


def test_datasets_and_competitions_are_registered_and_built_with_the_key(tmp_path, home, server, storage):
    write_key(home / ".kaggle", json.dumps({"username": "me", "key": "k3y"}))
    for path, data in ((DATASET, archive(homes="1,2")), (COMPETITION, archive(train="123", test="12345"))):
        server.respond(path, b"", 302, Location=storage.respond(f"{path}/archive.zip?signed=1", data))
    root = make_source_files_dataset(
        tmp_path / "repository",
        "",
        """
        folders = [dl_manager.download_kaggle_data(name) for name in ("zillow/zecon", "titanic")]
        return {"train": self._generate_examples([path for folder in folders for path in folder.iterdir()])}
        """,
    )
    sources = register("downloader", root=root)
    assert [source.url for source in sources] == [kaggle_url("titanic"), kaggle_url("zillow/zecon")]
    build("downloader", root=root)
    manifest = json.loads((root / "artifacts/downloader.json").read_text())
    assert [each["splits"]["train"]["examples"] for each in manifest["artifacts"].values()] == [3]
    assert all(headers["Authorization"] == BASIC for headers in server.request_headers)
    assert not any("Authorization" in headers for headers in storage.request_headers)
    assert "k3y" not in tsv_path(root).read_text() + (root / "artifacts/downloader.json").read_text()


@pytest.mark.parametrize("where", ["variables", "config dir", ".config/kaggle"])
def test_the_key_is_found_where_kaggles_programs_find_it(home, server, tmp_path, monkeypatch, where):
    if where == "variables":
        monkeypatch.setenv("KAGGLE_USERNAME", "me")
        monkeypatch.setenv("KAGGLE_KEY", "k3y")
    elif where == "config dir":
        write_key(tmp_path / "elsewhere", '{"username": "me", "key": "k3y"}')
        monkeypatch.setenv("KAGGLE_CONFIG_DIR", str(tmp_path / "elsewhere"))
    else:
        write_key(home / where, '{"username": "me", "key": "k3y"}')
    server.respond(DATASET, b"zip")
    download(kaggle_url("zillow/zecon"), tmp_path / "part", label="x")
    assert server.request_headers[0]["Authorization"] == BASIC


def test_other_urls_do_not_get_the_key(home, server, tmp_path):
    write_key(home / ".kaggle", '{"username": "me", "key": "k3y"}')
    download(server.respond(DATASET, b"zip"), tmp_path / "part", label="x")
    assert "Authorization" not in server.request_headers[0]


def test_without_a_key_the_message_says_what_to_do(tmp_path, home, server):
    server.respond(COMPETITION, b"", 401)
    root = make_source_files_dataset(
        tmp_path / "repository", "", 'return {"train": iter([dl_manager.download_kaggle_data("titanic")])}'
    )
    with pytest.raises(ScriptError, match=r"answers 401 .*create a key at https://www\.kaggle\.com/settings, and put"):
        register("downloader", root=root)


def test_the_rules_of_a_competition_must_be_accepted(tmp_path, home, server):
    write_key(home / ".kaggle", '{"username": "me", "key": "k3y"}')
    server.respond(COMPETITION, b"", 403)
    with pytest.raises(UnavailableError, match=r"join the competition at https://www\.kaggle\.com/c/titanic/rules"):
        download(kaggle_url("titanic"), tmp_path / "part", label="x")


@pytest.mark.parametrize("content", ["", "[]", '{"key": "k3y"}', "k3y"])
def test_a_damaged_key_is_an_error_that_does_not_show_it(tmp_path, home, content):
    write_key(home / ".kaggle", content)
    with pytest.raises(UnavailableError, match=r"kaggle\.json cannot be read or lacks username or key") as raised:
        download(kaggle_url("titanic"), tmp_path / "part", label="x")
    assert "k3y" not in str(raised.value)
