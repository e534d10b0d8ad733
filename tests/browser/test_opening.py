"""What people see first, at any size: what is to be done, and nothing on top of anything else."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypedDict

import pytest

from marin_build.emit.graph.picture import STATES
from tests.browser.conftest import html_of
from tests.browser.pictures import Sketch

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from marin_build.emit.graph.picture import Picture, State
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


_OUT_OF_SIGHT = """() => {
  const room = document.querySelector("#canvas").getBoundingClientRect();
  const buttons = document.querySelector(".zoom").getBoundingClientRect();
  return [...document.querySelectorAll(".box, .frame")].filter((box) => {
    const { left, right, top, bottom } = box.getBoundingClientRect();
    const isWide = left < room.left || right > room.right;
    const isHigh = top < room.top || bottom > room.bottom;
    return isWide || isHigh || (left < buttons.right && bottom > buttons.top);
  }).map((box) => box.dataset.key || box.dataset.frame);
}"""
_SCALE = "document.querySelector('#layer').transform.baseVal.consolidate().matrix.a"


def _staged(stages: int, width: int, todo: set[tuple[int, int]]) -> Picture:
    """Return stages of so many targets, each of which needs that before it; then one of all."""
    sketch = Sketch()
    last: list[int | None] = [None] * width
    for stage in range(stages):
        for i in range(width):
            deps = [place for place in [last[i]] if place is not None]
            state: State = "stale" if (stage, i) in todo else "built"
            last[i] = sketch.add(f"stage{stage}/set-{i:02}", deps, state)
    sketch.add("report", [place for place in last if place is not None], "to build")
    return sketch.picture()


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


@pytest.mark.parametrize("height", [700, 900])
@pytest.mark.parametrize(
    "todo",
    [set(), {(2, 3), (3, 3)}, {(s, i) for s in range(4) for i in range(30)}],
    ids=["one", "some", "all"],
)
def test_what_is_seen_first_can_be_read(
    new_window: Callable[..., Window], todo: set[tuple[int, int]], height: int
) -> None:
    """Else the first thing to do with a page is to zoom, and nobody puts it on a slide."""
    window = new_window(viewport={"width": 1024 if height == 700 else 1440, "height": height})
    page = window.draw(_staged(4, 30, todo))
    assert page.evaluate(_OUT_OF_SIGHT) == []
    assert page.evaluate(_SCALE) >= 0.6
    assert window.target("report").count() == 1


def test_what_is_built_beside_what_is_not_is_one_group(window: Window) -> None:
    """Else two stale datasets are looked for among thirty that are built."""
    page = window.draw(_staged(4, 30, {(2, 3), (3, 3)}))
    assert window.drawn() == ["report", "stage2/set-03", "stage3/set-03"]
    built = page.locator('.box[data-group="stage2/*built"]')
    assert "29 built" in (built.get_attribute("aria-label") or "")
    page.locator("#search").fill("stage2/set-07")
    page.keyboard.press("Enter")
    assert "stage2/set-07" in window.drawn()


def test_a_long_chain_opens_at_its_beginning(window: Window) -> None:
    """Else a picture that is too wide for the window opens so small that it is a line."""
    sketch = Sketch()
    last: list[int] = []
    for i in range(30):
        last = [sketch.add(f"step-{i}", last, "stale")]
    page = window.draw(sketch.picture())
    assert page.evaluate(_SCALE) >= 0.6
    place = window.target("step-0").bounding_box()
    assert place is not None
    assert 0 <= place["x"] < 100


def test_the_buttons_stay_together_in_a_narrow_window(new_window: Callable[..., Window]) -> None:
    """Else the row of buttons breaks in the middle."""
    window = new_window(viewport={"width": 1024, "height": 700})
    page = window.draw_pipeline(1000)
    places = [page.locator(id_).bounding_box() for id_ in ("#only", "#few", "#path")]
    assert len({place["y"] for place in places if place is not None}) == 1


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
        for i in range(60):
            folders = "".join(f"g{chance.randrange(4)}/" for _ in range(chance.randrange(3)))
            deps = {chance.randrange(i) for _ in range(chance.randrange(3)) if i}
            sketch.add(f"{folders}x{i}", sorted(deps), chance.choice(STATES))
        page = window.draw(sketch.picture())
        page.click("#open-all")
        assert places(page) == {"boxes": 60, "overlaps": []}


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
