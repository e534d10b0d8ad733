"""Logs, outputs and metrics in `marin-build ui`, plans that grow, and runs of other machines."""

from __future__ import annotations

import json
import re
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING

import pytest

from marin_build.protocol.lease import Lease
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
from tests.browser.test_report import PIPELINE as RESULTS
from tests.servers.faults import Fault
from tests.servers.gcs import GcsServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.browser.conftest import Window
    from tests.browser.live import Ui
    from tests.e2e.support import Gate, Project

TALKING = """\
from pathlib import Path
from gate import wait_at_gate
from marin_build import StepSpec, step


@step
def talk(output: Path) -> None:
    for number in range(4000):
        print("word", number, "x" * 60)
    print("\\x1b[31mred\\x1b[0m <img src=x onerror=alert(1)> \\u202eright \\u2028 \\x00 \\x1b[2J")
    wait_at_gate("first")
    print("second", flush=True)
    wait_at_gate("last")
    raise ValueError("the last word")


def pipeline() -> list[StepSpec]:
    return [talk()]
"""

GROWING = """\
from pathlib import Path
from gate import wait_at_gate
from marin_build import StepSpec, expand, step


@step
def split(output: Path) -> dict[str, int]:
    wait_at_gate("split")
    return {"shards": 3}


@step(name="count/{part}")
def count(output: Path, part: int) -> int:
    wait_at_gate("count")
    return part


@step
def merge(output: Path, counts: list[int]) -> int:
    return sum(counts)


def pipeline() -> list[StepSpec]:
    shards = split()

    @expand(shards)
    def counts(found: dict[str, int]) -> list[StepSpec]:
        return [merge(counts=[count(part=part) for part in range(found["shards"])])]

    return [counts]
"""


@pytest.fixture
def start(
    project: Project, new_window: Callable[..., Window]
) -> Iterator[Callable[..., tuple[Ui, Window]]]:
    """Start the server, and open a window that may ask it and nothing else."""
    windows = []

    def make(pipeline: str, **settings: object) -> tuple[Ui, Window]:
        project.pipeline(pipeline)
        ui, window = start_ui(project), new_window(**settings)
        window.asked = ui.address
        windows.append(window)
        return ui, window

    yield make
    for window in windows:
        window.page.goto("about:blank")  # before its server is ended


def test_a_log_is_followed_and_stands_still_for_who_reads(
    project: Project, gate: Gate, start: Callable[..., tuple[Ui, Window]]
) -> None:
    ui, window = start(TALKING)
    applying = project.start("apply", "-q")
    assert gate.wait_started()[0] == "first"
    page = visit_run(window, ui)
    target(page, "talk").click()
    page.locator("#facts a", has_text="log").click()
    page.get_by_text("word 3999 ").wait_for()
    # The end first: it is bounded, and what is hostile in it is text.
    assert page.get_by_text("word 0 ").count() == 0
    shown = page.locator("#log div", has_text="red").inner_text()
    assert shown == "red <img src=x onerror=alert(1)> \\u202eright \\u2028 \\x00 "
    assert page.locator("#log img").count() == 0
    assert "running" in page.locator("#how").inner_text()
    window.screenshot("ui-log")
    gate.let_go()
    assert gate.wait_started()[0] == "last"
    page.get_by_text("second", exact=True).wait_for()
    assert page.evaluate("innerHeight + scrollY >= document.documentElement.scrollHeight - 41")
    page.evaluate("scrollTo(0, 0)")
    page.locator("#end").wait_for()
    page.locator("#earlier").click()
    page.get_by_text("word 0 ").wait_for()
    top = page.evaluate("scrollY")
    hide(page)
    # As after a while: the server does not know any more what the page has, and sends all.
    page.route(
        "**/lines?*", lambda route: route.continue_(url=re.sub("&after=.*", "", route.request.url))
    )
    show(page)
    gate.let_go()
    page.wait_for_selector("body[data-log=over]")
    page.get_by_text("ValueError: the last word").wait_for()
    assert page.evaluate("scrollY") == top, "who reads is left where he is"
    assert page.get_by_text("word 0 ").count() == page.get_by_text("word 3999 ").count() == 1
    assert "failed, exit code 1" in page.locator("#how").inner_text()
    assert applying.wait().code == 1


def test_a_log_that_is_not_there_says_why(
    project: Project, gate: Gate, start: Callable[..., tuple[Ui, Window]]
) -> None:
    ui, window = start(GATED)
    applying = project.start("apply", "-q", "-k", "-j", "2")
    gate.wait_started()
    gate.wait_started()
    page = visit(window, f"{ui.address}runs/latest/log/?target=train_00000000")
    assert "nothing was tried yet" in page.locator("#problem").inner_text()
    page.goto(f"{ui.address}runs/latest/")
    page.wait_for_selector("body[data-live]")
    target(page, "data/0").click()
    page.locator("#facts a", has_text="log").click()
    page.get_by_text("reading shard 0").wait_for()
    page.locator("#times").check()
    assert findings(page) == []
    window.forgiven = "404 (Not Found)"
    for query in (
        "", "target=../../etc", "target=%2Fetc_11111111", "target=a%00b", "target=x_1&attempt=a",
        "target=x_1&attempt=99999999999999999999999", "target=x_1&rank=-1",
    ):  # fmt: skip
        response = page.goto(f"{ui.address}runs/latest/log/?{query}")
        assert response is not None
        assert response.status == 404, query
    gate.let_go(4)
    assert applying.wait().code == 1


def test_a_plan_that_grows_keeps_what_is_selected(
    project: Project, gate: Gate, start: Callable[..., tuple[Ui, Window]]
) -> None:
    """Else a page shows one step of a run of a hundred, until it is loaded again."""
    ui, window = start(GROWING)
    applying = project.start("apply", "-q", "-j", "1")
    assert gate.wait_started()[0] == "split"
    page = visit_run(window, ui)
    assert "later" in page.locator("#legend").inner_text()
    target(page, "split").click()
    gate.let_go()
    assert gate.wait_started()[0] == "count"
    target(page, "merge").wait_for()
    assert page.locator("#panel h2").inner_text() == "split"
    assert "1 of 5 built" in page.locator("#tally").inner_text()
    gate.let_go(3)
    page.wait_for_selector("body[data-live=over]")
    wait_for_state(page, "merge", "built")
    assert "5 of 5 built" in page.locator("#tally").inner_text()
    assert applying.wait().code == 0


def test_outputs_and_metrics_are_what_records_say(
    project: Project, start: Callable[..., tuple[Ui, Window]]
) -> None:
    """And files of outputs run nothing."""
    ui, window = start(RESULTS)
    assert project.run("apply", "-q", "-k").code == 1
    (project.root / "pipeline.py").unlink()  # nothing of it is needed
    page = visit(window, f"{ui.address}outputs/")
    rows = page.locator("#outputs tbody tr")
    assert rows.count() == 4
    page.fill("#find", "lr-2")
    assert page.locator("#count").inner_text() == "1 of 4"
    assert rows.and_(page.locator(":visible")).inner_text().split()[1] == "failed"
    assert findings(page) == []
    page.fill("#find", "")
    rows.locator("a", has_text="train/lr-0.5").click()
    page.wait_for_selector("h1:has-text('train/lr-0.5')")
    assert page.locator("figure img").count() == 2
    assert "<script>alert(1)</script>" in page.locator("pre.preview").inner_text()
    assert page.locator("main script, main iframe").count() == 0
    assert '{"loss": 0.625}' in page.locator("main").inner_text()
    assert findings(page) == []
    window.screenshot("ui-output")
    page.locator("nav a", has_text="metrics").click()
    page.wait_for_selector("#metrics")
    shown = [row.split() for row in page.locator("#metrics tbody tr").all_inner_texts()]
    assert ["train/lr-0.5", "0.5", "0.625"] in shown  # what was built last stands first
    assert findings(page) == []
    window.forgiven = "404 (Not Found)"
    for query in ("", "target=x&path=../..", "target=x&path=/etc", "target=x&path=.marin-build"):
        response = page.goto(f"{ui.address}outputs/one/?{query}")
        assert response is not None
        assert response.status == 404, query


IN_BUCKET = """\
from marin_build import StepSpec, step


@step
def good(output: str) -> int:
    print("reading shard", flush=True)
    return 1


@step
def bad(output: str, good: int) -> None:
    raise ValueError("no such luck")


def pipeline() -> list[StepSpec]:
    return [bad(good=good())]
"""

HOSTILE = "</script><img src=x onerror=alert(1)>\u202e\u2028\x1b[2J<!--{{7*7}}"


def test_what_others_wrote_is_text(
    project: Project, start: Callable[..., tuple[Ui, Window]]
) -> None:
    """A journal and who ran it are files that everybody writes who may write the prefix."""
    ui, window = start(GATED.replace("wait_at_gate(", "str(").replace("from gate", "# "))
    assert project.run("apply", "-q", "-k").code == 1
    (folder,) = (project.root / ".marin-build/outputs/.marin-build/runs").iterdir()
    journal = folder / "events.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in lines:
        for key in ("message", "held_by", "reason", "upstream", "job", "place"):
            if key in line:
                line[key] = HOSTILE
    began = next(line for line in lines if line["event"] == "step_started")
    lines.insert(2, {**began, "name": HOSTILE, "target": HOSTILE})
    lines.insert(2, {"event": "warned", "at": 1.0, "time": "x", "message": HOSTILE})
    lines.insert(2, {"event": "step_failed", "at": "x", "target": 7, "name": []})
    journal.write_text("".join(json.dumps(line) + "\n" for line in lines))
    who = json.loads((folder / "run.json").read_text())
    who["provenance"] |= {"user": HOSTILE, "host": HOSTILE, "argv": [HOSTILE], "commit": HOSTILE}
    (folder / "run.json").write_text(json.dumps(who))
    page = visit(window, ui.address)
    assert "<img src=x" in page.locator("#runs tbody").inner_text()
    assert page.locator("#runs img").count() == 0
    page = visit_run(window, ui)
    target(page, "bad").click()
    page.locator("#about summary").click()
    page.locator("#said summary").click()
    text = page.locator("body").inner_text()
    assert "onerror=alert(1)>\\u202e\\u2028\\x1b[2J<!--{{7*7}}" in text
    assert "\u202e" not in text
    assert page.locator("img").count() == 0
    assert page.evaluate("document.title").startswith("failed")


def upload(server: GcsServer, name: str, data: bytes) -> None:
    query = urllib.parse.urlencode({"uploadType": "media", "name": name})
    url = f"{server.url}/upload/storage/v1/b/lab/o?{query}"
    with urllib.request.urlopen(urllib.request.Request(url, data, method="POST")) as answer:
        assert answer.status == 200


def download(server: GcsServer, name: str) -> bytes:
    quoted = urllib.parse.quote(name, safe="")
    with urllib.request.urlopen(f"{server.url}/storage/v1/b/lab/o/{quoted}?alt=media") as answer:
        return bytes(answer.read())


def test_a_run_of_another_machine_is_followed_through_the_bucket(
    project: Project, start: Callable[..., tuple[Ui, Window]]
) -> None:
    """What is not known here is said to be so; a bucket that fails for a while ends nothing."""
    with GcsServer("lab") as server:
        project.build_in_bucket(server.url, "gs://lab/out")
        project.pipeline(IN_BUCKET)
        assert project.run("apply", "-q", "-k", "-j", "1").code == 1
        listing = f"{server.url}/storage/v1/b/lab/o?prefix=out/.marin-build/runs/"
        with urllib.request.urlopen(listing) as answer:
            names = [item["name"] for item in json.load(answer)["items"]]
        (journal,) = (name for name in names if name.endswith("events.jsonl"))
        lines = download(server, journal).splitlines(keepends=True)
        head = json.loads(lines[0]) | {"boot": "another", "worker": "bob@tpu-7", "pid": 7}
        lines[0] = json.dumps(head).encode() + b"\n"
        begun = next(i for i, line in enumerate(lines) if b'"step_started"' in line) + 1
        upload(server, journal, b"".join(lines[:begun]))  # as that machine sent it so far
        name = json.loads(lines[begun - 1])["target"]
        ui, window = start(IN_BUCKET)
        page = visit_run(window, ui)
        assert page.locator("#outcome").inner_text() == "unfinished"
        why = page.locator("#why").inner_text()
        assert "its process is on another machine; no sign since " in why
        wait_for_state(page, name.rpartition("_")[0], "running")
        # It holds a lease: it was alive when it renewed that.
        lease = Lease("bob@tpu-7", 1_800_000_000.0, run=head["run"], attempt=2, nonce="n")
        upload(server, f"out/{name}/.executor_status.lock", lease.encode())
        page.locator("#outcome.of-running").wait_for()
        server.faults.add(Fault(403, every=1))
        page.locator("#connection.bad", has_text="it is tried again").wait_for()
        window.screenshot("ui-bucket-away")
        server.faults.clear()
        upload(server, journal, b"".join(lines))
        page.wait_for_selector("body[data-live=over]")
        wait_for_state(page, "bad", "failed")
        assert page.locator("#connection").inner_text() == ""
        log = f"{ui.address}runs/latest/log/?target={urllib.parse.quote(name)}&attempt=1"
        visit(window, log)
        page.get_by_text("reading shard").wait_for()
        page.goto("about:blank")
