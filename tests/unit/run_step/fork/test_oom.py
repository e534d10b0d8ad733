"""A step that was killed: by the kernel for its memory, or by another process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from marin_build.run_step.body import Done
from marin_build.run_step.fork.bodies import UNKNOWN, OomKills, explained

if TYPE_CHECKING:
    from pathlib import Path

KILLED = Done(137, f"killed by SIGKILL{UNKNOWN}")


def _vmstat(path: Path, kills: object) -> None:
    path.write_text(f"nr_free_pages 5\noom_killed_x 9\noom_kill {kills}\nnuma_hit 3\n")


@pytest.mark.parametrize(
    ("done", "more", "message", "cause"),
    [
        (KILLED, 1, "killed by SIGKILL: out of memory", "oom"),
        (KILLED, 0, "killed by SIGKILL by another process", None),
        (Done(137, "exited with code 137"), 2, "exited with code 137: out of memory", "oom"),
        (Done(137, "exited with code 137"), 0, "exited with code 137", None),
        (Done(143, "killed by SIGTERM"), 1, "killed by SIGTERM", None),
        (Done(1, "ValueError: x"), 1, "ValueError: x", None),
        (Done(0), 1, "", None),
    ],
)
def test_the_count_of_the_kernel_tells_one_from_the_other(
    tmp_path: Path, done: Done, more: int, message: str, cause: str | None
) -> None:
    """Else people buy memory because a colleague killed their step, or the other way round."""
    path = tmp_path / "vmstat"
    _vmstat(path, 7)
    kills = OomKills(str(path))
    before = kills.before()
    _vmstat(path, 7 + more)
    told = explained(done, kills, before)
    assert (told.exit_code, told.message, told.cause) == (done.exit_code, message, cause)


@pytest.mark.parametrize("text", [None, "", "nr_free_pages 5\n", "a 1\noom_kill many\n"])
def test_where_the_kernel_does_not_count_nothing_is_claimed(
    tmp_path: Path, text: str | None
) -> None:
    path = tmp_path / "vmstat"
    if text is not None:
        path.write_text(text)
    kills = OomKills(str(path))
    assert explained(KILLED, kills, kills.before()) == KILLED


def test_a_kill_before_a_step_began_is_not_its_own(tmp_path: Path) -> None:
    """Else one step that ran out of memory makes liars of all that are killed after it."""
    path, now = tmp_path / "vmstat", 0.0
    _vmstat(path, 7)
    kills = OomKills(str(path), lambda: now)
    first = kills.before()
    _vmstat(path, 8)
    assert explained(KILLED, kills, first).cause == "oom"
    assert explained(KILLED, kills, kills.before()).cause is None
    _vmstat(path, 9)
    now = 5.0
    assert explained(KILLED, kills, kills.before()).cause is None
