"""What the files beside outputs say, whatever is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from marin_build.observe.read_made import read_made
from marin_build.store.local import LocalStore

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_damaged_or_not_built_says_nothing(tmp_path: Path) -> None:
    """Else one damaged file keeps the report on all others from being written."""
    (tmp_path / ".artifact.json").write_text("{")
    (tmp_path / ".executor_info").write_text("{")
    places = [("a", "a_1", str(tmp_path))]
    (made,) = read_made(LocalStore(), places)
    assert (made.output.is_built, made.artifact, made.recipe) == (False, None, None)
    (tmp_path / ".executor_status").write_text("SUCCESS")
    (made,) = read_made(LocalStore(), places)
    assert (made.artifact, made.recipe) == (b"{", None)
    with pytest.raises(ValueError, match="Expecting"):
        made.returned()
    (tmp_path / ".artifact.json").write_text("null")
    (made,) = read_made(LocalStore(), places)
    assert made.returned() is None


def test_many_outputs_are_read_in_their_order(tmp_path: Path) -> None:
    """Else the numbers of one target stand beside the name of another."""
    places = []
    for number in range(1050):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / ".artifact.json").write_text(str(number))
        (folder / ".executor_status").write_text("SUCCESS")
        places.append((str(number), f"{number}_0", str(folder)))
    made = list(read_made(LocalStore(), places))
    assert [one.returned() for one in made] == list(range(1050))
