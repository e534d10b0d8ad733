"""What a dead holder has left working is found and named, and nothing else is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from marin_build.protocol import living_work
from marin_build.protocol.lease import Host, Lease
from marin_build.protocol.living_work import (
    MARK,
    RUN_MARK,
    Process,
    is_worked_on,
    kill_work,
    wait_for_ends,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HOST = Host("ada@here", "boot")
WAITS = "import sys; print('x', flush=True); sys.stdin.read()"
HOLDS = "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.flock(f, fcntl.LOCK_EX); "
READS = "import sys; f = open(sys.argv[1]); "


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a process that has begun, and lives until the test ends."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(code: str, *args: str, **environ: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", code + WAITS, *args],
            env={**os.environ, **environ},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"x\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def test_work_is_found_by_its_marks_and_its_log(
    tmp_path: Path, start: Callable[..., subprocess.Popen[bytes]]
) -> None:
    """Else a run builds beside what has changed its group, its session or its streams."""
    log = tmp_path / "log"
    log.touch()
    nonce, run = os.urandom(8).hex(), f"r-{os.urandom(4).hex()}"
    marked = start("", **{MARK: nonce})
    of_run = start("", **{RUN_MARK: run})
    start("", **{MARK: nonce + "0"})
    holding = start(HOLDS, str(log))
    start(READS, str(log))  # `tail -f`
    found = living_work.living_work(nonce, str(log), run)
    assert [each.pid for each in found] == sorted([marked.pid, of_run.pid, holding.pid])
    assert all("import" in each.command for each in found)
    assert is_worked_on(HOST, Lease("x", 1.0, nonce=nonce, boot="boot"), "")
    assert not is_worked_on(HOST, Lease("x", 1.0, nonce=nonce, boot="another"), "")
    in_container = Lease("x", 1.0, nonce=nonce, boot="boot/4026532500")
    assert is_worked_on(HOST, in_container, ""), "its holder cannot be seen, but its work can"
    assert is_worked_on(Host("ada@here", "boot/4026532501"), in_container, "")
    killed, left = kill_work(lambda: living_work.living_work(nonce, str(log), run))
    assert ([each.pid for each in killed], left) == ([each.pid for each in found], ())
    assert not living_work.still_written(str(log))


def test_a_holder_that_is_not_visible_is_not_passed_over(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    start: Callable[..., subprocess.Popen[bytes]],
) -> None:
    """Else work in a container, or of another user, is built beside."""
    log = tmp_path / "log"
    log.touch()
    start(HOLDS, str(log))
    monkeypatch.setattr(living_work, "_PROC", str(tmp_path))
    found = living_work.living_work("n", str(log))
    assert found == (Process(0, ""),)
    assert str(found[0]) == "a process that is not visible"
    assert kill_work(lambda: found) == ((), found)


def test_a_command_line_is_cut_and_moves_no_cursor(
    start: Callable[..., subprocess.Popen[bytes]],
) -> None:
    """Else a hostile name rewrites the screen of the person who looks what runs."""
    process = start("", "\x1b[2J" + "y" * 500)
    text = living_work.command_of(process.pid)
    assert len(text) <= 120
    assert text.isprintable()


@pytest.mark.parametrize("why", [OSError(38, "not implemented"), AttributeError()])
def test_a_process_without_a_descriptor_has_not_ended_before_it_has(
    monkeypatch: pytest.MonkeyPatch, start: Callable[..., subprocess.Popen[bytes]], why: Exception
) -> None:
    """Else, on a kernel without pidfd, a run builds beside work that it has only just killed."""

    def refuse(pid: int) -> int:
        raise why

    monkeypatch.setattr(os, "pidfd_open", refuse)
    process = start("")
    assert not wait_for_ends([process.pid], time.monotonic())
    process.kill()
    assert wait_for_ends([process.pid], time.monotonic() + 60)
