"""The call that would run steps, caught while a pipeline file loads: it only says which they are.

A file may end in `StepRunner().run([...])`, as a program does. While it is loaded, nothing may run:
`run` offers its steps here first, and the file's own code ends there.
"""

from __future__ import annotations

import sys
from _thread import get_ident
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from marin_build import _package
from marin_build.errors import MarinBuildError, SpecificationError
from marin_build.pipeline.declared_at import shown
from marin_build.pipeline.runtime_calls import MARIN
from marin_build.pipeline.started_threads import running_threads
from marin_build.quick_dataclass import dataclass
from marin_build.workspace.workspace import installed_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import FrameType


_RUN_STEPS = ("marin_build", MARIN[0])
"""The packages whose functions run steps; others, as of a command line, may lie between."""


class ProgramEnded(BaseException):
    """Leaves a program at its call that would run steps; no `except Exception` stops it."""


@dataclass(frozen=True, slots=True)
class CaughtRun:
    """The steps of a caught call.

    Args:
        steps: as the call got them, in its order.
        called: the function that the author called: `StepRunner.run`.
        place: the file and the line of the call.

    """

    steps: tuple[Any, ...]
    called: str
    place: tuple[str, int]


@dataclass(slots=True)
class RunCatcher:
    """Takes the steps of the first call that would run some.

    Args:
        file: the pipeline's.
        strangers: the threads that ran before: what they run is none of the pipeline's.
        run: the call that was caught.
        error: why its steps could not be taken.
        has_gone_on: whether the program went on after its call, because it stops every exception.
        is_used: whether the steps of the call are those of the pipeline.
        has_run: whether the file was run as a program.

    """

    file: str
    strangers: frozenset[int | None]
    run: CaughtRun | None = None
    error: MarinBuildError | None = None
    has_gone_on: bool = False
    is_used: bool = False
    has_run: bool = False

    @property
    def has_caught(self) -> bool:
        """Whether there was such a call."""
        return self.run is not None or self.error is not None

    def taken(self) -> tuple[Any, ...]:
        """Return the steps of the caught call.

        Raises:
            MarinBuildError: they could not be taken.

        """
        if self.error is not None:
            raise self.error
        assert self.run is not None
        self.is_used = True
        return self.run.steps

    def take(self, steps: Iterable[Any], called: str) -> None:
        """Take the steps of a call, unless there was one before; then end the program.

        Args:
            steps: of the call.
            called: what it is of, unless the author has called something around it.

        Raises:
            ProgramEnded: always.

        """
        if not self.has_caught:
            called, place = _caller(sys._getframe(1), called, self.file)  # noqa: SLF001 - CPython's own way
            try:
                self.run = CaughtRun(tuple(steps), called, place)
            except MarinBuildError as error:
                self.error = error
            except Exception as error:  # noqa: BLE001 - it is the author's, and `taken` raises it
                self.error = _needs_outputs(error, called, place)
                self.error.__cause__ = error
        raise ProgramEnded


_catcher: RunCatcher | None = None  # no context variable: the program's own threads are caught, too


@contextmanager
def catching_runs(file: str) -> Iterator[RunCatcher]:
    """Catch calls that would run steps, while the block loads a pipeline's file.

    Raises:
        SpecificationError: that file is loaded now: it loads itself.

    """
    global _catcher  # noqa: PLW0603 - one for the process, as its modules are
    if _catcher is not None and _catcher.file == file and is_catching():
        raise SpecificationError(
            f"the pipeline `{file}` loads itself while it is loaded",
            consequence="nothing was run",
            hint="declare its steps in `pipeline()` or `targets`: then what it does as a program, "
            "under its main guard, is left out",
        )
    others = frozenset(running_threads()) - {get_ident()}
    before, _catcher = _catcher, RunCatcher(file, others)
    try:
        yield _catcher
    finally:
        _catcher = before


def is_catching() -> bool:
    """Return whether a call that would run steps is caught now, in this thread."""
    return _catcher is not None and get_ident() not in _catcher.strangers


def has_caught() -> bool:
    """Return whether the program that is being loaded has come to a call that would run steps."""
    return _catcher is not None and _catcher.has_caught


def program_file() -> str | None:
    """Return the file that is loaded as if Python ran it as a program; None: no run is caught."""
    return _catcher.file if _catcher is not None and is_catching() else None


def offer_steps(steps: Iterable[Any], called: str = "StepRunner.run") -> None:
    """Hand the steps of a call that would run them to the pipeline that is being loaded, if any.

    Args:
        steps: of a generator all are taken. One that needs what an earlier step has built fails.
        called: the function that would run them.

    Raises:
        ProgramEnded: they were taken, and the program that called is left.

    """
    if _catcher is not None and is_catching():
        _catcher.take(steps, called)


def _caller(frame: FrameType | None, called: str, file: str) -> tuple[str, tuple[str, int]]:
    """Return the function that the author called, and where: in the pipeline's file, if there."""
    found: tuple[str, tuple[str, int]] | None = None
    while frame is not None:
        code = frame.f_code
        here = (called, (code.co_filename, frame.f_lineno))
        if code.co_filename == file:
            return here
        is_theirs = not _package.is_ours(code.co_filename)
        if found is None and is_theirs and installed_in(code.co_filename) is None:
            found = here
        package = str(frame.f_globals.get("__name__")).partition(".")[0]
        is_public = code.co_name.isidentifier() and not code.co_name.startswith("_")
        is_wrapper = "<" in code.co_qualname
        if package in _RUN_STEPS and is_public and not is_wrapper and code.co_filename != __file__:
            called = code.co_qualname
        frame = frame.f_back
    return found or (called, (file, 0))


def _needs_outputs(error: Exception, called: str, place: tuple[str, int]) -> SpecificationError:
    return SpecificationError(
        f"the steps that `{called}` gets cannot be taken before any of them has run: "
        f"{type(error).__name__}: {error}",
        facts=[("at", f"{place[0]}:{place[1]}")],
        consequence="nothing was run",
        hint="give it a list; a generator that reads what an earlier step built can only be run "
        "as a program, with python",
    )


def notes_about(catcher: RunCatcher, project: str) -> Iterator[str]:
    """Yield what people should know of a pipeline whose steps are those of a caught call."""
    run = catcher.run
    if run is None or not catcher.is_used:
        return
    place = shown(run.place, project)
    yield f"the steps are those of the call `{run.called}` at {place}; marin-build takes its place"
    if catcher.has_gone_on:
        yield (
            f"the program at {place} stops every exception (`except BaseException`), so it went "
            "on after its call; it does so each time it is loaded"
        )
