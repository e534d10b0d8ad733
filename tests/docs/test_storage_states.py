"""The states in the reference, and their picture, are those of the program."""

from __future__ import annotations

import runpy

from marin_build.protocol.state_machine import State

from .pages import CHECKOUT

PROGRAM = runpy.run_path(str(CHECKOUT / "docs" / "generate_storage_states.py"))
AGAIN = "run: python docs/generate_storage_states.py"


def test_the_tables_are_up_to_date() -> None:
    page = (CHECKOUT / "docs" / "reference" / "storage.md").read_text(encoding="utf-8")
    assert page == PROGRAM["with_drawing"](page), AGAIN


def test_the_picture_is_up_to_date_and_has_each_state() -> None:
    """It is drawn by us, not by Mermaid: a site would fetch that from a server."""
    picture = (CHECKOUT / "docs" / "images" / "target-states.svg").read_text(encoding="utf-8")
    assert picture == PROGRAM["picture"](), AGAIN
    assert [state.name for state in State if f">{state.name}</text>" not in picture] == []
