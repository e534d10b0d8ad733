"""What the files beside outputs say, whatever is in them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from marin_build.observe.read_made import read_made
from marin_build.store.local import LocalStore

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("artifact", "returned", "problem"),
    [
        (b'{"loss": 1}', {"loss": 1}, ""),
        (b"null", None, ""),
        (b"NaN", "NaN", ""),
        (b"{", None, "not readable: "),
        (b"[" * 100_000, None, "98 KiB of JSON"),
        (json.dumps("x" * 70_000).encode(), None, "68 KiB of JSON"),
    ],
)
def test_what_a_step_returned_is_read_or_the_reason_why_not(
    tmp_path: Path, artifact: bytes, returned: object, problem: str
) -> None:
    """Else one large or damaged artifact keeps the report on all others from being written."""
    (tmp_path / ".artifact.json").write_bytes(artifact)
    (tmp_path / ".executor_status").write_text("SUCCESS")
    (tmp_path / ".executor_info").write_text("{")
    (made,) = read_made(LocalStore(), [("a", "a_1", str(tmp_path))])
    assert made.output.is_built
    assert made.recipe is None
    assert made.returned == returned
    assert made.problem.startswith(problem)
    assert bool(made.problem) == bool(problem)


def test_many_outputs_are_read_in_their_order(tmp_path: Path) -> None:
    """Else the numbers of one target stand beside the name of another."""
    places = []
    for number in range(450):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / ".artifact.json").write_text(str(number))
        places.append((str(number), f"{number}_0", str(folder)))
    made = list(read_made(LocalStore(), places))
    assert [one.returned for one in made] == list(range(450))
    assert not any(one.output.is_built for one in made)
