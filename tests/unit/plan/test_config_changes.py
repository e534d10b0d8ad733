"""What changed between two configurations."""

from __future__ import annotations

from typing import Any

import pytest

from marin_build.plan.config_changes import config_changes


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": {"b": [1, {"c": "x"}]}}, {"a": {"b": [1, {"c": "y"}]}}, ["a.b[1].c: 'x' -> 'y'"]),
        ({"a": 1}, {}, ["a: 1 (removed)"]),
        ({}, {"a b": None}, ['["a b"]: (added) None']),
        ({"a": 1}, {"a": 1.0}, ["a: 1 -> 1.0"]),
        (1, 2, ["(root): 1 -> 2"]),
    ],
)
def test_each_value_that_changed_is_named_by_its_path(old: Any, new: Any, lines: list[str]) -> None:
    assert config_changes(old, new) == lines


def test_the_lines_are_bounded_and_hold_no_secret() -> None:
    """Else a log is unreadable, or can be shown to nobody."""
    token = "ghp_" + "a1B2" * 9
    lines = config_changes({}, {f"k{i:02}": token for i in range(25)})
    assert (len(lines), lines[-1]) == (21, "and 5 more")
    assert token not in str(lines)
