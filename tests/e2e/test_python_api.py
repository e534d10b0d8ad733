"""`marin_build.Project`: a program can do what the command line can, with values and errors."""

from __future__ import annotations

import gc
import importlib
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

import marin_build
from marin_build import ApplyFailedError, StepSpec, step
from marin_build.apply.events import ApplyFinished, StepEnded, StepStarted
from marin_build.errors import SpecificationError, StepFailedError, UsageError
from marin_build.plan.decisions import Kind
from marin_build.plan.outcomes import Blocked, Succeeded
from marin_build.plan.target_state import State
from marin_build.workspace.workspace import use_workspace

from .support import CHECKOUT, DIAMOND

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .support import Project as CommandLine

Project = marin_build.Project


@pytest.fixture(autouse=True)
def _as_a_program_begins(project: CommandLine, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have each test import its pipeline anew, in the folder of its project."""
    monkeypatch.chdir(project.root)
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if not name.startswith("marin_build"):
            del sys.modules[name]
    use_workspace(None)


@pytest.fixture
def diamond(project: CommandLine) -> CommandLine:
    project.write("pipeline.py", DIAMOND)
    (project.root / "marin-build.toml").write_text(
        'prefix = "configured"\n[profiles.night]\nprefix = "of-the-night"\n'
    )
    return project


def test_a_plan_has_what_the_command_prints(diamond: CommandLine) -> None:
    """Else a notebook shows another plan than the review, or names what it means differently."""
    Project.open().apply(isolation="thread")
    plan = Project.open(params={"left": 5}).plan()
    printed = diamond.run("plan", "--set", "left=5").out
    assert str(plan).splitlines()[:-1] == printed.splitlines()[:-1]
    assert str(plan).splitlines()[-1] == "to build it: project.apply()"
    document = diamond.run("plan", "--set", "left=5", "--json").document
    assert plan.json_values() == document
    assert plan.summary == printed.splitlines()[-2]
    assert plan.id == document["plan_id"]
    assert [each["target"] for each in document["decisions"]] == list(plan.decisions)
    assert [d.kind for d in plan.decisions.values()] == [Kind.REUSE, Kind.RUN, Kind.REUSE, Kind.RUN]
    left, report = plan.to_build
    assert plan.reasons[left] == "attrs.times 1 -> 5"
    assert plan.reasons[report] == "needs left, which changed: attrs.times 1 -> 5"
    assert plan.estimate.jobs == (os.cpu_count() or 1)
    assert plan.markdown().startswith(f"**{plan.summary}**")
    assert diamond.run("explain", "left", "--set", "left=5").out == (
        f"{Project.open(params={'left': 5}).explain('left')}\n"
    )


@pytest.mark.parametrize(
    ("environment", "options"),
    [
        ({}, {}),
        ({"MARIN_PREFIX": "from-the-environment"}, {}),
        ({}, {"profile": "night"}),
        ({"MARIN_PREFIX": "from-the-environment"}, {"prefix": "given"}),
    ],
)
def test_the_configuration_is_honoured_as_on_the_command_line(
    diamond: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
    environment: dict[str, str],
    options: dict[str, Any],
) -> None:
    """Else a notebook builds everything once more, at a place that nobody looks at."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
        diamond.environment[name] = value
    project = Project.open(**options)
    (diamond.root / "elsewhere").mkdir()
    monkeypatch.chdir(diamond.root / "elsewhere")  # it does not matter any more
    words = [word for key, value in options.items() for word in (f"--{key}", value)]
    document = diamond.run("plan", *words, "--json").document
    assert project.plan().id == document["plan_id"]
    assert project.prefix == os.path.join(diamond.root, document["prefix"])
    assert project.folder == str(diamond.root)


def test_a_saved_plan_is_the_one_of_the_command_line(diamond: CommandLine) -> None:
    """Else a plan that was made in a notebook cannot be reviewed and replayed like others."""
    saved = Project.open().plan("left").save("from-python")
    assert diamond.run("plan", "left", "-o", "from-shell").code == 0
    ours, theirs = diamond.root / "from-python", diamond.root / "from-shell"
    files = sorted(path.relative_to(ours) for path in ours.rglob("*") if path.is_file())
    assert files == sorted(p.relative_to(theirs) for p in theirs.rglob("*") if p.is_file())
    for file in files:
        assert (ours / file).read_text() == (theirs / file).read_text(), file
    assert shlex.join(saved.again[1]) == "marin-build apply from-python"
    assert Project.open().apply("from-python", isolation="thread").succeeded == 2
    with pytest.raises(UsageError, match="a saved plan fixes `targets`"):
        Project.open().apply("from-python", "left")
    with pytest.raises(UsageError, match="with assumptions cannot be written"):
        Project.open().plan(assume_changed="left").save("what-if")


def test_apply_calls_back_every_event_and_returns_the_totals(diamond: CommandLine) -> None:
    seen: list[Any] = []
    totals = Project.open().apply(jobs=1, on_event=seen.append)
    assert seen[-1] == totals
    assert [e.name for e in seen if isinstance(e, StepEnded)] == [
        "corpus", "left", "right", "report",
    ]  # fmt: skip
    assert totals.succeeded == 4
    assert diamond.run("apply").out.startswith("nothing to do: 4 targets are reused\n")
    seen.clear()
    again = Project.open().apply(on_event=seen.append)
    assert (again.succeeded, again.reused, seen) == (0, 4, [again])
    record = json.loads((diamond.output_of("report", "configured") / ".executor_info").read_text())
    assert "Project.apply" in str(record["provenance"])
    assert "pytest" not in str(record["provenance"])


FAILING = """
from marin_build import step

@step
def good(output) -> int:
    return 1

@step
def bad(output, good: int) -> int:
    print("what it said")
    raise ValueError("no luck")

@step
def last(output, bad: int) -> int:
    return bad

def pipeline():
    return [last(bad=bad(good=good()))]
"""


def test_a_failure_is_raised_with_the_totals_and_with_what_failed(project: CommandLine) -> None:
    """Else a program goes on with what was not built, or has to read texts."""
    project.write("pipeline.py", FAILING)
    opened = Project.open()
    with pytest.raises(ApplyFailedError) as caught:
        opened.apply(keep_going=True)
    error = caught.value
    assert isinstance(error, StepFailedError)
    assert (error.totals.succeeded, error.totals.failed, error.totals.blocked) == (1, 1, 1)
    (failure,) = error.failures
    assert failure.name == "bad"
    said = project.mask(error.render()).splitlines()
    assert said == [
        "error: 1 target failed, 1 target blocked",
        "  bad_HASH:  exit code 1: ValueError: no luck",
        "  last_HASH: blocked by bad",
        "hint: the log of the first one: project.logs('bad_HASH')",
    ]
    assert opened.logs("bad").startswith("what it said\n")
    (attempt,) = opened.attempts("bad")
    assert attempt.number == 1
    with pytest.raises(ApplyFailedError) as caught:  # nothing is started at all
        opened.apply(rerun_failed=False)
    assert [type(each.outcome) for each in caught.value.ended] == [Blocked, Blocked]
    assert caught.value.totals.blocked == 2


def test_who_takes_no_more_events_ends_the_run(project: CommandLine) -> None:
    """Else a loop that is left runs on unseen, and holds leases."""
    project.write(
        "pipeline.py",
        "import time\nfrom marin_build import step\n"
        "@step\ndef slow(output) -> int:\n    time.sleep(600)\n    return 1\n"
        "targets = [slow()]\n",
    )
    opened = Project.open()
    others = set(threading.enumerate())  # those of tests that ran before in this process
    for event in opened.events():
        if isinstance(event, StepStarted):
            break
    assert set(threading.enumerate()) <= others
    assert next(iter(opened.plan().reasons.values())).startswith("interrupted")


def test_events_end_with_the_error_of_the_run(project: CommandLine) -> None:
    project.write("pipeline.py", FAILING)
    seen: list[Any] = []
    with pytest.raises(ApplyFailedError):
        seen.extend(Project.open().events(isolation="thread"))
    project.write("pipeline.py", "1 / 0\n")
    with pytest.raises(SpecificationError, match="raised ZeroDivisionError"):
        list(Project.open().events())


def test_another_thread_may_apply_and_leaves_signals_alone(diamond: CommandLine) -> None:
    """Else a web server or a kernel that builds in a thread gets a ValueError."""
    before = signal.getsignal(signal.SIGINT)
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(Project.open().apply()))
    thread.start()
    thread.join()
    assert isinstance(found[0], ApplyFinished)
    assert found[0].succeeded == 4
    assert signal.getsignal(signal.SIGINT) is before
    Project.open().apply(force="report")
    assert signal.getsignal(signal.SIGINT) is before


def test_a_program_that_plans_often_keeps_no_garbage(diamond: CommandLine) -> None:
    """Else a kernel that plans all day grows: a command leaves its graph to the end of it."""
    gc.unfreeze()  # what tests of commands froze, which ran before in this process
    opened = Project.open()
    opened.plan()
    opened.apply()
    assert gc.get_freeze_count() == 0
    assert gc.isenabled()


@step
def here(output: Path, times: int = 1) -> int:
    return times


def test_steps_of_a_program_need_no_file(project: CommandLine) -> None:
    """Else whoever tries something out must write a file first."""
    prefix = project.root / "out"
    of_steps = Project.of([here(), {"more": here(times=2)}], prefix=prefix)
    assert of_steps.apply(isolation="thread").succeeded == 2
    of_function = Project.of(lambda n=2: here(times=n), prefix=prefix, params={"n": 3})
    (decision,) = of_function.plan().decisions.values()
    assert decision.kind is Kind.RUN
    assert Project.of(lambda: [here()], prefix=prefix).plan().to_build == ()
    assert Project.of((here(times=n) for n in (1, 2)), prefix=prefix).plan().to_build == ()
    assert "of a program" not in of_steps.graph("dot")
    for refused in (
        lambda: of_steps.plan().save("saved"),
        lambda: of_steps.plan("changed-since:HEAD"),
        lambda: of_steps.diff("HEAD"),
    ):
        with pytest.raises(UsageError, match="declared by a running program, in no file") as caught:
            refused()
        assert "Project.open" in str(caught.value.hint)


def test_a_module_is_its_file_for_others(diamond: CommandLine) -> None:
    sys.path.insert(0, str(diamond.root))
    opened = Project.of(importlib.import_module("pipeline"), params={"lines": 4})
    document = diamond.run("plan", "--set", "lines=4", "--json").document
    assert opened.plan().id == document["plan_id"]
    opened.plan().save("saved")
    assert diamond.run("apply", "saved").code == 0
    assert opened.plan().to_build == ()


def test_targets_are_looked_after_as_values(diamond: CommandLine) -> None:
    opened = Project.open()
    opened.apply(isolation="thread")
    assert {each.state for each in opened.status().states.values()} == {State.BUILT}
    assert opened.verify("report").is_intact
    assert opened.explain("report").decision.kind is Kind.REUSE
    condemned = opened.taint("left", reason="a wrong count")
    assert condemned.ends == ("report",)
    assert opened.plan().reasons[opened.plan().to_build[0]].startswith("tainted")
    opened.untaint("left")
    assert opened.plan().to_build == ()
    assert opened.unlock("report").lease is None
    assert opened.accept("report", reason="no difference").accepted == ()
    diamond.write("pipeline.py", DIAMOND.replace("* times", "* (times + 0)"))
    assert list(opened.plan().drift) == list(opened.accept("left", "right", reason="same").accepted)
    assert opened.plan().drift == {}
    data = diamond.root / "data"
    data.mkdir()
    (data / "count.txt").write_text("7\n")
    other = Project.open(params={"left": 9})
    assert other.adopt("left", data, reason="counted by hand").record.note == "counted by hand"
    plans = [opened.plan().save("before").folder, other.plan().save("after").folder]
    changed = [each.entry.name for each in opened.diff(*plans).diff.differences]
    assert changed == ["left", "report"]
    assert opened.graph("mermaid").startswith(("flowchart", "graph"))
    assert "<html" in opened.graph("html")


def test_what_lies_under_the_prefix_is_there_as_values(diamond: CommandLine) -> None:
    """Else a notebook that looks at results must call the command line and parse what it prints."""
    project = Project.open()
    project.apply(isolation="thread")
    listed, shown = project.ls("left", "right"), diamond.run("ls", "left", "right", "--json")
    assert [each.target for each in listed.targets] == [
        each["target"] for each in shown.document["outputs"]
    ]
    assert project.du().size == diamond.run("du", "--json").document["size"]
    (run,) = project.runs(outcomes="built").runs
    assert [run.id, run.outcome] == [project.kept_run("latest").run.id, "built"]
    assert project.runs(outcomes=["failed", "died"]).runs == ()
    with pytest.raises(UsageError, match="no run ends `buildt`"):
        project.runs(outcomes="buildt")


def test_gc_changes_nothing_unless_it_is_told_to(diamond: CommandLine) -> None:
    """Else a notebook that only asks what could be deleted loses outputs."""
    older = Project.open(params={"left": 5})
    older.apply(isolation="thread")
    Project.open().apply(isolation="thread")
    plan = Project.open().gc(keep_last=0)
    ids = [each.output.target for each in plan.steps]
    assert {each.rpartition("_")[0] for each in ids} == {"left", "report"}
    assert Project.open().gc(keep_last=0).digest == plan.digest
    assert Project.open().gc(keep_last=0, keep_params=[{"left": 5}]).steps == ()
    assert len(older.plan().to_build) == 0
    done: list[str] = []
    Project.open().gc(
        apply=True,
        reviewed=plan.digest,
        keep_last=0,
        grace=0,
        on_done=lambda it: done.append(it.said),
    )
    assert done == [""] * 2 * len(ids), "each is marked, then deleted"
    assert len(older.plan().to_build) == 2


def test_parameters_are_those_of_a_command_line(project: CommandLine) -> None:
    """Else the same parameters make another plan, and a saved plan cannot be replayed."""
    project.write(
        "pipeline.py",
        "from marin_build import step\n"
        "@step\ndef some(output, values: list) -> int:\n    return 1\n"
        "def pipeline(on: bool, rate: float, names: list[str], at: str = 'x'):\n"
        "    return [some(values=[on, rate, *names, at])]\n",
    )
    given = {"on": True, "rate": 0.25, "names": ["a", "b c"], "at": project.root}
    words = ["on=true", "rate=0.25", 'names=["a", "b c"]', f"at={project.root}"]
    flags = [word for pair in words for word in ("--set", pair)]
    document = project.run("plan", "--json", *flags).document
    assert Project.open(params=given).plan().id == document["plan_id"]
    with pytest.raises(UsageError, match="the parameter `on` cannot be written as text"):
        Project.open(params={"on": object()})
    with pytest.raises(UsageError, match="the pipeline has no parameter `of`"):
        Project.open(params={**given, "of": 1}).plan()


def test_what_cannot_be_opened_is_said_at_once(diamond: CommandLine) -> None:
    with pytest.raises(UsageError, match="no pipeline file"):
        Project.open("nowhere.py")
    with pytest.raises(UsageError, match="unknown profile"):
        Project.open(profile="nigth")
    with pytest.raises(UsageError, match="contradict each other"):
        Project.open().apply(keep_going=True, fail_fast=True)


def test_html_escapes_all_text_and_draws_what_can_be_seen(project: CommandLine) -> None:
    """Else a name or a message runs in the page of whoever opens the notebook."""
    project.write(
        "pipeline.py",
        "from marin_build import step\n"
        "@step\ndef one(output, text: str) -> int:\n    return 1\n"
        "def pipeline(count: int = 1, text: str = 'a'):\n"
        "    return [one.options(name=f'group/{n}')(text=f'{text}{n}') for n in range(count)]\n",
    )
    Project.open().apply(isolation="thread")
    hostile = "<script>alert(1)</script>\"'&"
    page = Project.open(params={"text": hostile}).plan()._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert page.count("<img ") == 1
    many = Project.open(params={"count": 200}).plan()._repr_html_()
    assert len(many) < 60_000  # one box for the group


def test_events_are_those_of_the_command_line(diamond: CommandLine) -> None:
    ours = list(Project.open().events(jobs=1))
    assert [type(event).__name__ for event in ours[:2]] == ["ApplyStarted", "StepStarted"]
    succeeded = [e for e in ours if isinstance(e, StepEnded) and isinstance(e.outcome, Succeeded)]
    shown = diamond.run("apply", "-j1", "--json", "--force", "*", "--prefix", "other")
    assert [event.name for event in succeeded] == shown.names_of("step_succeeded")


def test_a_step_spec_alone_is_a_pipeline() -> None:
    alone: StepSpec = here()
    assert len(Project.of(alone).plan().decisions) == 1


PROGRAM = """
import sys
from marin_build import StepRunner, step

@step
def made(output, times: int) -> int:
    return times

def pipeline():
    return [made(times=3)]

if __name__ == "__main__":
    StepRunner().run(pipeline())
    print(pipeline()[0].output_path)
"""


@pytest.mark.parametrize("policy", ["report", "rebuild"])
def test_step_runner_honours_the_configuration(project: CommandLine, policy: str) -> None:
    """Else a program builds everything a second time, at the default place."""
    project.write("pipeline.py", PROGRAM)
    (project.root / "marin-build.toml").write_text(f'prefix = "configured"\ncode = "{policy}"\n')
    done = subprocess.run(
        [sys.executable, project.root / "pipeline.py"],
        cwd="/",
        env=project.environ({"PYTHONPATH": str(CHECKOUT)}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(f"{project.root}/configured/made_")
    assert project.run("apply").out.startswith("nothing to do: 1 target is reused\n")


def test_budgets_are_checked_and_an_unused_one_is_a_warning(diamond: CommandLine) -> None:
    """Else a mistyped budget limits nothing, without a word."""
    plan = Project.open().plan(budgets={"cpu": 2, "licences": 1})
    assert [each.message for each in plan.warnings] == ["no step takes from the budget `licences`"]
    with pytest.raises(UsageError, match="ram"):
        Project.open().plan(budgets={"ram": "much"})
