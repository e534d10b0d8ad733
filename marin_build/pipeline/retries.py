"""How often a failed step is tried again, after what, and what its exit code means. Pure.

Failures of the infrastructure (exit code 75, a store that gives no answer) are not the step's own:
they are counted apart, and never use up its retries.
"""

from __future__ import annotations

import math
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from marin_build.errors import SpecificationError
from marin_build.pauses import doubled, spread

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from collections.abc import Set as AbstractSet


INFRASTRUCTURE = 75
"""EX_TEMPFAIL of sysexits.h: not the step's fault, try again."""
TIMED_OUT = 124
"""The exit code of a step that ran too long, as of coreutils' `timeout`."""
KILLED = 128 + signal.SIGKILL

Cause = Literal["app", "oom", "timeout", "infra"]
"""Why an attempt failed: by itself, out of memory, too slow, or for the infrastructure."""
CAUSES: tuple[Cause, ...] = get_args(Cause)

SAID_OF_INFRASTRUCTURE = f"exit code {INFRASTRUCTURE}: infrastructure failed, try again"
"""What a job prints last that ends so: some queues keep what it printed, and not its exit code."""

CODE_OF_CAUSE: dict[Cause, int] = {"infra": INFRASTRUCTURE, "timeout": TIMED_OUT, "oom": KILLED}
"""How a program says why it failed, where its exit code is all that it can say."""


@dataclass(frozen=True, slots=True)
class Retries:
    """When a failed step is tried again. No part of identity.

    Args:
        limit: further tries after failures of its own: `app`, `oom`, `timeout`.
        on: the causes after which it is tried again at all.
        infra: further tries after failures of the infrastructure; they do not use up `limit`.
        wait: seconds before the first of them; each later one waits for twice as long. A part of
            up to the half is left out at random, so that steps that failed together do not come
            back together.
        longest_wait: seconds that no wait exceeds.

    Raises:
        SpecificationError: an illegal value; all of them together.

    """

    limit: int = 3
    on: Sequence[Cause] | AbstractSet[Cause] = CAUSES
    infra: int = 3
    wait: float = 1.0
    longest_wait: float = 60.0

    def __post_init__(self) -> None:
        problems = list(self._problems())
        if problems:
            raise SpecificationError(
                f"illegal `Retries`: {', '.join(problems)}", consequence="nothing was run"
            )
        object.__setattr__(self, "on", tuple(cause for cause in CAUSES if cause in self.on))

    def _problems(self) -> Iterator[str]:
        for name in ("limit", "infra"):
            count = getattr(self, name)
            if type(count) is not int or count < 0:
                yield f"`{name}` is a whole number, at least 0, not `{count!r}`"
        for name in ("wait", "longest_wait"):
            seconds = getattr(self, name)
            if type(seconds) not in (int, float) or not 0 <= seconds < math.inf:
                yield f"`{name}` is a number of seconds, at least 0, not `{seconds!r}`"
        is_list = isinstance(self.on, tuple | list | set | frozenset)
        if not is_list or not all(cause in CAUSES for cause in self.on):
            yield f"`on` lists some of {', '.join(CAUSES)}, not `{self.on!r}`"

    def budget_for(self, cause: Cause) -> int:
        """Return how many further tries there are after failures of this cause."""
        if cause not in self.on:
            return 0
        return self.infra if cause == "infra" else self.limit


_DEFAULT = Retries(limit=0)


def policy_of(retries: int | Retries) -> Retries:
    """Return what a step declares as a policy; a number is its limit."""
    if isinstance(retries, Retries):
        return retries
    return Retries(limit=retries) if retries else _DEFAULT


def cause_of(exit_code: int, known: Cause | None = None) -> Cause:
    """Return why an attempt failed.

    Args:
        exit_code: the step's own, or 128 + signal.
        known: the cause, where more than the exit code is known.

    """
    if known is not None:
        return known
    return {INFRASTRUCTURE: "infra", TIMED_OUT: "timeout"}.get(exit_code, "app")  # type: ignore[return-value]


class Verdict(NamedTuple):
    """What follows from a failure: tries left, and seconds until the next one; None: no more."""

    left: int
    wait: float | None


class Tries:
    """The tries of one step in one run."""

    def __init__(self, retries: int | Retries) -> None:
        self._policy = policy_of(retries)
        self._own = self._infra = 0

    def failed(self, cause: Cause) -> Verdict:
        """Take note of a failure, and say what follows."""
        is_infra = cause == "infra"
        left = self._policy.budget_for(cause) - (self._infra if is_infra else self._own)
        if left <= 0:
            return Verdict(0, None)
        self._infra += is_infra
        self._own += not is_infra
        return Verdict(left, back_off(self._policy, self._own + self._infra))


def back_off(policy: Retries, number: int) -> float:
    """Return the seconds to wait before a further try, the `number`th one, from 1."""
    whole = doubled(number, policy.wait, policy.longest_wait)
    return spread(whole) if whole else 0.0


_MEANINGS = {
    INFRASTRUCTURE: "infrastructure failed, try again",
    TIMED_OUT: "it ran too long",
    126: "the command may not be executed",
    127: "the command was not found",
}
_OF_SIGNALS = {
    signal.SIGKILL: "out of memory, or killed by another process",
    signal.SIGTERM: "asked to end",
    signal.SIGINT: "interrupted from the keyboard",
    signal.SIGSEGV: "a crash in compiled code",
    signal.SIGBUS: "a crash in compiled code, or a disk or shared memory that is full",
    signal.SIGABRT: "a program gave up on itself",
    signal.SIGPIPE: (
        "a later part of a pipe ended before it had read all; let it read all (`sed -n 1p`, not "
        "`head -1`), or let the earlier part pass: `(big || [ $? -eq 141 ]) | head -1`"
    ),
}
_SIGNALS_FROM = 128
_SAID_OF_KILLS = (
    ": out of memory",
    " by another process",
    " by another process)",
    " by somebody",  # these two as version 0.1 wrote them
    " by somebody)",
)
"""How messages about a kill end that say why, in attempts of this version and of 0.1."""


def exited_with(code: int) -> str:
    """Return the message of a step that ended with an exit code and gave no other reason."""
    return f"exited with code {code}"


def exit_meaning(code: int) -> str:
    """Return what an exit code means, in words; empty for one that means nothing more.

    Args:
        code: as shells say it: 128 + signal for a process that a signal killed.

    """
    if code in _MEANINGS:
        return _MEANINGS[code]
    try:
        number = signal.Signals(code - _SIGNALS_FROM)
    except ValueError:
        return ""
    words = _OF_SIGNALS.get(number)
    return f"{number.name}: {words}" if words else number.name


def unsaid_meaning(code: int, message: str) -> str:
    """Return what an exit code means, unless the message beside it says so, or knows more."""
    if code == TIMED_OUT or (code == KILLED and message.endswith(_SAID_OF_KILLS)):
        return ""
    meaning = exit_meaning(code)
    return "" if meaning.rpartition(": ")[2] in message else meaning
