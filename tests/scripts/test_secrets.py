"""Messages never contain the passwords and tokens of URLs."""

import subprocess
import sys

import pytest

from scripts._process.errors import ScriptError, UnavailableError
from scripts._process.secrets import without_secrets
from tests.conftest import ROOT, clean_environment

TEXTS = {
    "ftp://user:s3cr3t@host/x.zip": "ftp://host/x.zip",
    "http://user:s3c@r3t@host:80/x": "http://host:80/x",
    "https://s3cr3t@host/": "https://host/",
    "(https://host/x?a=s3cr3t&sig=s3/cr=3t); next": "(https://host/x?a=***&sig=***); next",
    "see 'https://host/x?a=s3cr3t'.": "see 'https://host/x?a=***'.",
    "https://host/?s3cr3t, and https://host/#access_token=s3cr3t.": (
        "https://host/?***, and https://host/#access_token=***."
    ),
    "Max retries with url: /x?token=s3cr3t (Caused by": "Max retries with url: /x?token=*** (Caused by",
}


@pytest.mark.parametrize("text", TEXTS)
def test_passwords_and_query_values_are_removed(text):
    assert without_secrets(text) == TEXTS[text]


@pytest.mark.parametrize(
    "text",
    [
        "https://host/a@1.0/b.zip",
        "s3://public/files/md5/00/11",
        "did you mean x? build it with: make build DATASET=x",
        "git@host:group/name.git",
        "is it https://host/x? no",
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
