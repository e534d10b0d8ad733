"""A plan that was reviewed yesterday is applied today."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
from typing import TYPE_CHECKING

import pytest

from marin_build.plan.document import PlanDocument
from tests.page_reader import data_in

from .support import DIAMOND, OUTPUTS

if TYPE_CHECKING:
    from .support import Done, Project

HOWS = pytest.mark.parametrize("how", ["apply", "bash"])


@pytest.fixture
def saved(project: Project) -> Project:
    """corpus -> left, right -> report; a plan of all of it in `saved`, nothing built."""
    project.pipeline(DIAMOND)
    assert project.run("plan", "-o", "saved").code == 0
    return project


def replay(project: Project, how: str) -> Done:
    """Replay the saved plan."""
    return project.run("apply", "saved") if how == "apply" else project.bash("saved/run.sh")


def test_a_saved_plan_is_applied(saved: Project) -> None:
    """Else a reviewed plan has to be typed again by hand."""
    done = saved.run("apply", "saved", "-j", "1")
    assert (done.code, done.err) == (0, "")
    assert saved.mask(done.out) == (
        "run r-RUN: 4 to build, 0 reused, 1 at once\n"
        "  started   corpus_HASH\n"
        "  built     [1/4] corpus_HASH  TIME\n"
        "  started   left_HASH\n"
        "  built     [2/4] left_HASH  TIME\n"
        "  started   right_HASH\n"
        "  built     [3/4] right_HASH  TIME\n"
        "  started   report_HASH\n"
        "  built     [4/4] report_HASH  TIME\n"
        "4 built, 0 reused in TIME\n"
        "  report: .marin-build/outputs/report_HASH\n"
    )
    assert saved.run("apply", "saved").out.startswith("nothing to do: 4 targets are reused\n")


@HOWS
def test_what_was_built_meanwhile_is_skipped(saved: Project, how: str) -> None:
    """Else a plan that waited a night for its review pays twice."""
    assert saved.run("apply", "left").code == 0
    done = replay(saved, how)
    assert (done.code, done.err) == (0, "")
    assert saved.counts() == {"corpus": 1, "left": 1, "report": 1, "right": 1}


@HOWS
def test_changed_code_stops_the_plan(saved: Project, how: str) -> None:
    """Else what is run is not what was reviewed."""
    saved.pipeline(DIAMOND.replace("splitlines()) * times", "splitlines()) + times"))
    done = replay(saved, how)
    assert done.code == 5
    assert "the code of `left` is not what the plan was made with" in done.out
    assert "hint: make the plan again\n" in done.err
    assert saved.counts() == {"corpus": 1}
    assert not list((saved.root / OUTPUTS).glob("left_*/.executor_status"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("    found = len(", "    # a comment\n    found = len("),
        ("side: str, times: int) -> int:\n", 'side: str, times: int) -> int:\n    """Counts."""\n'),
        ("import os\n", "import os\nimport sys\n"),
    ],
    ids=["comment", "docstring", "moved"],
)
def test_words_about_the_code_do_not_stop_a_plan(saved: Project, old: str, new: str) -> None:
    """Else a comment costs a new review."""
    saved.pipeline(DIAMOND.replace(old, new))
    assert saved.run("apply", "saved").code == 0


def test_code_that_is_not_run_does_not_matter(saved: Project) -> None:
    """Else an edit of a step that is built stops the others."""
    saved.run("apply", "left")
    saved.pipeline(DIAMOND.replace('f"line {i}\\n"', 'f"LINE {i}\\n"'))
    assert saved.run("apply", "saved").code == 0
    assert saved.counts() == {"corpus": 1, "left": 1, "report": 1, "right": 1}


@HOWS
def test_a_changed_pipeline_stops_the_plan(saved: Project, how: str) -> None:
    """Else a plan for one set of numbers runs with another."""
    missing = saved.run("plan", "--json").document["decisions"]
    targets = [d["target"] for d in missing if d["name"] in {"left", "report"}]
    saved.pipeline(DIAMOND.replace("left: int = 1", "left: int = 8"))
    done = replay(saved, how)
    shown = done.err.replace(str(saved.root) + "/", "")
    assert (done.code, done.out) == (5, "")
    assert shown == (
        "error: the pipeline no longer declares what the plan in `saved` was made for\n"
        f"  missing: {targets[0]}\n           {targets[1]}\n"
        "  changed: `left`: attrs.times 1 -> 8\n"
        "  nothing was run\n"
        "hint: make the plan again\n"
    )
    assert saved.counts() == {}


@HOWS
def test_a_reused_target_that_is_gone_stops_the_plan(project: Project, how: str) -> None:
    """Else a plan that said `reuse` builds for hours what nobody agreed to."""
    project.pipeline(DIAMOND)
    project.run("apply", "left")
    project.run("plan", "-o", "saved")
    gone = project.output_of("left")
    shutil.rmtree(gone)
    done = replay(project, how)
    assert (done.code, done.out) == (5, "")
    assert done.err == (
        "error: the plan is stale: it reuses targets that are gone, or tainted by now\n"
        f"  targets: {gone.name}\n"
        "  nothing was run\n"
        "hint: make the plan again\n"
    )
    assert project.counts() == {"corpus": 1, "left": 1}


@HOWS
def test_a_changed_source_stops_the_plan(project: Project, how: str) -> None:
    """Else a plan for yesterday's data builds today's."""
    project.pipeline(
        "from marin_build import command, source\n"
        "targets = [command('cp {a} {output}/x', name='one', inputs={'a': source('a.txt')})]\n"
    )
    project.write("a.txt", "1")
    project.run("plan", "-o", "saved")
    project.write("a.txt", "2")
    done = replay(project, how)
    assert (done.code, done.out) == (5, "")
    assert done.err.startswith("error: the pipeline no longer declares what the plan in ")
    assert "  changed: `one`: inputs.a.txt changed\n" in done.err


@HOWS
def test_what_was_forced_is_forced_in_the_replay(project: Project, how: str) -> None:
    """Else a plan that says `rebuild` rebuilds nothing."""
    project.pipeline(DIAMOND)
    project.run("apply")
    project.run("plan", "-o", "saved", "--force", "left")
    done = replay(project, how)
    assert done.code == 0, done.err
    assert project.counts() == {"corpus": 1, "left": 2, "report": 2, "right": 1}


@HOWS
def test_only_the_targets_of_the_plan_are_built(project: Project, how: str) -> None:
    """Else a plan for one branch builds them all."""
    project.pipeline(DIAMOND)
    project.run("plan", "-o", "saved", "left")
    assert replay(project, how).code == 0
    assert project.counts() == {"corpus": 1, "left": 1}


@HOWS
def test_failures_of_the_plan_are_tried_again(project: Project, how: str) -> None:
    """Else a replay after a failure needs a new plan."""
    project.pipeline(
        DIAMOND.replace("    ran(side)\n", "    ran(side)\n    assert (HERE / 'good').exists()\n")
    )
    project.run("plan", "-o", "saved")
    assert replay(project, how).code == 1
    project.write("good", "")
    assert replay(project, how).code == 0
    assert project.counts()["corpus"] == 1


def test_a_plan_with_a_failed_target_replays(project: Project) -> None:
    """Else a plan that was made after a failure is edited in the eyes of the next command."""
    project.pipeline(
        DIAMOND.replace("    ran(side)\n", "    ran(side)\n    raise RuntimeError('é\\n$(x)')\n")
    )
    project.run("apply", "left")
    project.pipeline(DIAMOND)
    planned = project.run("plan", "-o", "saved", "left")
    assert "failed before (attempt 1, DATE by USER@HOST): RuntimeError: é\n" in project.mask(
        planned.out
    )
    assert project.run("apply", "saved").code == 0


def test_options_that_a_plan_fixes_are_not_given_again(saved: Project) -> None:
    """Else a parameter typed beside a saved plan is passed over in silence."""
    for option in (["--set", "left=9"], ["--prefix", "elsewhere"], ["--force", "left"]):
        done = saved.run("apply", "saved", *option)
        assert (done.code, done.out) == (4, ""), option
        assert done.err.startswith("error: ")


def test_hints_after_a_failure_can_be_run(saved: Project) -> None:
    """Else the command that is offered answers with an error of its own."""
    saved.pipeline(DIAMOND.replace("    ran(side)\n", "    ran(side)\n    1 / 0\n"))
    saved.run("plan", "-o", "saved")
    done = saved.run("apply", "saved", "-j", "1")
    hint = done.err.partition("hint: run it alone with: ")[2].splitlines()[0]
    alone = saved.bash("-c", hint)
    assert alone.code == 1
    assert "ZeroDivisionError" in alone.err


@pytest.mark.parametrize("args", [["apply", "-j", "1", "r*", "left"], ["apply", "-j", "1"]])
def test_the_hint_builds_the_failed_step_alone(project: Project, args: list[str]) -> None:
    """Else `run it alone` builds everything that was asked for before."""
    project.pipeline(
        DIAMOND.replace("    ran(side)\n", "    ran(side)\n    side == 'left' and 1/0\n")
    )
    done = project.run(*args)
    hint = done.err.partition("hint: run it alone with: marin-build ")[2].splitlines()[0]
    (project.root / "ran.txt").unlink()
    project.bash("-c", f"marin-build {hint}")
    assert project.counts() == {"left": 1}


def test_a_saved_plan_names_no_host_and_no_time(saved: Project) -> None:
    """Else two people who plan the same get two plans."""
    text = saved.file("saved/plan.json")
    assert str(saved.root) not in text
    assert "tester" not in text
    assert not [k for d in json.loads(text)["decisions"] for k in d if "time" in k or "host" in k]


HELPED = (
    "from marin_build import step\n"
    "from first import go\n"
    "@step\n"
    "def run(output: str, n: int) -> None:\n"
    "    open(f'{output}/x', 'w').write(go(n))\n"
    "targets = [run(n=1), run.options(name='two')(n=2)]\n"
)


@HOWS
def test_a_helper_edited_two_modules_away_stops_the_plan(project: Project, how: str) -> None:
    """Else a plan that was reviewed runs code that nobody reviewed."""
    project.pipeline(HELPED)
    project.write("first.py", "from second import text\ndef go(n): return text(n)\n")
    project.write("second.py", "def text(n): return f'{n}'\n")
    project.run("plan", "-o", "saved")
    project.write("second.py", "# a comment is no code\ndef text(n):\n  return f'{n}'\n")
    assert replay(project, how).code == 0
    project.run("plan", "-o", "again", "--force", "run")
    project.write("second.py", "def text(n): return f'{n + 1}'\n")
    done = project.run("apply", "again")
    assert done.code == 5
    assert "the code of `run` is not what the plan was made with" in done.out + done.err


def test_steps_of_one_code_keep_its_source_once(project: Project) -> None:
    project.pipeline(HELPED)
    project.write("first.py", "def go(n): return f'{n}'\n")
    assert project.run("apply").code == 0
    outputs = project.output_of("run").parent
    (kept,) = (outputs / ".marin-build/code").iterdir()
    records = [json.loads(path.read_text()) for path in outputs.glob("*/.executor_info")]
    assert {record["code_document"] for record in records} == {kept.stem}
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == kept.stem
    assert set(json.loads(kept.read_text())["parts"]) == {"pipeline.run", "first.go"}


@HOWS
def test_a_plan_goes_with_its_project_to_another_machine(project: Project, how: str) -> None:
    """Else what was reviewed here cannot be run on the machine that has the chips."""
    project.pipeline(HELPED)
    project.write("first.py", "def go(n): return f'{n}'\n")
    assert project.run("plan", "-o", "plans/saved", "--prefix", "data/out").code == 0
    there = project.root.parent / "some where" / "else"
    shutil.copytree(project.root, there, ignore=shutil.ignore_patterns(".marin-build"))
    shutil.rmtree(project.root)
    other = {"HOME": str(there.parent), "USER": "somebody", "LANG": "C", "TZ": "Asia/Tokyo"}
    if how == "apply":
        done = project.run("apply", "plans/saved", cwd=there, env=other)
    else:
        done = project.bash("plans/saved/run.sh", cwd=there, env=other)
    assert (done.code, done.err) == (0, "")
    assert sorted(p.read_text() for p in (there / "data/out").glob("*_????????/x")) == ["1", "2"]
    assert not project.root.exists()


def test_a_plan_is_found_from_anywhere_by_the_project_above_it(project: Project) -> None:
    """Else a plan can be applied only by those who know where to stand."""
    project.pipeline(DIAMOND)
    assert project.run("plan", "-o", "plans/saved", "left").code == 0
    done = project.run("apply", "-q", project.root / "plans/saved", cwd=project.home)
    assert (done.code, done.err) == (0, "")
    assert project.counts() == {"corpus": 1, "left": 1}


def test_a_payload_that_is_not_what_was_hashed_stops_the_plan(saved: Project) -> None:
    """Else a review reads other numbers than those that are run; even with a digest that fits."""
    plan = saved.root / "saved/plan.json"
    edited = PlanDocument.model_validate_json(plan.read_text().replace('"times": 1', '"times": 9'))
    body = edited.sealed_text({})
    kept = {name: saved.file(f"saved/{name}") for name in edited.files}
    for text in (body, edited.sealed_text(kept), plan.read_text().replace("times", "more")):
        plan.write_text(text)
        done = saved.run("apply", "saved")
        assert (done.code, done.out) == (5, "")
        assert done.err.startswith("error: the plan in `saved` was edited after it was made\n")
        assert "  differs: plan.json\n  nothing was run\n" in done.err


@HOWS
def test_what_a_power_cut_made_doubtful_is_built_once(project: Project, how: str) -> None:
    """Else every replay of that plan builds again what is not in doubt any more."""
    project.pipeline(DIAMOND)
    assert project.run("apply", "-q", "left").code == 0
    record = json.loads((project.output_of("left") / ".executor_info").read_text())
    note = {
        "run": record["run"],
        "boot": "another boot",
        "host": record["provenance"]["host"],
        "synced_until": json.loads((project.output_of("corpus") / ".executor_info").read_text())[
            "end"
        ],
    }
    project.write(f"{OUTPUTS}/.marin-build/unsynced/{record['run']}.json", json.dumps(note))
    project.run("plan", "-o", "saved", "left")
    kinds = [
        d["reasons"][0]["kind"] for d in json.loads(project.file("saved/plan.json"))["decisions"]
    ]
    assert kinds == ["built_before", "doubtful"]
    for _ in range(2):
        assert replay(project, how).code == 0
        assert project.counts() == {"corpus": 1, "left": 2}


def test_the_page_of_a_plan_says_nothing_of_the_moment(project: Project) -> None:
    """Else a plan under review differs from the one that is run, for no reason."""
    broken = 'command("echo {output} said this; exit 3", name="broken")'
    project.pipeline(f"{DIAMOND}\n\ndef pipeline():\n    return [*targets(), {broken}]\n")
    text = project.file("pipeline.py").replace("def pipeline(", "def targets(", 1)
    project.pipeline(text)
    pages = []
    for user in ("ada", "grace"):
        shutil.rmtree(project.root / ".marin-build", ignore_errors=True)
        assert project.run("apply", "corpus", "broken", "-k", env={"USER": user}).code == 1
        assert project.run("plan", "-o", "saved", env={"USER": user}).code == 0
        pages.append(project.file("saved/graph.html"))
    assert pages[0] == pages[1]
    assert "failed before" in pages[0]
    for word in ("said this\\n", "ada", str(project.root), socket.gethostname()):
        assert word not in json.dumps(data_in(pages[0]))


@HOWS
def test_a_plan_without_its_page_is_replayed(saved: Project, how: str) -> None:
    """Else who keeps plans in git must keep their pages, too."""
    (saved.root / "saved/graph.html").unlink()
    done = replay(saved, how)
    assert (done.code, done.err) == (0, "")
    assert saved.counts() == {"corpus": 1, "left": 1, "report": 1, "right": 1}


@HOWS
def test_an_edited_page_stops_the_plan(saved: Project, how: str) -> None:
    """Else somebody agrees to a picture, and something else is run."""
    saved.write("saved/graph.html", saved.file("saved/graph.html").replace("left", "lost"))
    done = replay(saved, how)
    assert (done.code, done.out) == (5, "")
    assert "the plan in `" in done.err
    assert "differs: graph.html" in done.err
    assert saved.counts() == {}
