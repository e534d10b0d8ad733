"""The committed command-line reference is what the command line says of itself."""

from __future__ import annotations

import runpy

from .pages import CHECKOUT


def test_the_page_is_up_to_date() -> None:
    program = runpy.run_path(str(CHECKOUT / "docs" / "generate_command_line.py"))
    page = CHECKOUT / "docs" / "reference" / "command-line.md"
    assert page.read_text(encoding="utf-8") == program["command_line_reference"](), (
        "run: python docs/generate_command_line.py"
    )
