"""How quick `graph --format html` and its page are: the command, first paint, layout, clicks.

    python -m benchmarks.page [--sizes 25,1000,20000,100000] [--browser /usr/bin/chromium]
        [--output FILE]

The program is the real command line on a pipeline of shards, of which half are built; the browser
is Chromium without a window, driven by Playwright. The page measures its own layout; an interaction
is timed inside the page, from the event until the browser has painted what came of it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.machine import describe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Browser, Page

PIPELINE = '''
from marin_build import StepSpec


def nothing(output):
    """Do nothing."""


def pipeline(steps: int):
    raw = [StepSpec(name=f"normalise/source-{i % 8}/shard-{i // 8:05}", fn=nothing,
                    hash_attrs={"seed": i}) for i in range((steps - 3) // 2)]
    made = [StepSpec(name=one.name.replace("normalise", "tokenize"), fn=nothing, deps=[one],
                     hash_attrs={"seq_len": 4096}) for one in raw]
    mixture = StepSpec(name="mixture", fn=nothing, deps=made)
    train = StepSpec(name="train", fn=nothing, deps=[mixture])
    return StepSpec(name="report", fn=nothing, deps=[train, *made])
'''
REPEAT = 5
HEAD = """\
# The page

Written by `python -m benchmarks.page --output benchmarks/PAGE.md`. Half of the steps are built, the
others are to be built. Times are milliseconds, medians of {repeat}; a click ends when the browser
has painted what came of it; the longest stall is the longest time in which the page that opens
answers nothing. Aimed at: drawn within 2 s at 1,000 steps, and 5 s at 20,000; less than 10 MB at
100,000.

"""
_CLICK = """(selector) => new Promise((done) => {
  const start = performance.now();
  document.querySelector(selector).dispatchEvent(new MouseEvent("click", { bubbles: true }));
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - start), 0));
})"""
_TYPE = """(text) => new Promise((done) => {
  const start = performance.now();
  const box = document.getElementById("search");
  box.value = text;
  box.dispatchEvent(new Event("input", { bubbles: true }));
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - start), 0));
})"""
_PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
_LAYOUT = "performance.getEntriesByName('graph-layout')[0].duration"
_STALL = """() => new Promise((done) => {
  const watch = new PerformanceObserver((seen) => {
    done(Math.max(...seen.getEntries().map((task) => task.duration)));
  });
  watch.observe({ type: "longtask", buffered: true });
  setTimeout(() => done(0), 500);
})"""
_READY = """() => {
  const all = performance.getEntriesByName("graph-ready")[0];
  return all.startTime + all.duration;
}"""


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of one size; `times` are label -> milliseconds."""

    steps: int
    size: int
    boxes: int
    times: dict[str, float]


def measure(browser: Browser, folder: Path, steps: int) -> Row:
    """Draw a pipeline, and use its page."""
    page_file = folder / f"{steps}.html"
    commands = [_run(folder, steps, page_file) for _ in range(3)]
    rounds, boxes = [], 0
    for _ in range(REPEAT):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.goto(page_file.as_uri())
        page.wait_for_selector("body[data-ready=yes]", timeout=120_000)
        boxes = page.locator(".box").count()
        rounds.append(_use(page))
        context.close()
    times = {label: statistics.median(one[label] for one in rounds) for label in rounds[0]}
    return Row(
        steps,
        page_file.stat().st_size,
        boxes,
        {"the command": statistics.median(commands), **times},
    )


def _run(folder: Path, steps: int, output: Path) -> float:
    start = time.perf_counter()
    program = Path(sys.executable).with_name("marin-build")
    words = [str(program), "graph", "--set", f"steps={steps}", "-o", str(output)]
    subprocess.run(words, cwd=folder, check=True)
    return (time.perf_counter() - start) * 1000


def _use(page: Page) -> dict[str, float]:
    """Return how long everything takes that people do."""
    page.wait_for_function("performance.getEntriesByName('first-contentful-paint').length > 0")
    times = {
        "first paint": page.evaluate(_PAINT),
        "drawn": page.evaluate(_READY),
        "of that layout": page.evaluate(_LAYOUT),
        "longest stall": page.evaluate(_STALL),
    }
    times["search"] = page.evaluate(_TYPE, "shard-00001 tokenize")
    page.evaluate(_TYPE, "")
    times["select"] = page.evaluate(_CLICK, '[data-target^="mixture_"]')
    page.evaluate(_CLICK, "#close-panel")
    times["open a group"] = page.evaluate(_CLICK, '.box[data-group^="normalise/"]')
    times["open all"] = page.evaluate(_CLICK, "#open-all")
    times["close all"] = page.evaluate(_CLICK, "#close-all")
    return {label: float(value) for label, value in times.items()}


def _prepare(folder: Path, steps: int) -> None:
    """Write a pipeline, and the statuses of the half of it that is built."""
    (folder / "pipeline.py").write_text(PIPELINE)
    (folder / "marin-build.toml").write_text("")
    program = Path(sys.executable).with_name("marin-build")
    words = [str(program), "graph", "--format", "json", "--set", f"steps={steps}", "normalise/**"]
    done = subprocess.run(words, cwd=folder, check=True, capture_output=True, text=True)
    for node in json.loads(done.stdout)["nodes"]:
        output = folder / ".marin-build" / "outputs" / node["id"]
        output.mkdir(parents=True, exist_ok=True)
        (output / ".executor_status").write_text("SUCCESS")


def render(rows: Sequence[Row]) -> str:
    """Return the page of results."""
    labels = ["file, kB", "boxes at first", *rows[0].times]
    lines = ["| steps | " + " | ".join(f"{row.steps:,}" for row in rows) + " |"]
    lines.append("| --- |" + " ---: |" * len(rows))
    for label in labels:
        cells = []
        for row in rows:
            match label:
                case "file, kB":
                    cells.append(f"{row.size / 1000:,.0f}")
                case "boxes at first":
                    cells.append(str(row.boxes))
                case _:
                    cells.append(f"{row.times[label]:,.0f}")
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    machine = "\n".join(f"- {what}: {value}" for what, value in describe())
    return HEAD.format(repeat=REPEAT) + "\n".join(lines) + f"\n\n{machine}\n"


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="25,1000,20000,100000")
    parser.add_argument("--browser", default=shutil.which("chromium"))
    parser.add_argument("--output", type=Path)
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    rows = []
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as scratch:
        browser = playwright.chromium.launch(
            executable_path=given.browser, args=["--no-sandbox", "--disable-gpu"]
        )
        for steps in map(int, given.sizes.split(",")):
            folder = Path(scratch) / str(steps)
            folder.mkdir()
            _prepare(folder, steps)
            rows.append(measure(browser, folder, steps))
        browser.close()
    text = render(rows)
    if given.output is not None:
        given.output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
