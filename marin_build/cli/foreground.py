"""From a plan of one target to its body in the foreground, and to how it ended."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

from marin_build.cli.adopted import refused_readers
from marin_build.cli.building import forget_taints, make_session
from marin_build.cli.local_prefix import end_syncing, syncing_of
from marin_build.errors import EXIT_STOPPED, StoppedError
from marin_build.run_step.in_foreground import ForegroundBodies
from marin_build.run_step.isolation import Start
from marin_build.run_step.supervise import build_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.cli.loading import Loaded
    from marin_build.plan import Plan
    from marin_build.run_step.outcome import Outcome
    from marin_build.store.syncing import Syncing


def build_in_foreground(loaded: Loaded, plan: Plan, *, lease: bool) -> Outcome:
    """Build the only target of a plan in the main thread of this process, at the keyboard.

    Args:
        loaded: the pipeline and its store.
        plan: what to build.
        lease: whether the store must have conditional writes; without, nobody else may build.

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
        end_syncing(syncing)


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
