"""Ctrl-C, SIGTERM, SIGKILL: nothing keeps running, nothing that was built is built again."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import select
import shutil
import signal
import time
from pathlib import Path

import pytest

from .support import (
    DIAMOND,
    OUTPUTS,
    PATIENCE,
    PROGRAM,
    Gate,
    Project,
    gate_in,
    is_running,
    parent_of,
    wait_for_exits,
)

# corpus is quick, left and right wait at the gate.
GATED = DIAMOND.replace("import os\n", "import os\nfrom gate import wait_at_gate\n", 1).replace(
    "    ran(side)\n", "    ran(side)\n    wait_at_gate(side)\n"
)
COMMAND = """\
from marin_build import command
slow = command("echo slow >> ran.txt; echo slow $$ > $GATE/started; read -r < $GATE/go;"
               " echo 1 > {output}/x", name="slow")
targets = [command("cp {slow}/x {output}/y", name="after", deps={"slow": slow})]
"""
DEAF = """\
import signal
from pathlib import Path
from gate import wait_at_gate
from marin_build import StepSpec

def slow(output):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    wait_at_gate("slow")
    Path(output, "x").touch()

targets = [StepSpec(name="slow", fn=slow)]
"""


def end_of(pids: list[int]) -> list[int]:
    """Wait for the end of processes; return those that live all the same."""
    wait_for_exits(pids, time.monotonic() + PATIENCE)
    return [pid for pid in pids if is_running(pid)]


SIGNALS = pytest.mark.parametrize(
    ("number", "to_group"),
    [
        (signal.SIGINT, False),
        (signal.SIGINT, True),
        (signal.SIGTERM, False),
        (signal.SIGTERM, True),
    ],
    ids=["ctrl-c-alone", "ctrl-c-group", "term-alone", "term-group"],
)


@SIGNALS
@pytest.mark.parametrize(
    ("pipeline", "name"), [(GATED, "left"), (COMMAND, "slow")], ids=["function", "command"]
)
def test_an_interrupt_ends_what_runs_and_frees_it(
    project: Project, gate: Gate, number: int, to_group: bool, pipeline: str, name: str
) -> None:
    """Else a step goes on in the background, and its target stays locked."""
    project.pipeline(pipeline)
    running = project.start("apply", name)
    word, pid = gate.wait_started()
    (running.send_group if to_group else running.send)(number)
    done = running.wait()
    assert (word, done.code) == (name, 130)
    assert end_of([pid]) == []
    assert running.wait_until_all_gone() == {}
    target = project.output_of(name).name
    assert f"  interrupted {target}\n" in done.out
    assert done.err == (
        "interrupted: ending 1 running step; a second Ctrl-C kills it\n"
        f"to go on: marin-build apply {name}\n"
    )
    assert not (project.output_of(name) / ".executor_status.lock").exists()
    assert project.attempt_of(name)["result"] == "interrupted"
    assert not (project.output_of(name) / ".executor_info").exists()

    # The next one builds it at once, and what was built stays built.
    assert project.plan(name)[name] == "run"
    again = project.start("apply", name, "--json")
    gate.wait_started()
    gate.let_go()
    finished = again.wait()
    assert finished.code == 0
    assert finished.names_of("step_waiting") == []
    assert project.counts() == ({"slow": 2} if name == "slow" else {"corpus": 1, "left": 2})


def test_a_closed_terminal_ends_a_run_in_good_order(project: Project, gate: Gate) -> None:
    """Else a lost connection leaves leases that others wait for, and no word of what happened."""
    project.pipeline(GATED)
    running = project.start_command(["env", "--default-signal=HUP", PROGRAM, "apply", "left"])
    _, pid = gate.wait_started()
    running.send_group(signal.SIGHUP)
    assert running.wait().code == 130
    assert end_of([pid]) == []
    assert not (project.output_of("left") / ".executor_status.lock").exists()
    assert project.attempt_of("left")["result"] == "interrupted"


def test_a_stopped_run_looks_after_its_steps(project: Project, gate: Gate) -> None:
    """Else after Ctrl-Z nobody renews the lease of a step that goes on, and another builds it."""
    project.pipeline(
        "from gate import wait_at_gate\n"
        "from marin_build import StepSpec\n"
        "def work(output):\n"
        "    wait_at_gate('first')\n"
        "    print('goes on')\n"
        "    wait_at_gate('second')\n"
        "    return 1\n"
        "targets = [StepSpec(name='one', fn=work)]\n"
    )
    running = project.start("apply")
    gate.wait_started()
    running.send_group(signal.SIGTSTP)
    gate.let_go()
    gate.wait_started()
    log, deadline = project.output_of("one") / ".logs/attempt-0001.log", time.monotonic() + PATIENCE
    while "goes on" not in log.read_text():
        assert time.monotonic() < deadline, "nobody takes what it prints"
        time.sleep(0.01)
    running.send_group(signal.SIGCONT)
    gate.let_go()
    assert running.wait().code == 0


def test_a_run_that_ignores_a_closed_terminal_goes_on(project: Project, gate: Gate) -> None:
    """Else `nohup` does not help."""
    project.pipeline(GATED)
    running = project.start_command(["nohup", PROGRAM, "apply", "left"])
    gate.wait_started()
    running.send_group(signal.SIGHUP)
    gate.let_go()
    assert running.wait().code == 0
    assert project.status_of("left") == "SUCCESS"


@pytest.mark.parametrize("isolation", ["process", "worker", "thread"])
def test_an_interrupt_is_heard_whichever_thread_it_meets(
    project: Project, gate: Gate, isolation: str
) -> None:
    """Else one Ctrl-C of a hundred is lost: it comes just before the main thread waits.

    That instant cannot be hit on purpose. A signal that another thread takes has the same effect:
    it is noted, and nothing wakes the thread that waits.
    """
    project.pipeline(GATED)
    running = project.start("apply", "left", "--isolation", isolation)
    gate.wait_started()
    threads = sorted(int(path.name) for path in Path(f"/proc/{running.pid}/task").iterdir())
    assert len(threads) > 1
    assert ctypes.CDLL(None).tgkill(running.pid, threads[-1], int(signal.SIGINT)) == 0
    descriptor = os.pidfd_open(running.pid)
    assert running.process.stderr is not None
    try:
        heard, _, _ = select.select([descriptor, running.process.stderr.fileno()], [], [], PATIENCE)
    finally:
        os.close(descriptor)
        gate.let_go()
    assert heard, "nobody heard it"
    assert running.wait().code == 130


def test_the_command_that_goes_on_has_all_options(project: Project, gate: Gate) -> None:
    """Else who copies it goes on with another number of slots, or ends at the next failure."""
    project.pipeline(GATED)
    options = ["-j", "2", "-k", "--max-failures", "3", "--budget", "api=1", "--isolation", "worker"]
    running = project.start("apply", "left", *options)
    gate.wait_started()
    running.send(signal.SIGTERM)
    assert running.wait().err.endswith(f"to go on: marin-build apply left {' '.join(options)}\n")


def test_all_running_steps_are_ended(project: Project, gate: Gate) -> None:
    """Else only the first of many steps stops."""
    project.pipeline(GATED)
    running = project.start("apply", "-j", "4", "--json")
    pids = [gate.wait_started()[1] for _ in range(2)]
    running.send_group(signal.SIGINT)
    done = running.wait()
    assert done.code == 130
    assert end_of(pids) == []
    assert sorted(done.names_of("step_interrupted")) == ["left", "right"]
    finished = done.events[-1]
    assert finished["event"] == "apply_finished"
    assert finished.items() >= {"succeeded": 1, "failed": 0, "reused": 0}.items()


def test_a_second_ctrl_c_kills_a_step_that_does_not_listen(project: Project, gate: Gate) -> None:
    """Else a stubborn step holds the terminal."""
    project.pipeline(DEAF)
    running = project.start("apply")
    _, pid = gate.wait_started()
    running.send_group(signal.SIGINT)
    assert running.process.stderr is not None
    first = running.process.stderr.readline()
    assert first == "interrupted: ending 1 running step; a second Ctrl-C kills it\n"
    assert is_running(pid)
    running.send_group(signal.SIGINT)
    done = running.wait()
    assert done.code == 130
    assert end_of([pid]) == []
    # On a slow machine the run may have ended before it heard that: nobody waits all the same.
    assert project.plan("slow") == {"slow": "run"}


def test_a_step_that_ends_well_after_the_interrupt_is_kept(project: Project, gate: Gate) -> None:
    """Else a step that wrote its last line in time is thrown away."""
    project.pipeline(
        DEAF.replace(
            "signal.SIG_IGN)\n    signal.signal(signal.SIGINT", "stop)\n    signal.signal(2"
        )
        .replace("def slow", "def stop(*_):\n    pass\n\ndef slow")
        .replace("signal.signal(2, signal.SIG_IGN)", "signal.signal(2, stop)")
    )
    running = project.start("apply")
    gate.wait_started()
    running.send_group(signal.SIGINT)
    assert running.process.stderr is not None
    running.process.stderr.readline()
    gate.let_go()
    assert running.wait().code == 130
    assert project.status_of("slow") == "SUCCESS"
    assert project.run("apply").out.startswith("nothing to do: 1 target is reused\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", ["plan", "apply", "graph"])
def test_an_interrupt_while_the_pipeline_is_read(
    project: Project, gate: Gate, command: str, number: int
) -> None:
    """Else an impatient Ctrl-C is answered with a traceback, or who sent SIGTERM learns nothing."""
    project.pipeline("from gate import wait_at_gate\nwait_at_gate('import')\n")
    running = project.start(command)
    gate.wait_started()
    running.send_group(number)
    done = running.wait()
    assert (done.code, done.out, done.err.strip()) == (130, "", "interrupted")
    assert not (project.root / OUTPUTS).exists()


def test_ctrl_c_ends_a_replay_by_bash(project: Project, gate: Gate) -> None:
    """Else run.sh goes on with the next step, or leaves this one running."""
    project.pipeline(GATED)
    project.run("plan", "-o", "saved")
    running = project.start_command(["bash", "saved/run.sh"])
    _, pid = gate.wait_started()
    running.send_group(signal.SIGINT)
    done = running.wait()
    assert done.code in {130, -signal.SIGINT}
    assert end_of([pid]) == []
    assert running.wait_until_all_gone() == {}
    assert project.counts() == {"corpus": 1, "left": 1}
    assert not (project.output_of("left") / ".executor_status.lock").exists()


def test_what_a_step_leaves_behind_does_not_outlive_it(project: Project) -> None:
    """Else servers that a step forgot to stop fill the machine."""
    project.pipeline(
        "from marin_build import command\n"
        "targets = [command('sleep 1000 & echo $! > {output}/pid', name='one',"
        " detached=['sleep'])]\n"
    )
    running = project.start("apply")
    assert running.wait().code == 0
    pid = int((project.output_of("one") / "pid").read_text())
    assert end_of([pid]) == []


def test_after_sigkill_the_work_dies_and_the_next_apply_goes_on(
    project: Project, gate: Gate
) -> None:
    """Else a crash costs the wait for a lease, a double build, or finished work."""
    project.pipeline(GATED)
    running = project.start("apply", "-j", "4")
    pids = [gate.wait_started()[1] for _ in range(2)]
    running.send(signal.SIGKILL)
    assert running.process.wait(PATIENCE) == -signal.SIGKILL
    assert end_of(pids) == []
    assert running.wait_until_all_gone() == {}
    planned = project.run("plan")
    assert "left_HASH    interrupted (the run by USER@HOST is gone)\n" in project.mask(planned.out)
    again = project.start("apply", "--json", "-j", "4")
    for _ in range(2):
        gate.wait_started()
    gate.let_go(2)
    done = again.wait()
    assert done.code == 0
    assert done.names_of("step_waiting") == []
    assert project.counts() == {"corpus": 1, "left": 2, "report": 1, "right": 2}
    assert project.attempt_of("left", 2)["result"] == "succeeded"


@pytest.mark.parametrize("lines", range(1, 12))
def test_a_kill_at_any_moment_loses_nothing(project: Project, lines: int) -> None:
    """Else there is an instant at which a crash leaves a store that nobody can repair."""
    project.pipeline(DIAMOND)
    running = project.start("apply", "--json", "-j", "2")
    assert running.process.stdout is not None
    for _ in range(lines):
        running.process.stdout.readline()
    running.send(signal.SIGKILL)
    running.process.wait(PATIENCE)
    assert running.wait_until_all_gone() == {}
    committed = [
        status.parent.name.partition("_")[0]
        for status in (project.root / OUTPUTS).glob("*/.executor_status")
        if status.read_text() == "SUCCESS"
    ]
    ran = project.counts()
    done = project.run("apply", "--json")
    assert done.code == 0, done.err
    assert done.names_of("step_waiting") == []
    after = project.counts()
    assert sorted(after) == ["corpus", "left", "report", "right"]
    for name in committed:
        assert after[name] == ran[name] == 1
    assert (project.output_of("report") / "report.txt").read_text() == "3 6 of 3\n"
    assert project.open_leases() == []


def test_the_death_of_the_process_that_starts_the_steps_ends_the_steps(
    project: Project, gate: Gate
) -> None:
    """Else the out-of-memory killer leaves a step that works beside its successor."""
    project.pipeline(GATED)
    running = project.start("apply", "-k", "-j1", "left", "right")
    _, pid = gate.wait_started()
    template = parent_of(pid)
    assert template != running.pid
    os.kill(template, signal.SIGKILL)
    assert end_of([pid]) == []
    done = running.wait()
    assert done.code == 1
    assert "cause:   infrastructure, not the step itself\n" in done.err
    assert "1 built, 0 reused, 1 failed, 1 not started" in done.out
    assert running.wait_until_all_gone() == {}
    again = project.start("apply", "left", "--json")
    gate.wait_started()
    gate.let_go()
    assert again.wait().code == 0
    assert project.counts() == {"corpus": 1, "left": 2}


def test_after_sigkill_to_the_whole_group_the_work_dies(project: Project, gate: Gate) -> None:
    """Else `kill -9 %1` leaves a step that works beside its successor."""
    project.pipeline(GATED)
    running = project.start("apply", "left")
    _, pid = gate.wait_started()
    running.send_group(signal.SIGKILL)
    running.process.wait(PATIENCE)
    assert end_of([pid]) == []
    assert running.wait_until_all_gone() == {}


def test_a_step_is_not_built_beside_a_body_that_still_lives(project: Project, gate: Gate) -> None:
    """Else two bodies write into one folder, and a mixture is committed."""
    project.pipeline(GATED)
    running = project.start("apply", "left")
    _, pid = gate.wait_started()
    template = parent_of(pid)
    # A template that does not get to run cannot end the body of an applier that is dead.
    os.kill(template, signal.SIGSTOP)
    running.send(signal.SIGKILL)
    running.process.wait(PATIENCE)
    again = project.start("apply", "left", "--json")
    try:
        while (event := gate.started_or(again)) is not None:
            if event["event"] == "step_waiting":
                break
        second = gate.wait_started()[1] if event is None else None
        assert not (second and is_running(pid)), "a second body works beside the first one"
    finally:
        for left in (template, pid):
            if is_running(left):
                os.kill(left, signal.SIGKILL)
    if second is None:
        gate.wait_started()
    gate.let_go()
    assert again.process.wait(PATIENCE) == 0
    assert project.counts() == {"corpus": 1, "left": 2}


@pytest.fixture
def sealed(project: Project) -> Project:
    """A target whose attempt was sealed by somebody who then lost the power."""
    project.use_documents()
    project.pipeline(DIAMOND)
    assert project.run("apply", "left").code == 0
    output = project.output_of("left")
    digest = hashlib.sha256((output / ".logs/attempt-0001.json").read_bytes()).hexdigest()
    (output / ".executor_status").write_text("RUNNING")
    (output / ".executor_info").unlink()
    (output / ".artifact.json").unlink()
    worker = f"somebody@elsewhere run=r-1 attempt=1 nonce=abc seal={digest}"
    lock = {"worker_id": worker, "timestamp": 1.0}
    (output / ".executor_status.lock").write_text(json.dumps(lock))
    return project


@pytest.mark.parametrize("how", ["apply", "run.sh", "make", "ninja"])
def test_a_sealed_attempt_is_published_and_not_run_again(sealed: Project, how: str) -> None:
    """Else work that was committed is paid for twice."""
    planned = sealed.run("plan", "-v", "left")
    assert "committed by USER@HOST, about to be published" in sealed.mask(planned.out)
    if how == "apply":
        done = sealed.run("apply")
    else:
        sealed.run("plan", "-o", "saved")
        words = {"run.sh": ["bash", "saved/run.sh"], "make": ["make", "-C", "saved"],
                 "ninja": ["ninja", "-C", "saved"]}  # fmt: skip
        done = sealed.execute([*words[how]], env=sealed.forking())
    assert (done.code, done.err) == (0, "")
    assert sealed.counts() == {"corpus": 1, "left": 1, "report": 1, "right": 1}
    assert sealed.status_of("left") == "SUCCESS"
    assert json.loads((sealed.output_of("left") / ".artifact.json").read_text()) == 3
    assert not (sealed.output_of("left") / ".executor_status.lock").exists()


def test_a_sealed_attempt_that_was_changed_is_not_published(sealed: Project) -> None:
    """Else a document that somebody edited becomes the record of a build."""
    path = sealed.output_of("left") / ".logs/attempt-0001.json"
    path.write_text(path.read_text().replace('"attempt":1', '"attempt": 1'))
    done = sealed.run("apply", "left")
    assert done.code in {1, 4}
    assert "is missing or was changed" in done.err
    assert sealed.status_of("left") == "RUNNING"
    assert sealed.counts() == {"corpus": 1, "left": 1}


@pytest.mark.parametrize("words", [("--json",), (), ("-q",)])
def test_a_run_goes_on_when_nobody_reads_what_it_says(
    project: Project, gate: Gate, words: tuple[str, ...]
) -> None:
    """Else `apply | tee log` loses what runs when `tee` dies, and leaves its leases behind."""
    project.pipeline(GATED)
    running = project.start("apply", *words, "left")
    assert running.process.stdout is not None
    gate.wait_started()
    running.process.stdout.close()
    running.process.stdout = None
    gate.let_go()
    done = running.wait()
    assert (done.code, project.status_of("left")) == (0, "SUCCESS")
    assert done.err == (
        "warning: output cannot be shown any more (broken pipe): the run continues without it\n"
        "hint: marin-build status\n"
    )
    assert running.wait_until_all_gone() == {}


@pytest.mark.parametrize("streams", [">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", "&>/dev/full"])
def test_a_run_needs_no_standard_streams(project: Project, streams: str) -> None:
    """Else a run that a daemon starts dies, or what steps print gets into a file of ours."""
    project.pipeline(DIAMOND)
    assert project.bash("-c", f"marin-build apply {streams}").code == 0
    assert project.status_of("report") == "SUCCESS"
    assert project.bash("-c", f"marin-build status {streams}").code != 3


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_plan_that_cannot_be_written_is_no_bug(project: Project, unbuffered: str) -> None:
    """Else a full disk behind `plan > FILE` is reported as ours, with a traceback."""
    project.pipeline(DIAMOND)
    done = project.bash("-c", "marin-build plan > /dev/full", env={"PYTHONUNBUFFERED": unbuffered})
    assert (done.code, done.err) == (
        4, "error: cannot write to standard output: no space left on device\n"
    )  # fmt: skip


def test_a_closed_pipe_ends_a_plan_quietly(project: Project) -> None:
    """Else `plan | head` ends in a traceback."""
    project.pipeline(
        "from marin_build import command\n"
        "targets = [command('x', name=f'step-{i:04}-' + 'x' * 150) for i in range(2000)]\n"
    )
    done = project.bash("-c", "set -o pipefail; marin-build plan -v | head -n 1")
    (note,) = done.err.splitlines()
    assert note.startswith("note: `pipeline.py` is loaded: ")
    assert done.out.startswith("  + build    step-0000-")


def test_threads_are_interrupted_too(project: Project, gate: Gate) -> None:
    """Else thread isolation makes Ctrl-C useless, and the next apply waits."""
    project.pipeline(GATED)
    running = project.start("apply", "left", "--isolation", "thread")
    gate.wait_started()
    running.send(signal.SIGINT)
    assert running.process.stderr is not None
    running.process.stderr.readline()
    running.send(signal.SIGINT)
    assert running.wait().code == 130
    assert running.wait_until_all_gone() == {}
    again = project.start("apply", "left", "--json")
    gate.wait_started()
    gate.let_go()
    done = again.wait()
    assert done.code == 0
    assert done.names_of("step_waiting") == []


def test_leftovers_of_dead_attempts_do_not_gather(project: Project, tmp_path: Path) -> None:
    """Else every crash leaves a file that nobody ever deletes."""
    with gate_in(tmp_path / "gate") as gate:
        project.environment["GATE"] = str(gate.folder)
        project.write("gate.py", Gate.MODULE)
        project.pipeline(GATED)
        for _ in range(3):
            running = project.start("apply", "left")
            gate.wait_started()
            running.send(signal.SIGKILL)
            running.process.wait(PATIENCE)
            running.wait_until_all_gone()
        again = project.start("apply", "left")
        gate.wait_started()
        gate.let_go()
        assert again.wait().code == 0
    names = sorted(project.tree(str(project.output_of("left").relative_to(project.root))))
    assert names == [
        ".artifact.json",
        ".executor_info",
        ".executor_status",
        *[f".logs/attempt-000{n}.{kind}" for n in (1, 2, 3, 4) for kind in ("json", "log")],
        "count.txt",
    ]
    shutil.rmtree(project.output_of("left"))
