"""How a command names what it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from marin_build.cli.views.waiting_text import waiting_text
from marin_build.store.slow_requests import SlowRequest

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.mark.parametrize(
    ("verb", "paths", "words"),
    [
        (
            "read",
            [f"gs://lab/out/t{i}_1/{name}" for i in range(1200)
             for name in (".executor_status", ".executor_status.lock")],
            "reading the state of 1,200 targets",
        ),
        ("read", ["gs://lab/out/t_1/.executor_info"], "reading the records of 1 target"),
        ("list", ["gs://lab/out/.marin-build/tainted"], "listing the marks of tainted targets"),
        ("list", ["gs://lab/out/t_1/.logs"], "listing the attempts at t_1"),
        ("list", ["gs://lab/out/t_"], "listing out/t_"),
        ("list", ["gs://lab"], "listing"),
        ("write", ["gs://lab/out/.marin-build/tainted/t.json"],
         "writing out/.marin-build/tainted/t.json"),
        ("delete", ["gs://lab/a", "gs://lab/b"], "deleting 2 objects"),
        ("read", ["gs://lab/\x1b[2J\n"], r"reading \x1b[2J\n"),
    ],
)  # fmt: skip
def test_people_read_what_is_waited_for(verb: str, paths: Sequence[str], words: str) -> None:
    """Else they see names of our files, or a name of an object moves their cursor."""
    assert waiting_text(SlowRequest(verb, paths, 2.04)) == f"waiting for gs://lab (2 s): {words}"


def test_a_long_name_is_cut() -> None:
    """Else the line wraps, and a terminal cannot erase it."""
    text = waiting_text(SlowRequest("list", [f"gs://lab/{'x' * 5000}"], 10.0))
    assert len(text) < 200
