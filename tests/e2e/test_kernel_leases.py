"""Quick steps under the kernel's lock: two builders, a step that takes longer, kills, the mark."""

from __future__ import annotations

import shutil
import signal
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from marin_build.protocol.acquire import Claimant
from marin_build.protocol.held_target import Holding
from marin_build.protocol.holder import own_lease
from marin_build.store.local import LocalStore
from marin_build.store.lock_file import leases_path, mark_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .support import Gate, Project

PATIENCE = 60.0

MANY = """\
from pathlib import Path
from marin_build import StepSpec

HERE = Path(__file__).parent


def declare(index, deps):
    def one(output):
        with (HERE / "ran.txt").open("a") as stream:
            stream.write(f"s{index}\\n")
        Path(output, "out").write_text(str(index))

    return StepSpec(name=f"s{index}", fn=one, deps=deps)


def pipeline():
    layer = []
    for depth in range(6):
        layer = [declare(depth * 10 + place, layer) for place in range(10)]
    return layer
"""


@pytest.mark.parametrize("isolation", ["thread", "worker"])
def test_two_builds_at_once_run_each_step_once(project: Project, isolation: str) -> None:
    """Else a quick step is paid for twice, or two write one output."""
    project.pipeline(MANY)
    started = [project.start("apply", "-j", "2", "--isolation", isolation) for _ in range(2)]
    assert [one.wait().code for one in started] == [0, 0]
    ran = project.file("ran.txt").split()
    assert (len(ran), len(set(ran))) == (60, 60)
    assert "60 targets: 60 built" in project.run("status").out


GATED = """\
from pathlib import Path
from gate import wait_at_gate
from marin_build import StepSpec

HERE = Path(__file__).parent


def held(output):
    with (HERE / "ran.txt").open("a") as stream:
        stream.write("held\\n")
    Path(output, "half").touch()
    wait_at_gate("held")
    Path(output, "x").touch()


targets = [StepSpec(name="held", fn=held)]
"""


def until(found: Callable[[], object]) -> None:
    """Wait for a file to come or go: no process tells of it."""
    deadline = time.monotonic() + PATIENCE
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_announced(output: Path) -> bool:
    status = output / ".executor_status"
    return status.exists() and status.read_text() == "RUNNING"


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_a_step_that_takes_longer_is_announced(
    project: Project, gate: Gate, isolation: str
) -> None:
    """Older versions, Marin and other machines must see who builds."""
    project.pipeline(GATED)
    running = project.start("apply", "--isolation", isolation)
    gate.wait_started()
    output = project.output_of("held")
    assert "running" in project.run("status").out, "within its first second, too"
    until(lambda: is_announced(output))
    assert (output / ".executor_status.lock").exists()
    assert not (output / ".executor_info").exists()
    gate.let_go()
    assert running.wait().code == 0
    assert (output / ".logs" / "attempt-0001.json").exists()
    assert not (output / ".executor_status.lock").exists()


@pytest.mark.parametrize("isolation", ["thread", "process"])
@pytest.mark.parametrize("when", ["in the first second", "after it"])
def test_after_a_kill_the_next_run_goes_on(
    project: Project, gate: Gate, isolation: str, when: str
) -> None:
    project.pipeline(GATED)
    killed = project.start("apply", "--isolation", isolation)
    gate.wait_started()
    output = project.output_of("held")
    if when == "after it":
        until(lambda: is_announced(output))
    killed.send(signal.SIGKILL)
    killed.wait()
    assert killed.wait_until_all_gone() == {}
    again = project.start("apply", "--isolation", isolation)
    gate.wait_started()
    gate.let_go()
    assert again.wait().code == 0
    assert project.file("ran.txt").split() == ["held", "held"]
    assert (output / ".logs" / "attempt-0002.json").exists()
    assert not (output / "half").read_bytes()


def test_the_file_of_locks_may_be_deleted_under_a_run(project: Project, gate: Gate) -> None:
    """Another run then sees the note, or the lease, and waits."""
    project.pipeline(GATED)
    first = project.start("apply", "--isolation", "thread")
    gate.wait_started()
    prefix = project.output_of("held").parent
    shutil.rmtree(prefix / ".marin-build", ignore_errors=True)
    second = project.start("apply", "--isolation", "thread", "--json")
    until(lambda: leases_path(str(prefix)) and (prefix / ".marin-build" / "leases").exists())
    gate.let_go()
    first.wait()
    done = second.wait()
    assert done.code == 0
    assert project.file("ran.txt").split() == ["held"]


def test_an_older_builder_within_the_same_second_wins_alone(project: Project, gate: Gate) -> None:
    """It sees documents only: it takes the lease, and what we built is not committed."""
    project.pipeline(GATED)
    ours = project.start("apply", "--isolation", "process", "--json")
    gate.wait_started()
    output = project.output_of("held")
    older = Claimant(
        LocalStore(),
        str(output),
        target=output.name,
        lease=own_lease("older@here"),
        is_abandoned=lambda _: True,
        clock=time.monotonic,
        now=datetime.now(UTC),
    ).acquire()
    assert isinstance(older, Holding)
    gate.let_go()
    done = ours.wait()
    assert done.code != 0
    assert (output / ".executor_status").read_text() == "RUNNING"
    assert '"older@here ' in (output / ".executor_status.lock").read_text()


def test_the_mark_makes_a_run_write_documents(project: Project) -> None:
    project.pipeline(MANY)
    assert project.run("apply", "s1").code == 0
    output = project.output_of("s1")
    assert not (output / ".logs" / "attempt-0001.json").exists()
    with open(mark_path(str(output.parent)), "x") as stream:
        stream.write("another machine builds here")
    assert project.run("apply", "s2").code == 0
    assert (project.output_of("s2") / ".logs" / "attempt-0001.json").exists()
    told = project.run("doctor").out
    assert "another machine builds here" in told
    project.write("marin-build.toml", 'lease_by = "kernel"\n')
    refused = project.run("apply", "s3")
    assert refused.code == 4
    assert "others build there by documents" in refused.err
    assert f"rm {mark_path(str(output.parent))}" in refused.err


def test_documents_can_be_asked_for(project: Project) -> None:
    project.use_documents()
    project.pipeline(MANY)
    assert project.run("apply", "s1", "--isolation", "thread").code == 0
    output = project.output_of("s1")
    assert (output / ".logs" / "attempt-0001.json").exists()
    assert (output.parent / ".marin-build" / "documents-only").exists()


def test_gc_deletes_nothing_that_is_being_built(project: Project, gate: Gate) -> None:
    project.pipeline(GATED)
    running = project.start("apply", "--isolation", "thread")
    gate.wait_started()
    project.run("gc", "--apply", "--grace", "0")
    assert (project.output_of("held") / "half").exists()
    gate.let_go()
    assert running.wait().code == 0
