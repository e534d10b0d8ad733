"""Children that are forked ahead: each is as good as one that is forked when it is needed."""

from __future__ import annotations

import contextlib
import importlib
import os
import random
import secrets
import signal
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from marin_build.protocol.lease import boot_clock
from marin_build.protocol.living_work import wait_for_ends
from marin_build.run_step.body import Done, Request
from marin_build.run_step.fork import children
from marin_build.run_step.leftover_processes import children_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.unit.run_step.fork.conftest import Forking

    Running = Callable[[Callable[[str], object]], AbstractContextManager[Callable[[], Done]]]


@pytest.fixture
def running(forking: Forking, tmp_path: Path) -> Running:
    """Give what runs the body of a function in a process of its own, again and again."""

    @contextmanager
    def run(fn: Callable[[str], object]) -> Iterator[Callable[[], Done]]:
        with forking(fn) as bodies:
            log = str(tmp_path / "log")
            yield lambda: bodies.run(0, Request(0, "n", boot_clock(), log), print)

    return run


def _told(done: Done) -> list[str]:
    assert not done.has_failed, done.message
    told: list[str] = done.artifact
    return told


def test_each_child_has_randomness_of_its_own(running: Running) -> None:
    """Else steps that shuffle or sample draw the same numbers, although children wait in a row."""

    def fn(output: str) -> list[str]:
        return [str(random.random()), secrets.token_hex(8), str(os.getpid())]

    with running(fn) as build:
        seen = [_told(build()) for _ in range(8)]
    for kind in zip(*seen, strict=True):
        assert len(set(kind)) == 8


def test_a_child_that_died_while_it_waited_gets_no_body(
    running: Running,
) -> None:
    """Else a step fails because the kernel took a process that had not begun it."""

    def fn(output: str) -> list[str]:
        return [str(os.getpid()), str(os.getppid())]

    with running(fn) as build:
        first, template = _told(build())
        _told(build())
        waiting = children_of(int(template))
        assert waiting
        for pid in waiting:
            os.kill(pid, signal.SIGKILL)
        assert wait_for_ends(waiting, time.monotonic() + 60)
        third = _told(build())[0]
    assert int(third) not in {int(first), *waiting}


def test_what_a_body_uses_is_what_its_process_used(
    running: Running,
) -> None:
    """Else the records, and what the next run reserves, do not say how much memory a step takes."""

    def fn(output: str) -> None:
        bytearray(64 << 20)

    with running(fn) as build:
        done = build()
    assert (done.peak_memory or 0) >= 64 << 20
    assert (done.cpu_seconds or 0) > 0


def test_children_see_the_same_in_huge_pages(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the steps of a large pipeline find other values than those of a small one."""
    monkeypatch.setattr(children, "_MANY", 1)
    much = [str(number) for number in range(100_000)]

    def fn(output: str) -> list[str]:
        return [str(sum(map(int, much)))]

    with running(fn) as build:
        assert [_told(build()) for _ in range(4)] == [["4999950000"]] * 4


def test_what_one_child_imports_of_ours_the_next_ones_have(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each step that returns an object imports pydantic anew, for longer than it runs."""
    late = "marin_build.run_step.set_aside"
    other = "this"  # of the standard library: who needs it imports it
    for name in (late, other):
        monkeypatch.delitem(sys.modules, name, raising=False)

    def fn(output: str) -> list[str]:
        were_there = [str(name in sys.modules) for name in (late, other)]
        with contextlib.redirect_stdout(None):
            for name in (late, other):
                importlib.import_module(name)
        return [*were_there, str(os.getpid())]

    with running(fn) as build:
        told = [_told(build()) for _ in range(12)]
    assert len({pid for *_, pid in told}) == 12
    assert told[0][0] == "False"
    assert told[-1][0] == "True"
    assert {known for _, known, _ in told} == {"False"}


def _descriptors() -> list[int]:
    """Return what this process has open, without the folder that this is read from."""
    found = []
    for name in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):
            os.fstat(name)
            found.append(name)
    return found


def test_a_child_holds_nothing_of_a_step_that_ends(running: Running) -> None:
    """Else a step that is forked meanwhile keeps open what another one prints to."""

    def fn(output: str) -> list[str]:
        links = {os.readlink(f"/proc/self/fd/{name}") for name in _descriptors()}
        return sorted(link.partition(":")[0] for link in links if ":[" in link)

    with running(fn) as build:
        assert len({tuple(_told(build())) for _ in range(8)}) == 1
