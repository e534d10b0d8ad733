"""One run of several plans: where steps are known only once others are built.

Each part of the run replays one plan. Views and the journal see one run: it starts once, says when
more steps are known, and ends once, with the totals of all parts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.apply.events import (
    ApplyExpanded,
    ApplyFinished,
    ApplyStarted,
    CriticalPath,
    StepDrifted,
    StepEnded,
)
from marin_build.apply.totals import MOST
from marin_build.plan.decisions import Kind
from marin_build.plan.outcomes import Blocked, Failed, Interrupted, Reused, Stopped, Succeeded
from marin_build.plan.progress import Progress
from marin_build.plan.reasons import Cascade, DevVersion, Forced, Tainted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marin_build.apply.events import Event
    from marin_build.plan.decisions import Plan
    from marin_build.plan.schedule import State


_CASCADES = Forced | Tainted | DevVersion | Cascade
_FAILED: tuple[State, ...] = (Failed, Stopped, Interrupted)
_SHOWN = 3
"""How many attempts the totals of a part name as the slowest ones."""


class Parts:
    """Reports the parts of a run as one run; `progress` is what they have done.

    Args:
        on_event: gets the events of the run.

    """

    def __init__(self, on_event: Callable[[Event], None]) -> None:
        self._on_event = on_event
        self._totals: list[ApplyFinished] = []
        self._has_begun = False
        self._expanded: tuple[str, ...] = ()
        self._said: set[str] = set()  # drifted or blocked, which each part says anew
        self._carried = 0
        self._own: set[str] = set()  # built by this run
        self._own_reused = 0
        self.progress = Progress()

    def __call__(self, event: Event) -> None:
        """Report an event of a part, unless the run has said it, or says it at its end."""
        match event:
            case ApplyStarted() if self._has_begun:
                event = ApplyExpanded(self._expanded, event.to_build)
            case ApplyStarted():
                self._has_begun = True
            case ApplyFinished():
                self._totals.append(event)
                return
            case StepEnded(outcome=Blocked()) if event.target in self.progress.failed:
                self._carried += 1
                return
            case StepDrifted(target=target) | StepEnded(target=target, outcome=Blocked()):
                if target in self._said:
                    return
                self._said.add(target)
        self._on_event(event)

    def ended(self, plan: Plan, states: Mapping[int, State]) -> None:
        """Take note of how the targets of a part ended."""
        ids = {index: plan.targets.all[index].id for index in states}
        cascading = {d.index for d in plan.decisions if isinstance(d.reason, _CASCADES)}
        built = {index for index, state in states.items() if state in (Succeeded, Reused)}
        failed = (ids[index] for index, state in states.items() if state in _FAILED)
        reused = [d.index for d in plan.of_kind(Kind.REUSE)] + plan.pruned_indices
        self._own_reused = len(self._own.intersection(plan.targets.all[i].id for i in reused))
        self._own.update(ids[index] for index, state in states.items() if state is Succeeded)
        self.progress = Progress(
            self.progress.built.union(ids[index] for index in built),
            self.progress.rebuilt.union(ids[index] for index in built & cascading),
            self.progress.failed.union(failed),
        )

    def begin(self, expanded: Sequence[str]) -> None:
        """Begin a further part: the steps of these expansions are known."""
        self._expanded, self._carried = tuple(dict.fromkeys(expanded)), 0

    def finish(self) -> ApplyFinished:
        """Report the totals of all parts, and return them."""
        totals = totals_of_parts(self._totals, self._own_reused, self._carried)
        self._on_event(totals)
        return totals


def totals_of_parts(parts: Sequence[ApplyFinished], own: int, carried: int) -> ApplyFinished:
    """Return the totals of a run from those of its parts, of which there is one at least.

    The last part has reused what those before it built, and counts as blocked what failed in them.

    Args:
        parts: their totals.
        own: how many targets the last part counts as reused because those before it built them.
        carried: how many targets the last part counts as blocked because they failed before.

    """
    *before, last = parts
    if not before:
        return last
    slowest = sorted((one for part in parts for one in part.slowest), key=lambda it: -it.seconds)
    return replace(
        last,
        succeeded=sum(part.succeeded for part in parts),
        failed=sum(part.failed for part in parts),
        reused=last.reused - own,
        blocked=last.blocked - carried,
        stopped=sum(part.stopped for part in parts),
        interrupted=sum(part.interrupted for part in parts),
        not_started=sum(part.not_started for part in parts),
        seconds=sum(part.seconds for part in parts),
        was_interrupted=any(part.was_interrupted for part in parts),
        saved_seconds=parts[0].saved_seconds,
        slowest=tuple(slowest[:_SHOWN]),
        critical_path=_joined([part.critical_path for part in parts]),
    )


def _joined(paths: Sequence[CriticalPath | None]) -> CriticalPath | None:
    """Return the critical path of parts that ran one after the other."""
    found = [path for path in paths if path is not None]
    if len(found) < 2:  # noqa: PLR2004 - nothing to join
        return found[0] if found else None
    steps = [step for path in found for step in path.steps]
    shown = set(sorted(range(len(steps)), key=lambda i: -steps[i].seconds)[:MOST])
    return CriticalPath(
        sum(path.seconds for path in found),
        sum(path.count for path in found),
        tuple(step for i, step in enumerate(steps) if i in shown),
    )
