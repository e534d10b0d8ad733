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

from marin_build.errors import StepFailedError
from marin_build.identity.callables import local_function
from marin_build.pipeline.source_digests import digest_of, read_digest
from marin_build.protocol.artifact import artifact_value
from marin_build.workspace import is_url

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

    """

    exit_code: int
    message: str = ""
    artifact: Any = None
    peak_memory: int | None = None
    cpu_seconds: float | None = None
    cause: Cause | None = None

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
    meter: Meter,
    *,
    is_interruptible: bool = False,
    end: Callable[[], None] = lambda: None,
) -> Done:
    """Run a step; whatever it raises becomes a message and a code.

    Args:
        target: the step, and where its output goes.
        meter: begun just now.
        is_interruptible: whether a KeyboardInterrupt is the caller's, not the step's.
        end: does what belongs to the step after it has returned, or failed.

    """
    code, message, artifact, cause = _run(target, is_interruptible=is_interruptible)
    try:
        end()
    except BaseException as error:  # the step's threads and exit hooks are the step's, too
        if is_interruptible and isinstance(error, KeyboardInterrupt):
            raise
        _print(user_traceback(error))
        if code == 0 and not message:
            code, message, artifact = 1, f"after it had returned: {described(error)}", None
    used = meter.read()
    return Done(code, message, artifact, used.peak_memory, used.cpu_seconds, cause)


_End = tuple[int, str, Any, "Cause | None"]
"""Exit code, message, artifact and cause, as in Done."""


def _run(target: Target, *, is_interruptible: bool) -> _End:
    step = target.step
    try:
        if changed := _changed_input(step):
            return _failure(f"input changed before the step started: `{changed}`")
        if step.env_vars:
            os.environ.update(step.env_vars)
        artifact = artifact_value(_call(step, target.output_path))
        if changed := _changed_input(step):
            return _failure(f"input changed while the step ran: `{changed}`")
    except SystemExit as error:
        code = _exit_code(error)
        return code, f"exited with code {code}" if code else EXITED, None, None
    except BaseException as error:  # whatever the step raises is its failure
        if is_interruptible and isinstance(error, KeyboardInterrupt):
            raise
        _print(user_traceback(error))
        return 1, described(error), None, "oom" if isinstance(error, MemoryError) else None
    return 0, "", artifact, None


def _failure(message: str) -> _End:
    _print(f"{message}\n")
    return 1, message, None, None


def described(error: BaseException) -> str:
    """Return an error in words, also one that cannot say what it is."""
    name = type(error).__name__
    try:
        return f"{name}: {error}"
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
    return local_function(step.fn)(output)


def _changed_input(step: StepSpec) -> str | None:
    """Return the name of a local source that no longer has the digest of the plan."""
    for source in step.inputs.values():
        if not is_url(source.location) and read_digest(source) != digest_of(source):
            return source.name
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
    return "".join(traceback.format_exception(type(error), error, frame))


@dataclass(frozen=True, slots=True)
class Request:
    """A body to run.

    Args:
        index: which target.
        nonce: recognises the lease it runs under.
        held_since: when that was last written, on the clock that counts sleep.
        log: local path of the file that takes what the body prints.
        gpus: the devices it gets, as CUDA_VISIBLE_DEVICES names them; none: nothing is said.

    """

    index: int
    nonce: str
    held_since: float
    log: str
    gpus: tuple[str, ...] = ()


class Bodies(Protocol):
    """Runs bodies. `run` is called by several supervisors at once, the rest by one thread."""

    is_spent: bool
    """Whether no body can be run any more."""

    def run(self, slot: int, request: Request, tell: Callable[[str], None]) -> Done:
        """Run a body to its end; a body whose process died has `exit_code` 128 + signal.

        Args:
            slot: which of those that ask.
            request: which body.
            tell: is told what a body that has returned still waits for.

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
