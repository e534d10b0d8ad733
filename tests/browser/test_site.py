"""The site of the documentation, opened as files: `make docs` builds the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.test_accessibility import findings
from tests.docs.pages import CHECKOUT
from tests.docs.test_site_build import build_site

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.browser.conftest import Window


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built anew."""
    folder = tmp_path_factory.mktemp("site")
    done = build_site(CHECKOUT, folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize(("theme", "width"), [("light", 1440), ("dark", 390)])
def test_pages_are_readable_by_all_and_ask_nobody(
    new_window: Callable[..., Window], site: Path, theme: str, width: int
) -> None:
    """Else they load from the network, or some people cannot read them."""
    window = new_window(color_scheme=theme, viewport={"width": width, "height": 900})
    for name in ("index", "getting-started", "comparison"):
        window.page.goto((site / f"{name}.html").as_uri())
        window.screenshot(f"site-{name}-{theme}-{width}")
        assert findings(window.page) == [], name
        broad = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not window.page.evaluate(broad), f"{name} must be moved sideways to be read"


@pytest.mark.parametrize("width", [1440, 390])
def test_the_search_finds_a_word(new_window: Callable[..., Window], site: Path, width: int) -> None:
    """Else readers of a copy on their own disk have no search."""
    window = new_window(viewport={"width": width, "height": 900})
    page = window.page
    page.goto((site / "index.html").as_uri())
    page.keyboard.press("/")
    page.keyboard.type("canonical form")
    page.wait_for_selector(".md-search-result__item")
    window.screenshot(f"site-search-{width}")
    page.click(".md-search-result__link[href*='concepts/identity.html'] >> nth=0")
    page.wait_for_url("**/concepts/identity.html*")


def test_a_copied_block_of_a_terminal_is_its_commands(
    new_window: Callable[..., Window], site: Path
) -> None:
    """Else people paste prompts and output into their terminal."""
    window = new_window(permissions=["clipboard-read", "clipboard-write"])
    page = window.page
    page.goto((site / "getting-started.html").as_uri())
    block = page.locator(".language-console", has_text="marin-build plan").nth(1)
    block.hover()
    block.locator("[data-clipboard-target], [title^=Copy]").first.click()
    assert page.evaluate("navigator.clipboard.readText()").splitlines() == [
        "marin-build plan",
        "marin-build apply",
        "cat .marin-build/outputs/counts_08b05858/.artifact.json",
    ]


def test_what_github_shows_otherwise_is_right_here(
    new_window: Callable[..., Window], site: Path
) -> None:
    """Else lists fall apart, and links that leave docs/ lead nowhere."""
    page = new_window().page
    page.goto((site / "how-to/see-why-the-code-changed.html").as_uri())
    items = page.locator("article li", has=page.locator("strong"))
    assert items.filter(has=page.locator(".highlight")).count() >= 2
    assert all(item.locator("strong").count() == 1 for item in items.all())
    page.goto((site / "index.html").as_uri())
    page.click("article a[href='contributing.html']")
    assert page.locator("h1").inner_text().startswith("Contributing")
    page.goto((site / "engines/index.html").as_uri())
    example = "examples/five_engines/README.md"
    assert page.locator(f"article a[href$='/blob/main/{example}']").count() == 1
