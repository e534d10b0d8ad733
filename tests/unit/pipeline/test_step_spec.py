"""What an author declares: checked at once, frozen, and no less than what is run."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import pickle
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import pytest

from marin_build import ResourceConfig, StepSpec
from marin_build.errors import (
    MarinBuildError,
    SpecificationError,
    UnfingerprintableError,
    collected_errors,
)
from marin_build.pipeline.source import Source
from marin_build.pipeline.stands_for import StandsForResources
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace


def _build(output_path: str) -> None: ...


RAW = StepSpec(name="raw")
TEXT = Source("text", "/project/text.txt")


def test_a_step_cannot_be_changed_after_its_declaration() -> None:
    tags, env = ["a"], {"A": "1"}
    declared = StepSpec(name="train", tags=tags, env_vars=env, deps=[RAW], outputs=["model"])
    with pytest.raises(FrozenInstanceError):
        declared.name = "other"  # type: ignore[misc]
    tags.append("b")
    env["A"] = "2"
    assert (declared.tags, declared.env_vars, declared.deps) == (("a",), {"A": "1"}, (RAW,))
    assert declared.outputs == ("model",)


def test_steps_are_compared_as_objects_so_that_a_graph_can_tell_them_apart() -> None:
    assert StepSpec(name="a") != StepSpec(name="a")
    assert len({StepSpec(name="a"), StepSpec(name="a")}) == 2


def test_the_place_is_that_of_the_declaration() -> None:
    declared = StepSpec(name="a")
    assert Path(declared.place.rpartition(":")[0]).name == Path(__file__).name
    assert declared.place.rpartition(":")[2] != "0"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"name": "a b"}, "illegal step name"),
        ({"deps": ["raw"]}, "depends on the text 'raw', not a step"),
        ({"deps": RAW}, "`deps` of `train` is one step, not several"),
        ({"deps": "raw"}, "`deps` of `train` is a str, not a list"),
        ({"deps": 3}, "`deps` of `train` is a int, not a list"),
        ({"hash_attrs": [1]}, "`hash_attrs` of `train` is a list, not a mapping"),
        ({"env_vars": "A=1"}, "`env_vars` of `train` is a str, not a mapping"),
        ({"retries": "1"}, "`retries` is a str, not a whole number"),
        ({"timeout": "1h"}, "`timeout` is a positive number"),
        ({"resources": "v5p-64"}, "`resources` is a str, not a ResourceConfig"),
        ({"tags": [1]}, "the tag `1` is not a string"),
        ({"outputs": [1]}, "the output `1` is not a path"),
        ({"version": "a/b"}, "a version is one segment"),
        ({"version": "1", "override_output_path": "/x"}, "cannot both be given"),
        ({"code": "rebuilt"}, "`code` is one of report, rebuild, ignore"),
        ({"retries": -1}, "`retries` must not be negative"),
        ({"timeout": 0}, "`timeout` is a positive number"),
        ({"timeout": float("inf")}, "`timeout` is a positive number"),
        ({"timeout": float("nan")}, "`timeout` is a positive number"),
        ({"outputs": ["/etc/passwd"]}, "`/etc/passwd` is not a path inside"),
        ({"outputs": ["a/../../b"]}, "not a path inside"),
        ({"outputs": [""]}, "not a path inside"),
        ({"outputs": "model"}, "`outputs`"),
        ({"tags": "eval"}, "`tags`"),
        ({"fn": 3}, "`fn` is a int, not a function"),
        ({"inputs": {"a": "a.txt"}}, "`a` is not a source"),
        ({"env_vars": {"A": 1}}, "environment variable `A` is of the type int, not a string"),
        ({"env_vars": {1: "A"}}, "the name of the environment variable `1` is of the type int"),
        ({"env_vars": {"A=B": "1"}}, "the name of the environment variable 'A=B' contains `=`"),
        ({"env_vars": {"": "1"}}, "an environment variable has an empty name"),
        ({"env_vars": {"A\0": "1"}}, r"'A\\x00' contains a null character"),
        ({"env_vars": {"A": "\0"}}, "`A` has a value with a null character"),
        ({"env_vars": {"A": "\ud800"}}, "`A` has a name or a value that is no Unicode text"),
        ({"env_vars": {"A": "x" * (1 << 17)}}, "`A` has 131074 bytes, and Linux gives programs"),
        ({"hash_attrs": {"f": print}}, "cannot fingerprint `train.attrs.f`"),
        ({"inputs": {"a": Source("n", "/a"), "b": Source("n", "/b")}}, "two inputs are called"),
        (
            {"inputs": {"a": Source("n", "/a"), "b": Source("n", "/a", ("*.py",))}},
            "two inputs are called `n`",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_a_mistake_is_refused_where_it_is_declared(given: dict[str, Any], says: str) -> None:
    with pytest.raises(MarinBuildError, match=says) as caught:
        StepSpec(**{"name": "train", **given})
    assert __file__ in dict(caught.value.facts)["declared"]


def test_all_mistakes_of_one_step_are_reported_together() -> None:
    with collected_errors() as errors:
        StepSpec(name="a b", deps=["x"], retries=-1, timeout=0, hash_attrs={"f": print})  # type: ignore[list-item]
    text = "\n".join(error.what for error in errors)
    for part in ("illegal", "not a step", "`retries`", "`timeout`", "a function"):
        assert part in text


@pytest.mark.parametrize("hidden", [RAW, TEXT, {RAW}, (TEXT,)], ids=["step", "source", "set", "in"])
def test_a_step_or_source_is_no_attribute(hidden: Any) -> None:
    """As one it would enter identity without its content: changes to it would not rebuild."""
    with pytest.raises(UnfingerprintableError):
        StepSpec(name="train", hash_attrs={"data": hidden})


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ({}, "/p/train_{hash}"),
        ({"version": "1.0"}, "/p/train/1.0"),
        ({"output_path_prefix": "gs://b/x/"}, "gs://b/x/train_{hash}"),
        ({"output_path_prefix": "other"}, "/project/other/train_{hash}"),
        ({"output_path_prefix": "/o", "version": "1"}, "/o/train/1"),
        ({"override_output_path": "models/base"}, "/p/models/base"),
        ({"override_output_path": "models//base/"}, "/p/models/base"),
        ({"override_output_path": "a", "output_path_prefix": "gs://b/x/"}, "gs://b/x/a"),
        ({"override_output_path": Path("models/base")}, "/p/models/base"),
        ({"override_output_path": Path("/models/base")}, "/models/base"),
        ({"output_path_prefix": Path("/o")}, "/o/train_{hash}"),
        ({"override_output_path": "gs://b/models/"}, "gs://b/models"),
    ],
)
def test_where_the_output_lives(given: dict[str, Any], path: str) -> None:
    declared = StepSpec(name="train", **given)
    with in_workspace(Workspace("/project", "/p")):
        assert declared.output_path == path.format(hash=declared.hash_id)
    assert declared.output_path_in("/p") == path.format(hash=declared.hash_id)


def test_adopted_data_is_read_where_it_lies_and_its_record_stays_here() -> None:
    """Identity, status, lease and record know nothing of the place."""
    raw = StepSpec(name="raw")
    train = StepSpec(name="train", deps=[raw])
    fingerprint = train.fingerprint
    adopted = {raw.target_id: "gs://old/raw"}
    with in_workspace(Workspace("/project", "/p", adopted=adopted)):
        again = StepSpec(name="train", deps=[StepSpec(name="raw")])
        assert raw.output_path == "gs://old/raw"
        assert train.dep_paths == ["gs://old/raw"]
        assert raw.output_path_in("/p") == f"/p/{raw.name_with_hash}"
        assert again.output_path == f"/p/{train.name_with_hash}"
        assert again.fingerprint == fingerprint


def test_the_ids_of_a_step() -> None:
    hashed = StepSpec(name="a/b", deps=[RAW])
    assert hashed.name_with_hash == f"a/b_{hashed.fingerprint[:8]}"
    assert hashed.target_id == hashed.name_with_hash
    assert StepSpec(name="a/b", version="v1").target_id == "a/b@v1"
    assert hashed.dep_paths == [RAW.output_path]


@pytest.mark.parametrize(
    ("version", "dev"),
    [(None, False), ("1", False), ("dev", True), ("ada-dev", True), ("dev-1", False)],
)
def test_dev_versions_are_told_from_others(version: str | None, dev: bool) -> None:
    assert StepSpec(name="a", version=version).is_dev is dev


def test_a_long_chain_can_be_fingerprinted_from_its_end() -> None:
    end = RAW
    for i in range(5000):
        end = StepSpec(name=f"s{i}", deps=[end])
    assert len(end.fingerprint) == 64
    assert end.payload.count(end.deps[0].hash_id) == 1


class _Kept(StandsForResources):
    """A value of another dialect."""

    @property
    def lowered_resources(self) -> ResourceConfig:
        return ResourceConfig(cpu=3)


class _Refused(StandsForResources):
    @property
    def lowered_resources(self) -> ResourceConfig:
        raise SpecificationError("no such slice")


def test_what_stands_for_resources_becomes_them() -> None:
    """Else a file that was written for another library must be edited to run here."""
    step = StepSpec(name="a", resources=_Kept())  # type: ignore[arg-type]
    assert step.resources == ResourceConfig(cpu=3)
    with pytest.raises(SpecificationError, match="no such slice") as caught:
        StepSpec(name="a", resources=_Refused())  # type: ignore[arg-type]
    assert __file__ in dict(caught.value.facts)["declared"]


def test_the_first_arguments_have_the_order_of_marins_step_spec() -> None:
    step = StepSpec("train", "gs://b", [RAW], {"lr": 1}, "models/base")
    assert step.output_path == "gs://b/models/base"
    assert (step.deps, step.hash_attrs) == ([RAW], {"lr": 1})


def test_dependencies_and_attributes_compare_as_the_lists_they_were_given_as() -> None:
    """A test of a pipeline compares them with lists, whether or not they are frozen."""
    step = StepSpec(name="train", deps=[RAW], hash_attrs={"globs": ["a", ["b"]], "pair": (1, 2)})
    deps: Any = step.deps
    assert deps == [RAW]
    assert deps == (RAW,)
    assert deps != []
    assert StepSpec(name="train").deps == []
    assert step.hash_attrs == {"globs": ["a", ["b"]], "pair": (1, 2)}
    assert step.hash_attrs["globs"] != ["a", ["c"]]
    assert step.dep_names == [RAW.name_with_hash]


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass(frozen=True)
class Config:
    lr: float


@pytest.mark.parametrize(
    "value",
    [Colour.RED, Path("a"), Config(0.1), {1, 2}, b"x", dt.timedelta(1), {"a": [Config(1), {}]}],
    ids=str,
)
def test_a_copy_with_another_field_has_the_same_attributes(value: Any) -> None:
    step = StepSpec(name="train", deps=[RAW], hash_attrs={"x": value})
    copy = dataclasses.replace(step, override_output_path="gs://b/models")
    assert copy.fingerprint == step.fingerprint
    assert (copy.output_path, copy.deps) == ("gs://b/models", [RAW])
    assert copy.declared == step.declared
    again = pickle.loads(pickle.dumps(step.hash_attrs))
    assert StepSpec(name="train", deps=[RAW], hash_attrs=again).fingerprint == step.fingerprint


def test_an_author_cannot_write_the_form_of_another_value() -> None:
    """Else an enum and a dictionary that looks like one would share a target."""
    with pytest.raises(UnfingerprintableError, match="the key `__enum__` is reserved"):
        StepSpec(name="a", hash_attrs={"x": {"__enum__": "Colour.RED", "value": 1}})


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Dialect(StepSpec):
    """A step of another dialect, with a method of its own."""

    def renamed(self) -> _Dialect:
        return dataclasses.replace(self, name="renamed")


class _Plain(StepSpec):
    """The same without fields of its own."""

    def renamed(self) -> _Plain:
        return dataclasses.replace(self, name="renamed")


@pytest.mark.parametrize("kind", [_Dialect, _Plain])
def test_a_subclass_is_a_step_and_a_dependency(kind: type[_Dialect | _Plain]) -> None:
    raw = kind("raw")
    train = StepSpec("train", deps=[raw])
    assert train.dep_names == [RAW.name_with_hash]
    assert type(raw.renamed()) is kind
    assert raw.renamed().name_with_hash.startswith("renamed_")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"override_output_path": "../x"}, "leads out of the prefix: `../x`"),
        ({"override_output_path": "a/../.."}, "leads out of the prefix"),
        ({"override_output_path": ""}, "names no folder"),
        ({"override_output_path": "./"}, "names no folder"),
        ({"override_output_path": 3}, "is a int, not a path or a URL"),
        ({"output_path_prefix": b"/x"}, "is a bytes, not a path or a URL"),
        ({"fingerprint_payload": {}}, "`fingerprint_payload` is a dict, not a text"),
        ({"writes_record": 1}, "`writes_record` is True or False, not `1`"),
    ],
    ids=str,
)
def test_a_field_that_cannot_be_meant_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(SpecificationError, match=says):
        StepSpec(name="train", **given)
