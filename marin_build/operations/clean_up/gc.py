"""What `gc` would do with the outputs under a prefix; nothing is changed here."""

from __future__ import annotations

import enum
import hashlib
import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from marin_build.errors import StoreError
from marin_build.observe.read_whole_prefix import WholePrefix, read_whole_prefix
from marin_build.operations.clean_up.gc_needs import NOTHING_DELETED, Kept, read_needs
from marin_build.plan.reachability import Fate, judge
from marin_build.protocol.status import STATUS_DELETING
from marin_build.run_step.delete_output import holding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from marin_build.operations.clean_up.gc_needs import InUse
    from marin_build.operations.loading.loading import Loaded
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.plan.reachability import Inventoried, Verdict


NOTHING_ELSE = Kept()
GRACE = 7 * 86400.0
"""Seconds between the tombstone of an output and its deletion, unless the user says otherwise."""
_CLOCKS_DIFFER = 3600.0
"""Seconds by which the clocks of two machines may differ: a lease that is that much older than a
tombstone was surely taken before it."""


class Action(enum.Enum):
    """What `gc` does with an output."""

    DELETE = "delete"
    MARK = "mark"
    WAIT = "wait"
    """It has a tombstone, and its time of grace is not over."""
    UNMARK = "unmark"
    """It has a tombstone, and is needed again."""


@dataclass(frozen=True, slots=True)
class Step:
    """What is to be done with one output.

    Args:
        action: what.
        output: the output.
        why: why, in words.
        age: seconds since its tombstone was put there; None: it has none.

    """

    action: Action
    output: Inventoried
    why: str
    age: float | None = None


@dataclass(frozen=True, slots=True)
class GcPlan:
    """What `gc` would do.

    Args:
        prefix: where the outputs lie.
        steps: for each output that is not simply kept.
        kept: the outputs that are needed, each with the reason.
        unknown: the outputs of names that no given pipeline declares, and that nothing needs.
        trash: what a `gc` that died has moved out of the way -> its bytes.
        grace: seconds between tombstone and deletion.
        blocked: why nothing is deleted now, in words; empty: nothing stands in the way.

    """

    prefix: str
    steps: tuple[Step, ...]
    kept: tuple[Verdict, ...]
    unknown: tuple[Verdict, ...]
    trash: Mapping[str, int]
    grace: float
    blocked: str = ""

    def of(self, action: Action) -> list[Step]:
        """Return the steps of one kind."""
        return [step for step in self.steps if step.action is action]

    @property
    def is_done(self) -> bool:
        """Whether there is nothing to do now."""
        return not self.trash and all(step.action is Action.WAIT for step in self.steps)

    @property
    def digest(self) -> str:
        """Eight digits that stand for all that would be done: outputs, their states, actions."""
        lines = [
            f"{step.action.value}\0{step.output.path}\0{step.output.status_version}\n"
            for step in self.steps
            if step.action is not Action.WAIT
        ]
        text = "".join(sorted(lines)).encode("utf-8", "surrogateescape")
        return hashlib.sha256(text).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class GcRequest:
    """What a user asked for.

    Args:
        kept: what is to be kept.
        grace: seconds between tombstone and deletion.
        unknown: take outputs of names that no given pipeline declares, too.

    """

    kept: Kept = NOTHING_ELSE
    grace: float = GRACE
    unknown: bool = False


def plan_gc(loaded: Loaded, options: PipelineOptions, request: GcRequest) -> GcPlan:
    """Find out what nothing needs; nothing is changed.

    Args:
        loaded: the pipeline and its store; all of it must have been loaded.
        options: named it.
        request: what is kept, and for how long.

    Raises:
        UsageError: something that is to be kept cannot be found.
        SpecificationError: a pipeline cannot be loaded.
        StoreError: the store cannot be read, or has no conditional writes.

    """
    prefix = loaded.workspace.prefix
    if not loaded.store.conditional:
        raise StoreError(
            f"`gc` cannot work at `{prefix}`: no conditional writes there",
            consequence=NOTHING_DELETED,
        )
    found = read_whole_prefix(loaded.store, prefix, holding(loaded.host))
    needs, in_use = read_needs(loaded, options, request.kept, found.outputs)
    verdicts = judge(found.outputs, needs)
    return plan_of(prefix, found, verdicts, in_use, request)


def plan_of(
    prefix: str, found: WholePrefix, verdicts: Sequence[Verdict], in_use: InUse, request: GcRequest
) -> GcPlan:
    """Return what is to be done.

    Args:
        prefix: where the outputs lie.
        found: what lies there.
        verdicts: what is needed of it.
        in_use: what runs that go on build from.
        request: what the user asked for.

    """
    steps: list[Step] = []
    now = time.time()
    unwanted = {Fate.UNNEEDED, *([Fate.UNKNOWN] if request.unknown else [])}
    blocked = ""
    for verdict in verdicts:
        output = verdict.output
        age = None if output.tombstone is None else max(now - _seconds(output.tombstone.at), 0.0)
        if verdict.fate not in unwanted:
            if output.tombstone is not None and verdict.fate is Fate.NEEDED:
                steps.append(Step(Action.UNMARK, output, verdict.why, age))
            continue
        action = Action.MARK
        is_last = output.status is None and output.lease is not None and output.lease.is_collecting
        if output.status == STATUS_DELETING or is_last:
            action = Action.DELETE
        elif age is not None:
            action = Action.DELETE if age >= request.grace else Action.WAIT
            stranger = _stranger(in_use.strangers, now - age)
            if action is Action.DELETE and stranger is not None:
                action, blocked = Action.WAIT, _blocked_by(stranger)
        steps.append(Step(action, output, verdict.why, age))
    return GcPlan(
        prefix,
        tuple(steps),
        tuple(v for v in verdicts if v.fate is Fate.NEEDED),
        tuple(v for v in verdicts if v.fate is Fate.UNKNOWN and not request.unknown),
        found.trash,
        request.grace,
        blocked,
    )


def _stranger(strangers: Sequence[Inventoried], marked: float) -> Inventoried | None:
    """Return what a run builds from unknown inputs since before a tombstone was put there.

    A run that began later took away the tombstones of what it reads.
    """
    for output in strangers:
        lease = output.lease
        assert lease is not None
        if lease.is_adopting or not lease.since or lease.since < marked + _CLOCKS_DIFFER:
            return output
    return None


def _blocked_by(output: Inventoried) -> str:
    assert output.lease is not None
    return (
        f"`{output.target}` is held by {output.lease.describe()}, "
        "and nothing here tells what that run reads"
    )


def _seconds(at: str) -> float:
    """Return a moment as documents write it, in seconds; what is none counts as just now."""
    try:
        return datetime.fromisoformat(at).timestamp()
    except (ValueError, OverflowError, OSError):
        return time.time()
