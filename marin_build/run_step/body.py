"""The body of a step, and the seam where it runs: in a thread, or in a forked child.

A body checks its inputs, calls its function or command, and takes what that returns.
"""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from marin_build.errors import MarinBuildError, StepFailedError, StoreAwayError
from marin_build.identity.callables import local_function
from marin_build.pipeline.bound_call import return_annotation
from marin_build.pipeline.retries import exited_with
from marin_build.pipeline.running_function import run_function
from marin_build.pipeline.source_digests import changed_files, content_of, read_content
from marin_build.protocol.artifact import artifact_value
from marin_build.protocol.returned_value import UnsavableError
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from marin_build.pipeline.retries import Cause
    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.pipeline.targets import Target
    from marin_build.run_step.resource_usage import Meter


EXITED = "it called `sys.exit` without an error; a step succeeds by returning"
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


@dataclass(frozen=True, slots=True)
class Done:
    """How a body ended, and what it left.

    Args:
        exit_code: 0, the step's own, or 128 + signal.
        message: why it failed, for people.
        artifact: what the function returned, as JSON values.
        peak_memory: bytes, of the process the body ran in, or of one that it started.
        cpu_seconds: of the process and those it started, or of the thread alone.
        cause: why it failed, where more is known than the code says.
        is_finished: whether it did its work, and only what it returned could not be saved.

    """

    exit_code: int
    message: str = ""
    artifact: Any = None
    peak_memory: int | None = None
    cpu_seconds: float | None = None
    cause: Cause | None = None
    is_finished: bool = False

    @property
    def has_failed(self) -> bool:
        """Whether it ended without success."""
        return self.exit_code != 0 or self.message != ""

    def with_left(self, left: str) -> Done:
        """Return how a body ended that left processes which its step does not declare.

        Args:
            left: which, for people; they were killed. Empty if there were none.

        """
        if not left:
            return self
        if self.has_failed:
            return replace(self, message=f"{self.message}; killed what it left: {left}")
        return replace(self, exit_code=1, message=f"it left what still ran: {left}")


def run_body(
    target: Target,
    meter: Meter | None,
    *,
    is_interruptible: bool = False,
    end: Callable[[], None] = lambda: None,
) -> Done:
    """Run a step; whatever it raises becomes a message and a code.

    Args:
        target: the step, and where its output goes.
        meter: begun just now; None: another process knows what this one uses.
        is_interruptible: whether a KeyboardInterrupt is the caller's, not the step's.
        end: does what belongs to the step after it has returned, or failed.

    """
    done = _run(target, is_interruptible=is_interruptible)
    try:
        end()
    except BaseException as error:  # the step's threads and exit hooks are the step's, too
        if is_interruptible and isinstance(error, KeyboardInterrupt):
            raise
        _print(user_traceback(error))
        if not done.has_failed:
            said = f"after it had returned: {described(error)}"
            done = replace(done, exit_code=1, message=said, artifact=None)
    if meter is None:
        return done
    cpu_seconds, peak_memory = meter.read()
    return replace(done, peak_memory=peak_memory, cpu_seconds=cpu_seconds)


def _run(target: Target, *, is_interruptible: bool) -> Done:
    step = target.step
    try:
        if changed := _changed_input(step):
            return _failure(f"input changed before the step started: {changed}")
        if step.env_vars:
            os.environ.update(step.env_vars)
        returned = _call(step, target.output_path)
        if changed := _changed_input(step):
            return _failure(f"input changed while the step ran: {changed}")
    except SystemExit as error:
        code = _exit_code(error)
        return Done(code, exited_with(code) if code else EXITED)
    except BaseException as error:  # whatever the step raises is its failure
        if is_interruptible and isinstance(error, KeyboardInterrupt):
            raise
        _print(user_traceback(error))
        return Done(1, described(error), cause=_cause_of(error))
    return _saved(step, returned)


def _cause_of(error: BaseException) -> Cause | None:
    """Return why a step raised, where that is not its own doing: it loads what others returned."""
    if isinstance(error, MemoryError):
        return "oom"
    return "infra" if isinstance(error, StoreAwayError) else None


def _saved(step: StepSpec, returned: object) -> Done:
    """Return what a step returned as JSON values, or that it cannot be saved."""
    if step.writes_record:
        return Done(0)
    try:
        return Done(0, artifact=artifact_value(returned, lambda: return_annotation(step.fn)))
    except UnsavableError as error:
        message = str(error)
    except Exception as error:  # noqa: BLE001 - its properties and serializers are the step's
        message = f"what the step returned cannot be saved: {described(error)}"
    _print(f"{message}\nit returned: {_shortened(returned)}\n")
    return Done(1, message, is_finished=True)


def _shortened(value: object) -> str:
    """Return a value for the log: what it says need not be computed again."""
    import reprlib

    short = reprlib.Repr()
    short.maxlevel, short.maxdict, short.maxlist, short.maxtuple = 6, 50, 50, 50
    short.maxstring = short.maxother = short.maxlong = 2000
    try:
        return short.repr(value)
    except Exception:  # noqa: BLE001 - `__repr__` is the step's, too
        return f"a {type(value).__qualname__}"


def _failure(message: str) -> Done:
    _print(f"{message}\n")
    return Done(1, message)


def described(error: BaseException) -> str:
    """Return an error in words, also one that cannot say what it is."""
    name = type(error).__name__
    try:
        return f"{name}: {error.with_reason if isinstance(error, MarinBuildError) else error}"
    except Exception:  # noqa: BLE001 - `__str__` is the step's, too
        return f"{name}, whose text cannot be had"


def _print(text: str) -> None:
    """Print to standard error, unless the step has closed or replaced it."""
    with suppress(Exception):
        sys.stdout.flush()
    with suppress(Exception):
        sys.stderr.write(text)


def _call(step: StepSpec, output: str) -> object:
    if step.fn is None:
        raise StepFailedError(f"nothing builds `{step.name}`, and its output is not there")
    return run_function(local_function(step.fn), output)


def _changed_input(step: StepSpec) -> str | None:
    """Return the name of a local source that no longer is what was planned, and what changed."""
    for source in step.inputs.values():
        if is_url(source.location):
            continue
        before, now = content_of(source), read_content(source)
        if now.digest != before.digest:
            changed = [path for path in changed_files(before, now) if path]
            more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            return f"`{source.name}`" + (f" (`{changed[0]}`{more})" if changed else "")
    return None


def _exit_code(error: SystemExit) -> int:
    """Return the exit code of a SystemExit, as Python itself would."""
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    _print(f"{error.code}\n")
    return 1


def user_traceback(error: BaseException) -> str:
    """Return the traceback of an error without our own frames above the user's."""
    frame: TracebackType | None = error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.tb_next
    text = "".join(traceback.format_exception(type(error), error, frame))
    hint = error.hint if isinstance(error, MarinBuildError) else None
    return f"{text}hint: {hint}\n" if hint else text


EXPIRED = Done(1, "its lease expired before the step started", cause="infra")
"""How a body ends that came too late: another run may be building."""


@dataclass(frozen=True, slots=True)
class Request:
    """A body to run.

    Args:
        index: which target.
        nonce: recognises the lease it runs under.
        held_since: when that was last written, on the clock that counts sleep; infinite: another
            process keeps it.
        log: local path of the file that takes what the body prints.
        gpus: the devices it gets, as CUDA_VISIBLE_DEVICES names them; empty: left as it is.
        is_locked: whether the kernel's lock keeps others out while this process lives, or what it
            forks: there may be no lease yet.

    """

    index: int
    nonce: str
    held_since: float
    log: str
    gpus: tuple[str, ...] = ()
    is_locked: bool = False


class Bodies(Protocol):
    """Runs bodies. `run` is called by several supervisors at once, the rest by one thread."""

    is_spent: bool
    """Whether no body can be run any more."""
    makes_logs: bool
    """Whether it makes the log of a body, and its folder, when the body prints something."""
    are_in_threads: bool
    """Whether bodies share the interpreter of those that ask for them."""

    def run(self, slot: int, request: Request, tell: Callable[[str], None]) -> Done:
        """Run a body to its end; a body whose process died has `exit_code` 128 + signal.

        Args:
            slot: which of those that ask.
            request: which body.
            tell: called with what a body that has returned still waits for.

        Raises:
            StoppedError: what it started cannot be ended, so that its target stays held.

        """

    def release(self, index: int) -> None:
        """Say that the lease of a target whose body took long need not be kept any more."""

    def signal(self, index: int, number: int) -> None:
        """Send a signal to a running body and all it started, where that can be done."""

    def tend(self) -> float | None:
        """Do what is due for running bodies; return the seconds until more is."""

    def close(self) -> None:
        """End what still runs."""
