"""The place in the author's file that every error points at."""

from __future__ import annotations

import pytest

from marin_build.pipeline.declared_at import declaring_place, shown


def test_the_place_is_the_callers() -> None:
    file, line = declaring_place()
    assert file == __file__
    assert line == test_the_place_is_the_callers.__code__.co_firstlineno + 1


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("/project/a/p.py", "a/p.py:3"),
        ("/project2/p.py", "/project2/p.py:3"),
        ("<stdin>", "<stdin>:3"),
    ],
)
def test_a_place_inside_the_project_is_relative_to_it(file: str, text: str) -> None:
    assert shown((file, 3), "/project") == text
