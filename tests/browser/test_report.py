"""The page that `report` writes, in a real browser: what people see, and what it never does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.browser.test_accessibility import findings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.browser.conftest import Window
    from tests.e2e.support import Project

PIPELINE = """\
import base64
from pathlib import Path

from marin_build import StepSpec, step

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAFElEQVR4nGP8z8DAwMDAxMDAwMAAAA0GAQNVH2QYAAAAAElFTkSuQmCC"
)
SVG = '''<svg xmlns="http://www.w3.org/2000/svg" width="60" height="40" onload="owned()">
<script>alert(1); fetch("http://127.0.0.1:9/svg")</script>
<image href="http://127.0.0.1:9/image.png"/><rect width="60" height="40" fill="teal"/></svg>'''
PAGE = "<script>alert(1)</script><img src=http://127.0.0.1:9/page.png onerror=alert(2)>"


@step
def corpus(output: Path) -> dict[str, int]:
    (output / "corpus.jsonl").write_text('{"id": 1, "text": "a"}\\n{"id": 2, "text": "b"}\\n')
    return {"lines": 2}


@step(name="train/lr-{lr}")
def train(output: Path, corpus: Path, lr: float) -> dict[str, float]:
    if lr > 1:
        raise ValueError("</pre><script>alert('log')</script>")
    (output / "losses.csv").write_text("step,loss\\n1,2.5\\n2,1.25\\n")
    (output / "loss.png").write_bytes(PNG)
    (output / "plot.svg").write_text(SVG)
    (output / "page.html").write_text(PAGE)
    (output / "notes.md").write_text("# Notes\\n" + PAGE)
    (output / "named.png").write_text(PAGE)
    return {"loss": 1.25 * lr}


def pipeline(lrs: str = "0.5,1.0,2.0") -> list[StepSpec]:
    text = corpus()
    return [train(corpus=text, lr=lr) for lr in map(float, lrs.split(","))]
"""


@pytest.fixture
def report(project: Project) -> Path:
    """The report on a small sweep of which one target failed."""
    project.pipeline(PIPELINE)
    assert project.run("apply", "-q", "-k").code == 1
    done = project.run("report")
    assert (done.code, done.out) == (0, "")
    return project.root / "report.html"


def visit(window: Window, path: Path, fragment: str = "") -> Page:
    window.page.goto("about:blank")
    window.requests.clear()
    window.page.goto(path.as_uri() + fragment)
    return window.page


def open_all(page: Page) -> None:
    page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true; })")


def test_what_people_look_for_is_on_the_page(window: Window, report: Path) -> None:
    """Else they ask who sent it."""
    page = visit(window, report)
    assert page.locator(".sentence").inner_text() == (
        "A report on “train/lr-0.5”, “train/lr-1.0” and “train/lr-2.0” and what they were made "
        "from: of 4 targets, 3 are built, 1 failed."
    )
    rows = page.locator("#metrics tbody tr").all_inner_texts()
    assert rows[0].split() == ["train/lr-0.5", "0.5", "0.625"]
    assert rows[1].split() == ["train/lr-1.0", "1.0", "1.25"]
    pictures = page.locator("#results figure img")
    assert [one.get_attribute("alt") for one in pictures.all()] == [
        f"{file} of train/lr-{lr}" for lr in ("0.5", "1.0") for file in ("loss.png", "plot.svg")
    ]
    for one in pictures.all():
        assert one.evaluate("image => image.complete && image.naturalWidth > 0")
    table = page.locator("#results table", has_text="losses.csv").first
    assert table.locator("tbody tr").last.inner_text().split() == ["2", "1.25"]
    assert "ValueError: </pre><script>" in page.locator("#results .log").inner_text()
    assert page.locator("#graph .picture img").evaluate("image => image.naturalWidth > 0")
    window.screenshot("report")


def test_links_lead_to_what_they_say(window: Window, report: Path) -> None:
    """Else a long page is a wall."""
    page = visit(window, report)
    for link in page.locator("a[href^='#']").all():
        assert page.locator(link.get_attribute("href") or "").count() == 1
    page.locator("#plan a", has_text="train/lr-0.5").click()
    facts = page.locator("#targets details", has_text="train/lr-0.5").first
    assert facts.locator(".facts").first.is_visible(), "what is linked to is opened"
    assert "pipeline.train" in facts.inner_text()


def test_the_graph_can_be_explored_in_its_frame(window: Window, report: Path) -> None:
    """Else a thousand targets are a picture that nobody can read."""
    page = visit(window, report)
    page.locator(".explorer summary").click()
    frame = page.frame_locator("iframe")
    frame.locator("body[data-ready=yes]").wait_for()
    frame.locator("#search").fill("corpus")
    assert frame.locator("#results li").count() == 1
    frame.locator("#theme").click()
    window.screenshot("report-graph")


def test_files_of_outputs_run_nothing_and_ask_for_nothing(window: Window, report: Path) -> None:
    """Else the author of a step runs a program in the browser of every reader of the report."""
    page = visit(window, report)
    page.locator(".explorer summary").click()
    page.frame_locator("iframe").locator("body[data-ready=yes]").wait_for()
    open_all(page)
    local = ("file:", "data:", "about:")
    assert [url for url in window.requests if not url.startswith(local)] == []
    assert page.locator("script").count() == 0
    assert page.locator("iframe").count() == 1
    assert page.locator("main svg:not(.bars svg)").count() == 0
    assert "named.png" in page.locator("#results .files").first.inner_text()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(
    new_window: Callable[..., Window], report: Path, theme: str
) -> None:
    """Else some people cannot read it, or get lost in it."""
    window = new_window(color_scheme=theme)
    page = visit(window, report)
    assert findings(page) == []
    open_all(page)
    page.frame_locator("iframe").locator("body[data-ready=yes]").wait_for()
    assert findings(page) == []
    window.screenshot(f"report-{theme}")


def test_all_but_the_explorer_works_without_scripts_and_on_a_narrow_screen(
    new_window: Callable[..., Window], report: Path
) -> None:
    """Else a mail program or a telephone shows an empty page."""
    window = new_window(java_script_enabled=False, viewport={"width": 390, "height": 800})
    page = visit(window, report)
    assert page.locator("#metrics tbody tr").first.is_visible()
    page.locator("#targets summary").first.click()
    assert page.locator("#targets .facts").first.is_visible()
    window.screenshot("report-narrow")
    wide = new_window(viewport={"width": 390, "height": 800})
    page = visit(wide, report)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
