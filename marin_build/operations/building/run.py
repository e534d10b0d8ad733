"""One target alone, in the foreground: its plan, its body and how it ended."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

from marin_build.apply.totals import drifted_before
from marin_build.errors import (
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_STOPPED,
    StepFailedError,
    StoppedError,
    UsageError,
)
from marin_build.operations.building.forget_taints import forget_taints
from marin_build.operations.building.run_session import end_syncing, make_session, syncing_of
from marin_build.operations.loading.adopted_data import refused_readers, with_adopted
from marin_build.operations.loading.options import command_line
from marin_build.operations.planning.choose_targets import choose
from marin_build.operations.planning.take_snapshot import observe_tainted
from marin_build.pipeline.retries import unsaid_meaning
from marin_build.plan.block_reasons import OutputAltered, Unreadable
from marin_build.plan.decide import make_plan
from marin_build.plan.decisions import Kind, Plan
from marin_build.plan.outcomes import Failed, Held, Interrupted, Reused, Stopped, Succeeded
from marin_build.plan.reason_text import describe
from marin_build.plan.reasons import OutputVanished
from marin_build.plan.selection import only_one
from marin_build.run_step.foreground_bodies import ForegroundBodies
from marin_build.run_step.supervisor import build_target
from marin_build.run_step.workers import Start
from marin_build.text.readable import first_line, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marin_build.apply.events import Event
    from marin_build.operations.loading.loading import Loaded
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.pipeline.targets import Target
    from marin_build.plan.outcomes import Outcome
    from marin_build.store.durability import Syncing


_SHOWN = 10
"""How many missing targets an error names."""
_NOTHING_RUN = "nothing was run"


@dataclass(frozen=True, slots=True)
class RanTarget:
    """A target that was to be built alone.

    Args:
        target: its id.
        outcome: how it ended, if not with an error; None if it was built already: nothing was run.
        again: the command that does it again.

    """

    target: str
    outcome: Succeeded | Reused | Interrupted | None
    again: str

    @property
    def exit_code(self) -> int:
        """Return the exit code of a command that did it."""
        return EXIT_INTERRUPTED if isinstance(self.outcome, Interrupted) else EXIT_OK


def run_target(
    loaded: Loaded,
    selector: str,
    options: PipelineOptions,
    *,
    force: bool = False,
    lease: bool = True,
    on_event: Callable[[Event], None],
) -> RanTarget:
    """Build one target in the main thread of this process: its step has keyboard and screen.

    It is tried once, without a time-out; what it needs must be built.

    Args:
        loaded: the pipeline and its store.
        selector: which target.
        options: name the pipeline in the commands that errors hint at.
        force: build it although it is built.
        lease: whether the store must have conditional writes; without, no other run may build.
        on_event: gets warnings, and that a reused target has another identity.

    Raises:
        UsageError: the selector selects several targets, or none; or the target is blocked.
        StepFailedError: the step failed.
        StoppedError: something that it needs is not built, another process builds it, or it must
            not be built.
        StoreError: the store cannot be read or written.

    """
    chosen = choose(loaded, [selector])
    index = only_one(selector, chosen, "is run at a time", _NOTHING_RUN)

    def build_first(missing: Sequence[str]) -> str:
        words = missing if len(missing) <= _SHOWN else ()
        return f"build them first: {command_line('apply', options, words)}"

    plan = plan_of_one(loaded, index, frozenset(chosen if force else ()), build_first)
    again = command_line("run", options, [selector])
    target = plan.targets.all[index]
    for blocked in plan.of_kind(Kind.BLOCKED):
        why = printable(describe(blocked.reason))
        raise UsageError(f"`{target.name}` is blocked: {why}", consequence=_NOTHING_RUN)
    if plan.of_kind(Kind.REUSE) and not plan.sealed:
        return RanTarget(target.id, None, again)
    loaded, plan = with_adopted(loaded, plan, readers=[index])
    for warning in loaded.warnings():
        on_event(warning)
    for drifted in drifted_before(plan):
        on_event(drifted)
    outcome = _build_in_foreground(loaded, plan, lease=lease, on_event=on_event)
    target = plan.targets.all[index]
    match outcome:
        case Succeeded() | Reused() | Interrupted():
            return RanTarget(target.id, outcome, again)
        case Failed():
            raise _failure(target, outcome, again)
        case Held(lease=held):
            raise StoppedError(
                f"`{target.id}` is held: another run builds it",
                facts=[("holder", printable(held.describe()))],
                consequence=_NOTHING_RUN,
                hint="marin-build status says since when; `marin-build apply` waits for it",
            )
        case Stopped(message=message, hint=hint):
            raise StoppedError(message, hint=hint or None)
    assert_never(outcome)


def _failure(target: Target, failure: Failed, again: str) -> StepFailedError:
    meaning = unsaid_meaning(failure.exit_code, failure.message)
    code = f"exit code {failure.exit_code}{f', {meaning}' if meaning else ''}"
    attempt = f" (attempt {failure.attempt})" if failure.attempt else ""
    why = f": {first_line(failure.message)}" if failure.message else ""
    return StepFailedError(
        f"`{target.name}` failed with {code}{attempt}{why}",
        facts=[("output", f"{target.output_path}, as the step left it until the next attempt")],
        hint=failure.hint or f"run it again: {again}",
    )


def _build_in_foreground(
    loaded: Loaded, plan: Plan, *, lease: bool, on_event: Callable[[Event], None]
) -> Outcome:
    """Build the only target of a plan in the main thread of this process, at the keyboard."""
    from marin_build.apply.events import StepLingers, Warned
    from marin_build.run_step.patient_store import PatientStore

    (decision,) = plan.decisions
    target = plan.targets.all[decision.index]
    session = make_session(loaded, plan, {}, lease=lease)
    if isinstance(session.store, PatientStore):
        session.store.listen(lambda news: on_event(Warned(news.message, news.hint)))
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
            tell=lambda text: on_event(StepLingers(target.name, target.id, text)),
            bookkeeping=nullcontext(),
        )
        forget_taints(loaded, plan)
        return outcome
    finally:
        bodies.close()
        end_syncing(syncing, on_event)


def _end_at_once() -> Callable[[], None]:
    """Return a function that ends this process and all the step started; any thread may call it."""
    error = StoppedError(
        "the lease was lost, or no process renews it any more",
        consequence="the step was ended, and nothing was committed",
        hint="see who has it now: marin-build status",
    )
    restore = _terminal_as_it_is()

    def end() -> None:
        restore()
        os.write(2, f"\n{error.render()}\n".encode())
        if os.getpgrp() == os.getpid():  # our own group, with all that the step started
            with suppress(OSError):
                os.killpg(0, signal.SIGTERM)
        os._exit(EXIT_STOPPED)

    return end


def _terminal_as_it_is() -> Callable[[], None]:
    """Return a function that restores the terminal's settings: a debugger's prompt changes them."""
    import termios

    try:
        form = termios.tcgetattr(sys.stdin)
    except (OSError, ValueError, termios.error):  # no terminal
        return lambda: None

    def restore() -> None:
        with suppress(OSError, ValueError, termios.error):
            termios.tcsetattr(sys.stdin, termios.TCSANOW, form)

    return restore


def plan_of_one(
    loaded: Loaded,
    index: int,
    rebuilt_anyway: frozenset[int],
    hint: Callable[[Sequence[str]], str],
    *,
    is_compared: bool = False,
    overwrite: Mapping[int, str | None] | None = None,
) -> Plan:
    """Return a plan that builds one target.

    Args:
        loaded: the pipeline.
        index: which target.
        rebuilt_anyway: holds `index` if the target is to be built even if it is built; or nothing.
        hint: makes the hint of the error from the ids of the missing dependencies.
        is_compared: whether the target is built again if it is built and its data is gone.
        overwrite: the target, if foreign data at its path may be deleted, with its listing.

    Raises:
        StoppedError: something that it needs is not built, or its data is gone.

    """
    targets = loaded.targets
    compared = [index] if is_compared else []
    needed = [index, *targets.deps[index]]
    snapshot = observe_tainted(
        loaded, needed, rebuilt_anyway, compared=compared, overwrite=overwrite or {}
    )
    whole = make_plan(targets, snapshot, [index], forced=rebuilt_anyway)
    by_index = {decision.index: decision for decision in whole.decisions}
    missing = [
        targets.all[dep].id
        for dep in sorted(targets.deps[index])
        if dep in by_index and by_index[dep].kind is not Kind.REUSE
    ]
    damaged = [
        f"{targets.all[dep].id}: {printable(describe(by_index[dep].reason))}"
        for dep in sorted(targets.deps[index])
        if dep in by_index and isinstance(by_index[dep].reason, Unreadable | OutputAltered)
    ]
    lost = [
        f"{targets.all[dep].id}: {printable(', '.join(reason.lost))}"
        for dep in sorted(targets.deps[index])
        if dep in by_index
        and isinstance(reason := by_index[dep].reason, OutputVanished)
        and reason.lost
    ]
    decision = by_index[index]
    if missing and decision.kind is not Kind.REUSE:
        more = [f"and {len(missing) - _SHOWN} more"] if len(missing) > _SHOWN else []
        raise StoppedError(
            f"`{targets.all[index].name}` needs targets that are not built",
            facts=[
                ("missing", "\n".join([*missing[:_SHOWN], *more])),
                *((("blocked", "\n".join(damaged[:_SHOWN])),) if damaged else ()),
                *((("data gone", "\n".join(lost[:_SHOWN])),) if lost else ()),
            ],
            consequence="nothing was run",
            hint=hint(missing),
        )
    return Plan(targets, (), (decision,), rebuilt_anyway, snapshot)  # nothing else is asked for
