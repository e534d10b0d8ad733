"""Every error a user can meet: what, where, facts, consequence, hint; and the exit codes.

An error is data. The command line renders it; nothing below the command line prints.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


EXIT_OK = 0
EXIT_TARGET_FAILED = 1
EXIT_CHANGES_PENDING = 2
EXIT_BUG = 3
EXIT_USAGE = 4
EXIT_STOPPED = 5
EXIT_INTERRUPTED = 130

Fact = tuple[str, str]


class MarinBuildError(Exception):
    """An expected error.

    Args:
        what: lower case, no full stop, values in backticks; may name the place.
        facts: labelled facts, in the order to show them.
        consequence: what it means for the work, e.g. `nothing was run`.
        hint: what to do next, with a command where there is one.

    """

    exit_code: ClassVar[int] = EXIT_USAGE

    def __init__(
        self,
        what: str,
        *,
        facts: Sequence[Fact] = (),
        consequence: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.facts = tuple(facts)
        self.consequence = consequence
        self.hint = hint

    @property
    def with_reason(self) -> str:
        """What is wrong, and the reason among the facts, in one line for lines of a run."""
        reason = dict(self.facts).get("reason")
        return f"{self.what}: {reason}" if reason else self.what

    def render(self) -> str:
        """Return the error in the form the command line shows, without a trailing newline."""
        first_line, *more = self.what.splitlines() or [""]
        lines = [f"error: {first_line}", *("  " + line for line in more)]
        width = max((len(label) for label, _ in self.facts), default=0) + 1
        for label, value in self.facts:
            first, *rest = value.splitlines() or [""]
            lines.append(f"  {label + ':':<{width}} {first}")
            lines.extend(" " * (width + 3) + line for line in rest)
        if self.consequence:
            lines.append(f"  {self.consequence}")
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


class UsageError(MarinBuildError):
    """A command line, configuration or selection that cannot be followed."""


class NotFoundError(UsageError):
    """A command line that names a step or a pipeline that is not there."""


class SpecificationError(MarinBuildError, ValueError):
    """A pipeline that declares something impossible."""


class UnfingerprintableError(SpecificationError, TypeError):
    """An attribute value that has no canonical form."""


class SpecificationErrors(SpecificationError):  # noqa: N818 - several of them
    """Several specification errors, reported together."""

    def __init__(self, errors: Sequence[MarinBuildError]) -> None:
        super().__init__(f"{len(errors)} specification errors")
        self.errors = tuple(errors)

    def render(self) -> str:
        """Return all of them, a blank line between two."""
        return "\n\n".join(error.render() for error in self.errors)


_SHOWN_OF_CYCLE = 12
"""Members of a cycle that a message names; of a longer one the middle is left out."""


class CycleError(SpecificationError):
    """A dependency cycle; `path` names its members, the first one again at the end."""

    def __init__(self, path: Sequence[str], *, facts: Sequence[Fact] = ()) -> None:
        names = [f"`{name}`" for name in path]
        if (more := len(names) - _SHOWN_OF_CYCLE) > 0:
            half = _SHOWN_OF_CYCLE // 2
            names = [*names[:half], f"... {more} more ...", *names[-half:]]
        shown = " -> ".join(names)
        super().__init__(f"dependency cycle: {shown}", facts=facts, consequence="nothing was run")
        self.path = tuple(path)


class StoreError(MarinBuildError):
    """A store that cannot be reached, read or written."""


class StoreAwayError(StoreError):
    """A store that gave no answer, or refused for now: a later try may succeed."""


class StoreDeniedError(StoreAwayError):
    """A store that does not let us in, or not to that: with other credentials it may."""


class CorruptStateError(StoreError):
    """A status, lease or record that cannot be read: it never counts as a finished target."""


class NoArtifactError(StoreError, FileNotFoundError):
    """An output beside which no value is saved."""


class StepFailedError(MarinBuildError, RuntimeError):
    """A step that failed when it was run."""

    exit_code = EXIT_TARGET_FAILED


class PreviousTaskFailedError(StepFailedError):
    """A target that failed before, in a run that does not try failed targets again."""


class StoppedError(MarinBuildError):
    """A lease, a stale plan or an edited plan forbids going on."""

    exit_code = EXIT_STOPPED


class FingerprintMismatchError(StoppedError):
    """A step whose author pinned a fingerprint, and another one is declared or was built."""


class LeaseLostError(StoppedError):
    """A lease that another holder has taken over, or that is gone: its holder's work is void."""


class StepAlreadyDone(MarinBuildError):  # noqa: N818 - Marin's name for it; it is no failure
    """Another run had finished `output_path`, so the holder of its lock did nothing."""

    exit_code = EXIT_OK

    def __init__(self, output_path: str) -> None:
        super().__init__(f"`{output_path}` is built already")
        self.output_path = output_path


def combined(errors: Sequence[MarinBuildError]) -> MarinBuildError:
    """Return one error that reports all of `errors` (at least one)."""
    return errors[0] if len(errors) == 1 else SpecificationErrors(errors)


_collector: ContextVar[list[MarinBuildError] | None] = ContextVar("collector", default=None)


def refuse(error: MarinBuildError) -> None:
    """Raise `error`, or keep it for later inside `collected_errors`."""
    collector = _collector.get()
    if collector is None:
        raise error
    collector.append(error)


@contextmanager
def collected_errors() -> Iterator[list[MarinBuildError]]:
    """Collect the errors given to `refuse` while a pipeline file is read, to report them all."""
    errors: list[MarinBuildError] = []
    token = _collector.set(errors)
    try:
        yield errors
    finally:
        _collector.reset(token)


NOTHING_WRITTEN = "nothing was written"
