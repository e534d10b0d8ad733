"""One target alone, in the foreground: its plan, its body and how it ended."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

from marin_build.errors import EXIT_STOPPED, StoppedError
from marin_build.operations.adopted_data import refused_readers
from marin_build.operations.plan import observe_tainted
from marin_build.operations.run_session import end_syncing, make_session, syncing_of
from marin_build.operations.taint import forget_taints
from marin_build.plan.decisions import Kind, Plan, make_plan
from marin_build.plan.reason_text import describe
from marin_build.plan.reasons import Unreadable
from marin_build.run_step.foreground_bodies import ForegroundBodies
from marin_build.run_step.supervisor import build_target
from marin_build.run_step.workers import Start
from marin_build.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marin_build.apply.events import Event
    from marin_build.operations.loading import Loaded
    from marin_build.plan.outcomes import Outcome
    from marin_build.store.durability import Syncing


def build_in_foreground(
    loaded: Loaded, plan: Plan, *, lease: bool, on_event: Callable[[Event], None]
) -> Outcome:
    """Build the only target of a plan in the main thread of this process, at the keyboard.

    Args:
        loaded: the pipeline and its store.
        plan: what to build.
        lease: whether the store must have conditional writes; without, nobody else may build.
        on_event: gets warnings.

    """
    (decision,) = plan.decisions
    session = make_session(loaded, plan, {}, lease=lease)
    bodies = ForegroundBodies(session, _end_at_once())
    syncing: Syncing | None = None
    try:
        syncing = syncing_of(loaded, session.run)
        session.refused.update(refused_readers(loaded, plan))
        start = Start(decision.index, os.urandom(8).hex(), force=decision.index in session.forced)
        outcome = build_target(
            session,
            start,
            bodies=bodies,
            slot=0,
            asked_to_end=bodies.why_ended,
            bookkeeping=nullcontext(),
        )
        forget_taints(loaded, plan)
        return outcome
    finally:
        bodies.close()
        end_syncing(syncing, on_event)


def _end_at_once() -> Callable[[], None]:
    """Return what ends this process and what the step started, from whatever thread."""
    error = StoppedError(
        "the lease was lost, or nobody keeps it any more",
        consequence="the step was ended, and nothing was committed",
        hint="see who has it now: marin-build status",
    )
    restore = _terminal_as_it_is()

    def end() -> None:
        restore()
        os.write(2, f"\n{error.render()}\n".encode())
        if os.getpgrp() == os.getpid():  # nobody else's: what the step started is among it
            with suppress(OSError):
                os.killpg(0, signal.SIGTERM)
        os._exit(EXIT_STOPPED)

    return end


def _terminal_as_it_is() -> Callable[[], None]:
    """Return what gives the terminal its form of now back: a debugger's prompt has changed it."""
    import termios

    try:
        form = termios.tcgetattr(sys.stdin)
    except (OSError, ValueError, termios.error):  # no terminal
        return lambda: None

    def restore() -> None:
        with suppress(OSError, ValueError, termios.error):
            termios.tcsetattr(sys.stdin, termios.TCSANOW, form)

    return restore


SHOWN_MISSING = 10
"""So many of the targets that are missing are named."""


def plan_of_one(
    loaded: Loaded,
    index: int,
    insisted: frozenset[int],
    hint: Callable[[Sequence[str]], str],
) -> Plan:
    """Return a plan that builds one target.

    Args:
        loaded: the pipeline.
        index: which target.
        insisted: itself, if it is built although it is built; or nothing.
        hint: what to do about what is missing, given the ids of that.

    Raises:
        StoppedError: something that it needs is not built.

    """
    targets = loaded.targets
    snapshot = observe_tainted(loaded, [index, *targets.deps[index]], insisted)
    whole = make_plan(targets, snapshot, [index], forced=insisted)
    by_index = {decision.index: decision for decision in whole.decisions}
    missing = [
        targets.all[dep].id
        for dep in sorted(targets.deps[index])
        if dep in by_index and by_index[dep].kind is not Kind.REUSE
    ]
    damaged = [
        f"{targets.all[dep].id}: {printable(describe(by_index[dep].reason))}"
        for dep in sorted(targets.deps[index])
        if dep in by_index and isinstance(by_index[dep].reason, Unreadable)
    ]
    decision = by_index[index]
    if missing and decision.kind is not Kind.REUSE:
        more = [f"and {len(missing) - SHOWN_MISSING} more"] if len(missing) > SHOWN_MISSING else []
        raise StoppedError(
            f"`{targets.all[index].name}` needs targets that are not built",
            facts=[
                ("missing", "\n".join([*missing[:SHOWN_MISSING], *more])),
                *((("blocked", "\n".join(damaged[:SHOWN_MISSING])),) if damaged else ()),
            ],
            consequence="nothing was run",
            hint=hint(missing),
        )
    return Plan(targets, (), (decision,), insisted, snapshot)  # nothing else is asked for
