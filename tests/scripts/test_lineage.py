"""A public dataset is made from public data only, in whatever way its stage in `dvc.yaml` names what it reads."""

import json

import pytest

from scripts._define.definition import built_from_private, read_definition, read_definitions
from scripts._process.errors import ScriptError

ARTIFACT = "may hold the data of one; name each artifact that its builder reads, like artifacts/<dataset>.tar"
PLAIN = "write a path in this repository, relative to it and without a variable"
PRIVATE = "pub is public, but derived from priv, which is private; set remote: private for pub in dvc.yaml"


@pytest.fixture
def root(tmp_path):
    """A repository with the private dataset `priv`, and the public datasets `open` and `pub`."""
    root = tmp_path / "repository"
    for name in ("priv", "open", "pub"):
        (root / "datasets/standard" / name).mkdir(parents=True)
        (root / "sources" / name).mkdir(parents=True)
    (root / "artifacts").mkdir()
    (root / "artifacts/priv.tar").write_bytes(b"private")
    write_stages(root)
    blocks = {
        name: {"builder": f"datasets/standard/{name}", "version": "1.0.0", "license": "CC0"}
        for name in ("priv", "open", "pub")
    }
    (root / "params.yaml").write_text(json.dumps({"toolchain": {}, **blocks}))
    return root


def write_stages(root, *deps, **stages):
    """Write a `dvc.yaml` in which `pub` depends on `deps`, with more stages."""
    remotes = {"priv": "private", "open": "public", "pub": "public"}
    found = {
        name: {
            "cmd": "true",
            "deps": [f"datasets/standard/{name}"],
            "outs": [{f"artifacts/{name}.tar": {"remote": remote}}, {f"artifacts/{name}.json": {"cache": False}}],
            "metrics": [{f"artifacts/{name}.stats.json": {"cache": False}}],
        }
        for name, remote in remotes.items()
    }
    found["pub"]["deps"] += deps
    (root / "dvc.yaml").write_text(json.dumps({"stages": {**found, **stages}}))


def refusal(root, name="pub"):
    with pytest.raises(ScriptError) as raised:
        read_definition(name, root=root)
    assert str(read_definitions(root=root)[name]) == str(raised.value)  # which `make check` lists
    return str(raised.value)


@pytest.mark.parametrize("dep", ["artifacts/priv.tar", "./artifacts//priv.tar", "datasets/../artifacts/priv.tar"])
def test_a_private_artifact_is_refused_in_any_notation(root, dep):
    write_stages(root, dep)
    assert refusal(root) == f"{PRIVATE} (it depends on artifacts/priv.tar)"


@pytest.mark.parametrize(
    "dep",
    [
        *(
            "artifacts",
            "artifacts/",
            "./artifacts",
            ".",
            "artifacts/priv",
            "artifacts/removed.tar",
            "Artifacts/priv.tar",
        ),
        *("artifacts/priv.json", "artifacts/priv.stats.json", ".dvc/cache/files/md5", ".dvc", ".git", ".s3/data"),
        *(".scratch", "extracted", "extracted/priv", "sources", "sources/removed", "Sources/priv"),
    ],
)
def test_what_may_hold_the_data_of_any_dataset_is_refused(root, dep):
    write_stages(root, dep)
    assert refusal(root).endswith(ARTIFACT)


def test_a_path_that_leads_out_of_the_repository_or_has_a_variable_is_refused(root):
    for dep in (f"{root}/artifacts/priv.tar", f"../{root.name}/artifacts/priv.tar", "..", "${priv_tar}", "a/${b}/c"):
        write_stages(root, dep)
        assert refusal(root).endswith(PLAIN), dep


def test_a_link_is_refused(root):
    (root / "arts").symlink_to("artifacts")
    (root / "datasets/standard/same").symlink_to("priv")
    for dep in ("arts", "arts/priv.tar", "datasets/standard/same"):
        write_stages(root, dep)
        assert "which is a link or behind one; write the path that it leads to: " in refusal(root)


def test_a_folder_of_a_stage_is_refused(root):
    write_stages(root)
    text = (root / "dvc.yaml").read_text()
    (root / "dvc.yaml").write_text(text.replace('"pub": {', '"pub": {"wdir": "artifacts", '))
    assert "the stage 'pub' has a wdir" in refusal(root)


@pytest.mark.parametrize(
    "dep",
    [
        *("datasets", "datasets/standard", "datasets/standard/priv", "datasets/standard/priv/data.csv"),
        *("Datasets/Standard/PRIV/data.csv", "sources/priv", "sources/priv/data.zip"),
    ],
)
def test_the_definition_and_the_source_files_of_a_private_dataset_are_private(root, dep):
    write_stages(root, dep)
    assert refusal(root) == f"{PRIVATE} (it depends on {dep})"


def test_a_private_dataset_of_tfds_owns_its_folder(root):
    params = root / "params.yaml"
    params.write_text(params.read_text().replace("datasets/standard/priv", "priv"))
    write_stages(root, "datasets/standard/priv")
    assert refusal(root).startswith(PRIVATE)


@pytest.mark.parametrize(
    ("builder", "match"),
    [
        ("datasets/standard/priv", PRIVATE),
        ("datasets/standard/priv/inner", PRIVATE),
        ("artifacts/", ARTIFACT),
        ("./", ARTIFACT),
        ("../repository/artifacts", PLAIN),
    ],
)
def test_a_builder_is_read_without_being_named_among_the_deps(root, builder, match):
    params = root / "params.yaml"
    params.write_text(params.read_text().replace("datasets/standard/pub", builder))
    assert match in refusal(root)


def test_data_go_through_stages_that_are_no_datasets(root):
    between = {"cmd": "true", "deps": ["artifacts/priv.tar"], "outs": [{"data/x.bin": {"remote": "public"}}]}
    write_stages(root, "data", between=between)
    assert refusal(root) == PRIVATE
    write_stages(root, "data/x.bin", between={**between, "deps": ["artifacts"]})
    assert refusal(root).endswith(ARTIFACT)
    write_stages(root, "data/x.bin", between={**between, "deps": [], "outs": ["data/x.bin"]})
    assert refusal(root).startswith("pub is public, but derived from between, which is private")
    write_stages(root, "data/x.bin", between={**between, "deps": ["artifacts/open.tar"]})
    assert read_definition("pub", root=root).parents == {}


@pytest.mark.parametrize("dep", ["data", "data/x.csv", "data/x.csv/inner"])
def test_what_a_dvc_file_does_not_call_public_is_private(root, dep):
    (root / "data").mkdir()
    record = root / "data/x.csv.dvc"
    out = {"path": "x.csv", "hash": "md5", "md5": "0" * 32, "size": 1}
    write_stages(root, dep)
    for remote, is_public in (({}, False), ({"remote": "private"}, False), ({"remote": "public"}, True)):
        record.write_text(json.dumps({"outs": [out | remote]}))
        if is_public:
            assert read_definition("pub", root=root).visibility == "public"
        else:
            assert f"pub is public, but pub depends on {dep}, and {record} does not call that public" in refusal(root)


def test_public_data_may_be_read(root):
    (root / "helpers").mkdir()
    write_stages(root, "artifacts/open.tar", "datasets/standard/open", "sources/open", "sources/pub", "helpers")
    assert read_definition("pub", root=root).parents == {"open": ("open.tar",)}


def test_a_private_dataset_may_read_private_data_but_names_each_artifact(root):
    for dep, is_accepted in (("datasets/standard", True), ("artifacts/priv.tar", True), ("artifacts", False)):
        write_stages(root, dep)
        path = root / "dvc.yaml"
        path.write_text(path.read_text().replace("public", "private"))
        if is_accepted:
            assert read_definition("pub", root=root).visibility == "private"
        else:
            assert refusal(root).endswith(ARTIFACT)


def test_a_wrong_dep_refuses_what_is_derived_from_it_but_no_other_dataset(root):
    write_stages(root, "artifacts")
    assert isinstance(read_definitions(root=root)["pub"], ScriptError)
    assert read_definition("open", root=root).name == "open"
    made = {"cmd": "true", "deps": ["artifacts/pub.tar"], "outs": [{"artifacts/open.tar": {"remote": "public"}}]}
    write_stages(root, "artifacts", open=made)
    assert refusal(root, "open").endswith(ARTIFACT)


def test_artifacts_that_were_built_from_private_data_stay_private_whatever_dvc_yaml_says_now(root):
    for dep, match in (("artifacts/priv.tar", PRIVATE), ("datasets/standard", PRIVATE), ("artifacts", ARTIFACT)):
        (root / "dvc.lock").write_text(json.dumps({"stages": {"pub": {"deps": [{"path": dep, "md5": "0"}]}}}))
        (problem,) = built_from_private(["pub", "open", "priv"], root=root)
        assert problem.startswith("pub: its recorded artifacts were built from what dvc.lock lists: ")
        assert match in problem
        assert problem.endswith("; or build them again: make build DATASET=pub")
    (root / "dvc.lock").write_text(json.dumps({"stages": {"pub": {"deps": [{"path": "artifacts/open.tar"}]}}}))
    assert built_from_private(["pub"], root=root) == []


def test_an_output_of_two_stages_is_refused_with_the_names_of_both(root):
    write_stages(root, twice={"cmd": "true", "outs": [{"artifacts/pub.tar": {"remote": "private"}}]})
    assert refusal(root) == (
        "dvc.yaml: the stages 'pub' and 'twice' both have the output artifacts/pub.tar; remove it from one of them"
    )
