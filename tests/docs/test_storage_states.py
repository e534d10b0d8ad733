"""The states in the reference are those of the program."""

from __future__ import annotations

import runpy

from .pages import CHECKOUT


def test_the_drawing_is_up_to_date() -> None:
    program = runpy.run_path(str(CHECKOUT / "docs" / "generate_storage_states.py"))
    page = (CHECKOUT / "docs" / "reference" / "storage.md").read_text(encoding="utf-8")
    assert page == program["with_drawing"](page), "run: python docs/generate_storage_states.py"
