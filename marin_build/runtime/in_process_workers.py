"""Workers that call functions in threads of this program. A call cannot be killed."""

from __future__ import annotations

import queue
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from marin_build.errors import (
    MarinBuildError,
    PreviousTaskFailedError,
    SpecificationError,
    StepFailedError,
    StoppedError,
    StoreAwayError,
)
from marin_build.pipeline.retries import cause_of
from marin_build.plan.outcomes import Failed, Stopped, Succeeded
from marin_build.protocol.returned_value import UnsavableError
from marin_build.run_step.workers import Ended
from marin_build.text.readable import LONGEST_MESSAGE, shortened

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.pipeline.retries import Cause
    from marin_build.plan.outcomes import Outcome
    from marin_build.run_step.workers import Lingers, Start


class InProcessWorkers:
    """Builds each target by a call of a function, in threads.

    Args:
        jobs: how many calls at once.
        call: builds the target of an index; opens no attempt, writes its own statuses.

    Attributes:
        errors: target -> what its latest call raised, the earliest first.

    """

    is_spent = False

    def __init__(self, jobs: int, call: Callable[[int], object]) -> None:
        self.errors: dict[int, BaseException] = {}
        self._build = call
        self._pool = ThreadPoolExecutor(jobs, thread_name_prefix="step")
        self._ended: queue.SimpleQueue[Ended | None] = queue.SimpleQueue()  # None: `wake`

    def answer_to(self, hear: Callable[[Ended | Lingers], None]) -> None:
        """Do nothing: `wait` returns the answers."""

    def start(self, request: Start) -> None:
        """Begin to build a target."""
        self._pool.submit(self._call, request.index)

    def wait(self, timeout: float | None) -> list[Ended]:
        """Return what has ended."""
        answers: list[Ended | None] = []
        with suppress(queue.Empty):
            answers.append(self._ended.get(timeout=timeout))
            while not self._ended.empty():
                answers.append(self._ended.get_nowait())
        return [answer for answer in answers if answer is not None]

    def wake(self) -> None:
        """Make `wait` return."""
        self._ended.put(None)

    def terminate(self, index: int, *, kill: bool, why: str) -> None:
        """Let the call go on until it returns: a thread cannot be ended."""

    def close(self) -> None:
        """Wait until the last call has returned."""
        self._pool.shutdown()

    def _call(self, index: int) -> None:
        began = time.monotonic()
        self.errors.pop(index, None)  # so that the order is that of the last tries
        try:
            self._build(index)
        except BaseException as error:  # noqa: BLE001 - the build loop gets it
            self.errors[index] = error
            outcome = _outcome_of(error, time.monotonic() - began)
        else:
            outcome = Succeeded(0, time.monotonic() - began)
        self._ended.put(Ended(index, outcome))


def shown(error: BaseException) -> str:
    """Return an error in words."""
    if isinstance(error, SystemExit):
        return f"exit code {error.code}"
    if isinstance(error, StepFailedError):
        return str(error)
    told = error.with_reason if isinstance(error, MarinBuildError) else error
    return f"{type(error).__name__}: {told}"


def _outcome_of(error: BaseException, seconds: float) -> Outcome:
    """Return the outcome of a call that raised: Stopped if no further try can help, else Failed."""
    final = (StoppedError, PreviousTaskFailedError, SpecificationError)
    if isinstance(error, final) or not isinstance(error, Exception | SystemExit):
        hint = error.hint if isinstance(error, MarinBuildError) else None
        return Stopped(shown(error), hint or "")
    code = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1
    return Failed(
        0,
        code,
        shortened(shown(error), LONGEST_MESSAGE),
        seconds=seconds,
        cause=_cause_of(error, code),
        is_finished=isinstance(error, UnsavableError),
    )


def _cause_of(error: BaseException, code: int) -> Cause:
    if isinstance(error, MemoryError):
        return "oom"
    return "infra" if isinstance(error, StoreAwayError) else cause_of(code)
