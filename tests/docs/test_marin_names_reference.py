"""The page of Marin's names says what the table says, which imports use."""

from __future__ import annotations

import runpy

from .pages import CHECKOUT


def test_the_page_is_up_to_date() -> None:
    program = runpy.run_path(str(CHECKOUT / "docs" / "generate_marin_names.py"))
    page = (CHECKOUT / "docs" / "reference" / "marin-names.md").read_text(encoding="utf-8")
    assert page == program["with_tables"](page), "run: python docs/generate_marin_names.py"
