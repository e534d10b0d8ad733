"""What people see first, at any size: what is to be done, and nothing on top of anything else."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypedDict

import pytest

from marin_build.drawing.picture import STATES
from tests.browser.conftest import html_of
from tests.browser.pictures import Sketch

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.conftest import Window

_OVERLAPS = """() => {
  const places = [...document.querySelectorAll(".box")].map((box) => {
    const card = box.querySelector(".card:not(.under)").getBoundingClientRect();
    return [box.dataset.key, card.left, card.top, card.right, card.bottom];
  });
  const found = [];
  places.forEach((a, i) => places.slice(i + 1).forEach((b) => {
    const apart = a[3] <= b[1] + .5 || b[3] <= a[1] + .5 || a[4] <= b[2] + .5 || b[4] <= a[2] + .5;
    if (!apart) found.push([a[0], b[0]]);
  }));
  return { boxes: places.length, overlaps: found };
}"""


class _Places(TypedDict):
    boxes: int
    overlaps: list[list[str]]


def places(page: Page) -> _Places:
    """Return how many boxes there are, and which lie on each other."""
    found: _Places = page.evaluate(_OVERLAPS)
    return found


@pytest.mark.parametrize("size", [15, 1000, 20_000])
def test_it_opens_on_what_is_to_be_done(window: Window, size: int) -> None:
    """Else people look for it among a thousand boxes that are built, or wait for them."""
    page = window.draw_pipeline(size)
    assert window.group("normalise/").count() == 1, "all built: closed"
    assert window.target("eval/smoke").count() == 1, "failed: shown"
    assert window.target("mixture").count() == 1
    found = places(page)
    assert 8 <= found["boxes"] <= 70
    assert found["overlaps"] == []
    assert page.locator(".chip").all_inner_texts()[3].split() == ["failed", "1"]
    assert window.requests == [page.url], "one file, and nothing else"
    window.screenshot(f"opening-{size}-light")


def test_the_code_of_a_page_is_small() -> None:
    """Else a plan cannot be sent by mail."""
    assert len(html_of(Sketch().picture(), details=())) < 200_000


def test_an_empty_pipeline_says_so(window: Window) -> None:
    """Else an empty window looks like a page that does not work."""
    page = window.draw(Sketch().picture())
    assert page.locator("#empty").is_visible()


def test_a_small_pipeline_that_is_built_is_shown_whole(window: Window) -> None:
    """Else all that a newcomer sees is three closed groups."""
    sketch = Sketch()
    raw = sketch.add("data/raw", [])
    sketch.add("data/clean", [raw])
    window.draw(sketch.picture())
    assert window.drawn() == ["data/clean", "data/raw"]


def test_a_large_pipeline_that_is_built_is_closed(window: Window) -> None:
    """Else people look for what is to be done among all that is done."""
    sketch = Sketch()
    for folder in ("raw", "clean", "tokens"):
        for i in range(20):
            sketch.add(f"{folder}/{i}", [])
    page = window.draw(sketch.picture())
    assert window.drawn() == []
    assert page.locator(".box.group").count() == 3


def test_all_of_twenty_thousand_are_never_drawn_at_once(window: Window) -> None:
    """Else one click freezes the browser."""
    page = window.draw_pipeline(20_000)
    page.click("#open-all")
    found = places(page)
    assert 60 < found["boxes"] <= 600
    assert found["overlaps"] == []
    assert "groups stay closed" in page.locator("#message").inner_text()
    page.click("#close-all")
    assert places(page)["boxes"] == 7
    assert page.locator("#message").inner_text() == ""


def test_names_without_folders_are_grouped_too(window: Window) -> None:
    """Else a thousand steps named by a number are a thousand boxes in one column."""
    sketch = Sketch()
    leaves = [sketch.add(f"leaf-{i}", [], "to build") for i in range(1000)]
    sketch.add("all", leaves, "to build")
    page = window.draw(sketch.picture())
    assert places(page)["boxes"] < 70
    assert window.target("all").count() == 1


def test_groups_that_need_each_other_are_drawn(window: Window) -> None:
    """Else a pipeline that goes from one folder to another and back has no picture."""
    sketch = Sketch()
    first = sketch.add("a/first", [])
    between = [sketch.add(f"b/{i}", [first]) for i in range(2)]
    sketch.add("a/last", between)
    sketch.add("todo", between, "to build")
    page = window.draw(sketch.picture())
    assert window.group("a/").count() == 1
    assert window.group("b/").count() == 1
    assert page.locator(".edge.back").count() == 1


def test_groups_that_are_entangled_in_any_way_are_drawn(window: Window) -> None:
    """Else a pipeline whose folders tell nothing of its shape has an empty page."""
    for seed in range(4):
        chance = random.Random(seed)
        sketch = Sketch()
        for i in range(120):
            folders = "".join(f"g{chance.randrange(4)}/" for _ in range(chance.randrange(3)))
            deps = {chance.randrange(i) for _ in range(chance.randrange(3)) if i}
            sketch.add(f"{folders}x{i}", sorted(deps), chance.choice(STATES))
        page = window.draw(sketch.picture())
        page.click("#open-all")
        assert places(page) == {"boxes": 120, "overlaps": []}


def test_a_deep_chain_is_drawn(window: Window) -> None:
    """Else a long pipeline ends in an error."""
    sketch = Sketch()
    last: list[int] = []
    for i in range(300):
        last = [sketch.add(f"step-{i}", last, "to build")]
    page = window.draw(sketch.picture())
    page.click("#open-all")
    assert places(page) == {"boxes": 300, "overlaps": []}


def test_it_opens_in_the_dark(new_window: type[Window]) -> None:
    """Else it blinds people at night."""
    window = new_window(color_scheme="dark")  # type: ignore[call-arg]
    for size in (15, 1000, 20_000):
        page = window.draw_pipeline(size)
        window.screenshot(f"opening-{size}-dark")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(13, 17, 23)"


def test_it_can_be_used_on_a_small_screen(new_window: type[Window]) -> None:
    """Else a link from a chat is of no use on a telephone."""
    window = new_window(viewport={"width": 390, "height": 780})  # type: ignore[call-arg]
    page = window.draw_pipeline(15)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    window.target("mixture").click()
    assert page.locator("#panel").is_visible()
    window.screenshot("small-screen")
