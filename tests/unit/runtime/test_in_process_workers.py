"""What a call in a thread of the program ends with, as the build loop hears it."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from marin_build.errors import (
    PreviousTaskFailedError,
    SpecificationError,
    StepFailedError,
    StoppedError,
    StoreAwayError,
)
from marin_build.plan.outcomes import Failed, Stopped, Succeeded
from marin_build.run_step.workers import Start
from marin_build.runtime.in_process_workers import InProcessWorkers

if TYPE_CHECKING:
    from marin_build.plan.outcomes import Outcome
    from marin_build.run_step.workers import Ended


def _ending(error: BaseException) -> Outcome:
    def call(_: int) -> None:
        raise error

    with closing(InProcessWorkers(1, call)) as workers:
        workers.start(Start(7, ""))
        (answer,) = workers.wait(None)
        assert workers.errors == {7: error}
    assert answer.index == 7
    return answer.outcome


@pytest.mark.parametrize(
    ("error", "cause", "code", "message"),
    [
        (ValueError("no"), "app", 1, "ValueError: no"),
        (MemoryError("full"), "oom", 1, "MemoryError: full"),
        (StoreAwayError("away"), "infra", 1, "StoreAwayError: away"),
        (StepFailedError("it broke"), "app", 1, "it broke"),
        (SystemExit(75), "infra", 75, "exit code 75"),
        (SystemExit(124), "timeout", 124, "exit code 124"),
        (SystemExit("no"), "app", 1, "exit code no"),
    ],
)
def test_what_another_try_may_mend_has_failed(
    error: BaseException, cause: str, code: int, message: str
) -> None:
    outcome = _ending(error)
    assert isinstance(outcome, Failed)
    assert (outcome.cause, outcome.exit_code, outcome.message) == (cause, code, message)


@pytest.mark.parametrize(
    "error",
    [
        StoppedError("lost"), PreviousTaskFailedError("again"), SpecificationError("never"),
        KeyboardInterrupt(),
    ],
)  # fmt: skip
def test_what_no_try_mends_is_stopped(error: BaseException) -> None:
    """Else a step that must not run is run four times."""
    assert isinstance(_ending(error), Stopped)


def test_errors_are_in_the_order_of_the_last_tries_and_go_with_a_success() -> None:
    """Else a program names a failure as the first one that was mended, or came later."""
    calls: list[int] = []

    def call(index: int) -> None:
        calls.append(index)
        if index != 1 or len(calls) == 1:
            raise ValueError(index)

    with closing(InProcessWorkers(1, call)) as workers:
        for index in (1, 2, 3, 2, 1):
            workers.start(Start(index, ""))
            (answer,) = workers.wait(None)
        assert isinstance(answer.outcome, Succeeded)
        assert [*workers.errors] == [3, 2]


def test_waiting_ends_when_it_is_woken_or_when_time_is_up() -> None:
    """Else a step that is added while none runs is not started."""
    with closing(InProcessWorkers(1, lambda _: None)) as workers:
        assert workers.wait(0.0) == []
        found: list[list[Ended]] = []
        waiting = threading.Thread(target=lambda: found.append(workers.wait(None)))
        waiting.start()
        workers.wake()
        waiting.join(240)
        assert found == [[]]
