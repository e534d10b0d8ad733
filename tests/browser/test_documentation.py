"""The screenshots of the documentation; `make screenshots` puts them into docs/images."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.browser.pictures import pipeline
from tests.docs.pages import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.conftest import Window

PAGE = CHECKOUT / "docs" / "how-to" / "look-at-the-graph.md"


def test_the_page_about_the_graph_shows_what_there_is(
    new_window: Callable[..., Window],
) -> None:
    """Else people read about a page that looks otherwise."""
    settings = {"viewport": {"width": 1280, "height": 720}, "reduced_motion": "reduce"}
    light = new_window(**settings)
    dark = new_window(**settings, color_scheme="dark")
    light.draw_pipeline(15)
    light.screenshot("graph-to-do")
    dark.draw_pipeline(15)
    dark.target("tokenize/books/shard-0000").click()
    dark.screenshot("graph-details")
    light.draw_pipeline(20_000)
    light.screenshot("graph-large")
    text = PAGE.read_text(encoding="utf-8")
    shown = re.findall(r"\.\./images/([\w-]+)\.png", text)
    assert shown == ["graph-to-do", "graph-details", "graph-large"]
    assert len(pipeline(15).nodes) == 15, "as the page says"
