"""The live view as people have it: the real server, and windows of a real browser on it."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from playwright.sync_api import Locator, Page

    from tests.browser.conftest import Window
    from tests.e2e.support import Done, Project, Running

ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/([A-Za-z0-9_-]{32})/\n")

GATED = """\
from pathlib import Path
from gate import wait_at_gate
from marin_build import StepSpec, step


@step(name="data/{shard}")
def data(output: Path, shard: int) -> int:
    print(f"reading shard {shard}", flush=True)
    wait_at_gate(f"data/{shard}")
    return shard


@step
def bad(output: Path, first: int) -> None:
    print("about to fail", flush=True)
    wait_at_gate("bad")
    raise ValueError("no such luck")


@step
def after(output: Path, bad: Path) -> None:
    pass


@step
def train(output: Path, parts: list[int]) -> dict[str, float]:
    wait_at_gate("train")
    return {"loss": 0.5}


def pipeline() -> list[StepSpec]:
    parts = [data(shard=shard) for shard in range(2)]
    return [train(parts=parts), after(bad=bad(first=parts[0]))]
"""


@dataclass(slots=True)
class Ui:
    """The server that was started in a project."""

    project: Project
    running: Running
    address: str

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return self.address.rsplit("/", 2)[0]

    @property
    def token(self) -> str:
        """The secret part of the address."""
        return self.address.rsplit("/", 2)[1]

    def end(self, number: int = signal.SIGINT) -> Done:
        """End it as Ctrl-C does; return all that it said after its first line."""
        self.running.send_group(number)
        return self.running.wait()


def start_ui(project: Project, *words: str, env: Mapping[str, str] | None = None) -> Ui:
    """Start the server, and wait until it can be asked."""
    running = project.start("ui", *words, env=env)
    assert running.process.stdout is not None
    line = running.process.stdout.readline()
    assert ADDRESS.match(line), (line, running.wait())
    return Ui(project, running, line.strip())


def visit(window: Window, address: str) -> Page:
    """Open a page of the server, and wait until it has drawn itself."""
    window.page.goto(address)
    window.page.wait_for_selector("body[data-ready=yes]")
    return window.page


def visit_run(window: Window, ui: Ui, run: str = "latest") -> Page:
    """Open the page of a run, and wait until it shows what the run did."""
    page = visit(window, f"{ui.address}runs/{run}/")
    page.wait_for_selector("body[data-live]")
    return page


def target(page: Page, name: str) -> Locator:
    """Return the box of the only target of a name."""
    return page.locator(f'[data-target^="{name}_"]')


def wait_for_state(page: Page, name: str, state: str) -> None:
    """Wait until the box of a target has a state."""
    target(page, name).and_(page.locator(f".is-{state.replace(' ', '-')}")).wait_for()
