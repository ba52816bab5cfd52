"""DVC's configuration files mean to the loader what they mean to DVC."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from configobj import ConfigObjError
from dvc.config import Config
from dvc.exceptions import DvcException
from voluptuous import Invalid

from loader._errors import FetchError
from loader._fetch.remote import COMMITTED_OPTIONS, read_config

LEVELS = ("system", "global", "repo", "local")
BOOLS = ("true", "false", "True", "FALSE", "yes", "1", "")
NUMBERS = ("0", "1", "-3", " 20 ", "1.5", "many", "1_0")
PATHS = ("config", "../aws/config", "/etc/aws", "~/aws", "~nobody-of-this-name/aws", "a b", "/etc/../aws", "x://y", "")
TEXTS = ("eu-west-1", "'quoted, text'", '"#no comment"', "text # comment", "one, two", "", "Upper", "é", "${HOME}")
VALUES = {
    "url": ("s3://bucket", "s3://bucket/data", "s3://Bucket.x/a b", "S3://bucket", "s3://", "s3:///data", "../data",
            "/data", "~/data", "https://host/data", "ssh://host/data", "remote://other", "nonsense://host", "s3://[x",
            "gs://bucket, x", "http://", ""),
    "endpointurl": ("http://127.0.0.1:8333", "https://s3.example", "http://127.0.0.1:8333/", "x"),
    **dict.fromkeys(("use_ssl", "allow_anonymous_login", "version_aware", "worktree", "verify", "listobjects"), BOOLS),
    "ssl_verify": (*BOOLS, "/etc/ca.pem"),
    **dict.fromkeys(("read_timeout", "connect_timeout", "jobs", "checksum_jobs"), NUMBERS),
    **dict.fromkeys(("configpath", "credentialpath"), PATHS),
    **dict.fromkeys(("region", "profile", "access_key_id", "secret_access_key", "session_token", "sse", "acl"), TEXTS),
    **dict.fromkeys(("unknown", "cache_regions"), ("true",)),
}  # fmt: skip


KNOWN = sorted(VALUES.keys() - {"url", "unknown", "cache_regions"})


def section(random, name: str, options) -> str:
    """A section with some of these options; its values are the usual ones most of the time."""
    lines = [f"{key} = {random.choice(VALUES[key][:2] if random.random() < 0.9 else VALUES[key])}" for key in options]
    return "\n    ".join([f"[{name}]", *lines])


def configuration(seed: int) -> dict[str, str]:
    """The text of a file for some of the levels."""
    random = Random(seed)
    texts = {}
    for level in LEVELS:
        if random.random() < 0.3:
            continue
        sections = []
        for name in random.sample(("public", "private", "Other", "with space", ""), random.randrange(3)):
            options = random.sample(KNOWN, random.randrange(5)) + ["unknown", "cache_regions"] * (
                random.random() < 0.02
            )
            needs_url = level in ("system", "repo") or random.random() < 0.3
            sections.append(section(random, f"'remote \"{name}\"'", ["url"] * needs_url + options))
        if random.random() < 0.5:
            sections.append(
                f"[{random.choice(('core', 'CORE'))}]\nRemote = {random.choice(('public', 'Other', 'a, b', ''))}"
            )
        if random.random() < 0.5:
            sections.append(f"[cache]\ndir = {random.choice(PATHS)}\ntype = copy")
        texts[level] = "\n".join(random.sample(sections, len(sections)))
    return texts


ODD = (
    "x = y", "[remote]\nx = y", "[remote]\n[[public]]\nurl = s3://bucket", "core = x", "[core]\nremote = a\nremote = b",
    "[core]\n[[remote]]\nx = y", "[cache]\n[[dir]]\nx = y", "[", "[core", "['remote \"a\"']\nurl = s3://b\n[remote]",
    "['remote \"a\"']\nurl = s3://b\nregion = %(url)s", "['remote \"a\"']\nurl = s3://b\nregion = %(none)s",
    "['remote \"a\"']\nurl = '''s3://b'''", "\ufeff[core]\nremote = a", "['remote \"a\"']\nregion = eu",
    "[  'remote   \"a\"  '  ]\nurl = s3://b", "[remote \"a\"]\nurl = s3://b", "['remote \"a\"']\n[[url]]\nx = y",
    "['remote \"a\"']\nurl = s3://b\n[[region]]\nx = y", "[cache]\ndir = a, b", "cache = x", "remote = x",
    "['remote \"a\"']\nurl = s3://b\r\nregion = x\r\n", "[core]\nremote = a # b\n", "['remote']\n['remote \"a\"']",
)  # fmt: skip


def write(folder: Path, texts) -> None:
    for level in LEVELS:
        path = level_file(folder, level)
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        if level in texts:
            path.write_text(texts[level], encoding="utf-8", newline="")


def level_file(folder: Path, level: str) -> Path:
    return folder / {"repo": ".dvc/config", "local": ".dvc/config.local"}.get(level, f"{level}/config")


def committed_options_only(folder: Path) -> None:
    """Take out of `.dvc/config` what does not count in a file that is committed."""
    lines = level_file(folder, "repo").read_text(encoding="utf-8").split("\n")
    kept = [line for line in lines if line.startswith("[") or line.partition("=")[0].strip().lower() in ALLOWED]
    level_file(folder, "repo").write_text("\n".join(kept), encoding="utf-8")


ALLOWED = {*COMMITTED_OPTIONS, "remote", "dir"}


def by_dvc(dvc_folder: Path):
    config = Config(dvc_folder)
    found = {section: dict(config[section]) for section in ("core", "cache", "remote")}
    return {
        "core": {key: value for key, value in found["core"].items() if key == "remote"},
        "cache": {key: value for key, value in found["cache"].items() if key == "dir"},
        # of a remote that is not on S3, the loader reads the URL, for its message
        "remote": {name: of_s3(options) for name, options in found["remote"].items()},
    }


def of_s3(options):
    return (
        options if options["url"].lower().startswith("s3://") and len(options["url"]) > 5 else {"url": options["url"]}
    )


def by_loader(dvc_folder: Path):
    config = read_config(dvc_folder)
    for remote in config["remote"].values():
        remote.pop("endpoint from repository", None)
    return {**config, "remote": {name: of_s3(options) for name, options in config["remote"].items()}}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for level in ("system", "global"):
        monkeypatch.setenv(f"DVC_{level.upper()}_CONFIG_DIR", str(tmp_path / level))
    return tmp_path


def compare(folder: Path) -> str:
    """Compare what DVC and the loader read; return whether both read it, refuse it, or only DVC refuses it."""
    try:
        expected = by_dvc(folder / ".dvc")
    except (DvcException, ConfigObjError, Invalid, AttributeError, TypeError, ValueError):
        with suppress(FetchError):
            by_loader(folder / ".dvc")
            return "only DVC refuses it"
        return "both refuse it"
    assert by_loader(folder / ".dvc") == expected
    return "both read it"


def test_configurations_of_all_levels_are_read_as_dvc_reads_them(folder):
    outcomes = []
    for seed in range(500):
        texts = configuration(seed)
        write(folder, texts)
        if "repo" in texts:
            committed_options_only(folder)
        outcomes.append(compare(folder))
    assert outcomes.count("both read it") > 100
    assert outcomes.count("both refuse it") > 100
    assert outcomes.count("only DVC refuses it") < 50  # for options that the loader does not use


@pytest.mark.parametrize("level", ["global", "local"])
@pytest.mark.parametrize("text", ODD)
def test_an_odd_file_is_read_as_dvc_reads_it(folder, level, text):
    write(folder, {level: text, "repo": "['remote \"a\"']\nurl = s3://bucket"})
    assert compare(folder) != "only DVC refuses it" or text == "x = y"  # an option that the loader does not use


def test_without_variables_the_levels_of_the_machine_are_where_dvc_has_them(tmp_path, monkeypatch):
    for level in ("SYSTEM", "GLOBAL"):
        monkeypatch.delenv(f"DVC_{level}_CONFIG_DIR", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CONFIG_DIRS", f"{tmp_path / 'system'}{os.pathsep}/etc/xdg")
    for level, name in (("global", "mine"), ("system", "ours")):
        path = Path(Config.get_dir(level), "config")
        assert path.is_relative_to(tmp_path)
        path.parent.mkdir(parents=True)
        path.write_text(f"['remote \"{name}\"']\nurl = s3://{name}")
    assert read_config(None)["remote"].keys() == {"mine", "ours"}
    assert by_loader(tmp_path / ".dvc") == by_dvc(tmp_path / ".dvc")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\0", "é".encode("latin-1")])
def test_a_file_that_is_no_text_is_an_error(folder, content):
    write(folder, {"local": ""})
    level_file(folder, "local").write_bytes(content)
    with pytest.raises(FetchError, match="DVC's configuration cannot be read"):
        read_config(folder / ".dvc")


def test_a_file_that_cannot_be_read_is_an_error(folder):
    write(folder, {})
    level_file(folder, "global").mkdir()
    with pytest.raises(FetchError, match=r"DVC's configuration cannot be read: .*Is a directory"):
        read_config(None)


def test_sections_in_sections_without_end_are_an_error(folder):
    write(folder, {"repo": "\n".join(f"{'[' * depth}a{']' * depth}" for depth in range(1, 1200))})
    with pytest.raises(FetchError, match="DVC's configuration cannot be read"):
        read_config(folder / ".dvc")


def test_a_list_of_endpoints_of_another_kind_of_remote_is_no_error(folder):
    write(folder, {"global": "['remote \"a\"']\nurl = gs://b\nendpointurl = x, y"})
    assert read_config(folder / ".dvc")["remote"]["a"]["url"] == "gs://b"


def test_the_error_does_not_show_the_value(folder):
    write(
        folder, {"local": "['remote \"a\"']\nurl = s3://bucket\nsecret_access_key = hidden, too\nread_timeout = hidden"}
    )
    with pytest.raises(FetchError, match="the remote 'a' has a value of 'secret_access_key'") as caught:
        read_config(folder / ".dvc")
    assert "hidden" not in str(caught.value)


def test_dvc_is_not_imported(folder):
    write(folder, {"repo": "['remote \"a\"']\nurl = s3://bucket"})
    code = (
        "import sys; from pathlib import Path; from loader._fetch.remote import read_config;"
        "assert read_config(Path(sys.argv[1]))['remote']['a']['url'] == 's3://bucket';"
        "print(sorted({'dvc', 'voluptuous', 'fsspec'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder / ".dvc")], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
