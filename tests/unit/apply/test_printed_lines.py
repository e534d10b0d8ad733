"""The lines of steps among the events of a run: in order, each once, of the right attempt."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from marin_build.apply import events as report
from marin_build.apply.printed_lines import PrintedLines
from marin_build.errors import StoreAwayError
from marin_build.plan.outcomes import Failed, Reused, Succeeded
from marin_build.protocol.layout import log_path
from marin_build.protocol.log_format import stamp
from marin_build.store.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.apply.events import Event
    from marin_build.store.base import Store
    from tests.unit.conftest import MemoryStore


class Watched:
    """A run whose steps print what the test says."""

    def __init__(self, prefix: str, store: Store) -> None:
        self.prefix, self.now = prefix, 0.0
        self.told: list[Event] = []
        outputs = {f"s{i}_1": f"{prefix}/s{i}_1" for i in range(9)}
        self.lines = PrintedLines("r-1", outputs, store, self.told.append)

    def start(self, number: int = 0) -> None:
        self.lines(report.StepStarted(f"s{number}", f"s{number}_1", 1))

    def end(self, outcome: Succeeded | Failed | Reused, number: int = 0) -> None:
        self.lines(report.StepEnded(f"s{number}", f"s{number}_1", outcome))

    def look(self) -> None:
        self.now = self.lines.look(self.now)

    def say(self, text: str, attempt: int = 1, number: int = 0) -> None:
        self.write(
            b"".join(stamp(1e9) + line.encode() + b"\n" for line in text.split()), attempt, number
        )

    def write(self, data: bytes, attempt: int = 1, number: int = 0) -> None:
        path = Path(log_path(f"{self.prefix}/s{number}_1", attempt))
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as stream:
            stream.write(data)

    @property
    def said(self) -> list[str]:
        """What was passed on, in order: the line, or the kind of the event."""
        return [
            it.line if isinstance(it, report.StepPrinted) else type(it).__name__ for it in self.told
        ]


def _local(folder: Path) -> Watched:
    return Watched(str(folder), LocalStore())


def test_lines_come_while_a_step_runs_and_the_rest_before_its_end(tmp_path: Path) -> None:
    """Else the end of a step is followed by lines of it, or its last words are lost."""
    run = _local(tmp_path)
    run.start()
    run.look()
    run.say("one two")
    run.look()
    run.look()
    run.say("three")
    run.write(b"no end")
    run.end(Succeeded(1, 1.0))
    run.look()
    assert run.said == ["StepStarted", "one", "two", "three", "no end", "StepEnded"]


def test_a_step_too_short_to_be_looked_at_is_shown_whole(tmp_path: Path) -> None:
    """Else only slow steps say anything."""
    run = _local(tmp_path)
    run.start()
    run.say("quick")
    run.end(Failed(1, 1, "no"))
    assert run.said == ["StepStarted", "quick", "StepEnded"]


def test_each_try_shows_its_own_attempt(tmp_path: Path) -> None:
    """Else a second try repeats the first one, or an old failure is shown as this run's."""
    run = _local(tmp_path)
    run.say("old")
    run.start()
    run.look()
    run.say("first", 2)
    run.look()
    run.end(Failed(2, 1, "no", retries_left=1))
    run.start()
    run.look()
    run.say("second", 3)
    run.end(Succeeded(3, 1.0))
    assert [it for it in run.said if it[0].islower()] == ["first", "second"]


def test_what_another_run_builds_is_not_shown(tmp_path: Path) -> None:
    """Else one step's lines are in two logs, and its lines here have no beginning."""
    run = _local(tmp_path)
    run.start()
    run.lines(report.StepWaiting("s0", "s0_1", "bob", 0.0, 60.0))
    run.say("theirs")
    run.look()
    run.end(Reused())
    assert run.said == ["StepStarted", "StepWaiting", "StepEnded"]


def test_a_job_that_was_found_is_followed_from_its_beginning(tmp_path: Path) -> None:
    """Else an `apply` that goes on with the jobs of a killed one shows nothing of them."""
    run = _local(tmp_path)
    run.say("before")
    run.start()
    run.look()
    run.lines(report.JobMoved("s0", "s0_1", "slurm:7", "running"))
    run.look()
    assert run.said[-1] == "before"


def test_a_log_that_is_in_its_bucket_is_read_there(
    new_store: Callable[[], MemoryStore], tmp_path: Path
) -> None:
    """Else nothing is shown of steps whose logs were sent away before they were read."""
    del tmp_path
    store = new_store()
    run = Watched("gs://b/out", store)
    store.put(log_path("gs://b/out/s0_1", 1), stamp(1e9) + b"sent\n" + stamp(1e9) + b"away")
    run.start()
    run.look()
    run.end(Succeeded(1, 1.0))
    run.lines(_finished())
    assert run.said == ["StepStarted", "StepEnded", "sent", "away", "ApplyFinished"]


def test_a_bucket_that_gives_no_answer_ends_no_run(
    new_store: Callable[[], MemoryStore],
) -> None:
    """Else a run fails for want of a line that was only to be shown."""
    store = new_store()

    def away(path: str) -> None:
        raise StoreAwayError(f"cannot read `{path}`", facts=[("reason", "no answer")])

    store.get = away  # type: ignore[method-assign]
    run = Watched("gs://b/out", store)
    run.start()
    run.end(Succeeded(1, 1.0))
    run.lines(_finished())
    warned = next(event for event in run.told if isinstance(event, report.Warned))
    assert warned.message.startswith("cannot show what `s0_1` printed: ")
    assert warned.hint == "marin-build logs s0_1"


def _finished() -> report.ApplyFinished:
    return report.ApplyFinished("r-1", 1, 0, 0, 0, 0, 0, 0, 1.0)
