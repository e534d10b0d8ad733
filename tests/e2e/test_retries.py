"""A step that fails is tried again after what its author says, and as often."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .support import cases

if TYPE_CHECKING:
    from pathlib import Path

    from .support import Done, Project

HEAD = """\
import os, sys, time
from pathlib import Path
from marin_build import Retries, StepSpec, command, step

def tries():
    with open("tries", "a") as stream:
        stream.write("x")
    return len(Path("tries").read_text())

QUICK = dict(wait=0.001)
"""


def _attempts(project: Project) -> list[Path]:
    """Return what is kept of each try, also of one whose time was over before its body began."""
    return sorted((project.output_of("one") / ".logs").glob("attempt-*.json"))


def _failures(done: Done) -> list[dict[str, Any]]:
    return [event for event in done.events if event["event"] == "step_failed"]


def test_a_step_that_blames_the_infrastructure_is_tried_again(project: Project) -> None:
    """Else a node without network fails a step that declares no retries."""
    project.pipeline(
        f"{HEAD}\ndef build(output):\n"
        "    if tries() < 3:\n"
        "        sys.exit(75)\n"
        "    Path(output, 'x').touch()\n"
        "targets = [StepSpec(name='one', fn=build, retries=Retries(limit=0, **QUICK))]\n"
    )
    done = project.run("apply", "--json")
    assert done.code == 0
    told = [(e["exit_code"], e["cause"], e["retries_left"]) for e in _failures(done)]
    assert told == [(75, "infra", 3), (75, "infra", 2)]
    assert all(e["retry_in"] is not None for e in _failures(done))
    assert project.attempt_of("one", 3)["result"] == "succeeded"


def test_a_machine_without_processes_is_asked_again(project: Project) -> None:
    """Else one fork that is refused (a container's limit of processes) ends the whole run."""
    project.pipeline(
        "import os\n"
        "from marin_build import Retries, StepSpec\n"
        "fork, refused = os.fork, []\n"
        "def scarce():\n"
        "    refused.append(os.getpid())\n"
        "    if len(refused) == 3:  # the guard and the template were forked\n"
        "        raise BlockingIOError(11, 'Resource temporarily unavailable')\n"
        "    return fork()\n"
        "os.fork = scarce\n"
        "targets = [StepSpec(name='one', fn=lambda output: 1, retries=Retries(wait=0.0))]\n"
    )
    done = project.run("apply", "--json")
    (failed,) = [event for event in done.events if event["event"] == "step_failed"]
    assert failed["message"] == "cannot start a process: resource temporarily unavailable"
    assert (failed["cause"], done.code) == ("infra", 0)


def test_what_goes_on_failing_for_the_infrastructure_has_failed_at_last(project: Project) -> None:
    """Else an outage of a day is a loop of a day."""
    project.pipeline(
        f"{HEAD}\ntargets = [command('exit 75', name='one', retries=Retries(infra=1, **QUICK))]\n"
    )
    done = project.run("apply")
    assert done.code == 1
    assert "exited with code 75; infrastructure, tries left: 1" in done.out
    assert "  means:   infrastructure failed, try again\n" in done.err
    assert "  cause:   infrastructure, not the step itself\n  tried:   2 times\n" in done.err


@cases(
    "on tried",
    named=("('timeout',)", 2),
    left_out=("('app', 'oom', 'infra')", 1),
)
def test_a_time_out_is_tried_again_only_if_the_step_says_so(
    project: Project, on: str, tried: int
) -> None:
    """Else a step that is too slow is too slow four times."""
    project.pipeline(
        f"{HEAD}\ntargets = [StepSpec(name='one', fn=lambda output: time.sleep(600), timeout=0.3, "
        f"retries=Retries(limit=1, on={on}, **QUICK))]\n"
    )
    done = project.run("apply", "--json")
    assert done.code == 1
    assert [e["cause"] for e in _failures(done)] == ["timeout"] * tried
    assert len(_attempts(project)) == tried


def test_out_of_memory_is_told_from_other_errors(project: Project) -> None:
    """Else what a larger machine would solve is tried again on the same one."""
    project.pipeline(
        f"{HEAD}\ndef big(output):\n    tries()\n    raise MemoryError('no room')\n"
        "targets = [StepSpec(name='one', fn=big, retries=Retries(on=('app',), **QUICK))]\n"
    )
    done = project.run("apply")
    assert (done.code, project.file("tries")) == (1, "x")
    assert "  cause:   out of memory\n" in done.err


@pytest.mark.parametrize(
    ("body", "limit", "code"),
    [("sys.exit(75)", 600, 75), ("raise MemoryError", 600, 137), ("sys.exit(3)", 600, 1),
     ("time.sleep(600)", 0.3, 124)],
)  # fmt: skip
def test_a_pod_tries_once_and_says_why_it_failed(
    project: Project, body: str, limit: float, code: int
) -> None:
    """Else the engine's tries and ours are multiplied, and it cannot tell what to try again."""
    project.pipeline(
        f"{HEAD}\ndef build(output):\n    {body}\n"
        f"targets = [StepSpec(name='one', fn=build, retries=5, timeout={limit})]\n"
    )
    (target,) = [d["target"] for d in project.run("plan", "--json").document["decisions"]]
    done = project.run("run-step", "--target", target, "--once")
    assert (done.code, len(_attempts(project))) == (code, 1)


def test_a_policy_that_is_none_is_refused_where_it_is_declared(project: Project) -> None:
    project.pipeline(f"{HEAD}\ntargets = [StepSpec(name='one', fn=print, retries=Retries(-1))]\n")
    done = project.run("plan")
    assert (done.code, "`limit` is a whole number, at least 0" in done.err) == (4, True)
