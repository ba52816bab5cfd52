"""YAML of somebody else's repository is parsed within limits."""

import time

import pytest

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


def test_anchors_are_read():
    text = "base: &base {cmd: x}\nstages:\n  one: {<<: *base, outs: [a]}\n  two: *base\n"
    assert parse_yaml(text)["stages"] == {"one": {"cmd": "x", "outs": ["a"]}, "two": {"cmd": "x"}}


@pytest.mark.parametrize("text", ["", "# nothing\n"])
def test_an_empty_document_is_none(text):
    assert parse_yaml(text) is None
