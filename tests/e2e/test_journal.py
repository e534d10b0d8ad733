"""What a run did when is known afterwards, whatever became of it; and it can be looked at."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import TYPE_CHECKING, Any

from tests.trace_rules import check_trace

from .support import DIAMOND, OUTPUTS, cases

if TYPE_CHECKING:
    from pathlib import Path

    from .support import Gate, Project

GATED = """\
from pathlib import Path
from gate import wait_at_gate
from marin_build import StepSpec

def first(output):
    Path(output, "x").touch()

def second(output):
    wait_at_gate("second")
    Path(output, "x").touch()

one = StepSpec(name="first", fn=first)
targets = [StepSpec(name="second", fn=second, deps=[one])]
"""
FAILING = """\
from pathlib import Path
from marin_build import StepSpec

def bad(output):
    raise ValueError("no good")

targets = [
    StepSpec(name="bad", fn=bad, retries=1),
    StepSpec(name="good", fn=lambda output: Path(output, "x").touch()),
]
"""


def journal_of(project: Project) -> Path:
    """Return the journal of the only run."""
    (found,) = (project.root / OUTPUTS).glob(".marin-build/runs/*/events.jsonl")
    return found


def lines_of(journal: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in journal.read_text().splitlines()]


def rows(trace: Any) -> dict[str, str]:
    """Return name -> row of what a trace shows, after it was checked."""
    complete = check_trace(trace)
    names = {
        e["tid"]: e["args"]["name"] for e in trace["traceEvents"] if e["name"] == "thread_name"
    }
    return {event["name"].partition("_")[0]: names[event["tid"]] for event in complete}


@cases("isolation", process=("process",), thread=("thread",))
def test_a_run_keeps_the_events_that_it_tells(project: Project, isolation: str) -> None:
    """Else nobody can say afterwards what happened while he was away."""
    project.pipeline(DIAMOND)
    done = project.run("apply", "--json", "--isolation", isolation, "--set", "left=4")
    assert done.code == 0, done.err
    head, *lines = lines_of(journal_of(project))
    assert (head["event"], head["schema"], head["schema_version"]) == (
        "journal", "marin_build/events", 1,
    )  # fmt: skip
    assert head["run"] == journal_of(project).parent.name
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", head["time"])
    stamps = [line.pop("at") for line in lines]
    assert stamps == sorted(stamps)
    for line in lines:
        del line["time"]
    assert lines == done.events
    assert (lines[0]["event"], lines[-1]["event"]) == ("apply_started", "apply_finished")


def test_a_trace_shows_every_step_of_a_run(project: Project) -> None:
    project.pipeline(DIAMOND)
    done = project.run("apply", "--trace", "out.json", "-j", "2")
    assert (done.code, done.err) == (0, "")
    trace = json.loads(project.file("out.json"))
    shown = rows(trace)
    assert set(shown) == {"corpus", "left", "right", "report", next(n for n in shown if "r-" in n)}
    assert {shown["left"], shown["right"]} == {"slot 1", "slot 2"}
    ends = {e["name"].partition("_")[0]: e["ts"] + e["dur"] for e in check_trace(trace)}
    starts = {e["name"].partition("_")[0]: e["ts"] for e in check_trace(trace)}
    assert ends["corpus"] <= min(starts["left"], starts["right"])
    assert max(ends["left"], ends["right"]) <= starts["report"]
    path = {e["name"].partition("_")[0] for e in check_trace(trace) if "critical" in e["cat"]}
    assert {"corpus", "report"} < path
    # The same one can be had later, by name, and without the pipeline.
    (project.root / "pipeline.py").unlink()
    for run in ("latest", journal_of(project).parent.name):
        later = project.run("trace", run)
        assert (later.code, later.document) == (0, trace)
    assert project.run("trace", "latest", "-o", "later.json").out == ""
    assert project.file("later.json") == project.file("out.json")


def test_retries_are_seen_in_a_trace(project: Project) -> None:
    project.pipeline(FAILING)
    done = project.run("apply", "-k", "--trace", "out.json")
    assert done.code == 1
    complete = check_trace(json.loads(project.file("out.json")))
    assert [e["args"]["attempt"] for e in complete if e["name"].endswith("(failed)")] == [1, 2]


def test_what_finds_nothing_to_do_writes_an_empty_trace(project: Project) -> None:
    """Else the step of a CI that uploads it fails, because there is no file."""
    project.pipeline(DIAMOND)
    assert project.run("apply", "-q").code == 0
    assert project.run("apply", "-q", "--trace", "out.json").code == 0
    assert check_trace(json.loads(project.file("out.json"))) == []
    journal_of(project)


def test_a_trace_that_cannot_be_written_is_refused_before_anything_runs(project: Project) -> None:
    """Else it is known after a week that it was for nothing."""
    project.pipeline(DIAMOND)
    done = project.run("apply", "--trace", "no/such/folder.json")
    assert (done.code, done.out) == (4, "")
    assert done.err == (
        "error: cannot write the trace to `no/such/folder.json`\n"
        "  reason: no such file or directory\n"
        "  nothing was run\n"
    )
    assert project.counts() == {}


@cases("isolation", process=("process",), thread=("thread",))
def test_a_run_that_is_killed_leaves_its_journal(
    project: Project, gate: Gate, isolation: str
) -> None:
    """Else the run that died is the one of which nothing is known."""
    project.pipeline(GATED)
    running = project.start("apply", "--isolation", isolation)
    gate.wait_started()
    running.send(signal.SIGKILL)
    running.wait()
    assert running.wait_until_all_gone() == {}
    told = [(line["event"], line.get("name")) for line in lines_of(journal_of(project))]
    assert told[:1] + told[2:] == [
        ("journal", None), ("step_started", "first"), ("step_succeeded", "first"),
        ("step_started", "second"),
    ]  # fmt: skip
    done = project.run("trace", "latest")
    assert done.code == 0, done.err
    shown = {e["name"].partition("_")[0]: e["args"] for e in check_trace(done.document)}
    assert shown["second"]["ended"] == "unfinished"
    assert shown["first"]["ended"] == "step_succeeded"
    # A last line that was cut is nothing to stumble over.
    with journal_of(project).open("a") as stream:
        stream.write('{"event": "step_succ')
    assert project.run("trace", "latest").document == done.document


def test_waiting_for_another_run_has_its_row(project: Project, gate: Gate) -> None:
    """Else the machine seems to be idle, and nobody knows for whom it waits."""
    project.pipeline(GATED)
    first = project.start("apply", "--json")
    gate.wait_started()
    second = project.start("apply", "--json", "--trace", "out.json")
    second.wait_event("step_waiting")
    gate.let_go()
    assert (first.wait().code, second.wait().code) == (0, 0)
    complete = check_trace(json.loads(project.file("out.json")))
    (waiting,) = [event for event in complete if event["cat"] == "waiting"]
    assert waiting["name"].startswith("second_")
    assert "attempt 1" in waiting["args"]["held_by"]


def test_a_journal_that_cannot_be_kept_is_a_warning(project: Project) -> None:
    """Else a folder nobody needs for building stops the build."""
    project.pipeline(DIAMOND)
    project.write(f"{OUTPUTS}/.marin-build/runs", "not a folder")
    done = project.run("apply", "-q", "--trace", "out.json")
    assert done.code == 0
    assert re.fullmatch(
        r"warning: neither plan nor journal of r-[0-9a-f]{8} is kept: cannot .+\n", done.err
    )
    assert "corpus" in rows(json.loads(project.file("out.json")))


@cases("name", gone=("r-01234567",), none=("latest",), other=("main",))
def test_there_is_no_such_run(project: Project, name: str) -> None:
    done = project.run("trace", name)
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith(f"error: there is no run `{name}`\n")
    assert "  no trace was written\n" in done.err


def test_a_journal_of_another_schema_is_refused(project: Project) -> None:
    project.pipeline(DIAMOND)
    assert project.run("apply", "-q").code == 0
    journal = journal_of(project)
    journal.write_text(journal.read_text().replace('"schema_version": 1', '"schema_version": 9'))
    done = project.run("trace", "latest")
    assert (done.code, done.out) == (4, "")
    assert "  reason: its schema_version is 9\n" in done.err


def test_nothing_secret_is_in_a_journal(project: Project) -> None:
    """Else whoever may read outputs reads a token."""
    project.pipeline(DIAMOND)
    for given in (["--set", "left=412345"], ["--set=left=512345"]):
        assert project.run("apply", "-q", *given).code == 0
    for path in (project.root / OUTPUTS / ".marin-build/runs").glob("*/*"):
        if path.name != "plan.json":  # attributes are what a plan is about
            assert "12345" not in path.read_text()
    for path in (project.root / OUTPUTS).glob("*/.executor_info"):
        assert "12345" not in json.dumps(json.loads(path.read_text())["provenance"])


FAST = """\
from pathlib import Path
from gate import wait_at_gate
from marin_build import StepSpec

def slow(output):
    wait_at_gate("slow")

def bad(output):
    (Path(__file__).parent / "go").read_text()
    raise ValueError("no good")

targets = [StepSpec(name="slow", fn=slow), StepSpec(name="bad", fn=bad)]
"""


def test_failing_fast_ends_what_runs(project: Project, gate: Gate) -> None:
    """Else a run that has failed goes on spending for hours."""
    os.mkfifo(project.root / "go")
    project.pipeline(FAST)
    running = project.start("apply", "--fail-fast", "-j", "2")
    assert gate.wait_started()[0] == "slow"
    (project.root / "go").write_text("")
    done = running.wait()
    assert done.code == 1, "it failed; nobody interrupted it"
    assert running.wait_until_all_gone() == {}
    assert project.mask(done.out).endswith(
        "  started   bad_HASH\n"
        "  failed    bad_HASH  ValueError: no good\n"
        "  interrupted slow_HASH\n"
        "0 built, 0 reused, 1 failed, 1 interrupted in TIME\n"
    )
    assert "failing fast: ending 1 running step\n" in done.err
    assert project.attempt_of("slow")["result"] == "interrupted"


def test_after_so_many_failures_nothing_more_is_started(project: Project) -> None:
    project.pipeline(
        "from marin_build import command\n"
        "targets = [command(f'exit {i + 1}', name=f's{i}') for i in range(5)]\n"
    )
    done = project.run("apply", "--json", "-j", "1", "--max-failures", "3")
    assert done.code == 1
    assert done.names_of("step_failed") == ["s0", "s1", "s2"]
    assert done.events[-1]["not_started"] == 2


def test_to_go_on_and_to_fail_fast_are_refused(project: Project) -> None:
    project.pipeline(DIAMOND)
    done = project.run("apply", "-k", "--fail-fast")
    assert (done.code, done.out) == (4, "")
    assert "contradict each other" in done.err


SLEEPERS = """\
from marin_build import command

def pipeline(v: int = 0):
    # `long` is last in the file and has nothing behind it: only history says that it is long.
    return [command(f"echo {v} > {{output}}/x", name=name) for name in ("a", "b", "c", "long")]
"""


def test_what_took_longest_the_last_time_is_started_first(project: Project) -> None:
    """Else one machine works on the long one at the end, while all the others wait."""
    project.pipeline(SLEEPERS)
    first = project.run("apply", "--json", "-j", "1")
    assert first.names_of("step_started") == ["a", "b", "c", "long"]
    record = project.output_of("long") / ".executor_info"
    record.write_text(re.sub(r'"seconds": *[0-9.e-]+', '"seconds": 4000.0', record.read_text()))
    again = project.run("apply", "--json", "-j", "1", "--set", "v=1")
    assert again.names_of("step_started")[0] == "long"
