"""Plan, apply, apply again, change one thing: what people do all day."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from .support import DIAMOND, OUTPUTS, Done

if TYPE_CHECKING:
    from .support import Project

PLAN_KEYS = {"schema_version", "plan_id", "summary", "decisions"}
KEPT = """\
from marin_build import command
targets = [command('echo 1 > {output}/x', name='kept', version='1.0')]
"""
DECISION_KEYS = {
    "name", "target", "output_path", "fingerprint", "decision", "reasons", "drift", "deps",
    "resources",
}  # fmt: skip


@pytest.fixture
def diamond(project: Project) -> Project:
    """corpus -> left, right -> report, nothing built."""
    project.pipeline(DIAMOND)
    return project


def test_a_first_plan_lists_every_step_with_its_reason(diamond: Project) -> None:
    """Else nobody can review what will be run before it is paid for."""
    done = diamond.run("plan")
    assert (done.code, done.err) == (0, "")
    assert diamond.mask(done.out) == (
        "  + build    corpus_HASH  never built\n"
        "  + build    left_HASH    never built\n"
        "  + build    right_HASH   never built\n"
        "  + build    report_HASH  never built\n"
        "plan p-PLAN: 4 to build, 0 reused\n"
        "to build it: marin-build apply\n"
    )


def test_apply_builds_everything_and_says_so(diamond: Project) -> None:
    """Else the outputs are missing, or nobody is told where they went."""
    done = diamond.run("apply", "-j", "1")
    assert (done.code, done.err) == (0, "")
    assert diamond.mask(done.out) == (
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
    assert (diamond.output_of("report") / "report.txt").read_text() == "3 6 of 3\n"
    assert json.loads((diamond.output_of("corpus") / ".artifact.json").read_text()) == {"lines": 3}
    assert diamond.counts() == {"corpus": 1, "left": 1, "report": 1, "right": 1}


def test_a_second_apply_does_nothing(diamond: Project) -> None:
    """Else every apply pays for everything again."""
    diamond.run("apply")
    before = diamond.tree()
    done = diamond.run("apply")
    where = f"  report: {diamond.output_of('report').relative_to(diamond.root)}\n"
    assert done == Done(0, f"nothing to do: 4 targets are reused\n{where}", "")
    assert diamond.tree() == before


def test_a_plan_of_a_built_pipeline_says_who_built_it(diamond: Project) -> None:
    """Else a reused output has no origin that anybody could ask about."""
    diamond.run("apply")
    quiet, verbose = diamond.run("plan"), diamond.run("plan", "-v")
    assert diamond.mask(quiet.out) == (
        "  = 4 reused, not shown (-v shows them)\n"
        "plan p-PLAN: 0 to build, 4 reused\n"
        "nothing to do: everything requested is built\n"
    )
    assert diamond.mask(verbose.out) == (
        "  = reuse    report_HASH  built DATE by USER@HOST, run r-RUN (pipeline.py:40)\n"
        "  = reuse    corpus_HASH  not read: every target that needs it is built (pipeline.py:37)\n"
        "  = reuse    left_HASH    not read: every target that needs it is built (pipeline.py:38)\n"
        "  = reuse    right_HASH   not read: every target that needs it is built (pipeline.py:39)\n"
        "plan p-PLAN: 0 to build, 4 reused\n"
        "nothing to do: everything requested is built\n"
    )


@pytest.mark.parametrize(
    ("change", "rebuilt"),
    [
        ("left=7", ["left", "report"]),
        ("right=7", ["report", "right"]),
        ("lines=4", ["corpus", "left", "report", "right"]),
        ("left=1", []),
    ],
)
def test_a_changed_attribute_rebuilds_its_branch_only(
    diamond: Project, change: str, rebuilt: list[str]
) -> None:
    """Else one changed number rebuilds what it does not touch, or leaves what it does."""
    diamond.run("apply")
    (diamond.root / "ran.txt").unlink()
    planned = diamond.run("plan", "--json", "--set", change).document["decisions"]
    assert sorted(d["name"] for d in planned if d["decision"] == "run") == rebuilt
    assert diamond.run("apply", "--set", change).code == 0
    assert sorted(diamond.counts()) == rebuilt
    # The former outputs stay: going back costs nothing.
    assert diamond.run("apply").out.startswith("nothing to do: 4 targets are reused\n")


def test_a_changed_source_rebuilds_what_reads_it(project: Project) -> None:
    """Else new data is never seen, or a touched file costs a rebuild."""
    project.pipeline(
        "from marin_build import command, source\n"
        "def count(name, file):\n"
        "    return command('wc < {text} > {output}/n', name=name, inputs={'text': source(file)})\n"
        "targets = [count('one', 'a.txt'), count('other', 'b.txt')]\n"
    )
    project.write("a.txt", "one\n")
    project.write("b.txt", "one\n")
    assert project.run("apply").code == 0
    assert project.plan() == {"one": "reuse", "other": "reuse"}
    project.write("a.txt", "one\ntwo\n")
    os.utime(project.root / "b.txt", (1, 1))
    assert project.plan() == {"one": "run", "other": "reuse"}
    project.write("a.txt", "one\n")
    assert project.plan() == {"one": "reuse", "other": "reuse"}


def test_a_deleted_output_is_built_again(diamond: Project) -> None:
    """Else freeing disk space breaks the pipeline for good."""
    diamond.run("apply")
    shutil.rmtree(diamond.output_of("report"))
    assert diamond.plan()["report"] == "run"
    assert diamond.run("apply").code == 0
    assert diamond.counts() == {"corpus": 1, "left": 1, "report": 2, "right": 1}


def test_a_moved_store_is_found_again(diamond: Project) -> None:
    """Else copying a store to another place, or giving a friend one, costs a rebuild."""
    assert diamond.run("apply", "--prefix", "one").code == 0
    (diamond.root / "one").rename(diamond.root / "two")
    done = diamond.run("apply", "--prefix", "two/")
    assert done.out.startswith("nothing to do: 4 targets are reused\n")
    moved = diamond.run("apply", env={"MARIN_PREFIX": str(diamond.root / "two")})
    assert moved.out.startswith("nothing to do: 4 targets are reused\n")


def test_a_named_target_builds_what_it_needs_and_no_more(diamond: Project) -> None:
    """Else asking for one step runs the others too."""
    assert diamond.run("apply", "left").code == 0
    assert diamond.counts() == {"corpus": 1, "left": 1}
    assert diamond.run("apply", "tag:final").code == 0
    assert diamond.counts() == {"corpus": 1, "left": 1, "report": 1, "right": 1}


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        (["left"], {"corpus", "left"}),
        (["*t"], {"corpus", "left", "right", "report"}),
        (["[lr]*t"], {"corpus", "left", "right", "report"}),
        (["+left"], {"corpus", "left"}),
        (["left+"], {"corpus", "left", "right", "report"}),
        (["left", "right"], {"corpus", "left", "right"}),
        (["tag:final"], {"corpus", "left", "right", "report"}),
    ],
)
def test_selectors_choose_targets(
    diamond: Project, selectors: list[str], expected: set[str]
) -> None:
    """Else people cannot name the part of a pipeline they mean."""
    assert set(diamond.plan(*selectors)) == expected


def test_a_target_can_be_named_by_its_id(diamond: Project) -> None:
    """Else what a plan prints cannot be pasted into the next command."""
    printed = diamond.run("plan", "--json").document["decisions"][1]["target"]
    assert set(diamond.plan(printed)) == {"corpus", "left"}


def test_force_builds_again_and_all_that_needs_it(diamond: Project) -> None:
    """Else nobody can repeat a step that went wrong without saying so."""
    diamond.run("apply")
    done = diamond.run("apply", "-j", "1", "--force", "left")
    assert diamond.mask(done.out) == (
        "run r-RUN: 2 to build, 2 reused, 1 at once\n"
        "  started   left_HASH\n"
        "  built     [1/2] left_HASH  TIME\n"
        "  started   report_HASH\n"
        "  built     [2/2] report_HASH  TIME\n"
        "2 built, 2 reused in TIME\n"
        "  report: .marin-build/outputs/report_HASH\n"
    )
    assert diamond.counts() == {"corpus": 1, "left": 2, "report": 2, "right": 1}
    assert diamond.attempt_of("left", 2)["result"] == "succeeded"
    planned = diamond.run("plan", "--force", "left")
    assert diamond.mask(planned.out) == (
        "  ~ rebuild  left_HASH    forced\n"
        "  ! cascade  report_HASH  needs left_HASH, which is rebuilt\n"
        "  = 2 reused, not shown (-v shows them)\n"
        "plan p-PLAN: 2 to build (1 rebuild, 1 cascade), 2 reused\n"
        "to build it: marin-build apply --force left\n"
    )


def test_dev_versions_are_built_each_time(project: Project) -> None:
    """Else work in progress is taken for finished."""
    project.pipeline(
        "from marin_build import command\n"
        "draft = command('date >> ran; cp ran {output}/x', name='draft', version='dev')\n"
        "kept = command('echo 1 > {output}/x', name='kept', version='1.0')\n"
        "targets = [draft, kept]\n"
    )
    assert project.run("apply", "-j", "1").code == 0
    done = project.run("apply")
    assert project.mask(done.out) == (
        "run r-RUN: 1 to build, 1 reused, 2 at once\n"
        "  started   draft@dev\n"
        "  built     [1/1] draft@dev  TIME\n"
        "1 built, 1 reused in TIME\n"
        "  draft: .marin-build/outputs/draft/dev\n"
        "  kept: .marin-build/outputs/kept/1.0\n"
    ).replace("2 at once", f"{os.cpu_count()} at once")
    assert (project.root / OUTPUTS / "draft/dev/x").exists()
    assert (project.root / OUTPUTS / "kept/1.0/x").exists()
    assert len(project.file("ran").splitlines()) == 2


def test_a_version_is_never_silently_something_else(project: Project) -> None:
    """Else two different data sets carry the same version."""
    project.pipeline(KEPT)
    assert project.run("apply").code == 0
    project.pipeline(KEPT.replace("echo 1", "echo 2"))
    done = project.run("apply", "-q")
    assert (done.code, done.out.splitlines()) == (
        0,
        [
            (
                "  drift     kept@1.0  reused, though its identity changed under version 1.0: "
                'command.shell "echo 1 > {output}/x" -> "echo 2 > {output}/x"'
            ),
            "nothing to do: 1 target is reused",
            (
                "1 target was built with another identity than is declared: kept; "
                "see marin-build plan"
            ),
        ],
    )
    assert project.file(f"{OUTPUTS}/kept/1.0/x") == "1\n"


def test_planning_never_writes_to_the_store(diamond: Project) -> None:
    """Else looking at a plan changes what others see, and needs the right to write."""
    for args in (["plan"], ["plan", "--json"], ["plan", "-o", "saved"], ["graph"]):
        assert diamond.run(*args).code == 0
    assert diamond.tree(".marin-build") == {}
    diamond.run("apply")
    (diamond.output_of("left") / ".executor_status").write_text("FAILED")
    before = diamond.tree(OUTPUTS)
    for args in (["plan"], ["plan", "--force", "*"], ["plan", "-o", "saved"], ["graph"]):
        assert diamond.run(*args).code == 0
    assert diamond.tree(OUTPUTS) == before


def test_plan_json_is_one_document_with_the_promised_keys(diamond: Project) -> None:
    """Else programs that read plans break."""
    diamond.run("apply", "left")
    document = diamond.run("plan", "--json").document
    assert document.keys() >= PLAN_KEYS
    assert document["schema_version"] == 1
    assert document["summary"] == {"run": 2, "reuse": 2, "wait": 0, "blocked": 0, "pruned": 0}
    assert [d["name"] for d in document["decisions"]] == ["corpus", "left", "right", "report"]
    for decision in document["decisions"]:
        assert decision.keys() >= DECISION_KEYS
        assert decision["target"] == f"{decision['name']}_{decision['fingerprint'][:8]}"
        assert decision["output_path"].endswith("/" + decision["target"])
        assert decision["reasons"][0]["kind"] in {"never_built", "built_before"}


def test_pruned_targets_are_counted_and_listed_on_request(diamond: Project) -> None:
    """Else a program cannot tell what was not looked at from what is not there."""
    diamond.run("apply")
    short = diamond.run("plan", "--json").document
    long = diamond.run("plan", "--json", "--all").document
    expected = {"run": 0, "reuse": 1, "wait": 0, "blocked": 0, "pruned": 3}
    assert short["summary"] == long["summary"] == expected
    assert {d["name"]: d["decision"] for d in short["decisions"]} == {"report": "reuse"}
    assert {d["name"]: d["decision"] for d in long["decisions"]} == {
        "corpus": "pruned", "left": "pruned", "report": "reuse", "right": "pruned",
    }  # fmt: skip


def test_apply_json_is_a_line_an_event(diamond: Project) -> None:
    """Else programs that watch a run cannot follow it, or miss how it ended."""
    events = diamond.run("apply", "--json", "-j", "1").events
    assert [(e["event"], e.get("name")) for e in events] == [
        ("apply_started", None),
        ("step_started", "corpus"), ("step_succeeded", "corpus"),
        ("step_started", "left"), ("step_succeeded", "left"),
        ("step_started", "right"), ("step_succeeded", "right"),
        ("step_started", "report"), ("step_succeeded", "report"),
        ("apply_finished", None),
    ]  # fmt: skip
    totals = {"succeeded": 4, "failed": 0, "reused": 0, "blocked": 0}
    assert events[-1].items() >= totals.items()


def test_apply_json_ends_the_same_way_when_nothing_is_to_do(diamond: Project) -> None:
    """Else a watching program waits for ever on the best of all runs."""
    diamond.run("apply")
    events = diamond.run("apply", "--json").events
    totals = {"succeeded": 0, "failed": 0, "blocked": 0}
    assert [e["event"] for e in events] == ["apply_finished"]
    assert events[-1].items() >= totals.items()


def test_json_and_text_count_the_same_reused_targets(diamond: Project) -> None:
    """Else a program and a person are told different things about one run."""
    diamond.run("apply")
    finished = diamond.run("apply", "--json").events[-1]
    assert diamond.run("apply").out.startswith(
        f"nothing to do: {finished['reused']} targets are reused\n"
    )


def test_what_was_not_asked_for_is_not_called_reused(diamond: Project) -> None:
    """Else people believe that steps are built which nobody ever ran."""
    done = diamond.run("plan", "corpus")
    assert diamond.mask(done.out) == (
        "  + build    corpus_HASH  never built\n"
        "plan p-PLAN: 1 to build, 0 reused\n"
        "to build it: marin-build apply corpus\n"
    )
    diamond.run("apply", "corpus")
    assert diamond.run("apply", "corpus").out.startswith("nothing to do: 1 target is reused\n")
    summary = diamond.run("plan", "--json", "corpus").document["summary"]
    assert summary == {"run": 0, "reuse": 1, "wait": 0, "blocked": 0, "pruned": 0}


def test_exit_code_2_only_where_it_is_asked_for(diamond: Project) -> None:
    """Else scripts that wait for changes see none, or other scripts stop at a plan."""
    assert diamond.run("plan").code == 0
    assert diamond.run("plan", "--detailed-exitcode").code == 2
    diamond.run("apply")
    assert diamond.run("plan", "--detailed-exitcode").code == 0
    assert diamond.run("plan", "--detailed-exitcode", "--set", "left=9").code == 2


def test_quiet_apply_says_only_the_totals(diamond: Project) -> None:
    """Else a nightly run fills its mail with lines about success."""
    done = diamond.run("apply", "-q")
    assert (diamond.mask(done.out), done.err) == ("4 built, 0 reused in TIME\n", "")


def test_equal_steps_are_built_once(project: Project) -> None:
    """Else a step that two branches declare runs twice, into one folder."""
    project.pipeline(
        DIAMOND.replace(
            "    two = count(corpus=text, side",
            "    two = count(corpus=corpus(lines=lines), side",
        )
    )
    assert project.run("apply").code == 0
    assert project.counts() == {"corpus": 1, "left": 1, "report": 1, "right": 1}


def test_an_edit_is_seen_however_soon_after_the_last_one(project: Project) -> None:
    """Else a quick second edit builds, records and pays for what the file no longer says."""
    file = project.pipeline(KEPT)
    os.utime(file, (1_800_000_000, 1_800_000_000))
    first = project.run("plan", "--json").document["decisions"][0]["fingerprint"]
    # Python trusts its compiled copy of a file of the same size from the same second.
    project.pipeline(KEPT.replace("echo 1", "echo 2"))
    os.utime(file, (1_800_000_000.5, 1_800_000_000.5))
    second = project.run("plan", "--json").document["decisions"][0]["fingerprint"]
    assert first != second


def test_the_pipeline_that_init_writes_works(project: Project) -> None:
    """Else the first minute with the program is the last."""
    made = project.run("init", "new")
    following = "next: cd new, marin-build plan, then marin-build apply\n"
    assert made.out == f"written: new/pipeline.py\nwritten: new/.gitignore\n{following}"
    folder = project.root / "new"
    # A folder of its own, without the configuration around it.
    (project.root / "marin-build.toml").unlink()
    assert project.run("plan", cwd=folder).code == 0
    assert project.run("apply", cwd=folder).code == 0
    (counts,) = (folder / OUTPUTS).glob("counts_*/.artifact.json")
    assert json.loads(counts.read_text()) == {"to": 2, "build": 2, "or": 1, "not": 1}
    (folder / "pipeline.py").write_text("mine = 1\n")
    again = project.run("init", "new")
    assert again.out == f"kept: new/pipeline.py is there already\n{following}"
    assert (folder / "pipeline.py").read_text() == "mine = 1\n"


def test_json_with_lines_left_out_is_refused(diamond: Project) -> None:
    """Else a program takes a part of the plan for the whole of it."""
    done = diamond.run("plan", "--json", "--only", "run")
    assert (done.code, done.out) == (4, "")
    assert done.err.startswith("error: `--only` chooses lines for people: JSON has every decision")
