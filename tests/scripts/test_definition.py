"""Definitions in params.yaml and dvc.yaml: the rules, and those of this repository."""

import re
from importlib import metadata
from pathlib import Path

import pytest

from scripts._define.definition import read_definition, read_names
from scripts._define.versions import builder_version, raise_version
from scripts._process.errors import ScriptError
from scripts._process.files import read_yaml
from tests.helpers.recorded_dataset import DVC_YAML, PARAMS_YAML

ROOT = Path(__file__).resolve().parents[2]


def change(path, old, new):
    """Replace a text that occurs once in a file."""
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


@pytest.fixture
def root(tmp_path):
    """A repository that has only the definition of its dataset."""
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    (tmp_path / "params.yaml").write_text(PARAMS_YAML)
    return tmp_path


def assert_refused(root, match, name="small"):
    with pytest.raises(ScriptError, match=match):
        read_definition(name, root=root)


def test_a_definition_has_the_values_of_its_block(root):
    found = read_definition("small", root=root)
    assert (found.name, found.builder, found.version) == ("small", "datasets/standard/small", "1.0.0")
    assert (found.visibility, found.license, found.toolchain) == ("public", "CC0", {})
    assert found.is_ours
    assert found.folder == root / "datasets/standard/small"
    assert found.tars == {None: root / "artifacts/small.tar"}
    assert found.manifest == root / "artifacts/small.json"
    assert (found.configs, found.arguments, found.parents) == ((), {}, {})


def test_a_dataset_of_tfds_may_have_a_folder(root):
    change(root / "params.yaml", "datasets/standard/small", "small")
    found = read_definition("small", root=root)
    assert not found.is_ours
    assert found.folder is None
    (root / "datasets/adversarial/small").mkdir(parents=True)
    assert found.folder == root / "datasets/adversarial/small"


@pytest.mark.parametrize("name", ["smal", "smalll", "Small"])
def test_an_unknown_name_gets_similar_names_as_a_hint(root, name):
    assert_refused(root, rf"there is no dataset '{name}' in params\.yaml; did you mean small\?", name)


@pytest.mark.parametrize("name", ["zzz", "", "toolchain", "../../etc"])
def test_an_unknown_name_without_similar_names_gets_the_list(root, name):
    with (root / "params.yaml").open("a") as file:
        file.write("another: {}\n")
    assert_refused(root, rf"there is no dataset '{re.escape(name)}' in params\.yaml; it has: another, small", name)


@pytest.mark.parametrize("field", ["builder", "license"])
@pytest.mark.parametrize("value", [None, "", "1.0", "[a]"])
def test_a_field_that_is_missing_or_not_a_string_is_named(root, field, value):
    replacement = "" if value is None else f"  {field}: {value}\n"
    line = re.search(rf"  {field}: .*\n", PARAMS_YAML).group()
    change(root / "params.yaml", line, replacement)
    assert_refused(root, f"the block 'small' needs '{field}', a string")


@pytest.mark.parametrize("value", ["1.0", "[a]", "1.*.*", "01.0.0", "1.0.0-rc"])
def test_a_version_that_is_none_is_named(root, value):
    change(root / "params.yaml", re.search(r"  version: .*\n", PARAMS_YAML).group(), f"  version: {value}\n")
    assert_refused(root, "the version of 'small' must be a string like 1.0.0, not ")


def test_a_block_without_a_version_leaves_it_to_the_builder(root):
    change(root / "params.yaml", re.search(r"  version: .*\n", PARAMS_YAML).group(), "")
    found = read_definition("small", root=root)
    assert (found.version, builder_version(found, None)) == (None, None)
    assert raise_version(found) == "raise the version in the builder"


@pytest.mark.parametrize("block", ["", " 1", " []", " text"])
def test_a_block_that_is_not_a_mapping_is_not_reported_as_missing(root, block):
    (root / "params.yaml").write_text(f"toolchain: {{}}\nsmall:{block}\n")
    with pytest.raises(ScriptError, match="small") as raised:
        read_definition("small", root=root)
    assert "there is no dataset" not in str(raised.value)


def test_a_key_that_is_a_number_is_ignored(root):
    with (root / "params.yaml").open("a") as file:
        file.write("2024: {}\n")
    assert read_definition("small", root=root).name == "small"
    assert "small" in read_names(root=root)


@pytest.mark.parametrize("toolchain", ["", "toolchain:", "toolchain: []", "toolchain: 1"])
def test_a_missing_toolchain_is_an_error(root, toolchain):
    change(root / "params.yaml", "toolchain: {}", toolchain)
    assert_refused(root, r"params\.yaml: the block 'toolchain' is missing")


@pytest.mark.parametrize("file", ["params.yaml", "dvc.yaml"])
@pytest.mark.parametrize("content", ["a: [", "a: b: c", "\tx", "a: 1\na: 2\n", "a: !!python/name:os.system x", "\x00"])
def test_broken_yaml_names_the_file(root, file, content):
    (root / file).write_text(content)
    assert_refused(root, rf"{re.escape(file)} is not valid YAML: .")


@pytest.mark.parametrize("file", ["params.yaml", "dvc.yaml"])
def test_invalid_utf_8_names_the_file(root, file):
    (root / file).write_bytes(b"a: \xff\xfe\n")
    assert_refused(root, rf"{re.escape(file)} is not valid YAML: .")


@pytest.mark.parametrize("file", ["params.yaml", "dvc.yaml"])
@pytest.mark.parametrize("content", ["[]", "text", "1"])
def test_yaml_that_is_not_a_mapping_names_the_file(root, file, content):
    (root / file).write_text(content)
    assert_refused(root, rf"{re.escape(file)} is not a mapping")


@pytest.mark.parametrize("file", ["params.yaml", "dvc.yaml"])
def test_an_empty_file_is_named_with_what_restores_it(root, file):
    (root / file).write_text("")
    assert_refused(root, rf"{re.escape(file)} is empty, perhaps because the disk was full; restore the committed one")


@pytest.mark.parametrize("file", ["params.yaml", "dvc.yaml"])
def test_a_missing_file_is_named(root, file):
    (root / file).unlink()
    assert_refused(root, rf"{re.escape(file)} is missing")


@pytest.mark.parametrize(
    "content", ["stages: {}", "stages:", "vars: []", "stages: {other: {cmd: x}}", "stages: {small:}"]
)
def test_a_dataset_without_a_stage_is_an_error(root, content):
    (root / "dvc.yaml").write_text(content)
    assert_refused(root, r"dvc\.yaml has no stage 'small', but params\.yaml has a block 'small'")


@pytest.mark.parametrize(
    ("out", "visibility"),
    [
        ("artifacts/small.tar: {remote: public}", "public"),
        ("artifacts/small.tar: {remote: private}", "private"),
        ("artifacts/small.tar", "private"),
        ("artifacts/small.tar:", "private"),
        ("artifacts/small.tar: {persist: true}", "private"),
    ],
)
def test_the_remote_in_dvc_yaml_is_the_visibility_and_private_by_default(root, out, visibility):
    change(root / "dvc.yaml", "artifacts/small.tar: {remote: public}", out)
    assert read_definition("small", root=root).visibility == visibility


@pytest.mark.parametrize("remote", ["other", "Public", "1", "[public]", "{public: 1}"])
def test_another_remote_is_an_error(root, remote):
    change(root / "dvc.yaml", "{remote: public}", f"{{remote: {remote}}}")
    assert_refused(root, r"dvc\.yaml: the outputs of 'small' must all have remote: public or all have remote: private")


@pytest.mark.parametrize(("visibility", "remote"), [("private", "public"), ("public", "private"), ("secret", "public")])
def test_a_visibility_left_in_params_yaml_must_not_contradict_the_remote(root, visibility, remote):
    change(root / "params.yaml", "license: CC0", f"license: CC0\n  visibility: {visibility}")
    change(root / "dvc.yaml", "{remote: public}", f"{{remote: {remote}}}")
    assert_refused(root, rf"calls small {visibility}, but dvc\.yaml has remote: {remote}, which decides; remove")


@pytest.mark.parametrize("out", ["artifacts/other.tar: {remote: public}", "small.tar: {remote: public}"])
def test_a_missing_output_is_an_error(root, out):
    change(root / "dvc.yaml", "artifacts/small.tar: {remote: public}", out)
    assert_refused(root, r"the stage 'small' needs the output artifacts/small\.tar, with remote: private")


@pytest.mark.parametrize(
    "out", ["artifacts/more.bin", "artifacts/more.bin: {remote: private}", "artifacts/more.bin: {}"]
)
def test_all_outputs_must_have_one_remote(root, out):
    change(
        root / "dvc.yaml",
        "artifacts/small.tar: {remote: public}",
        f"artifacts/small.tar: {{remote: public}}\n      - {out}",
    )
    assert_refused(root, r"the outputs of 'small' must all have remote: public or .*, not 'private', 'public'")


@pytest.mark.parametrize("stages", ["[a]", "{small: [1]}", "{small: {outs: 3}}", "3"])
def test_a_dvc_yaml_in_another_format_is_an_error(root, stages):
    (root / "dvc.yaml").write_text(f"stages: {stages}\n")
    assert_refused(root, r"dvc\.yaml does not have DVC's format: ")


def test_a_stage_without_outputs_is_an_error(root):
    (root / "dvc.yaml").write_text("stages: {small: {cmd: x}}")
    assert_refused(root, r"the stage 'small' needs the output artifacts/small\.tar")


def with_toolchain(root, **packages):
    lines = "".join(f"  {package}: {version}\n" for package, version in packages.items())
    change(root / "params.yaml", "toolchain: {}\n", f"toolchain:\n{lines}")
    return read_definition("small", root=root)


def test_the_installed_toolchain_is_accepted(root):
    with_toolchain(root, pytest=metadata.version("pytest"), numpy=metadata.version("numpy")).check_toolchain()


def test_another_version_in_the_toolchain_is_refused(root):
    definition = with_toolchain(root, pytest=metadata.version("pytest"), numpy="0.0.1")
    with pytest.raises(
        ScriptError, match=rf"asks for numpy 0\.0\.1, this environment has {metadata.version('numpy')}; .*make setup"
    ):
        definition.check_toolchain()


def test_a_missing_package_of_the_toolchain_is_refused(root):
    definition = with_toolchain(root, **{"no-such-package-here": "1.0"})
    with pytest.raises(ScriptError, match=r"asks for no-such-package-here 1\.0, this environment has none"):
        definition.check_toolchain()


@pytest.fixture(scope="module")
def locked():
    """The pinned versions of each package of requirements.lock, and the number of hashes of each line."""
    packages, lines = {}, []
    for line in (ROOT / "requirements.lock").read_text().splitlines():
        if pinned := re.fullmatch(r"([A-Za-z0-9._-]+)(?:\[[^]]+\])?==([^ ]+)( ; [^\\]+)? ?\\?", line):
            packages.setdefault(pinned[1], set()).add(pinned[2])
            lines.append([line, 0])
        elif re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line):
            lines[-1][1] += 1
        else:
            pytest.fail(f"requirements.lock: a line that is neither a pinned package nor a hash: {line}")
    return packages, lines


def test_the_toolchain_has_the_versions_of_the_lock_file(locked):
    toolchain = read_yaml(ROOT / "params.yaml")["toolchain"]
    assert toolchain.keys() >= {"tensorflow", "tensorflow-datasets", "protobuf"}
    assert {package: locked[0].get(package) for package in toolchain} == {
        package: {version} for package, version in toolchain.items()
    }


def test_every_package_of_the_lock_file_has_a_hash(locked):
    assert len(locked[1]) > 100
    assert [line for line, hashes in locked[1] if not hashes] == []


def test_the_lock_file_contains_no_index_and_no_url():
    text = (ROOT / "requirements.lock").read_text()
    found = re.findall(r"://|\bwww\.|pypi|index-url|find-links|trusted-host| @ |git\+|file:", text, re.IGNORECASE)
    assert found == []


def test_every_stage_has_a_block_and_every_block_a_stage():
    stages = read_yaml(ROOT / "dvc.yaml")["stages"]
    assert sorted(stages) == read_names(root=ROOT)
    assert {"mnist", "digit"} <= stages.keys()


@pytest.mark.parametrize("name", read_names(root=ROOT))
def test_a_stage_agrees_with_its_block(name):
    stage = read_yaml(ROOT / "dvc.yaml")["stages"][name]
    block = read_yaml(ROOT / "params.yaml")[name]
    definition = read_definition(name)
    assert stage["cmd"] == f"python -m scripts build {name}"
    assert {name, "toolchain"} <= set(stage["params"])
    committed = {"cache": False, "persist": True}
    assert stage["outs"] == [
        *({f"artifacts/{tar.name}": {"remote": definition.visibility}} for tar in definition.tars.values()),
        {f"artifacts/{name}.json": committed},
        {f"artifacts/{name}.croissant.json": committed},
    ]
    assert stage["metrics"] == [{f"artifacts/{name}.stats.json": committed}]
    if definition.is_ours:
        assert block["builder"] in stage["deps"]
        assert (definition.folder / f"{name}.py").is_file()
        assert definition.parents or (definition.folder / "checksums.tsv").is_file()
    assert (definition.folder / "README.md").is_file()
    definition.check_toolchain()


@pytest.mark.parametrize(
    ("configs", "match"),
    [
        ("a", "the configs of 'small' must be a list of names, .*, not 'a'"),
        ("[]", "must be a list of names"),
        ("[1]", "'small' has the config 1; a config becomes part of a file name"),
        ("[a/b]", "'small' has the config 'a/b'"),
        ("[a, a]", "'small' lists a config twice"),
        ("{a: 1.0}", "the version of the config a of 'small' must be a string like 1.0.0, not 1.0"),
        ("[a]", r"the stage 'small' needs the output artifacts/small-a\.tar, with remote: private"),
    ],
)
def test_configs_must_be_a_list_of_names_with_an_output_each(root, configs, match):
    change(root / "params.yaml", "license: CC0\n", f"license: CC0\n  configs: {configs}\n")
    assert_refused(root, match)


def test_configs_have_a_tar_each(root):
    change(root / "params.yaml", "license: CC0\n", "license: CC0\n  configs: [b, a]\n")
    change(
        root / "dvc.yaml",
        "- artifacts/small.tar: {remote: public}",
        "- artifacts/small-a.tar: {remote: public}\n      - artifacts/small-b.tar: {remote: public}",
    )
    found = read_definition("small", root=root)
    assert found.tars == {"b": root / "artifacts/small-b.tar", "a": root / "artifacts/small-a.tar"}


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ("3", "must be a mapping of names"),
        ("{1: 2}", "must be a mapping"),
        ("{data_dir: x}", "must not include data_dir"),
        ("{since: 2020-01-01}", r"has the argument since: datetime\.date\(2020, 1, 1\); .* quote a date"),
        ("{much: .inf}", "has the argument much: inf"),
        ("{names: {1: one}}", "has the argument names: "),
    ],
)
def test_arguments_must_be_a_mapping_of_json_values(root, arguments, match):
    change(root / "params.yaml", "license: CC0\n", f"license: CC0\n  arguments: {arguments}\n")
    assert_refused(root, match)


def derive(root, visibility):
    """Add a dataset `made` that is derived from `small`."""
    with (root / "params.yaml").open("a") as file:
        file.write("made: {builder: datasets/standard/made, version: 1.0.0, license: CC0}\n")
    with (root / "dvc.yaml").open("a") as file:
        file.write(
            f"  made:\n    deps: [datasets/standard/made, artifacts/small.tar]\n"
            f"    outs:\n      - artifacts/made.tar: {{remote: {visibility}}}\n"
        )


def test_a_stage_that_depends_on_an_artifact_has_its_dataset_as_parent(root):
    derive(root, "public")
    assert read_definition("made", root=root).parents == {"small": ("small.tar",)}


@pytest.mark.parametrize("dep", ["./artifacts/small.tar", "datasets/../artifacts/small.tar", "{artifacts/small.tar: }"])
def test_a_parent_is_recognized_in_any_notation_of_its_path(root, dep):
    derive(root, "public")
    change(root / "dvc.yaml", ", artifacts/small.tar]", f", {dep}]")
    assert read_definition("made", root=root).parents == {"small": ("small.tar",)}


def test_a_dataset_derived_from_private_data_in_two_steps_cannot_be_public(root):
    derive(root, "public")
    with (root / "params.yaml").open("a") as file:
        file.write("again: {builder: datasets/standard/again, version: 1.0.0, license: CC0}\n")
    with (root / "dvc.yaml").open("a") as file:
        file.write(
            "  again:\n    deps: [artifacts/made.tar]\n    outs:\n      - artifacts/again.tar: {remote: public}\n"
        )
    assert read_definition("again", root=root).parents == {"made": ("made.tar",)}
    path = root / "dvc.yaml"
    path.write_text(path.read_text().replace("public", "private", 1))
    assert_refused(root, "again is public, but derived from small, which is private", "again")


def test_a_dataset_derived_from_private_data_cannot_be_public(root):
    derive(root, "public")
    path = root / "dvc.yaml"
    path.write_text(path.read_text().replace("public", "private", 1))
    assert_refused(
        root,
        "made is public, but derived from small, which is private; set remote: private for made in dvc.yaml",
        "made",
    )


@pytest.mark.parametrize("several", ["foreach: [a, b]", "matrix: {x: [a, b]}"])
def test_a_stage_that_dvc_multiplies_is_refused(root, several):
    change(root / "dvc.yaml", "  small:\n", f"  small:\n    {several}\n")
    assert_refused(root, rf"the stage 'small' has '{several.partition(':')[0]}'.*write a plain stage")
