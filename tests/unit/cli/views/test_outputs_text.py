"""Lines that say where outputs are: few, and as a user would write the paths."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from marin_build.cli.views.outputs_text import output_lines
from marin_build.plan.requested_outputs import BuiltOutput

if TYPE_CHECKING:
    import pytest


def _output(name: str, path: str) -> BuiltOutput:
    return BuiltOutput(name, f"{name}_00000000", path)


def test_paths_are_short_where_they_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a terminal is full of the folders that the user is in."""
    monkeypatch.setattr(os, "getcwd", lambda: "/here")
    outputs = [_output("a", "/here/out/a"), _output("b", "/there/b"), _output("c", "gs://b/c")]
    assert output_lines(outputs, 0, "paths") == ["  a: out/a", "  b: /there/b", "  c: gs://b/c"]


def test_of_many_outputs_only_the_first_are_shown() -> None:
    """Else the totals of a sweep scroll away."""
    lines = output_lines(
        [_output(f"s{i}", f"/s{i}") for i in range(5)], 10, "marin-build path -f x.py"
    )
    assert lines[-2:] == ["  s2: /s2", "  and 12 more: marin-build path -f x.py"]
    assert output_lines([], 0, "paths") == []
