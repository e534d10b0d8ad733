"""What a step left is waited for, and named; a wait ends also if nothing can be killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.protocol.living_work import Process
from marin_build.run_step import leftover_processes
from marin_build.run_step.leftover_processes import Leftovers, end_leftovers

if TYPE_CHECKING:
    import pytest

UNSEEN = Process(0, "")


def test_a_process_that_is_not_visible_is_not_waited_for_without_end() -> None:
    """Else a step whose `sudo` goes on holds its slot for ever, and a core with it."""
    told = end_leftovers(lambda: (UNSEEN,), ["*"], linger=0.01)
    name = "1 process: a process that is not visible"
    assert told.said == f"cannot kill what still runs after the step had ended: {name}"
    assert told.refused == name, "what lives may still write, declared or not"


def test_a_process_that_is_not_visible_may_end_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftover_processes, "_LOOK", 0.001)
    rounds: list[tuple[Process, ...]] = [(), (UNSEEN,), (UNSEEN,)]
    assert end_leftovers(rounds.pop, ["*"], linger=60) == Leftovers()
    assert rounds == []
