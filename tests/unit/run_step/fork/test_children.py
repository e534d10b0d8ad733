"""Children that are forked ahead: each is as good as one that is forked when it is needed."""

from __future__ import annotations

import os
import random
import secrets
import signal
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
