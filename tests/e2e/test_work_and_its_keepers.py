"""Work never outlives its keepers, whichever is killed first, by any signal, alone or all."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .support import PATIENCE, Gate, Project, is_running, marked, wait_for_exits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .support import Running

# What the command starts does not hear SIGTERM, and one of it has left the session.
COMMAND = """\
from marin_build import command
targets = [command(
    "trap '' TERM HUP; (setsid bash -c 'echo away $$ > $GATE/started; exec sleep 1000') & "
    "bash -c 'echo child $$ > $GATE/started; exec sleep 1000' & "
    "echo bash $$ > $GATE/started; wait; touch {output}/x", name="work")]
"""
ISOLATIONS = ("process", "worker", "thread")


@pytest.fixture
def work(project: Project, gate: Gate) -> Callable[..., tuple[Running, list[int]]]:
    """Start a run, and return it with the processes of its step."""
    project.pipeline(COMMAND)

    def start(isolation: str, how: str = "apply") -> tuple[Running, list[int]]:
        if how == "run.sh":
            project.run("plan", "-o", "saved")
            running = project.start_command(["bash", "saved/run.sh"])
        else:
            running = project.start("apply", "--isolation", isolation)
        return running, [gate.wait_started()[1] for _ in range(3)]

    return start


def ours(running: Running, work: list[int]) -> list[int]:
    """Return the processes of a run that are not its step's: applier, guard, template, keeper."""
    return [pid for pid in marked(running.marker) if pid not in work]


def kill_all_but(running: Running, work: list[int]) -> None:
    """Kill all processes of a run at once, but for those of its step.

    They are stopped before, so that none has time to end the work, until no new one comes: the
    process that keeps leases is started some time after the work.
    """
    stopped: set[int] = set()
    while new := {pid for pid in ours(running, work) if pid not in stopped}:
        for pid in new:
            os.kill(pid, signal.SIGSTOP)
        stopped |= new
    for pid in stopped:
        os.kill(pid, signal.SIGKILL)


def end_of(pids: list[int]) -> list[int]:
    """Wait for the end of processes; return those that live all the same."""
    wait_for_exits(pids, time.monotonic() + PATIENCE)
    return [pid for pid in pids if is_running(pid)]


def goes_on(project: Project, gate: Gate) -> None:
    """The next apply builds at once, and alone."""
    again = project.start("apply", "--json")
    pids: list[int] = []
    try:
        while (event := gate.started_or(again)) is not None:
            assert event["event"] != "step_waiting"
        pids += [gate.wait_started()[1] for _ in range(3)]
        assert all(map(is_running, pids))
    finally:
        again.kill_everything()
        assert end_of(pids) == []


@pytest.mark.parametrize("isolation", ISOLATIONS)
@pytest.mark.parametrize(
    "number", [signal.SIGQUIT, signal.SIGKILL, signal.SIGSEGV], ids=lambda n: n.name
)
def test_a_signal_to_the_group_leaves_no_writer(
    work: Callable[..., tuple[Running, list[int]]],
    project: Project,
    gate: Gate,
    number: signal.Signals,
    isolation: str,
) -> None:
    """Else Ctrl-\\ or a scheduler's kill leaves a child that writes beside the next attempt."""
    running, pids = work(isolation)
    running.send_group(number)
    assert running.process.wait(PATIENCE) == -number
    assert end_of(pids) == []
    assert running.wait_until_all_gone() == {}


@pytest.mark.parametrize("number", [signal.SIGQUIT, signal.SIGKILL], ids=lambda n: n.name)
def test_a_signal_to_the_group_of_a_script_leaves_no_writer(
    work: Callable[..., tuple[Running, list[int]]],
    project: Project,
    gate: Gate,
    number: signal.Signals,
) -> None:
    """Else `run.sh` in a job of a scheduler is not what `apply` is."""
    running, pids = work("process", "run.sh")
    running.send_group(number)
    running.process.wait(PATIENCE)
    assert end_of(pids) == []
    assert running.wait_until_all_gone() == {}


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_whichever_process_is_killed_the_work_ends(
    work: Callable[..., tuple[Running, list[int]]],
    project: Project,
    gate: Gate,
    isolation: str,
) -> None:
    """Else the out-of-memory killer leaves a step that works beside its successor."""
    count = 3 if isolation != "thread" else 2  # applier, guard, template; or applier and keeper
    for victim in range(count):
        running, pids = work(isolation)
        found = ours(running, pids)
        if isolation != "thread":
            found = [pid for pid in found if not _is_body(pid, found)]
        assert len(found) == count
        os.kill(found[victim], signal.SIGKILL)
        assert end_of(pids) == []
        running.wait()
        assert running.wait_until_all_gone() == {}
        output = project.output_of("work")
        assert not (output / "x").exists()
        status = output / ".executor_status"
        assert not status.exists() or status.read_text() != "SUCCESS"


def _is_body(pid: int, found: list[int]) -> bool:
    """Return whether a process is the deepest of ours: the body, which the command's parent is."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return not any(int(child) in found for child in children)


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_whichever_process_is_left_ends_the_work(
    work: Callable[..., tuple[Running, list[int]]],
    project: Project,
    gate: Gate,
    isolation: str,
) -> None:
    """Else a kill of nearly all processes, as by `pkill -9 marin-build`, leaves writers."""
    count = 3 if isolation != "thread" else 2
    for survivor in range(count):
        running, pids = work(isolation)
        found = ours(running, pids)
        if isolation != "thread":
            found = [pid for pid in found if not _is_body(pid, found)]
        for pid in found:
            os.kill(pid, signal.SIGSTOP)
        for pid in found:
            if pid != found[survivor]:
                os.kill(pid, signal.SIGKILL)
        os.kill(found[survivor], signal.SIGCONT)
        assert end_of(pids) == []
        running.wait()
        assert running.wait_until_all_gone() == {}


@pytest.fixture
def orphaned(
    work: Callable[..., tuple[Running, list[int]]],
) -> Iterator[Callable[[str], list[int]]]:
    """Kill all that is ours at once, so that nothing can end the work."""
    left: list[int] = []

    def kill(isolation: str) -> list[int]:
        running, pids = work(isolation)
        kill_all_but(running, pids)
        running.wait()
        left.extend(pids)
        return pids

    yield kill
    for pid in left:
        if is_running(pid):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("isolation", ISOLATIONS)
def test_work_that_nothing_keeps_is_waited_for(
    orphaned: Callable[[str], list[int]], project: Project, gate: Gate, isolation: str
) -> None:
    """Else the next run builds beside it, and SUCCESS holds lines of both."""
    pids = orphaned(isolation)
    decided = project.run("plan", "--json").document["decisions"][0]
    assert decided["decision"] == "wait"
    assert decided["reasons"][0]["kind"] == "held_by_work"
    assert decided["reasons"][0]["pid"] in pids
    assert (
        "sleep 1000" in decided["reasons"][0]["command"]
        or "bash" in decided["reasons"][0]["command"]
    )
    told = project.run("status", "--json").document["targets"][0]
    assert (told["state"], told["left_running"]) == ("running", True)
    again = project.start("apply", "--json")
    assert again.wait_event("step_waiting")["work"]
    again.send(signal.SIGTERM)
    assert again.wait().code == 130
    refused = project.run("unlock", "work")
    assert (refused.code, any(is_running(pid) for pid in pids)) == (5, True)
    assert "--kill" in refused.err
    killed = project.run("unlock", "work", "--kill")
    assert killed.code == 0, killed.err
    assert "killed" in killed.out
    assert end_of(pids) == []
    goes_on(project, gate)


def test_work_whose_lease_stood_still_is_waited_for(
    orphaned: Callable[[str], list[int]], project: Project, gate: Gate
) -> None:
    """Else a minute after a kill the target is taken over while the old command still writes."""
    project.use_documents()
    pids = orphaned("process")
    path = project.output_of("work") / ".executor_status.lock"
    path.write_bytes(path.read_bytes().replace(b" since=", b" ttl=0.01 since="))
    again = project.start("apply", "--json")
    assert again.wait_event("step_waiting")["time_to_live"] == 0.01
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    gate.wait_started()  # only now
    again.kill_everything()


def test_what_frees_itself_of_everything_but_its_log_is_found(project: Project, gate: Gate) -> None:
    """Else a helper that a step forked, in a session of its own, writes on unseen."""
    project.pipeline(
        "import os, time\n"
        "from gate import say, wait_at_gate\n"
        "from marin_build import StepSpec\n"
        "def work(output):\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        null = os.open('/dev/null', os.O_RDWR)\n"
        "        for standard in (0, 1, 2):\n"
        "            os.dup2(null, standard)\n"
        "        say('forked')\n"
        "        time.sleep(1000)\n"
        "    wait_at_gate('body')\n"
        "targets = [StepSpec(name='work', fn=work)]\n"
    )
    running = project.start("apply")
    pids = dict(gate.wait_started() for _ in range(2))
    kill_all_but(running, [pids["forked"]])
    running.wait()
    try:
        reason = project.run("plan", "--json").document["decisions"][0]["reasons"][0]
        assert (reason["kind"], reason["pid"]) == ("held_by_work", pids["forked"])
    finally:
        os.kill(pids["forked"], signal.SIGKILL)
