"""Targets that are built and bad: marked with a reason, built again, and all made from them."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from .support import DIAMOND, OUTPUTS

if TYPE_CHECKING:
    from .support import Gate, Project

ONCE = {"corpus": 1, "left": 1, "report": 1, "right": 1}
AGAIN = {"corpus": 1, "left": 2, "report": 2, "right": 1}
WHY = "counted the wrong lines"


@pytest.fixture
def diamond(project: Project) -> Project:
    project.pipeline(DIAMOND)
    return project


def test_what_is_tainted_is_built_again_once_and_says_why(diamond: Project) -> None:
    """Else a bad output is used until somebody deletes a folder in a bucket."""
    diamond.run("apply")
    tainted = diamond.run("taint", "left", "--reason", WHY)
    assert diamond.mask(tainted.out) == (
        "  ~ rebuild  left_HASH    tainted DATE by USER@HOST: counted the wrong lines\n"
        "  ! cascade  report_HASH  needs left_HASH, which is rebuilt\n"
        "plan p-PLAN: 2 to build (1 rebuild, 1 cascade), 0 reused\n"
        "to build it again: marin-build apply report\n"
        "tainted 2 targets: counted the wrong lines\n"
    )
    assert diamond.counts() == ONCE
    planned = diamond.run("plan").out
    assert diamond.mask(planned) == (
        "  ~ rebuild  left_HASH    tainted DATE by USER@HOST: counted the wrong lines\n"
        "  ! cascade  report_HASH  needs left_HASH, which is rebuilt\n"
        "  = 2 reused, not shown (-v shows them)\n"
        "plan p-PLAN: 2 to build (1 rebuild, 1 cascade), 2 reused\n"
        "to build it: marin-build apply\n"
    )
    assert diamond.run("apply").code == 0
    assert diamond.counts() == AGAIN
    assert diamond.run("plan").out.endswith("nothing to do: everything requested is built\n")
    assert not list((diamond.root / OUTPUTS / ".marin-build" / "tainted").iterdir())


def test_what_was_made_from_it_stays_marked_when_it_alone_is_rebuilt(diamond: Project) -> None:
    """Else a model that was trained on bad data looks good after the data was repaired."""
    diamond.run("apply")
    diamond.run("taint", "left", "--reason", WHY)
    diamond.run("apply", "left")
    assert diamond.counts() == {**ONCE, "left": 2}
    lines = diamond.mask(diamond.run("plan").out).splitlines()
    assert lines[0] == (
        "  ~ rebuild  report_HASH  tainted DATE by USER@HOST: "
        "made from left_HASH: counted the wrong lines"
    )
    diamond.run("apply")
    assert diamond.counts() == AGAIN


def test_a_failed_rebuild_leaves_the_mark(project: Project) -> None:
    """Else the dependents of a bad output are reused after one failure."""
    project.pipeline(DIAMOND)
    project.run("apply")
    project.run("taint", "left", "--reason", WHY)
    project.pipeline(DIAMOND.replace("    ran(side)\n", "    raise RuntimeError(side)\n"))
    assert project.run("apply").code == 1
    project.pipeline(DIAMOND)
    assert "needs left_HASH, which is rebuilt" in project.mask(project.run("plan").out)
    assert project.run("apply").code == 0
    assert project.counts() == AGAIN


def test_a_taint_can_be_tried_and_taken_back(diamond: Project) -> None:
    diamond.run("apply")
    listed = diamond.run("taint", "left", "--reason", WHY, "--dry-run")
    assert "2 to build" in listed.out
    assert "tainted 2 targets" not in listed.out
    assert diamond.run("plan", "--detailed-exitcode").code == 0
    diamond.run("taint", "left", "--reason", WHY)
    assert diamond.run("plan", "--detailed-exitcode").code == 2
    undone = diamond.run("taint", "left", "--undo")
    assert diamond.mask(undone.out) == (
        "`left_HASH` is not tainted any more\n`report_HASH` is not tainted any more\n"
    )
    assert diamond.run("plan", "--detailed-exitcode").code == 0
    assert (
        diamond.run("taint", "left", "--undo").out
        == "no mark was removed: no target is tainted because of these alone\n"
    )


def test_bad_taints_mark_nothing(diamond: Project) -> None:
    """Else half of a request is carried out."""
    refused = diamond.run("taint", "left", "--reason", WHY)
    assert refused.code == 4
    assert diamond.mask(refused.err) == (
        "error: `left_HASH` is not built: there is nothing to build again\n  nothing was marked\n"
    )
    diamond.run("apply", "left")
    assert diamond.run("taint", "left", "right", "--reason", WHY).code == 4
    assert "a taint needs a reason" in diamond.run("taint", "left").err
    assert "a taint needs a reason" in diamond.run("taint", "left", "--reason", "  ").err
    assert diamond.run("plan", "left", "--detailed-exitcode").code == 0


def test_a_saved_plan_builds_what_is_tainted(diamond: Project) -> None:
    """Else only the applier that reads marks knows what is bad."""
    diamond.run("apply")
    before = diamond.run("plan", "report", "-o", "before")
    assert before.code == 0
    diamond.run("taint", "left", "--reason", WHY)
    stale = diamond.run("apply", "before")
    assert stale.code == 5
    assert "it reuses targets that are gone, or tainted by now" in stale.err
    diamond.run("plan", "-o", "saved")
    assert WHY in (diamond.output_of("left", "saved/steps") / "run.sh").read_text()
    assert diamond.bash("saved/run.sh").code == 0
    assert diamond.counts() == AGAIN
    assert diamond.run("plan", "--detailed-exitcode").code == 0


def test_two_who_see_the_same_mark_build_once(project: Project, gate: Gate) -> None:
    """Else a bad output is paid for twice."""
    project.pipeline(DIAMOND)
    project.run("apply")
    project.pipeline(
        DIAMOND.replace("import os\n", "import os\nfrom gate import wait_at_gate\n", 1).replace(
            '    ran("corpus")\n', '    ran("corpus")\n    wait_at_gate("corpus")\n'
        )
    )
    project.run("taint", "corpus", "--reason", WHY)
    first = project.start("apply", "corpus", "--json")
    gate.wait_started()
    second = project.start("apply", "corpus", "--json")
    assert second.wait_event("step_waiting")["name"] == "corpus"
    gate.let_go()
    assert first.wait().code == 0
    assert second.wait().code == 0
    assert project.counts() == {**ONCE, "corpus": 2}


def test_a_kill_between_rebuild_and_tidying_costs_nothing(project: Project, gate: Gate) -> None:
    """Else what was rebuilt is rebuilt once more."""
    project.pipeline(DIAMOND)
    project.run("apply")
    project.run("taint", "left", "--reason", WHY)
    project.pipeline(
        DIAMOND.replace("import os\n", "import os\nfrom gate import wait_at_gate\n", 1).replace(
            '    ran("report")\n', '    ran("report")\n    wait_at_gate("report")\n'
        )
    )
    running = project.start("apply", "--json")
    gate.wait_started()  # left is rebuilt by now, and its mark still there
    running.send(signal.SIGKILL)
    running.process.wait()
    project.pipeline(DIAMOND)
    assert project.run("apply").code == 0
    assert project.counts() == {**AGAIN, "report": 3}
