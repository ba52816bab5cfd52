"""Errors of a builder say where they come from: the generator's line, the split, the key, the feature."""

import re

import pytest

from scripts._process.errors import ScriptError
from scripts._tfds.yielded import Yielded
from scripts.build import build
from tests.helpers.buildable_dataset import BUILDER, add_buildable

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


def line_of(builder, text):
    return f"datasets/standard/tiny/tiny.py:{builder[: builder.index(text)].count(chr(10)) + 1}: "


def change(old, new):
    assert old in BUILDER
    return BUILDER.replace(old, new)


FAILS = change("text = words[", "text = words['x'] if number == 7 else words[")
NO_LABEL = change('"label": number % 2', '"label": "five" if number == 5 else number % 2')
NO_PAIR = change('yield f"{number}", {', "yield {")
TRIPLE = change('yield f"{number}", {', 'yield f"{number}", 5, {')
FLOAT_KEY = change('yield f"{number}"', "yield number / 2")
OTHER_NAME = change('"label": number % 2', '"lable": number % 2')
SILENT = change("text = words[", "raise type('Silent', (Exception,), {'__str__': lambda self: 1 / 0})(words)  # [")
SAME_KEY = change('yield f"{number}"', 'yield f"{min(number, 150)}"')
ORDERED = SAME_KEY.replace('f"{min(number, 150)}"', "min(number, 150)").replace(
    "builder=self,", "builder=self, disable_shuffling=True,"
)
FIVE = r"RuntimeError: the example with key '5' cannot be encoded: .*\"label\": 'five' \(in the split train\)"
TWICE = r"50 examples of the split train have the key {}: those with the numbers 150, 151, 152 \.\.\.; a key must be"


@pytest.mark.parametrize(
    ("builder", "text", "message"),
    [
        (FAILS, "text = ", r"TypeError: .* \(in the split train, after the example with key '6'\)$"),
        (NO_LABEL, "yield", FIVE),
        (NO_PAIR, "yield", r"the generator of the split train must yield pairs of key and example, not .* dict$"),
        (TRIPLE, "yield", r"the generator of the split train must yield pairs of key and example, not a tuple of 3$"),
        (FLOAT_KEY, "yield", r"TypeError: Invalid key type: 0\.0 .*\(in the split train\)$"),
        (OTHER_NAME, "yield", r"ValueError: .* '0' cannot .*: it lacks the feature 'label', and it has 'lable', which"),
        (SILENT, "raise", r"Silent, whose message cannot be shown \(in the split train, before its first example\)$"),
        (SAME_KEY, "yield", TWICE.format("'150'")),
        (ORDERED, "yield", TWICE.format("150")),
        (change("dl_manager.download(URL)", "dl_manager.nothing"), "path = ", r"AttributeError: .*'nothing'"),
        (change("builder=self,", "builder=self, wrong=1,"), "return tfds.core", r"TypeError: .*'wrong'"),
    ],
)
def test_an_error_of_a_builder_has_its_line(clone, builder, text, message):
    add_buildable(clone.root, builder=builder)
    with pytest.raises(ScriptError) as raised:
        build("tiny", root=clone.root)
    assert re.search(rf": {re.escape(line_of(builder, text))}{message}", str(raised.value)), str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_builder_without_a_split_is_refused(clone):
    start = BUILDER.index('        return {"train"')
    rest = BUILDER[BUILDER.index("\n", start) :]
    path = clone.root / "datasets/standard/tiny/tiny.py"
    add_buildable(clone.root)
    for nothing in ("{}", "None"):
        path.write_text(f"{BUILDER[:start]}        return {nothing}\n{rest}")
        with pytest.raises(ScriptError, match=r"^tiny: its builder gives no split$"):
            build("tiny", root=clone.root)


def test_the_traceback_is_shown_if_asked_for_also_by_dvc(clone):
    add_buildable(clone.root, builder=FAILS)
    output = clone.run("dvc", "repro", "tiny", check=False, env={"TRACEBACK": "1"}).stderr
    last = 'tiny.py", line ' + line_of(FAILS, "text = ").split(":")[1]
    assert output.index("Traceback") < output.index(last) < output.index("error: tiny: its builder failed")


def test_what_was_yielded_is_found_again_with_the_innermost_line():
    def inner():
        yield "a", 1
        yield "b", 2

    def outer():
        yield from inner()
        yield from ((str(number), number) for number in range(9000))

    yielded = Yielded("train")
    assert len(list(yielded.watch(outer()))) == yielded.count == 9002
    first = inner.__code__.co_firstlineno
    found = yielded.find(lambda each: each.key in ("a", "b", "8999"))
    assert [(each.number, each.key) for each in found] == [(0, "a"), (1, "b"), (9001, "8999")]
    assert [each.line for each in found] == [
        f"{__file__}:{first + 1}",
        f"{__file__}:{first + 2}",
        f"{__file__}:{first + 6}",
    ]
    assert yielded.find(lambda each: each.number == 5)[0].key == "3"
