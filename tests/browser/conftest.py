"""A browser for all tests of a worker, and for each test a window that must stay quiet."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from marin_build.emit.graph.page import as_html
from marin_build.emit.templates import Templates
from marin_build.workspace.workspace import Workspace
from tests.browser.pictures import about, details_of, pipeline
from tests.e2e.support import CHECKOUT, PATIENCE, gate_in, project_in
from tests.servers.programs import find_chromium

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from playwright.sync_api import (
        Browser,
        ConsoleMessage,
        Dialog,
        Locator,
        Page,
    )

    from marin_build.emit.graph.details import About, Details
    from marin_build.emit.graph.picture import Picture
    from tests.e2e.support import Gate, Project

_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-dev-shm-usage",
)  # fmt: skip
SCREENSHOTS = Path(os.environ.get("SCREENSHOTS", CHECKOUT / ".screenshots"))


# Not for the session: Playwright runs an event loop in this thread, and other tests run their own.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, without a window."""
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium: `apt-get install chromium`, or set CHROMIUM")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=program, args=list(_FLAGS), timeout=PATIENCE * 1000
        )
        yield started
        started.close()


@dataclass(slots=True)
class Window:
    """A window of the browser, and all that it complained of or asked the network for."""

    page: Page
    folder: Path
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    asked: str = ""
    """The beginning of addresses on this machine that it may ask for, if it may."""

    forgiven: str = ""
    """Words of complaints that are expected: the browser's own, of a server that is away."""

    def assert_quiet(self) -> None:
        """Fail if it complained, or asked for what is not on this machine."""
        said = [text for text in self.complaints if not self.forgiven or self.forgiven not in text]
        assert said == []
        local = ("file://", "about:", "data:", *filter(None, [self.asked]))
        assert [url for url in self.requests if not url.startswith(local)] == []

    def open(self, text: str, fragment: str = "") -> Page:
        """Open a page from a file, and wait until it has drawn itself."""
        path = self.folder / "graph.html"
        path.write_text(text, encoding="utf-8")
        return self.visit(path, fragment)

    def visit(self, path: Path, fragment: str = "") -> Page:
        """Open a file, and wait until it has drawn itself."""
        self.page.goto("about:blank")
        self.requests.clear()
        self.page.goto(path.as_uri() + fragment)
        self.page.wait_for_selector("body[data-ready=yes]", timeout=PATIENCE * 1000)
        return self.page

    def draw(
        self,
        picture: Picture,
        said: About | None = None,
        details: Sequence[Details] | None = None,
        fragment: str = "",
    ) -> Page:
        """Open the page of a picture."""
        return self.open(html_of(picture, said, details), fragment)

    def draw_pipeline(self, size: int, fragment: str = "") -> Page:
        """Open the page of a pipeline of some size."""
        return self.open(_pipeline_html(size), fragment)

    def target(self, name: str) -> Locator:
        """Return the box of the only target of a name, if it is drawn."""
        return self.page.locator(f'[data-target^="{name}_"]')

    def group(self, name: str) -> Locator:
        """Return the box of a closed group."""
        return self.page.locator(f'.box[data-group="{name}"]')

    def head(self, name: str) -> Locator:
        """Return the title of an open group."""
        return self.page.locator(f'.head[data-key="g{name}"]')

    def drawn(self) -> list[str]:
        """Return the names of all targets that are drawn, sorted."""
        found: list[str] = self.page.eval_on_selector_all(
            ".target", "all => all.map(one => one.dataset.target.replace(/_[0-9a-f]{8}$/, ''))"
        )
        return sorted(found)

    def lit(self) -> list[str]:
        """Return the names of all targets that are drawn and not dimmed, sorted."""
        found: list[str] = self.page.eval_on_selector_all(
            ".target:not(.dim)",
            "all => all.map(one => one.dataset.target.replace(/_[0-9a-f]{8}$/, ''))",
        )
        return sorted(found)

    def screenshot(self, name: str) -> None:
        """Keep a picture of the window, for people."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")


def html_of(
    picture: Picture, said: About | None = None, details: Sequence[Details] | None = None
) -> str:
    """Return the page of a picture."""
    return as_html(
        picture,
        said or about(picture),
        details_of(picture) if details is None else details,
        Templates(Workspace("/project", "/project/outputs", "report")),
    )


@cache
def _pipeline_html(size: int) -> str:
    return html_of(pipeline(size))


def listen(window: Window) -> dict[str, Callable[[Any], None]]:
    """Begin to hear what a page complains of and asks for; return what hears it, by event."""

    def hear_console(said: ConsoleMessage) -> None:
        if said.type in ("error", "warning"):
            window.complaints.append(said.text)

    def hear_dialog(dialog: Dialog) -> None:
        window.complaints.append(f"dialog {dialog.message}")
        dialog.dismiss()

    found: dict[str, Callable[[Any], None]] = {
        "console": hear_console,
        "dialog": hear_dialog,
        "pageerror": lambda error: window.complaints.append(str(error)),
        "request": lambda request: window.requests.append(request.url),
    }
    window.page.set_default_timeout(PATIENCE * 1000)
    for event, hear in found.items():
        window.page.on(event, hear)  # type: ignore[call-overload]
    return found


_USUAL = {"viewport": {"width": 1440, "height": 900}}


@pytest.fixture
def new_window(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Window]]:
    """Open windows with settings of their own; whatever one complained of fails the test."""
    made: list[Window] = []

    def make(**settings: Any) -> Window:
        context = browser.new_context(**{**_USUAL, **settings})
        window = Window(context.new_page(), tmp_path)
        listen(window)
        made.append(window)
        return window

    yield make
    for window in made:
        window.page.context.close()
        window.assert_quiet()


@pytest.fixture(scope="package")
def usual_page(browser: Browser) -> Iterator[Page]:
    """The page of all windows without settings: to open one takes longer than most tests."""
    with browser.new_context(**_USUAL) as context:  # type: ignore[arg-type]
        yield context.new_page()


@pytest.fixture
def window(usual_page: Page, tmp_path: Path) -> Iterator[Window]:
    """A window as most people have it, which keeps nothing of the test before."""
    window = Window(usual_page, tmp_path)
    listeners = listen(window)
    yield window
    usual_page.evaluate("location.protocol === 'file:' && localStorage.clear()")
    usual_page.mouse.move(0, 0)
    usual_page.goto("about:blank")
    for event, hear in listeners.items():
        usual_page.remove_listener(event, hear)
    window.assert_quiet()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """An empty project; what is started in it does not outlive the test."""
    with project_in(tmp_path) as made:
        yield made


@pytest.fixture
def gate(project: Project, tmp_path: Path) -> Iterator[Gate]:
    """A gate at which steps of the project wait."""
    with gate_in(tmp_path / "gate") as opened:
        project.environment["GATE"] = str(opened.folder)
        project.write("gate.py", opened.MODULE)
        yield opened
