"""`marin-build ui`: a person sees in a browser what a run does, as it does it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.browser.live import (
    GATED,
    hide,
    show,
    start_ui,
    target,
    visit,
    visit_run,
    wait_for_state,
)
from tests.browser.test_accessibility import findings

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.browser.conftest import Window
    from tests.browser.live import Ui
    from tests.e2e.support import Gate, Project, Running


@pytest.fixture
def ui(project: Project) -> Ui:
    """The server, in a project that has run nothing yet."""
    project.pipeline(GATED)
    return start_ui(project)


@pytest.fixture
def live(ui: Ui, new_window: Callable[..., Window]) -> Window:
    """A window that may ask the server, and nothing else."""
    window = new_window()
    window.asked = ui.address
    return window


def begin(project: Project, gate: Gate) -> Running:
    """Start a run, and wait until two steps run."""
    applying = project.start("apply", "-q", "-k", "-j", "2")
    assert {gate.wait_started()[0], gate.wait_started()[0]} == {"data/0", "data/1"}
    return applying


def test_a_run_is_followed_to_its_end(live: Window, ui: Ui, gate: Gate) -> None:
    """From an empty list, without a page being loaded again."""
    project = ui.project
    page = visit(live, ui.address)
    assert "no run is kept here yet" in page.locator("#note").inner_text()
    applying = begin(project, gate)
    row = page.locator("#runs tbody tr")
    row.locator(".of-running").wait_for()
    took = row.locator("td.number")
    before = took.inner_text()
    took.filter(has_not_text=before).wait_for()  # it counts on, although nothing happens
    live.screenshot("ui-runs")
    row.locator("a").click()
    page.wait_for_selector("body[data-live=yes]")
    assert target(page, "data/0").get_attribute("aria-label") == "data/0, running"
    assert target(page, "train").get_attribute("aria-label") == "train, waiting"
    assert "0 of 5 built · 2 running" in page.locator("#tally").inner_text()
    target(page, "bad").click()
    gate.let_go(2)
    assert {gate.wait_started()[0], gate.wait_started()[0]} == {"bad", "train"}
    wait_for_state(page, "data/0", "built")
    wait_for_state(page, "bad", "running")
    live.screenshot("ui-run")
    gate.let_go(2)
    page.wait_for_selector("body[data-live=over]")
    for name, state in (("train", "built"), ("bad", "failed"), ("after", "blocked")):
        wait_for_state(page, name, state)
    assert page.locator("#outcome").inner_text() == "failed"
    assert "3 of 5 built · 1 failed · 1 blocked" in page.locator("#tally").inner_text()
    assert "ValueError: no such luck" in page.locator("#panel").inner_text()
    assert "target=bad_" in page.url
    assert page.title().startswith("failed · r-")
    live.screenshot("ui-run-failed")
    target(page, "train").click()
    assert page.locator("#facts .links").inner_text().split() == ["log", "output"]
    page.locator("#facts a", has_text="output").click()
    page.wait_for_selector("body[data-ready=yes] h1:has-text('train')")
    assert '{"loss": 0.5}' in page.locator("main").inner_text()
    assert applying.wait().code == 1
    page.locator("nav a", has_text="runs").click()
    row.locator(".of-failed").wait_for()
    assert "3 built, 1 failed, 1 blocked" in row.inner_text()


def test_a_run_that_is_killed_is_seen_to_be_dead(live: Window, ui: Ui, gate: Gate) -> None:
    """Else people wait all night for a run that ended at noon."""
    applying = begin(ui.project, gate)
    page = visit_run(live, ui)
    wait_for_state(page, "data/0", "running")
    applying.send(signal.SIGKILL)
    page.wait_for_selector("#outcome.of-died")
    wait_for_state(page, "data/0", "interrupted")
    wait_for_state(page, "data/1", "interrupted")
    wait_for_state(page, "train", "not started")
    assert "is gone" in page.locator("#why").inner_text()
    assert "2 interrupted" in page.locator("#tally").inner_text()
    live.screenshot("ui-run-died")
    applying.wait_until_all_gone()
    visit(live, ui.address)
    assert page.locator("#runs tbody .of-died").count() == 1


def test_two_tabs_show_the_same_and_one_that_was_hidden_catches_up(
    ui: Ui, new_window: Callable[..., Window], gate: Gate
) -> None:
    windows = [new_window(), new_window()]
    applying = begin(ui.project, gate)
    pages = []
    for window in windows:
        window.asked = ui.address
        pages.append(visit_run(window, ui))
    away = pages[1]
    hide(away)
    gate.let_go(2)
    gate.wait_started()
    gate.wait_started()
    wait_for_state(pages[0], "data/0", "built")
    assert target(away, "data/0").get_attribute("aria-label") == "data/0, running"
    show(away)
    wait_for_state(away, "data/0", "built")
    gate.let_go(2)
    for page in pages:
        page.wait_for_selector("body[data-live=over]")
        wait_for_state(page, "bad", "failed")
    assert applying.wait().code == 1


def test_a_server_that_ended_is_said_to_be_away(live: Window, ui: Ui, gate: Gate) -> None:
    """And the new one shows the same; the old address opens nothing there."""
    project = ui.project
    applying = begin(project, gate)
    page = visit_run(live, ui)
    port = ui.origin.rpartition(":")[2]
    live.forgiven = "Failed to load resource: "
    done = ui.end()
    assert (done.code, done.out) == (0, "")
    assert done.err == "open it in a browser on this machine; Ctrl-C ends the server\n"
    page.locator("#connection.bad", has_text="no answer since").wait_for()
    live.screenshot("ui-away")
    again = start_ui(project, "--port", port)
    assert again.token != ui.token
    page.goto(ui.address)
    assert page.locator("body").inner_text().strip() == "not found"
    live.asked = again.origin
    page = visit_run(live, again)
    wait_for_state(page, "data/0", "running")
    gate.let_go(4)
    page.wait_for_selector("body[data-live=over]")
    assert applying.wait().code == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_server_ends_at_once_although_pages_listen(live: Window, ui: Ui, number: int) -> None:
    visit(live, ui.address)
    live.forgiven = "Failed to load resource: net::"
    assert ui.end(number).code == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(
    ui: Ui, new_window: Callable[..., Window], gate: Gate, theme: str
) -> None:
    """Else some people cannot follow their run."""
    window = new_window(color_scheme=theme)
    window.asked = ui.address
    applying = begin(ui.project, gate)
    page = visit(window, ui.address)
    page.locator(".of-running").wait_for()
    assert findings(page) == []
    window.screenshot(f"ui-runs-{theme}")
    page = visit_run(window, ui)
    page.locator("#about summary").click()
    target(page, "bad").click()
    assert findings(page) == []
    gate.let_go(4)
    page.wait_for_selector("body[data-live=over]")
    wait_for_state(page, "bad", "failed")
    assert findings(page) == []
    window.screenshot(f"ui-run-{theme}")
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    window.screenshot(f"ui-run-narrow-{theme}")
    assert applying.wait().code == 1
