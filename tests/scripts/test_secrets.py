"""Messages never contain the passwords and tokens of URLs."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from loader._errors import url_without_secrets, without_secrets
from scripts._build.manifest import describe
from scripts._define.definition import read_definition
from scripts._process.errors import ScriptError, UnavailableError
from scripts._sources.sources import Source
from tests.conftest import ROOT, clean_environment
from tests.helpers.recorded_dataset import make_recorded, pack_recorded

TEXTS = {
    "ftp://user:s3cr3t@host/x.zip": "ftp://host/x.zip",
    "http://user:s3c@r3t@host:80/x": "http://host:80/x",
    "https://s3cr3t@host/": "https://host/",
    "(https://host/x?a=s3cr3t&sig=s3/cr=3t); next": "(https://host/x?a=***&sig=***); next",
    "see 'https://host/x?a=s3cr3t'.": "see 'https://host/x?a=***'.",
    "https://host/?s3cr3t, and https://host/#access_token=s3cr3t.": (
        "https://host/?***, and https://host/#access_token=***."
    ),
    "https://host/?a=1&s3cr3t#s3cr3t!": "https://host/?a=***&***#***!",
    "https://host/?s3cr3t&b=s3c?r3t#": "https://host/?***&b=***#",
    "http://host/x.git#s3cr3t": "http://host/x.git#***",
    "http:/me:s3cr3t@host/x, ssh://me:s3/cr3t@host/x": "http:/host/x, ssh://host/x",
    "via //me:s3cr3t@host/x": "via //host/x",
    "Max retries with url: /x?token=s3cr3t (Caused by": "Max retries with url: /x?token=*** (Caused by",
    "HTTPConnection('/x/y?s3cr3t')": "HTTPConnection('/x/y?***')",
    "host/x?token=s3cr3t": "host/x?token=***",
    "https://host/x?czNjcjN0=": "https://host/x?***",
    "https://host/x;session=s3cr3t; next": "https://host/x;session=***; next",
}
MASKED = [
    *("https://u:{}@h/x", "https://u:a/{}@h/x", "https://u:a@{}@h/x", "https://u:pa#{}@h/x", "https://u:pa?{}@h/x"),
    *(
        "https://u:pa\\{}@h/x",
        'https://u:pa"{}@h/x',
        "https://u:a'{}@h/x?q='{}'",
        "https://u:[{}]@h/x",
        "HTTPS://u:{}@h",
    ),
    *(
        "https://h/x?{}",
        "https://h/x?a=1;b={}",
        "https://h/x?a=1&{}",
        "https://h/x#{}",
        "https://h/x?a=1#{}",
        "https://h?{}",
    ),
    *('https://h/x?a="{}"', "https://h/x?a=b,{}", "https://h/x?a=(b){}", "https://h/x?a=<{}>", "https://h/x?a=b>{}"),
    *("https://h/x?a=b=c={}", "https://h/x?a[]={}", "https://h/x?a=1%26b={}", "https://h/x??{}", "https://h/x?a/b={}"),
    *(
        "https://h/x?={}",
        "https://h/x?a=1?b={}",
        "https://h/x#/?t={}",
        "https://h/x?a=é{}",
        'https://h/x?a={{"k":"{}"}}',
    ),
    *('https://h/x?a=1&b="x"{}', "https://h/x;{}", "git+https://u:{}@h/x", "/x?a={}", "/x?{}"),
]


@pytest.mark.parametrize("text", TEXTS)
def test_passwords_and_query_values_are_removed(text):
    assert without_secrets(text) == TEXTS[text]


@pytest.mark.parametrize("url", MASKED)
def test_no_notation_of_a_url_shows_its_secrets_in_any_sentence(url):
    for text in ("{}", "cannot open {}: x", "HTTPConnection('{}')", 'a "{}" b', "({}), next", "<{}>"):
        assert "s3cr3t" not in without_secrets(text.format(url.format("s3cr3t", "s3cr3t")))


def test_a_url_alone_may_have_spaces():
    assert (
        url_without_secrets("https://u: s3cr3t@host/a b.zip?a=x s3cr3t#s3cr3t x") == "https://host/a%20b.zip?a=***#***"
    )


@pytest.mark.parametrize(
    "text",
    [
        "https://host/a@1.0/b.zip",
        "s3://public/files/md5/00/11",
        "did you mean x? build it with: make build DATASET=x",
        "git@host:group/name.git",
        "is it https://host/x? no",
        "is it https://host:80/a@1.0/b?",
        "see https://host/x; then go on",
        "mnist@v1.0.0 is read/written? yes",
    ],
)
def test_other_text_stays_as_it_is(text):
    assert without_secrets(text) == text


@pytest.mark.parametrize("kind", [ScriptError, UnavailableError])
def test_errors_are_shown_without_secrets(kind):
    assert str(kind("no file at ftp://user:s3cr3t@host/x?token=s3cr3t")) == "no file at ftp://host/x?token=***"


@pytest.mark.parametrize("error", ["ScriptError", "LoaderError", "OSError"])
def test_a_command_prints_no_secrets(error):
    body = (
        "from loader import LoaderError\n"
        "from scripts import __main__, s3\n"
        "from scripts._process.errors import ScriptError\n"
        f"def fail(_): raise {error}('no file at ftp://user:s3cr3t@host/x?token=s3cr3t')\n"
        "s3.start = fail\n"
        "__main__.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", body, "s3"], cwd=ROOT, env=clean_environment(), capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "error: no file at ftp://host/x?token=***\n")


def test_a_manifest_has_no_secrets_of_its_sources(tmp_path):
    root = make_recorded(tmp_path / "repository")
    prepared, packed = pack_recorded(tmp_path / "small.tar", tmp_path / "scratch")
    url = "https://me:a/s3cr3t@host/a b.zip?id=s3cr3t x&s3cr3t#s3cr3t"
    prepared = replace(prepared, sources=(Source(url, "a.zip", 1, "0" * 64),))
    manifest = describe(read_definition("small", root=root), [(prepared, packed)])
    assert "s3cr3t" not in json.dumps(manifest)
    assert manifest["sources"] == [
        {"url": "https://host/a%20b.zip?id=***&***#***", "filename": "a.zip", "size": 1, "sha256": "0" * 64}
    ]
