"""Search, groups, details, filters, keys: what people do with the page."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser.pictures import Sketch, about, details_of, pipeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.conftest import Window

SIZES = pytest.mark.parametrize("size", [15, 1000, 20_000])


@SIZES
def test_search_finds_a_target_and_opens_what_it_lies_in(window: Window, size: int) -> None:
    """Else one step of a thousand can only be found by opening every group."""
    page = window.draw_pipeline(size)
    page.keyboard.press("/")
    page.keyboard.type("normalise code shard-0000" if size > 15 else "normalise books shard-0001")
    assert page.locator("#results li").first.inner_text().startswith("built\nnormalise/")
    assert page.locator("#count").inner_text() == f"1 of {size:,}"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    title = page.locator("#panel h2").inner_text()
    assert title in ("normalise/code/shard-0000", "normalise/books/shard-0001")
    box = window.target(title)
    assert "chosen" in (box.get_attribute("class") or "")
    assert box.evaluate("box => box === document.activeElement")
    inside = box.bounding_box()
    canvas = page.locator("#canvas").bounding_box()
    assert inside is not None
    assert canvas is not None
    assert canvas["x"] <= inside["x"] <= canvas["x"] + canvas["width"] - inside["width"]
    window.screenshot(f"search-{size}")


def test_search_marks_what_it_finds_while_people_type(window: Window) -> None:
    """Else they must press Enter to see whether there is anything."""
    page = window.draw_pipeline(15)
    page.fill("#search", "tokenize/arxiv")
    assert window.lit() == ["tokenize/arxiv/shard-0000", "tokenize/arxiv/shard-0001"]
    page.fill("#search", "nothing of that name")
    assert window.lit() == []
    assert page.locator("#results").is_hidden()
    page.keyboard.press("Escape")
    assert len(window.lit()) == len(window.drawn())


@SIZES
def test_groups_open_and_close(window: Window, size: int) -> None:
    """Else what is closed stays a riddle, and what is open stays in the way."""
    page = window.draw_pipeline(size)
    before = window.drawn()
    window.group("normalise/").click()
    assert window.head("normalise/").get_attribute("aria-expanded") == "true"
    assert page.locator('.box[data-group^="normalise/"]').count() >= 2
    window.head("normalise/").click()
    assert window.group("normalise/").count() == 1
    assert window.drawn() == before


def test_a_group_stays_where_it_was_when_it_opens(window: Window) -> None:
    """Else people lose their place with every click."""
    page = window.draw_pipeline(1000)
    page.click("#farther")
    before = window.group("normalise/").bounding_box()
    window.group("normalise/").click()
    after = window.head("normalise/").bounding_box()
    assert before is not None
    assert after is not None
    assert abs(before["x"] - after["x"]) < 30
    assert abs(before["y"] - after["y"]) < 30


def test_a_click_tells_all_that_is_known_of_a_target(window: Window) -> None:
    """Else people go back to the terminal for the reason."""
    page = window.draw_pipeline(15)
    window.target("tokenize/books/shard-0000").click()
    text = page.locator("#panel").inner_text()
    assert "stale" in text
    assert "attrs.seq_len 4096 -> 8192" in text, "the reason"
    assert "differences to tokenize/books/shard-0000_ffffffff" in text
    assert page.locator("#panel del").inner_text() == "4096"
    assert page.locator("#panel ins").inner_text() == "8192"
    assert "about 1.1 min, median of 3 builds" in text
    assert "llama3" in text, "attributes"
    assert re.search("00000007[0-9a-f]{56}", text), "the fingerprint"
    commands = page.locator("#panel .command pre").all_inner_texts()
    target = "tokenize/books/shard-0000_00000007"
    assert commands[:2] == [
        f"marin-build apply {target}", f"marin-build apply --force {target} {target}"
    ]  # fmt: skip
    link = page.locator("#panel a").first
    assert link.get_attribute("href") == (
        f"https://console.cloud.google.com/storage/browser/bucket/outputs/{target}"
    )
    assert "needs (2)" in text
    assert "needed by (1)" in text
    window.screenshot("details-light")
    page.locator("#panel li button", has_text="mixture").click()
    assert page.locator("#panel h2").inner_text() == "mixture"
    page.click("#close-panel")
    assert page.locator("#panel").is_hidden()


def test_groups_have_details_too(window: Window) -> None:
    """Else the sum of a folder must be counted by hand."""
    page = window.draw_pipeline(15)
    window.group("normalise/").click(modifiers=["Shift"])
    text = page.locator("#panel").inner_text()
    assert "normalise/" in text.splitlines()
    assert "4 targets" in text
    assert window.group("normalise/").count() == 1, "it stays closed"
    page.locator('.frame[data-frame="geval/"] .border').click(position={"x": 12, "y": 60})
    assert page.locator("#panel h2").inner_text() == "eval/"
    page.locator("#panel li button", has_text="eval/smoke").click()
    assert page.locator("#panel h2").inner_text() == "eval/smoke"


def test_a_failure_shows_the_end_of_its_log(window: Window) -> None:
    """Else people look for the log while its last lines would tell them."""
    page = window.draw_pipeline(15)
    window.target("eval/smoke").click()
    assert page.locator("#panel .log").inner_text() == "step 1\nstep 2\nMemoryError"


def test_commands_can_be_copied(new_window: Callable[..., Window]) -> None:
    """Else people type a hash by hand."""
    window = new_window(permissions=["clipboard-read", "clipboard-write"])
    page = window.draw_pipeline(15)
    window.target("mixture").click()
    page.locator("#panel .copy").first.click()
    page.locator("#panel .copy", has_text="copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "marin-build apply mixture_00000009"


def test_what_a_target_needs_and_what_needs_it_is_lit(window: Window) -> None:
    """Else nobody sees what a change reaches."""
    page = window.draw_pipeline(15)
    page.click("#open-all")
    window.target("train/medium").click()
    lit = window.lit()
    assert "mixture" in lit
    assert "report" in lit
    assert "eval/smoke" not in lit
    assert "train/small" not in lit
    assert page.locator(".edge.before").count() >= 5
    assert page.locator(".edge.after").count() == 1
    page.click("#only")
    assert window.drawn() == lit
    window.screenshot("only-related")
    page.keyboard.press("Escape")
    page.click("#only")
    assert len(window.drawn()) == 15


def test_edges_that_others_imply_can_be_left_out(window: Window) -> None:
    """Else a picture is a ball of wool; and what is left out must not be lost."""
    sketch = Sketch()
    first = sketch.add("first", [], "to build")
    second = sketch.add("second", [first], "to build")
    sketch.add("third", [first, second], "to build")
    page = window.draw(sketch.picture())
    assert page.locator(".edge").count() == 3
    page.keyboard.press("e")
    assert page.locator(".edge").count() == 2
    assert page.url.endswith("#few=1")
    window.target("third").click()
    assert "needs (2)" in page.locator("#panel").inner_text()
    said = replace(about(sketch.picture()), few=True, depth=1)
    page = window.draw(sketch.picture(), said)
    assert page.locator(".edge").count() == 2
    assert page.locator("#few").get_attribute("aria-pressed") == "true"


def test_groups_can_be_open_to_a_depth_at_first(window: Window) -> None:
    """Else `--collapse 2` means something else than in a document."""
    picture = pipeline(1000)
    window.draw(picture, replace(about(picture), depth=2))
    assert window.head("tokenize/").count() == 1
    assert window.group("tokenize/wiki/").count() == 1
    window.draw(picture, replace(about(picture), depth=1))
    assert window.group("tokenize/").count() == 1


def test_the_critical_path_is_shown(window: Window) -> None:
    """Else nobody knows which step to make quicker."""
    page = window.draw_pipeline(15)
    page.click("#path")
    assert window.lit() == ["report", "train/small"]
    assert page.locator(".edge.critical").count() == 1
    assert page.locator("#path").get_attribute("title") == "about 2.1 h"
    sketch = Sketch()
    first = sketch.add("first", [], "to build")
    second = sketch.add("second", [first], "to build")
    sketch.add("third", [first, second], "to build")
    path = tuple(node.id for node in sketch.nodes)
    window.draw(sketch.picture(), replace(about(sketch.picture()), path=path))
    page.click("#path")
    assert page.locator(".edge.critical").count() == 2, "not the way around the second"
    window.screenshot("critical-path")


def test_states_tags_and_places_are_filters(window: Window) -> None:
    """Else what failed must be looked for by eye."""
    page = window.draw_pipeline(1000)
    page.click('.chip[data-state="failed"]')
    assert window.lit() == ["eval/smoke"]
    page.click('.chip[data-state="blocked"]')
    assert window.lit() == ["eval/smoke", "report"]
    assert page.locator("#count").inner_text() == "2 of 1,000"
    page.click('.chip[data-state="blocked"]')
    page.click('.chip[data-state="failed"]')
    page.select_option("#on", "kubernetes: v5p-64")
    page.click("#only")
    assert window.drawn() == ["train/medium"]
    page.select_option("#on", "")
    page.select_option("#tag", "eval")
    assert "eval/smoke" in window.drawn()
    assert "mixture" not in window.drawn()


def test_what_drifted_is_marked_counted_and_found(window: Window) -> None:
    """Else whoever looks at the picture believes that all of it is of one code."""
    picture = pipeline(1000)
    details = [
        replace(each, now=replace(each.now, drift="code changed since built: f() +1 -1"))
        if node.name.startswith("normalise/") and node.state == "built"
        else each
        for node, each in zip(picture.nodes, details_of(picture), strict=True)
    ]
    drifted = sum(bool(each.now.drift) for each in details)
    page = window.draw(picture, details=details)
    chip = page.locator(".drift-chip")
    assert chip.inner_text().split() == ["drifted", str(drifted)]
    group = window.group("normalise/")
    assert group.locator(".drift-mark").text_content() == f"{drifted} drifted"
    assert f"{drifted} drifted" in (group.get_attribute("aria-label") or "")
    window.screenshot("drift-of-a-group")
    chip.click()
    assert page.locator("#count").inner_text() == f"{drifted} of 1,000"
    page.click("#only")
    page.click("#open-all")
    marks = page.locator(".target .drift-mark").count() + page.locator(".group .drift-mark").count()
    assert marks == page.locator(".box").count() > 0
    window.screenshot("drift-of-targets")
    page.reload()
    page.wait_for_selector("body[data-ready=yes]")
    assert page.locator(".drift-chip").get_attribute("aria-pressed") == "true"
    assert page.locator("#count").inner_text() == f"{drifted} of 1,000"


def test_where_nothing_drifted_there_is_no_filter_for_it(window: Window) -> None:
    page = window.draw_pipeline(15)
    assert page.locator(".drift-chip").count() == page.locator(".drift-mark").count() == 0


def test_keys_are_enough(window: Window) -> None:
    """Else who cannot use a mouse cannot use the page."""
    page = window.draw_pipeline(15)

    def here() -> str:
        found: str = page.evaluate(
            "(document.activeElement.dataset.target || document.activeElement.dataset.key || '')"
        )
        return found.rpartition("_0000")[0] or found

    page.keyboard.press("g")
    assert here() != ""
    page.keyboard.press("/")
    page.keyboard.type("mixture")
    page.keyboard.press("Enter")
    assert here() == "mixture"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.textContent") == "mixture", "in the panel"
    page.keyboard.press("Escape")
    assert page.locator("#panel").is_hidden()
    page.keyboard.press("ArrowRight")
    assert here().startswith("train/")
    page.keyboard.press("ArrowLeft")
    assert here() == "mixture"
    page.keyboard.press("ArrowLeft")
    assert here().startswith("tokenize/")
    page.keyboard.press("c")
    assert here() == "gtokenize/books/" or here() == "gtokenize/arxiv/"
    page.keyboard.press("Enter")
    page.keyboard.press("i")
    assert page.locator("#panel h2").inner_text() in ("tokenize/books/", "tokenize/arxiv/")
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#help").is_hidden()


def test_every_box_can_be_reached_with_the_arrows(window: Window) -> None:
    """Else some targets exist for the mouse only."""
    page = window.draw_pipeline(15)
    count = page.locator(".box").count()
    reached: set[str] = set()
    pending = [page.locator(".box").first.get_attribute("data-key") or ""]
    while pending:
        key = pending.pop()
        if key in reached:
            continue
        reached.add(key)
        for press in ("ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"):
            page.locator(f'.box[data-key="{key}"]').focus()
            page.keyboard.press(press)
            other = page.evaluate("document.activeElement.dataset.key")
            if other not in reached:
                pending.append(other)
    assert len(reached) == count


def test_a_link_leads_to_what_was_selected(window: Window) -> None:
    """Else people cannot show each other what they mean."""
    page = window.draw_pipeline(1000)
    page.fill("#search", "normalise/wiki/shard-0007")
    page.keyboard.press("Enter")
    page.click('.chip[data-state="built"]')
    fragment = page.url.partition("#")[2]
    assert "target=normalise%2Fwiki%2Fshard-0007_" in fragment
    again = window.draw_pipeline(1000, fragment=f"#{fragment}")
    assert again.locator("#panel h2").inner_text() == "normalise/wiki/shard-0007"
    assert again.locator('.chip[data-state="built"]').get_attribute("aria-pressed") == "true"
    assert window.target("normalise/wiki/shard-0007").count() == 1
    odd = window.draw_pipeline(15, fragment="#target=%00nothing&status=x,&tag=%22&only=1&group=q")
    assert odd.locator("#panel").is_hidden()
    assert len(window.drawn()) > 5


def test_the_theme_can_be_chosen_and_is_kept(window: Window) -> None:
    """Else a slide made in a dark room is dark."""
    page = window.draw_pipeline(15)
    background = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(background) == "rgb(246, 248, 250)"
    page.click("#theme")
    assert page.evaluate(background) == "rgb(13, 17, 23)"
    page.reload()
    page.wait_for_selector("body[data-ready=yes]")
    assert page.evaluate(background) == "rgb(13, 17, 23)"
    window.target("tokenize/books/shard-0000").click()
    window.screenshot("details-dark")
    page.click("#theme")
    assert page.evaluate(background) == "rgb(246, 248, 250)"


def _view(page: Any) -> str:
    return str(page.locator("#layer").get_attribute("transform"))


def test_the_picture_is_moved_and_zoomed(window: Window) -> None:
    """Else a large picture is seen through a keyhole."""
    page = window.draw_pipeline(1000)
    start = _view(page)
    page.mouse.move(300, 500)
    page.mouse.down()
    page.mouse.move(420, 560, steps=4)
    page.mouse.up()
    moved = _view(page)
    assert moved != start
    assert page.locator("#panel").is_hidden(), "a drag is no click"
    page.mouse.wheel(0, -240)
    assert _view(page) != moved
    page.keyboard.press("f")
    assert _view(page) != moved


def test_two_fingers_zoom(window: Window) -> None:
    """Else a telephone shows the picture in one size only."""
    page = window.draw_pipeline(1000)
    scale = "Number(document.getElementById('layer').getAttribute('transform').split(/[()]/)[3])"
    before = page.evaluate(scale)
    page.evaluate(
        """() => {
          const canvas = document.getElementById("canvas");
          canvas.setPointerCapture = () => {};
          const send = (kind, id, x) => canvas.dispatchEvent(new PointerEvent(kind, {
            pointerId: id, clientX: x, clientY: 400, button: 0, bubbles: true }));
          send("pointerdown", 1, 500);
          send("pointerdown", 2, 600);
          send("pointermove", 2, 700);
          send("pointerup", 1, 500);
          send("pointerup", 2, 700);
        }"""
    )
    assert page.evaluate(scale) == pytest.approx(2 * before)


def test_two_targets_of_one_name_are_told_apart(window: Window) -> None:
    """Else two boxes look the same."""
    sketch = Sketch()
    first = sketch.add("count", [])
    sketch.add("count", [first], "to build")
    page = window.draw(sketch.picture())
    names = page.locator(".box .name").all_text_contents()
    assert sorted(names) == ["count_00000000", "count_00000001"]


def test_nothing_moves_for_who_wants_that(new_window: Callable[..., Window]) -> None:
    """Else people get dizzy."""
    window = new_window(reduced_motion="reduce")
    page = window.draw_pipeline(15)
    moves = "getComputedStyle(document.querySelector('.box')).transitionDuration"
    assert page.evaluate(moves) == "0s"


def test_escape_clears_the_selection_and_then_the_search(window: Window) -> None:
    """Else all but what was found stays dim, and only who finds the small cross gets it back."""
    page = window.draw_pipeline(15)
    page.keyboard.press("/")
    page.keyboard.type("tokenize/arxiv")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    assert page.locator("#panel").is_hidden()
    assert window.lit() == ["tokenize/arxiv/shard-0000", "tokenize/arxiv/shard-0001"]
    page.keyboard.press("Escape")
    assert page.input_value("#search") == ""
    assert page.locator("#count").inner_text() == ""
    assert len(window.lit()) == len(window.drawn())


def test_names_stand_whole_where_there_is_room(window: Window) -> None:
    """Else groups of thousands are called `dat...0`, and what is found breaks at its hyphen."""
    sketch = Sketch()
    shards = [
        sketch.add(f"dataset{group}/part{part}/shard-{shard}", [])
        for group in range(8, 12)
        for part in range(6)
        for shard in range(170)
    ]
    sketch.add("report", shards, "to build")
    page = window.draw(sketch.picture())
    page.click("#close-all")
    names = page.locator(".group .name").all_text_contents()
    assert names == [f"dataset{i}/" for i in range(8, 12)]
    page.fill("#search", "shard-169")
    heights = page.eval_on_selector_all("#results li", "all => all.map(one => one.clientHeight)")
    assert len(heights) == 24
    assert max(heights) < 40, "one line each"


def test_a_long_message_leaves_the_buttons_where_they_are(window: Window) -> None:
    """Else the picture jumps, and a button lands alone on a line of its own."""
    picture = pipeline(15)
    message = "3 steps; how long they take is not known"
    page = window.draw(picture, replace(about(picture), path_text=message))
    page.set_viewport_size({"width": 1280, "height": 850})
    before = page.locator("#keys").bounding_box()
    page.fill("#search", "o")
    page.click("#path")
    assert page.locator("#count").inner_text().endswith(message)
    after = page.locator("#keys").bounding_box()
    assert before is not None
    assert after is not None
    assert abs(before["y"] - after["y"]) < 12
    assert before["x"] == after["x"]
    page.set_viewport_size({"width": 1440, "height": 900})


def test_a_printed_page_is_the_picture_without_buttons(window: Window) -> None:
    """Else a sheet shows a search box, and cuts the picture off where the paper ends."""
    page = window.draw_pipeline(15)
    canvas = page.locator("#canvas")
    size = canvas.bounding_box()
    assert size is not None
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert canvas.get_attribute("viewBox") == f"0 0 {size['width']:g} {size['height']:g}"
    for control in ("#search", "#only", "#closer", "#theme", "#keys"):
        assert page.locator(control).is_hidden(), control
    assert page.locator("#legend").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.emulate_media(media="screen")
    assert canvas.get_attribute("viewBox") is None
