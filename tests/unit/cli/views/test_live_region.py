"""What is drawn below the lines of a run."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from marin_build.apply import events as report
from marin_build.cli.views.live_progress import Foreseen, LiveProgress
from marin_build.cli.views.live_region import Region
from marin_build.plan.outcomes import Blocked, Failed, Interrupted, Reused, Stopped, Succeeded

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.apply.events import Event
    from marin_build.plan.outcomes import End

STARTED = report.ApplyStarted("r-1", 20, 5, 9)


def _started(target: str) -> report.StepStarted:
    return report.StepStarted(target, target, 1)


def _ended(target: str, outcome: End) -> report.StepEnded:
    return report.StepEnded(target, target, outcome)


def _failed(target: str, left: int) -> report.StepEnded:
    return _ended(target, Failed(1, 1, "no", "", 1.0, retries_left=left))


def _drawn(
    progress: LiveProgress,
    now: float,
    said: Mapping[str, str] | None = None,
    width: int = 100,
    height: int = 24,
) -> list[str]:
    region = Region()
    region.update(progress, said or {}, now)
    out = StringIO()
    console = Console(file=out, width=width, height=height, no_color=True)
    console.print(region, crop=False, end="")
    return out.getvalue().splitlines()


def _after(*events: Event, foreseen: Foreseen | None = None) -> LiveProgress:
    progress = LiveProgress(foreseen or Foreseen())
    for at, event in enumerate((STARTED, *events)):
        progress.note(event, float(at))
    return progress


def test_every_end_of_a_step_is_counted() -> None:
    """Else the numbers beside the bar do not say what became of the targets."""
    progress = _after(
        _started("a"), _ended("a", Succeeded(1, 1.0)),
        _started("b"), _ended("b", Reused()),
        _started("c"), _failed("c", 1), _started("c"), _failed("c", 0),
        _ended("d", Blocked("c")),
        _started("e"), report.StepWaiting("e", "e", "ada", 1.0, 60.0),
        _started("f"), _ended("f", Stopped("changed")),
        _started("g"), _ended("g", Interrupted(1)),
        _started("h"),
    )  # fmt: skip
    (head, row) = _drawn(progress, 70.0)
    assert head.split("  ", 1)[1] == "2/20  1 min 10 s  1 failed  1 stopped  1 blocked  1 waiting"
    assert row.split() == ["h", "54", "s"]


def test_a_wait_ends_when_the_step_is_started_again() -> None:
    waiting = report.StepWaiting("e", "e", "ada", 1.0, 60.0)
    progress = _after(_started("e"), waiting, waiting)
    assert "1 waiting" in _drawn(progress, 9.0)[0]
    progress.note(_started("e"), 10.0)
    assert "waiting" not in _drawn(progress, 11.0)[0]


def _moved(target: str, phase: str, place: str = "") -> report.JobMoved:
    return report.JobMoved(target, target, "slurm:7", phase, "", place)


def test_a_job_that_waits_is_not_said_to_run() -> None:
    """Else hours in a queue look like hours of work, and the estimate counts them as such."""
    waits = _after(_started("a"), _moved("a", "queued"), _moved("a", "queued"))
    assert _drawn(waits, 12.0)[-1].split() == ["a", "10", "s", "queued", "as", "slurm:7"]
    runs = _after(_started("a"), _moved("a", "queued"), _moved("a", "running", "n1"))
    assert _drawn(runs, 12.0)[-1].split() == ["a", "9", "s", "slurm:7", "on", "n1"]


def test_why_a_job_waits_is_shown_for_as_long_as_it_waits() -> None:
    """Else a request that can never be met looks like one that waits its turn."""
    why = report.JobMoved("a", "a", "slurm:7", "queued", "PENDING (Priority)")
    row = _drawn(_after(_started("a"), why), 12.0)[-1]
    assert row.endswith("queued: PENDING (Priority), as slurm:7")


def test_the_longest_running_steps_are_shown_as_many_as_fit() -> None:
    """Else a hundred slots push everything else off the screen."""
    progress = _after(*[_started(f"step-{i}") for i in range(9)])
    rows = _drawn(progress, 20.0)
    assert [row.split()[0] for row in rows[1:-1]] == [f"step-{i}" for i in range(6)]
    assert rows[-1] == "  and 3 more"
    assert len(_drawn(progress, 20.0, height=7)) == 5
    assert len(_drawn(progress, 20.0, height=2)) == 3


def test_what_is_expected_stands_beside_what_has_passed() -> None:
    foreseen = Foreseen(("a", "b"), ((), (0,)), (200.0, 4000.0), 1)
    progress = _after(_started("a"), foreseen=foreseen)
    head, row = _drawn(progress, 81.0)
    assert head.endswith("  0/20  1 min 21 s  ETA 1.1 h")
    assert row == "  a  1 min 20 s / ~3.3 min"


def test_nothing_is_promised_that_will_not_be_started() -> None:
    """Else after a failure people wait for hours that will not come."""
    foreseen = Foreseen(("a", "b", "c"), ((), (), (1,)), (200.0, 20.0, 9000.0), 1)
    progress = _after(_started("a"), _started("b"), _failed("b", 0), foreseen=foreseen)
    assert "ETA 3.3 min" in _drawn(progress, 3.0)[0]
    assert "ETA" not in _drawn(progress, 999.0)[0]


@given(
    names=st.lists(st.text("abc-_ü字", min_size=1, max_size=60), max_size=8, unique=True),
    said=st.text("xy 字é", max_size=200),
    width=st.integers(20, 120),
    height=st.integers(2, 40),
)
def test_it_fits_whatever_terminal_there_is(
    names: list[str], said: str, width: int, height: int
) -> None:
    """Else rows break, and what is drawn over them is a mess."""
    progress = _after(*[_started(name) for name in names])
    rows = _drawn(progress, 5.0, dict.fromkeys(names, said), width, height)
    assert len(rows) <= max(3, height)
    assert all(cell_len(row) < width for row in rows[1:])
