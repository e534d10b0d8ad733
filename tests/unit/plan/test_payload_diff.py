"""An explanation that disagrees with the hash sends people after the wrong attribute."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from marin_build.identity.canonical import canonical_text, freeze
from marin_build.plan.difference_text import WIDE, cut_apart, describe_difference
from marin_build.plan.payload_diff import (
    ABSENT,
    Difference,
    dependency_name,
    differences,
    without_echoes,
)

_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-2, 2)
    | st.sampled_from([0.0, -0.0, 1.0, 1.5, "", "a", "1", "tok_0123abcd", "tok@v1"])
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.sampled_from(["a", "b.c", "fields", "__model__"]), inner, max_size=3)
    ),
    max_leaves=8,
)
_IDS = st.lists(
    st.sampled_from(["a_00000000", "a_11111111", "b_00000000", "b@v1", "c@v2"]), max_size=4
)
_PAYLOADS = st.fixed_dictionaries(
    {},
    optional={
        "attrs": _VALUES,
        "deps": _IDS | _VALUES,
        "bind": _VALUES,
        "inputs": _VALUES,
        "code": _LEAVES,
    },
)


@given(_PAYLOADS, _PAYLOADS)
def test_no_difference_means_equal_texts_and_the_reverse(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    assert (differences(old, new) == []) == (canonical_text(old) == canonical_text(new))
    assert differences(old, json.loads(canonical_text(old))) == []


@given(_PAYLOADS, _PAYLOADS)
def test_every_difference_is_one_and_can_be_told(old: dict[str, Any], new: dict[str, Any]) -> None:
    for found in differences(old, new):
        one, other = (
            "absent" if v is ABSENT else canonical_text(v) for v in (found.old, found.new)
        )
        assert one != other
        assert "\n" not in describe_difference(found)


@given(st.lists(_LEAVES, max_size=5), st.integers(0, 5), st.just("new"))
def test_one_insertion_is_one_difference(items: list[Any], at: int, value: str) -> None:
    at = min(at, len(items))
    longer = [*items[:at], value, *items[at:]]
    assert differences({"attrs": {"x": items}}, {"attrs": {"x": longer}}) == [
        Difference(f"attrs.x[{at}]", ABSENT, "new")
    ]
    assert differences({"attrs": {"x": longer}}, {"attrs": {"x": items}}) == [
        Difference(f"attrs.x[{at}]", "new", ABSENT)
    ]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({"attrs": {"seq_len": 4096}}, {"attrs": {"seq_len": 8192}}, "attrs.seq_len 4096 -> 8192"),
        ({"attrs": {"n": 1}}, {"attrs": {"n": 1.0}}, "attrs.n 1 -> 1.0"),
        ({"attrs": {"n": 1}}, {"attrs": {"n": True}}, "attrs.n 1 -> true"),
        ({"attrs": {}}, {"attrs": {"n": 1}}, "attrs.n added: 1"),
        ({"attrs": {"n": {"a": 1}}}, {"attrs": {}}, 'attrs.n removed: {"a": 1}'),
        ({"attrs": {"a b": {"c": 1}}}, {"attrs": {"a b": {"c": 2}}}, 'attrs["a b"].c 1 -> 2'),
        ({"attrs": {"x": [1, [2]]}}, {"attrs": {"x": [1, [3]]}}, "attrs.x[1][0] 2 -> 3"),
        ({"inputs": {"corpus": "aa"}}, {"inputs": {"corpus": "bb"}}, "inputs.corpus changed"),
        ({}, {"inputs": {"data/a.txt": "bb"}}, "inputs.data/a.txt added"),
        ({"code": "aa"}, {"code": "bb"}, "code changed"),
        ({"code": "aa"}, {}, "code left the identity"),
        ({}, {"code": "aa"}, "code joined the identity"),
        ({"deps": ["a_00000000"]}, {"deps": ["a_11111111"]}, "needs a, which changed"),
        ({"deps": ["a@v1"]}, {"deps": ["a@v2"]}, "needs a, which changed"),
        ({"deps": []}, {"deps": ["a@v1"]}, "needs a@v1, which it did not"),
        ({"deps": ["a@v1"]}, {"deps": []}, "no longer needs a@v1"),
        ({"name": "tok"}, {"name": "data/tok"}, "renamed from tok to data/tok"),
        ({"deps": ["a-1a9fea"]}, {"deps": ["a-1b9fea"]}, "needs a, which changed"),
        (
            {"attrs": {"model.layers.[0].seq_len": 1}},
            {"attrs": {"model.layers.[0].seq_len": 2}},
            "attrs.model.layers.[0].seq_len 1 -> 2",
        ),
        (
            {"command": "x" * 60 + "--lr 1" + "y" * 60},
            {"command": "x" * 60 + "--lr 2" + "y" * 60},
            (
                f"command ...{'x' * 7}--lr 1{'y' * 12}... -> ...{'x' * 7}--lr 2{'y' * 12}... "
                "(character 66 of 126)"
            ),
        ),
    ],
)
def test_how_a_difference_is_said(old: dict[str, Any], new: dict[str, Any], said: str) -> None:
    assert [describe_difference(found) for found in differences(old, new)] == [said]


def test_echoes_of_dependencies_are_left_out() -> None:
    old = {"deps": ["a_00000000", "b@v1"], "bind": {"x": "a_00000000", "y": ["b@v1"], "z": 1}}
    new = {"deps": ["a_11111111", "c@v1"], "bind": {"x": "a_11111111", "y": ["c@v1"], "z": 2}}
    paths = [found.path for found in without_echoes(differences(old, new))]
    # That y is another one now is told by deps only as one that went and one that came.
    assert paths == ["bind.y[0]", "bind.z", "deps.a", "deps.b", "deps.c"]


def test_the_fields_of_a_model_are_named_like_attributes() -> None:
    old = {"__dataclass__": "Config", "fields": {"lr": 0.1, "depth": 2}}
    new = {"__dataclass__": "Config", "fields": {"lr": 0.2, "depth": 2}}
    assert differences({"attrs": {"config": old}}, {"attrs": {"config": new}}) == [
        Difference("attrs.config.lr", 0.1, 0.2)
    ]


def test_frozen_attributes_are_compared_with_what_was_read_from_a_record() -> None:
    attrs = {"layers": [1, {"a": (2, 3)}], "rates": {0.5, 0.25}}
    payload = {"name": "a", "attrs": freeze(attrs, "a.attrs")}
    assert differences(payload, json.loads(canonical_text(payload))) == []


def test_dependencies_are_compared_by_name() -> None:
    old = ["data/a_00000000", "data/b_00000000", "z@v1"]
    new = ["data/b_11111111", "data/c_00000000", "z@v1"]
    assert differences({"deps": old}, {"deps": new}) == [
        Difference("deps.data/a", "data/a_00000000", ABSENT),
        Difference("deps.data/b", "data/b_00000000", "data/b_11111111"),
        Difference("deps.data/c", ABSENT, "data/c_00000000"),
    ]


@pytest.mark.parametrize(
    ("target", "name"),
    [("a/b_0123abcd", "a/b"), ("a@2026.11.21", "a"), ("a_b", "a_b"),
     ("a_00000000_11111111", "a_00000000"), ("data/a-1a9fea", "data/a"), ("a-1a9fe", "a-1a9fe")],
)  # fmt: skip
def test_the_name_in_an_id(target: str, name: str) -> None:
    assert dependency_name(target) == name


_LONG = st.text('ab\n"\\é', min_size=1, max_size=6).map(lambda text: text * 200)


@given(_LONG, st.integers(0, 1200), st.text("abx\n", max_size=3), st.sampled_from([48, WIDE]))
def test_of_long_values_the_part_that_differs_is_shown(
    text: str, at: int, put_in: str, width: int
) -> None:
    """Else a prompt with one more character fills the screen twice, and the eye finds nothing."""
    assume(put_in)
    for old, new in ((text, text[:at] + put_in + text[at:]), (put_in, text), (text, put_in)):
        shown = describe_difference(Difference("attrs.prompt", old, new), width)
        sides = shown.removeprefix("attrs.prompt ").split(" (line ")[0].split(" (character ")[0]
        before, after = sides.split(" -> ")
        assert before != after
        assert max(len(before), len(after)) <= width + 8


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        ("x\n" * 5000, "x\n" * 4000 + "y\n" + "x\n" * 999, "(line 4,001 of 5,000)"),
        ("x" * 15_000, "x" * 15_000 + "y", "(character 15,001 of 15,001)"),
        ("x" * 15_000, None, "-> null"),
        (["x" * 15_000], {"a": "x" * 15_000}, "..."),
        (ABSENT, "x" * 15_000, "attrs.p added: "),
        ("x" * 15_000, ABSENT, "attrs.p removed: "),
    ],
)
def test_however_long_a_value_is_its_difference_is_not(old: Any, new: Any, shown: str) -> None:
    """Else a step with its data in an attribute cannot be explained on one screen."""
    found = describe_difference(Difference("attrs.p", old, new), WIDE)
    assert shown in found
    assert len(found) < 3 * WIDE
    key = describe_difference(Difference(f'attrs["{"k" * 15_000}"]', old, new))
    assert len(key) < 3 * WIDE


@pytest.mark.parametrize("old", [None, 1, "x" * 15_000, ["y" * 15_000]])
@pytest.mark.parametrize("new", [None, 2, "x" * 15_001])
def test_the_two_sides_of_a_page_are_cut_alike(old: Any, new: Any) -> None:
    """Else one changed prompt makes the page of a graph as large as the data."""
    sides = cut_apart(old, new)
    assert [side is None for side in sides] == [old is None, new is None]
    assert max(len(str(side)) for side in sides) <= WIDE + 8
    assert sides == (old, new) or len(str((old, new))) > WIDE


def test_what_is_called_a_secret_is_not_shown() -> None:
    """Else the reason of a rebuild prints the password of which the plan warns."""
    token = "hf_" + 30 * "a"
    old = {"attrs": {"api_key": "hunter1", "hosts": [{"my api_key": ["hunter1"]}], "n": "1"}}
    new = {"attrs": {"api_key": "hunter2", "hosts": [{"my api_key": ["hunter2"]}], token: "2"}}
    texts = [describe_difference(each) for each in differences(old, new)]
    assert not [text for text in texts if "hunter" in text or token in text]
    assert len(texts) == 4
