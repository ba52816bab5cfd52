"""YAML of somebody else's repository is parsed within limits."""

import time

import pytest
from ruamel.yaml import YAML

from loader._fetch.safe_yaml import parse_yaml

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGES = "a: &a {k: v}\n" + "".join(
    f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 10)}]}}\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LAUGHS, "aliases are nested"),
        (MERGES, "aliases are nested"),
        ("[" * 100_000, "nested too deeply"),
        ("{a: " * 1000, "nested too deeply"),
        ("".join(f"{' ' * depth}a:\n" for depth in range(500)), "nested too deeply"),
        ("a" * (17 << 20), "more than 16,777,216 characters"),
        ("#\t\n" + "".join(f"k{i}: 1\n" for i in range(100_000)), "takes long to read"),
        ("[" + ", ".join(f"1.{i}" for i in range(200_000)) + "]", "takes long to read"),
        ("a: &a [*a]", "contains itself"),
        ("a: *b", "not defined"),
        ("a: [", "."),
        ("a: 1\na: 2\n", "duplicate key"),
        ("!!python/object/apply:os.system [ls]", "constructor"),
    ],
)
def test_a_bomb_is_an_error_at_once(text, message):
    start = time.process_time()
    with pytest.raises(ValueError, match=message):
        repr(parse_yaml(text))
    assert time.process_time() - start < 10


def test_many_plain_keys_are_read_quickly():
    start = time.process_time()
    assert len(parse_yaml("".join(f"k{i}: 1\n" for i in range(300_000)))) == 300_000
    assert time.process_time() - start < 10


def test_anchors_are_read():
    text = "base: &base {cmd: x}\nstages:\n  one: {<<: *base, outs: [a]}\n  two: *base\n"
    assert parse_yaml(text)["stages"] == {"one": {"cmd": "x", "outs": ["a"]}, "two": {"cmd": "x"}}


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_an_empty_document_is_none(text):
    assert parse_yaml(text) is None


@pytest.mark.parametrize(
    "text",
    [
        *("a: 017", "a: 0o17", "a: 1_000", "a: yes", "a: off", "a: 1e3", "a: 12:30:45", "a: 2024-01-02", "a: 0x1f"),
        *("a: ~", "a:", "a: True", "a: tRue", "a: null", "a: .inf", "a: -3", "a: +1", "a: 1.5", "a: '5'", "a: !!str 5"),
        *("a: 2.4.6", "a: 0b1010101010101010101010101010101", "a: 123456789012345678901234567890e1", "1: 2", "? [a]"),
        *(
            "a: |\n  true\n",
            "a: >-\n  1\n  2",
            '{"a": [1, true, null]}',
            "a: x\x85y",
            "a: x\u2028y",
            "--- a\n",
            "- - a",
        ),
        *("a: &b-c [1]\nd: *b-c", "a: 123e4567890123456789012345678901", "a: 0badc0de0badc0de0badc0de0badc0de.dir"),
        "%YAML 1.1\n---\na: yes",
    ],
)
def test_a_value_means_what_it_means_to_dvc(text):
    assert repr(parse_yaml(text)) == repr(YAML(typ="safe", pure=True).load(text))


def test_aliases_are_counted_without_being_followed():
    assert parse_yaml("a: &a [1, 2]\nb: [*a, *a]") == {"a": [1, 2], "b": [[1, 2], [1, 2]]}
