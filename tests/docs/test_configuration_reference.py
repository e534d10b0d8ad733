"""The tables of engines in the reference of the configuration are what their settings say."""

from __future__ import annotations

import runpy

from .pages import CHECKOUT


def test_the_page_is_up_to_date() -> None:
    program = runpy.run_path(str(CHECKOUT / "docs" / "generate_configuration.py"))
    page = (CHECKOUT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
    assert page == program["configuration_reference"](page), (
        "run: python docs/generate_configuration.py"
    )
