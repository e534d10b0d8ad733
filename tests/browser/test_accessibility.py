"""What axe-core finds: people who see, hear or move differently use the page, too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.browser.conftest import Window


def findings(page: Page) -> list[tuple[str, str, list[Any]]]:
    """Return what axe-core calls serious or critical: rule, what it asks for, and where."""
    from axe_playwright_python.sync_playwright import Axe

    # To load style sheets again, as axe-core does for the turn of a telephone, no file may.
    response = Axe().run(page, options={"preload": False}).response
    return [
        (found["id"], found["help"], [node["target"] for node in found["nodes"]][:3])
        for found in response["violations"]
        if found["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(new_window: Callable[..., Window], theme: str) -> None:
    """Else some people cannot read it, or get lost in it."""
    window = new_window(color_scheme=theme)
    page = window.draw_pipeline(15)
    assert findings(page) == []
    window.target("eval/smoke").click()
    assert findings(page) == []
    page.keyboard.press("Escape")
    page.fill("#search", "tokenize")
    assert page.locator("#results").is_visible()
    assert findings(page) == []
    page.keyboard.press("Escape")
    page.click("#keys")
    assert findings(page) == []


@pytest.mark.parametrize("size", [1000, 20_000])
def test_axe_finds_nothing_serious_in_large_graphs(window: Window, size: int) -> None:
    """Else groups are readable by eye only."""
    assert findings(window.draw_pipeline(size)) == []


def test_boxes_say_what_they_are(window: Window) -> None:
    """Else a screen reader says `button` and nothing more."""
    page = window.draw_pipeline(15)
    label = window.target("eval/smoke").get_attribute("aria-label")
    assert label == "eval/smoke, failed"
    label = window.group("normalise/").get_attribute("aria-label")
    assert label == "group normalise/, 4 built"
    assert page.locator('[tabindex="0"].box, [tabindex="0"].head').count() == 1


def test_states_differ_by_shape_not_only_by_colour(window: Window) -> None:
    """Else one man in twelve cannot tell what failed from what is built."""
    page = window.draw_pipeline(15)
    shapes = page.eval_on_selector_all(
        ".chip", "all => all.map(one => one.querySelector('.outline').getAttribute('d'))"
    )
    assert len(set(shapes)) == len(shapes) == 7
