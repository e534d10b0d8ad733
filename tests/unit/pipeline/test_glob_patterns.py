"""Patterns select files that enter identity, and targets: too many or too few is wrong work."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from marin_build.pipeline.glob_patterns import compile_patterns


def _matches(pattern: str, path: str) -> bool:
    """The meaning of a pattern without character classes, spelled out case by case."""
    if not pattern:
        return not path
    rest = pattern[1:]
    if pattern.startswith("**/"):
        inner = pattern[3:]
        return _matches(inner, path) or any(
            _matches(inner, path[i + 1 :]) for i, char in enumerate(path) if char == "/"
        )
    if pattern.startswith("**"):
        return any(_matches(pattern[2:], path[i:]) for i in range(len(path) + 1))
    if pattern[0] == "*":
        stop = path.find("/") if "/" in path else len(path)
        return any(_matches(rest, path[i:]) for i in range(stop + 1))
    if pattern[0] == "?":
        return path[:1] not in {"", "/"} and _matches(rest, path[1:])
    return path[:1] == pattern[0] and _matches(rest, path[1:])


_PATTERNS = st.lists(st.sampled_from(["**/", "**", "*", "?", "a", "b", "/", "."]), max_size=4)


@given(_PATTERNS.map("".join), st.text(alphabet="ab/.\n", max_size=5))
def test_patterns_mean_what_is_documented(pattern: str, path: str) -> None:
    assert compile_patterns([pattern])(path) == _matches(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*.py", ["a.py", ".py"], ["a/b.py", "a.pyc"]),
        ("**/*.py", ["a.py", "a/b.py", "a/b/c.py"], ["a.pyc"]),
        ("**/a", ["a", "b/a", "c/b/a", "/a"], ["ba", "b/ca"]),
        ("data/**", ["data/a", "data/a/b"], ["data", "other/data/a"]),
        ("**", ["", "a", "a/b"], []),
        ("eval/?", ["eval/a"], ["eval/", "eval/ab", "eval//"]),
        ("[ab].txt", ["a.txt", "b.txt"], ["c.txt", "ab.txt"]),
        ("[!ab].txt", ["c.txt"], ["a.txt"]),
        ("[^ab].txt", ["c.txt"], ["a.txt"]),
        ("[a-c]", ["b"], ["d", "-"]),
        ("a.b+(c)", ["a.b+(c)"], ["aXb+(c)"]),
        ("[", ["["], ["a"]),
        ("a[]", ["a[]"], ["a"]),
        (r"[\d]", ["\\", "d"], ["3"]),
    ],
)
def test_what_a_pattern_selects(pattern: str, yes: list[str], no: list[str]) -> None:
    matches = compile_patterns([pattern])
    assert [path for path in yes if not matches(path)] == []
    assert [path for path in no if matches(path)] == []


def test_any_of_several_patterns_is_enough_and_none_selects_nothing() -> None:
    either = compile_patterns(["a|b", "c"])
    assert [either(path) for path in ("a|b", "c", "a", "b")] == [True, True, False, False]
    assert not compile_patterns([])("")


@example("[a--]")
@given(st.text(alphabet="[]!^-az&~|\\*", max_size=6))
def test_no_pattern_a_person_can_type_crashes_the_program(pattern: str) -> None:
    assert compile_patterns([pattern])("a") in {True, False}
