"""Which attributes of targets and of all they were made from differ, and what they are called."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.plan.metrics.hashed_step import HashedStep
from marin_build.plan.metrics.varying_attributes import Varying, varying_attributes


def step(name: str, attrs: dict[str, Any] | None = None, /, **bind: Any) -> HashedStep:
    """A step that has each other one bound to a parameter under the key that is its id."""
    ids = [id_ for part in bind.values() for id_ in ([part] if isinstance(part, str) else part)]
    payload = {"name": name, "attrs": attrs or {}, "deps": sorted(ids), "bind": bind}
    return HashedStep(name, payload, deps={id_: id_ for id_ in ids})


def test_an_attribute_that_differs_is_followed_to_the_step_whose_it_is() -> None:
    """This is what a sweep is read for: which value led to which number."""
    steps = {"corpus": step("corpus", {"lines": 3})}
    for rate in (0.1, 0.2):
        optimizer = {"__dataclass__": "Adam", "fields": {"rate": rate, "beta": 0.9}}
        steps[f"train{rate}"] = step("train", {"optimizer": optimizer}, corpus="corpus")
        steps[f"eval{rate}"] = step("eval", {"n": 5}, model=f"train{rate}")
    assert varying_attributes(steps, ["eval0.1", "eval0.2"]) == Varying(
        ("train.optimizer.rate",), ({"train.optimizer.rate": 0.1}, {"train.optimizer.rate": 0.2})
    )


def test_steps_of_a_sweep_with_other_names_are_compared_as_one() -> None:
    """Else each of a hundred trainings would have columns of its own, all but one cell empty."""
    steps = {}
    for rate in (0.1, 0.2):
        train = f"sweep/lr{rate}/train"
        steps[train] = step(train, {"rate": rate}, corpus=[])
        steps[f"eval-lr{rate}"] = step(f"eval-lr{rate}", {"n": 5}, model=train)
    found = varying_attributes(steps, ["eval-lr0.1", "eval-lr0.2"])
    assert found.names == ("train.rate",)


@pytest.mark.parametrize(
    ("names", "part"),
    [
        (["a/shard-0/x", "b/shard-1/y"], "shard"),
        (["train", "train-small"], "train"),
        (["big/train", "small/old/train"], "train"),
        (["wiki", "books"], None),
        (["lr0.1", "lr0.2"], None),
        (["a", "a/b"], "a"),
    ],
)
def test_names_share_a_part_where_they_share_words(names: list[str], part: str | None) -> None:
    steps = {name: step(name, {"rate": at}) for at, name in enumerate(names)}
    steps |= {f"e{at}": step("eval", {}, model=name) for at, name in enumerate(names)}
    found = varying_attributes(steps, ["e0", "e1"])
    assert found.names == (("model",) if part is None else (f"{part}.rate",))


def test_steps_without_attributes_are_told_apart_by_what_they_were_made_from() -> None:
    """Else a pipeline with a chain for each file is a table of names of files."""
    steps = {}
    for at, file in enumerate(("abc", "xyz")):
        steps[f"raw/{file}"] = step(f"raw/{file}", {"url": file})
        for name, above in (("clean", "raw"), ("signed", "clean"), ("tokens", "signed")):
            id_ = f"{above}/{file}"
            payload = {"attrs": {}, "deps": [id_], "name": f"{name}/{file}"}
            steps[f"{name}/{file}"] = HashedStep(f"{name}/{file}", payload, deps={id_: id_})
        steps[f"row{at}"] = step("row", {}, of=f"tokens/{file}")
    assert varying_attributes(steps, ["row0", "row1"]).names == ("raw.url",)


def test_rows_of_several_steps_share_the_columns_of_what_they_were_made_from() -> None:
    steps = {
        "t1": step("train", {"rate": 1}),
        "t2": step("train", {"rate": 2}),
        "e1": step("eval", {"n": 1}, model="t1"),
        "e2": step("eval", {"n": 1}, model="t2"),
    }
    found = varying_attributes(steps, ["t1", "e1", "t2", "e2"])
    assert found.names == ("train.rate",)
    assert [row["train.rate"] for row in found.rows] == [1, 1, 2, 2]


def test_another_step_in_the_same_place_is_named() -> None:
    steps = {
        "wiki": step("wiki", {"dump": "2026"}),
        "books": step("books", {"edition": 2}),
        "a": step("train", None, corpus="wiki"),
        "b": step("train", None, corpus="books"),
    }
    found = varying_attributes(steps, ["a", "b"])
    assert found.rows == ({"corpus": "wiki"}, {"corpus": "books"})


def test_what_a_plain_list_of_dependencies_holds_is_named_too() -> None:
    steps = {
        "wiki": step("wiki"),
        "books": step("books"),
        "a": HashedStep("train", {"deps": ["wiki"]}, deps={"wiki": "wiki"}),
        "b": HashedStep("train", {"deps": ["books", "lost_00000000"]}, deps={"books": "books"}),
    }
    found = varying_attributes(steps, ["a", "b"])
    assert found.rows == ({"needs": ["wiki"]}, {"needs": ["books", "lost"]})


def test_several_steps_of_one_name_have_a_list_of_values() -> None:
    steps = {f"shard{i}": step("shard", {"at": i}) for i in range(4)}
    steps |= {
        "a": step("merge", None, parts=["shard0", "shard1"]),
        "b": step("merge", None, parts=["shard0", "shard2"]),
    }
    found = varying_attributes(steps, ["a", "b"])
    assert found.rows == ({"shard.at": [0, 1]}, {"shard.at": [0, 2]})


def test_a_row_that_was_made_from_another_row() -> None:
    steps = {
        "first": step("train", {"rate": 1, "from": None}),
        "second": step("train", {"rate": 2, "from": "first"}, start="first"),
    }
    found = varying_attributes(steps, ["first", "second"])
    assert [row["rate"] for row in found.rows] == [1, 2]
    assert "train.rate" not in found.rows[0]


def test_commands_inputs_code_and_versions_tell_targets_apart() -> None:
    one = {"command": {"shell": "cp a"}, "inputs": {"corpus": "aa"}, "code": "1", "attrs": {}}
    other = {"command": {"argv": ["cp", "b"]}, "inputs": {"corpus": "bb"}, "code": "2"}
    steps = {"a": HashedStep("copy", one, "v1"), "b": HashedStep("copy", other, "v2")}
    assert varying_attributes(steps, ["a", "b"]).rows == (
        {"command": "cp a", "inputs.corpus": "aa", "code": "1", "version": "v1"},
        {"command": ["cp", "b"], "inputs.corpus": "bb", "code": "2", "version": "v2"},
    )


def test_values_without_a_form_in_json_are_shown_as_they_were_written() -> None:
    def attrs(path: str, at: int) -> dict[str, Any]:
        return {
            "path": {"__path__": path},
            "mode": {"__enum__": f"Mode.M{at}", "value": at},
            "wait": {"__timedelta__": at * 1_500_000},
            "layers": [1, at],
            "mix": [{"weight": at}],
        }

    steps = {"a": step("s", attrs("x", 1)), "b": step("s", attrs("y", 2))}
    assert varying_attributes(steps, ["a", "b"]).rows[1] == {
        "path": "y",
        "mode": "Mode.M2",
        "wait": 3.0,
        "layers": [1, 2],
        "mix[0].weight": 2,
    }


def test_secrets_are_masked() -> None:
    steps = {str(at): step("s", {"api_token": f"abcdefghij{at}"}) for at in range(2)}
    steps["2"] = step("s", {"api_token": None})
    assert "abcdefghij" not in str(varying_attributes(steps, ["0", "1", "2"]))


def test_one_row_differs_from_nothing_but_shows_what_is_asked_for() -> None:
    steps = {"t": step("train", {"rate": 1}), "e": step("eval", {"n": 2}, model="t")}
    assert varying_attributes(steps, ["e"]).names == ()
    assert varying_attributes(steps, ["e"], "train.rate".__eq__).rows == ({"train.rate": 1},)


def test_rows_of_which_nothing_is_known_and_circles_do_no_harm() -> None:
    circle = {
        "a": HashedStep("a", {"attrs": {"x": 1}, "deps": ["b"]}, deps={"b": "b"}),
        "b": HashedStep("b", {"attrs": {"x": 2}, "deps": ["a", 7, None]}, deps={"a": "a"}),
    }
    assert len(varying_attributes(circle, ["a", "b", "unknown"]).rows) == 3


def test_an_attribute_that_is_called_like_that_of_another_step_says_whose_it_is() -> None:
    steps = {
        "t1": step("train", {"rate": 1}),
        "t2": step("train", {"rate": 2}),
        "a": step("eval", {"train": {"rate": 7}}, model="t1"),
        "b": step("eval", {"train": {"rate": 8}}, model="t2"),
    }
    found = varying_attributes(steps, ["a", "b"])
    assert found.rows[0] == {"eval.train.rate": 7, "train.rate": 1}


VALUES = st.integers(0, 2) | st.sampled_from(["a", None])


@st.composite
def chains(draw: st.DrawFn) -> list[list[dict[str, Any]]]:
    """Rows, each with the attributes of the steps it was made from, its own first."""
    attributes = st.dictionaries(st.sampled_from("xyz"), VALUES)
    depth = draw(st.integers(1, 3))
    return draw(st.lists(st.lists(attributes, min_size=depth, max_size=depth), max_size=5))


@given(chains())
def test_exactly_what_differs_is_found(rows: list[list[dict[str, Any]]]) -> None:
    """Against a model: chains of steps in which level k of each row has the name `s{k}`."""
    steps: dict[str, HashedStep] = {}
    keys = []
    for row in rows:
        below: str | None = None
        for level in range(len(row) - 1, -1, -1):
            id_ = f"{level}:{json.dumps(row[level], sort_keys=True)}:{below}"
            bind = {} if below is None else {"up": below}
            steps[id_] = step(f"s{level}", row[level], **bind)
            below = id_
        keys.append(below or "")
    expected: dict[str, list[Any]] = {}
    missing = "missing"
    for level in range(len(rows[0]) if rows else 0):
        for name in "xyz":
            values = [row[level].get(name, missing) for row in rows]
            if len({json.dumps(value) for value in values}) > 1:
                expected[f"s{level}.{name}" if level else name] = values
    found = varying_attributes(steps, keys)
    assert set(found.names) == set(expected)
    for name, values in expected.items():
        assert [row.get(name, missing) for row in found.rows] == values
