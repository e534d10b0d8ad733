"""Several people, or several windows, build into one prefix at the same time."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from .support import DIAMOND, OUTPUTS, PATIENCE

if TYPE_CHECKING:
    from .support import Gate, Project

GATED = DIAMOND.replace("import os\n", "import os\nfrom gate import wait_at_gate\n", 1)
FIRST_WAITS = GATED.replace(
    '    ran("corpus")\n', '    ran("corpus")\n    wait_at_gate("corpus")\n'
)
ONCE = {"corpus": 1, "left": 1, "report": 1, "right": 1}
WIDE = """\
import os
from pathlib import Path
from marin_build import StepSpec

def build(name):
    def write(output):
        with open(Path(__file__).parent / "ran.txt", "a") as stream:
            stream.write(name + "\\n")
        Path(output, "x").touch()
    return write

def pipeline():
    steps = []
    for layer in range(5):
        steps = [StepSpec(name=f"s-{layer}-{i}", fn=build(f"s-{layer}-{i}"), deps=steps)
                 for i in range(5)]
    return steps
"""


@pytest.mark.parametrize("count", [2, 4])
def test_each_step_runs_once_however_many_build(project: Project, count: int) -> None:
    """Else two applies pay twice, or write into one folder at the same time."""
    project.pipeline(WIDE)
    running = [project.start("apply", "-j", "3", "--json") for _ in range(count)]
    ended = [one.wait() for one in running]
    assert [done.code for done in ended] == [0] * count, [done.err for done in ended]
    assert project.counts() == {f"s-{layer}-{i}": 1 for layer in range(5) for i in range(5)}
    finished = [done.events[-1] for done in ended]
    assert sum(event["succeeded"] for event in finished) == 25
    assert not list((project.root / OUTPUTS).glob("*/.executor_status.lock"))
    assert not list((project.root / OUTPUTS).glob("*/.logs/attempt-0002.json"))


def test_the_second_waits_for_what_the_first_builds(project: Project, gate: Gate) -> None:
    """Else the second one builds it too, or gives up."""
    project.pipeline(FIRST_WAITS)
    first = project.start("apply", "--json")
    gate.wait_started()
    planned = project.run("plan")
    assert planned.code == 0
    lines = project.mask(planned.out).splitlines()
    assert lines[0].startswith("  ? wait     corpus_HASH  held by ")
    assert "attempt 1" in lines[0]
    assert lines[-2] == "plan p-PLAN: 3 to build, 1 built by another run, 0 reused"
    second = project.start("apply", "--json")
    # It tells that it waits; only then the first one may go on.
    assert second.wait_event("step_waiting")["name"] == "corpus"
    gate.let_go()
    assert first.wait().code == 0
    assert second.process.wait(PATIENCE) == 0
    assert project.counts() == ONCE


def test_the_second_goes_on_when_the_first_is_killed(project: Project, gate: Gate) -> None:
    """Else it waits for somebody who is dead."""
    project.pipeline(FIRST_WAITS)
    first = project.start("apply", "--json")
    gate.wait_started()
    second = project.start("apply", "--json")
    second.wait_event("step_waiting")
    first.send(signal.SIGKILL)
    first.process.wait(PATIENCE)
    gate.wait_started()
    gate.let_go()
    assert second.process.wait(PATIENCE) == 0
    assert project.counts() == {**ONCE, "corpus": 2}


def test_the_second_goes_on_when_the_first_one_fails(project: Project, gate: Gate) -> None:
    """Else a failure in one window is a failure in all of them, or stops them for ever."""
    project.pipeline(
        FIRST_WAITS.replace(
            '    wait_at_gate("corpus")\n',
            '    wait_at_gate("corpus")\n'
            '    if not (HERE / "again").exists():\n'
            '        (HERE / "again").touch()\n'
            "        raise RuntimeError('not yet')\n",
        )
    )
    first = project.start("apply", "--json")
    gate.wait_started()
    second = project.start("apply", "--json")
    second.wait_event("step_waiting")
    gate.let_go()
    assert first.wait().code == 1
    gate.wait_started()
    gate.let_go()
    assert second.process.wait(PATIENCE) == 0
    assert project.counts() == {**ONCE, "corpus": 2}


def test_ctrl_c_ends_one_that_only_waits(project: Project, gate: Gate) -> None:
    """Else whoever waits for a colleague cannot stop waiting, or stops the colleague."""
    project.pipeline(FIRST_WAITS)
    first = project.start("apply", "--json")
    gate.wait_started()
    second = project.start("apply", "--json")
    second.wait_event("step_waiting")
    second.send_group(signal.SIGINT)
    ended = second.wait()
    assert ended.code == 130
    last = ended.events[-1]
    # Whatever the interrupt met, every target is accounted for, and none is waited for.
    assert last["event"] == "apply_finished"
    totals = {"succeeded": 0, "reused": 0, "failed": 0, "interrupted": 0, "not_started": 4}
    assert last.items() >= totals.items()
    assert first.process.poll() is None
    gate.let_go()
    assert first.wait().code == 0
    assert project.counts() == ONCE


def test_apply_and_replays_by_bash_share_the_work(project: Project) -> None:
    """Else the way one builds decides whether leases hold."""
    project.pipeline(WIDE.replace("range(5)", "range(3)"))
    project.run("plan", "-o", "saved")
    replay = project.start_command(["bash", "saved/run.sh"])
    apply = project.start("apply", "-j", "2")
    assert apply.wait().code == 0
    assert replay.wait().code == 0
    assert project.counts() == {f"s-{layer}-{i}": 1 for layer in range(3) for i in range(3)}


def test_other_applies_of_other_targets_do_not_wait(project: Project, gate: Gate) -> None:
    """Else one long step stops everybody who shares the prefix."""
    project.pipeline(
        GATED.replace(
            "    ran(side)\n", "    ran(side)\n    side == 'left' and wait_at_gate(side)\n"
        )
    )
    first = project.start("apply", "left")
    gate.wait_started()
    done = project.run("apply", "right", "--json")
    assert done.code == 0
    assert done.names_of("step_waiting") == []
    gate.let_go()
    assert first.wait().code == 0


def test_a_lock_of_somebody_elsewhere_is_respected(project: Project) -> None:
    """Else a target that another machine builds is built here too."""
    project.pipeline(DIAMOND.partition("    one = ")[0] + "    return [text]\n")
    target = project.run("plan", "--json", "corpus").document["decisions"][0]["target"]
    lock = {"worker_id": "ray-worker-17", "timestamp": 1.0}
    project.write(f"{OUTPUTS}/{target}/.executor_status.lock", json.dumps(lock))
    project.write(f"{OUTPUTS}/{target}/.executor_status", "RUNNING")
    assert project.mask(project.run("plan", "corpus").out) == (
        "  ? wait     corpus_HASH  held by ray-worker-17; "
        "renewed DATE:01 UTC by its own clock, lease TIME\n"
        "plan p-PLAN: 0 to build, 1 built by another run, 0 reused\n"
    )
    running = project.start("apply", "corpus", "--json")
    assert running.wait_event("step_waiting")["held_by"] == "ray-worker-17"
    assert project.counts() == {}
    # The other one finishes: its status says so, and its lock goes.
    project.write(f"{OUTPUTS}/{target}/text.txt", "theirs")
    project.write(f"{OUTPUTS}/{target}/.executor_status", "SUCCESS")
    os.unlink(project.root / OUTPUTS / target / ".executor_status.lock")
    assert running.process.wait(PATIENCE) == 0
    assert project.counts() == {}
