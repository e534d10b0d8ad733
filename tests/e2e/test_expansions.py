"""Steps that are known only once others are built: planned, built in one run, and never guessed."""

from __future__ import annotations

import json
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from tests.servers.gcs import GcsServer

from .support import OUTPUTS, cases

if TYPE_CHECKING:
    from pathlib import Path

    from .support import Done, Project


PIPELINE = """\
import itertools, os, signal
from pathlib import Path

from marin_build import expand, source, step

HERE = Path(__file__).parent
MODE = os.environ.get("MODE", "")


def ran(name):
    with (HERE / "ran.txt").open("a") as stream:
        stream.write(f"{name}\\n")


@step
def split(output: Path, words: Path) -> dict[str, int]:
    ran("split")
    if MODE == "split fails":
        raise RuntimeError("not today")
    found = words.read_text().split()
    for place, word in enumerate(found):
        (output / f"part-{place}").write_text(word)
    return {"shards": len(found)}


@step(name="count/{part}", tags=("counted",))
def count(output: Path, parts: Path, part: int) -> int:
    ran(f"count/{part}")
    return len((parts / f"part-{part}").read_text())


@step
def merge(output: Path, counts: list[int]) -> int:
    ran("merge")
    (output / "total").write_text(str(sum(counts)))
    return sum(counts)


@step
def other(output: Path) -> int:
    ran("other")
    if MODE == "other fails":
        raise RuntimeError("not today")
    return 1


@step
def after(output: Path, needed: int) -> int:
    ran("after")
    return needed


@step
def late(output: Path, needed: int) -> int:
    ran("late")
    return needed


def pipeline():
    found, aside = split(source("words.txt")), other()

    @expand(found)
    def shards(value):
        if MODE == "expansion raises":
            return value["nothing"]
        if MODE == "expansion is random":
            return count(found, os.getpid())
        counts = [count(found, part) for part in range(value["shards"])]
        return [merge(counts), late(aside)]

    return [found, shards, after(aside)]


if "KILL_AT" in os.environ:
    from marin_build.apply import journal_writer

    number, as_it_was = itertools.count(1), journal_writer.event_line

    def event_line(*event):
        if next(number) == int(os.environ["KILL_AT"]):
            os.kill(os.getpid(), signal.SIGKILL)
        return as_it_was(*event)

    journal_writer.event_line = event_line
"""
STATIC = ["after", "other", "split"]
LATER = ["count/0", "count/1", "late", "merge"]
EVERY = sorted([*STATIC, *LATER])


@pytest.fixture
def sharded(project: Project) -> Project:
    """split -> as many counts as there are words -> merge; and steps that do not need them."""
    project.write("words.txt", "one three")
    project.pipeline(PIPELINE)
    return project


def _ran(project: Project) -> list[str]:
    """Return what ran since the last call, in alphabetical order."""
    path = project.root / "ran.txt"
    found = sorted(path.read_text().split()) if path.exists() else []
    path.unlink(missing_ok=True)
    return found


def _decisions(done: Done) -> dict[str, tuple[str, str]]:
    assert done.code == 0, done.err
    return {
        each["name"]: (each["decision"], each["reasons"][0]["kind"])
        for each in done.document["decisions"]
    }


def test_one_run_builds_what_it_learns_of(sharded: Project) -> None:
    """Else a person has to start a second run, and to know when."""
    planned = sharded.run("plan")
    assert "? expand   shards" in planned.out
    assert "its steps are known once `split` is built (pipeline.py:" in planned.out
    assert "3 to build, 0 reused; 1 expansion waits" in planned.out
    document = sharded.run("plan", "--json").document
    (waits,) = document["expansions"]
    assert waits["name"] == "shards"
    assert waits["waits_for"] == [
        each["target"] for each in document["decisions"] if each["name"] == "split"
    ]
    done = sharded.run("apply", "--json")
    assert done.code == 0, done
    assert _ran(sharded) == EVERY
    kinds = [event["event"] for event in done.events]
    assert kinds.count("apply_started") == kinds.count("apply_finished") == 1
    (expanded,) = (event for event in done.events if event["event"] == "apply_expanded")
    assert (expanded["expansions"], expanded["to_build"]) == (["shards"], 4)
    totals = done.events[-1]
    assert (totals["succeeded"], totals["reused"], totals["waiting"]) == (7, 0, [])
    runs = list((sharded.root / ".marin-build/outputs/.marin-build/runs").iterdir())
    assert [run.name for run in runs] == [totals["run"]]
    journal = (runs[0] / "events.jsonl").read_text().splitlines()
    assert [json.loads(line)["event"] for line in journal[1:]] == kinds
    assert sharded.run("apply").out.startswith("nothing to do: 7 targets are reused\n")
    assert "expansions" not in sharded.run("plan", "--json").document
    assert _ran(sharded) == []
    assert (sharded.output_of("merge") / "total").read_text() == "8"


def test_a_run_is_kept_with_all_that_it_learned_of(sharded: Project) -> None:
    """Else a catalogue, or a comparison of runs, misses the steps that an expansion gave."""
    assert sharded.run("apply").code == 0
    told = sharded.run("trace", "latest", "--format", "openlineage").out.splitlines()
    jobs = [json.loads(line) for line in told]
    ended = {job["job"]["name"] for job in jobs if job["eventType"] == "COMPLETE"}
    assert {"split", "count/0", "count/1", "merge"} <= ended
    (file,) = (sharded.root / OUTPUTS).glob(".marin-build/runs/*/plan.json")
    plan = json.loads(file.read_text())
    assert {each["decision"] for each in plan["decisions"]} == {"run"}
    assert "expansions" not in plan
    metrics = sharded.run("metrics", "count/*", "--run", "latest", "--csv")
    assert len(metrics.out.splitlines()) == 3, metrics.err
    sharded.pipeline("def f(:")
    found = sharded.run("status", "-v").out.splitlines()[:-1]
    assert sorted(line.split()[1].rpartition("_")[0] for line in found) == EVERY


def test_another_value_means_other_steps(sharded: Project) -> None:
    """Else results are made from shards of an earlier corpus."""
    assert sharded.run("apply", "-q").code == 0
    _ran(sharded)
    sharded.write("words.txt", "one three seven")
    assert sharded.run("apply", "-q").code == 0
    assert _ran(sharded) == ["count/0", "count/1", "count/2", "merge", "split"]
    sharded.write("words.txt", "one three")
    assert sharded.run("apply").out.startswith("nothing to do: 7 targets are reused\n")
    assert _ran(sharded) == []


def test_a_forced_source_rebuilds_what_it_would_if_all_were_known(sharded: Project) -> None:
    """Else `--force` means something else for steps that are known later."""
    assert sharded.run("apply", "-q").code == 0
    _ran(sharded)
    planned = sharded.run("plan", "--force", "split")
    assert "1 to build, 2 reused; 1 expansion waits" in planned.out, "its value may be another one"
    done = sharded.run("apply", "--force", "split", "--json")
    assert done.code == 0
    assert _ran(sharded) == ["count/0", "count/1", "merge", "split"], "and `late` is reused"
    assert (done.events[-1]["succeeded"], done.events[-1]["reused"]) == (4, 3)
    assert sharded.run("taint", "split", "--reason", "broken").code == 0
    assert sharded.run("apply", "-q").code == 0
    assert _ran(sharded) == ["count/0", "count/1", "merge", "split"]
    assert "nothing to do" in sharded.run("apply").out


@cases(
    "selector known later",
    glob=("count/*", ["count/0", "count/1", "split"], []),
    tag=("tag:counted", ["count/0", "count/1", "split"], []),
    expansion=("shards", sorted([*LATER, "other", "split"]), []),
    name=("late", ["late", "other", "split"], []),
    known=("after", ["after", "other"], []),
    left_out=("^shards", STATIC, []),
)
def test_a_run_stays_within_what_was_asked_for(
    sharded: Project, selector: str, known: list[str], later: list[str]
) -> None:
    """Else a run builds what nobody asked for, or not what somebody did."""
    assert sharded.run("apply", "-q", selector).code == 0
    assert _ran(sharded) == known
    assert sharded.run("apply", "-q", selector).code == 0
    assert _ran(sharded) == later


def test_a_name_that_no_step_gets_is_an_error_once_all_are_known(sharded: Project) -> None:
    """Else a misspelt name is taken for a step that is not known yet."""
    done = sharded.run("apply", "coutn/0")
    assert done.code == 4
    assert "no step is called `coutn/0`" in done.err
    assert "did you mean `count/0` or `count/1`?" in done.err
    assert _ran(sharded) == ["split"]


@cases("isolation", process=("process",), worker=("worker",), thread=("thread",))
def test_killed_at_any_event_it_goes_on_where_it_was(sharded: Project, isolation: str) -> None:
    """Else a lost machine between two parts of a run costs what was built, or loses steps."""
    args = ("apply", "-j", "2", "--isolation", isolation)
    calm = sharded.run(*args, "--json")
    assert calm.code == 0, calm.err
    assert _ran(sharded) == EVERY
    # The beginning, steps of both parts, the moments around the expansion, and the end.
    numbers = (1, 4, 7, 8, 9, 10, len(calm.events)) if isolation == "process" else (8, 9)
    for number in numbers:
        shutil.rmtree(sharded.root / ".marin-build")
        killed = sharded.start(*args, env={"KILL_AT": str(number)})
        assert killed.wait().code == -signal.SIGKILL
        assert killed.wait_until_all_gone() == {}
        built = [path.parent.name for path in _built(sharded)]
        before = set(_ran(sharded))
        again = sharded.run(*args)
        assert (again.code, again.err) == (0, "")
        names = {name.rpartition("_")[0] for name in built}
        assert not {name.rpartition("/")[2] for name in _ran(sharded)} & names
        assert before <= set(EVERY)
        assert len(_built(sharded)) == len(EVERY)


def _built(project: Project) -> list[Path]:
    statuses = (project.root / OUTPUTS).glob("**/.executor_status")
    return [path for path in statuses if path.read_text() == "SUCCESS"]


def test_a_saved_plan_says_what_it_does_not_contain(sharded: Project) -> None:
    """Else a reviewer approves a plan that seems whole, and is not."""
    assert sharded.run("plan", "-o", "plans/first").code == 0
    done = sharded.bash("plans/first/run.sh")
    assert done.code == 0, done
    assert _ran(sharded) == STATIC
    assert "not in this plan: the steps of shards, known once split_" in done.out
    assert "to go on, plan again: marin-build plan -f pipeline.py --prefix" in done.out
    said = done.out[done.out.index("not in this plan") :]
    for tool in ("make", "ninja"):
        assert said in sharded.execute([tool, "-C", "plans/first"], env=sharded.forking()).out
    again = sharded.run("apply", "plans/first")
    assert again.code == 0
    assert "the plan does not contain the steps of `shards`, which are known now" in again.err
    assert _ran(sharded) == []
    assert sharded.run("plan", "-o", "plans/second").code == 0
    assert sharded.bash("plans/second/run.sh").code == 0, "each script finds its step"
    assert _ran(sharded) == LATER
    shutil.rmtree(sharded.output_of("split"))
    stale = sharded.run("apply", "plans/second")
    assert stale.code == 5
    assert "`shards` waits for `split`" in stale.err
    # A plan that builds the source anew does not contain what follows, though it was known once.
    assert sharded.run("apply", "-q").code == 0
    _ran(sharded)
    assert sharded.run("plan", "-o", "plans/third", "--force", "split").code == 0
    done = sharded.run("apply", "plans/third", "--json")
    assert (done.code, done.events[-1]["waiting"]) == (0, ["shards"])
    assert _ran(sharded) == ["split"]


def test_a_source_that_fails_leaves_the_steps_unknown(sharded: Project) -> None:
    """Else a run that built half of what was asked for looks whole."""
    done = sharded.run("apply", "-k", env={"MODE": "split fails"})
    assert done.code == 1
    assert "1 failed" in done.out
    assert "not known yet: the steps of shards" in done.out
    assert _ran(sharded) == STATIC


def test_what_failed_is_not_tried_again_in_the_same_run(sharded: Project) -> None:
    """Else `-k` runs a failing step once for each expansion."""
    done = sharded.run("apply", "-k", "--json", env={"MODE": "other fails"})
    assert done.code == 1
    assert _ran(sharded) == ["count/0", "count/1", "merge", "other", "split"]
    totals = done.events[-1]
    assert (totals["succeeded"], totals["failed"], totals["blocked"], totals["reused"]) == (
        4, 1, 2, 0,
    )  # fmt: skip
    blocked = [event["name"] for event in done.events if event["event"] == "step_blocked"]
    assert blocked == ["after", "late"]
    done = sharded.run("apply", "--max-failures", "1", "--json", env={"MODE": "other fails"})
    assert (done.code, _ran(sharded)) == (1, ["other"])


def test_a_failure_ends_the_run_before_what_it_would_learn_of(sharded: Project) -> None:
    """Else a run goes on after a failure that should end it."""
    done = sharded.run("apply", "-j", "1", "--json", env={"MODE": "other fails"})
    assert done.code == 1
    assert "apply_expanded" not in {event["event"] for event in done.events}
    assert not set(_ran(sharded)) & set(LATER)


def test_a_function_that_raises_is_named_and_can_be_left_behind(sharded: Project) -> None:
    """Else a wrong value or a slip in one function makes a whole pipeline unusable."""
    broken = {"MODE": "expansion raises"}
    done = sharded.run("apply", env=broken)
    assert done.code == 4
    assert "3 built" in done.out
    assert "the expansion `shards` gives no steps for what `split` returned" in done.err
    assert "KeyError: 'nothing'" in done.err
    assert "Traceback" not in done.err
    assert sharded.run("plan", env=broken).code == 4
    for words in (["status"], ["explain", "split"], ["logs", "other"], ["apply", "after"]):
        assert sharded.run(*words, env=broken).code == 0, words
    assert "gives none for what" in sharded.run("status", env=broken).out
    assert sharded.run("plan", "--force", "split", env=broken).code == 0, "it can be rebuilt"
    assert sharded.run("apply", "-q").code == 0


@pytest.mark.parametrize(
    "data", [b"", b"\xff\xfe", b"[" * 100_000, b'{"shards": NaN}', b'{"shards": "many"}', b"null"]
)
def test_a_hostile_value_is_an_error_and_no_traceback(sharded: Project, data: bytes) -> None:
    """Else what another program wrote into a bucket breaks every command."""
    assert sharded.run("apply", "split", "-q").code == 0
    path = sharded.output_of("split") / ".artifact.json"
    path.chmod(0o644)
    path.write_bytes(data)
    done = sharded.run("plan")
    assert done.code == 4, done
    assert "the expansion `shards` gives no steps for what `split` returned" in done.err
    assert "Traceback" not in done.err
    assert sharded.run("apply", "--force", "split", "-q").code == 0


def test_a_function_that_is_never_the_same_is_named(sharded: Project) -> None:
    """Else a saved plan fails on the machine that replays it, and nobody knows why."""
    assert sharded.run("apply", "split", "-q").code == 0
    done = sharded.run("plan", "-o", "plan", env={"MODE": "expansion is random"})
    assert done.code == 4
    assert "the pipeline declares something else each time it is loaded" in done.err
    assert "`shards` (pipeline.py:" in done.err


def test_what_looks_at_a_pipeline_knows_its_later_steps(sharded: Project) -> None:
    """Else each command has its own idea of which steps there are."""
    early = sharded.run("explain", "shards")
    assert (early.code, early.out) == (4, "")
    assert "`shards` is an expansion: its steps are known once `split` is built" in early.err
    assert "`shards` waits for `split`" in sharded.run("explain", "count/0").err
    assert "`shards` waits for `split`" in sharded.run("status").out
    for form, look in (("text", "? shards"), ("dot", "dashed"), ("svg", "stroke-dasharray"),
                       ("mermaid", "stroke-dasharray"), ("html", '"shards"'),
                       ("json", '"state": "later"')):  # fmt: skip
        assert look in sharded.run("graph", "--format", form).out, form
    early = sharded.run("report", "-o", "early.html")
    assert early.code == 0, early.err
    page = (sharded.root / "early.html").read_text("utf-8")
    assert "The steps of \u201cshards\u201d are not known yet." in page
    assert "shards: its steps are known once split_" in page
    assert sharded.run("apply", "-q").code == 0
    for words in (["explain", "count/0"], ["logs", "count/1"], ["show", "merge"], ["path", "merge"],
                  ["status", "count/*"], ["verify", "count/0"], ["run", "count/0"]):  # fmt: skip
        done = sharded.run(*words)
        assert done.code == 0, (words, done)
    assert "8" in sharded.run("show", "merge").out
    assert '"later"' not in sharded.run("graph", "--format", "json").out
    assert sharded.run("plan", "--check-placement").code == 0


def test_reports_of_ci_name_what_becomes_known(sharded: Project) -> None:
    """Else a reviewer believes that one step runs, and a failure has no place in the code."""
    assert sharded.run("plan", "--summary", "plan.md").code == 0
    assert "expansion waits" in (sharded.root / "plan.md").read_text().splitlines()[1]
    assert sharded.run("apply", "-q", "--junit", "build.xml").code == 0
    cases = (sharded.root / "build.xml").read_text().splitlines()
    (case,) = [line for line in cases if 'classname="count/1"' in line]
    assert 'file="pipeline.py" line="' in case


def test_a_comparison_says_what_it_does_not_know(sharded: Project) -> None:
    """Else steps seem to appear that the other side has, too."""
    assert sharded.run("plan", "-o", "early").code == 0
    assert sharded.run("apply", "-q").code == 0
    for words in (["diff", "early"], ["metrics", "--diff", "early"]):
        done = sharded.run(*words)
        assert done.code == 0, done.err
        assert "note: not known yet in early: `shards` waits for split_" in done.err


def test_what_is_not_known_is_no_garbage(sharded: Project) -> None:
    """Else `gc` deletes the outputs of steps, because what tells of them is being rebuilt."""
    assert sharded.run("apply", "-q").code == 0
    assert sharded.run("gc").code == 0
    assert sharded.run("apply", "--force", "split", "-q", env={"MODE": "split fails"}).code == 1
    done = sharded.run("gc")
    assert done.code == 4
    assert "`shards` waits for `split`" in done.err
    assert "hint: marin-build apply builds what they wait for" in done.err


def test_steps_not_known_yet_are_not_called_undeclared_without_a_word(sharded: Project) -> None:
    """Else a person deletes by hand what the pipeline is about to declare again."""
    assert sharded.run("apply", "-q").code == 0
    assert sharded.run("apply", "--force", "split", "-q", env={"MODE": "split fails"}).code == 1
    for words in (["ls"], ["du"], ["path", "count/0"], ["explain", "count/0"], ["logs", "count/0"]):
        done = sharded.run(*words)
        assert "not known yet: `shards` waits for `split`" in done.out + done.err, words


NESTED = """\
from marin_build import expand, step


@step(name="node/{label}")
def node(output: str, label: str, children: int) -> int:
    return children


def tree(label, depth):
    here = node(label, 2 if depth else 0)

    @expand(here)
    def below(children):
        return [tree(f"{label}{place}", depth - 1) for place in range(children)]

    return [here, below]


def pipeline(depth: int = 3):
    return tree("r", depth)
"""


def test_expansions_may_return_expansions(project: Project) -> None:
    """Else a search that goes deeper where it finds something needs a run for each level."""
    project.pipeline(NESTED)
    done = project.run("apply", "--json")
    assert done.code == 0, done.err
    assert len(done.names_of("step_succeeded")) == 15
    assert [e["to_build"] for e in done.events if e["event"] == "apply_expanded"] == [2, 4, 8, 0]
    assert done.events[-1]["reused"] == 0
    assert project.run("apply").out.startswith("nothing to do: 15 targets are reused\n")
    planned = project.run("plan", "--force", "node/r0")
    assert "1 to build, 8 reused; 1 expansion waits" in planned.out
    one = project.run("apply", "node/r111", "--prefix", "elsewhere", "--json").events[-1]
    assert (one["succeeded"], one["reused"]) == (8, 0)


def test_it_works_in_a_bucket_with_one_read_more(project: Project) -> None:
    """Else those who keep outputs in buckets wait, or cannot use it."""
    project.pipeline(
        NESTED.replace("for place", "for place").replace("depth: int = 3", "depth: int = 1")
    )
    with GcsServer("outputs") as server:
        project.build_in_bucket(server.url, "gs://outputs/run")
        done = project.run("apply", "--json")
        assert done.code == 0, done.err
        assert len(done.names_of("step_succeeded")) == 3
        server.calls.clear()
        assert project.run("apply").out.startswith("nothing to do: 3 targets are reused\n")


CLASH = """\
from marin_build import expand, step


@step(name="{name}")
def named(output: str, name: str) -> int:
    return 1


def pipeline():
    first = named("first")

    @expand(first)
    def later(value):
        return [named.options(code="ignore")("first"), other("first")]

    return [first, later]


@step(name="{name}")
def other(output: str, name: str) -> int:
    return 2
"""


def test_a_step_that_clashes_with_another_is_refused(project: Project) -> None:
    """Else two different steps share an output."""
    project.pipeline(CLASH)
    done = project.run("apply")
    assert done.code == 4
    assert "1 built" in done.out
    assert "pipeline.py:10" in done.err
    assert "pipeline.py:14" in done.err
