"""Carries out what `gc` would do: puts tombstones, takes them away, and deletes."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marin_build.errors import MarinBuildError, StoppedError, UsageError
from marin_build.observe.read_whole_prefix import read_whole_prefix
from marin_build.operations.clean_up.gc import Action, plan_gc
from marin_build.operations.clean_up.gc_needs import NOTHING_DELETED
from marin_build.protocol import layout
from marin_build.protocol.holder import own_lease
from marin_build.protocol.latest import forget_latest
from marin_build.protocol.tombstone import Tombstone
from marin_build.protocol.tombstone_writes import put_tombstone, take_away
from marin_build.run_step.delete_output import Deleter, Deletion, holding, new_id
from marin_build.run_step.trash import empty_trash
from marin_build.store.kernel_locks import KernelLocks
from marin_build.text.moments import stamp
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marin_build.operations.clean_up.gc import GcPlan, GcRequest, Step
    from marin_build.operations.loading.loading import Loaded
    from marin_build.operations.loading.options import PipelineOptions
    from marin_build.operations.loading.place import Place
    from marin_build.plan.reachability import Inventoried
    from marin_build.protocol.lease import Host, Lease
    from marin_build.store.base import Store


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one step of a plan; `said` is empty where all went well."""

    step: Step
    said: str = ""


def apply_gc(
    loaded: Loaded,
    options: PipelineOptions,
    request: GcRequest,
    on_done: Callable[[Done], None],
    *,
    reviewed: str | None = None,
) -> GcPlan:
    """Mark what nothing needs, and delete what was marked long enough ago.

    Without a time of grace the same outputs are judged once more after they were marked, and
    deleted then: a run that began in between has taken their tombstones away, or holds a lease.

    Args:
        loaded, options, request: as for `plan_gc`.
        on_done: called after each step.
        reviewed: the digest of the plan that the user saw; None: whatever is to be done now.

    Returns:
        What was done.

    Raises:
        StoppedError: the plan is not the reviewed one.
        UsageError, SpecificationError, StoreError: as for `plan_gc`.

    """
    worker = Worker(
        loaded.store, loaded.workspace.prefix, loaded.host.worker, holding(loaded.host), on_done
    )
    return worker.collect(lambda: plan_gc(loaded, options, request), reviewed)


@dataclass(slots=True)
class Worker:
    """Carries out plans.

    Args:
        store: where the outputs live.
        prefix: an absolute folder, or a URL.
        name: who does it, `user@host` as in leases.
        is_held: whether the holder of a lease may be alive; gets target id, output path and lease.
        on_done: called after each step.
        id: the id of this `gc`.

    """

    store: Store
    prefix: str
    name: str
    is_held: Callable[[str, str, Lease], bool]
    on_done: Callable[[Done], None]
    id: str = ""

    def __post_init__(self) -> None:
        """Choose an id."""
        self.id = self.id or new_id()

    def collect(self, plan_now: Callable[[], GcPlan], reviewed: str | None = None) -> GcPlan:
        """Carry out a plan; without a time of grace, delete at once what it marks.

        Args:
            plan_now: makes a plan of what lies there now.
            reviewed: the digest of the plan that the user saw; None: any.

        Returns:
            The plan, with what stood in the way of deletions.

        Raises:
            StoppedError: the plan is not the reviewed one.
            StoreError: the store cannot be read.

        """
        plan = plan_now()
        if reviewed not in (None, plan.digest):
            raise StoppedError(
                f"what is to be done is not the list `{reviewed}` any more",
                facts=[("list now", plan.digest)],
                consequence=NOTHING_DELETED,
                hint="look at it again: marin-build gc",
            )
        self.carry_out(plan)
        marked = {step.output.path for step in plan.of(Action.MARK)}
        if plan.grace == 0 and marked:
            # Leases are read again: only now does every run that begins see the tombstones.
            again = plan_now()
            steps = tuple(step for step in again.steps if step.output.path in marked)
            self.carry_out(replace(again, steps=steps, trash={}))
            plan = replace(plan, blocked=again.blocked)
        return plan

    def carry_out(self, plan: GcPlan) -> None:
        """Do each step of a plan; one that fails does not stop the others."""
        lease = replace(own_lease(self.name), run=self.id, since=round(time.time(), 3))
        locks = None if is_url(self.prefix) else KernelLocks(self.prefix, create=False)
        deleter = Deleter(self.store, self.prefix, lease, self.is_held, locks=locks)
        for step in plan.steps:
            if step.action is Action.WAIT:
                continue
            try:
                said = self._do(step, deleter)
            except (MarinBuildError, OSError) as error:
                said = _said(error)
            self.on_done(Done(step, said))
        if locks is not None:
            locks.close()
        for trash in plan.trash:
            empty_trash(trash)

    def _do(self, step: Step, deleter: Deleter) -> str:
        """Do one step; return why it was not done, in words."""
        output, tombstone = step.output, step.output.tombstone
        if step.action is Action.UNMARK:
            assert tombstone is not None
            take_away(self.store, output.path, output.status_version, tombstone)
            return ""
        if step.action is Action.MARK:
            return "" if self._mark(output) else Deletion.CHANGED.value
        done = deleter.delete(output.path, output.target, output.status_version)
        if done is Deletion.DONE:
            self.store.delete([layout.taint_path(self.prefix, output.target)])
            forget_latest(self.store, self.prefix, output.name, output.path)
            return ""
        said: str = done.value
        return said

    def _mark(self, output: Inventoried) -> bool:
        assert output.status is not None, "without one it cannot be judged"
        tombstone = Tombstone(output.status, self.name, stamp(time.time()), self.id)
        version = output.status_version
        return put_tombstone(self.store, output.path, version, tombstone) is not None


def undo_gc(place: Place, host: Host, words: Sequence[str]) -> list[Inventoried]:
    """Take tombstones away; the outputs are as they were.

    Args:
        place: the prefix and its store.
        host: this machine.
        words: ids or names of targets; none: all that have tombstones.

    Returns:
        The outputs that had one.

    Raises:
        UsageError: a word names no output with a tombstone.
        StoreError: the store cannot be read or written.

    """
    found = read_whole_prefix(place.store, place.prefix, holding(host))
    marked = [output for output in found.outputs if output.tombstone is not None]
    for word in words:
        if not any(word in (output.name, output.target) for output in marked):
            raise UsageError(
                f"`{word}` names no output with a tombstone",
                facts=[("looked in", place.prefix), ("with tombstones", str(len(marked)))],
                consequence="nothing was changed",
                hint="marin-build gc lists them",
            )
    chosen = [it for it in marked if not words or {it.name, it.target} & set(words)]
    kept = []
    for output in chosen:
        assert output.tombstone is not None
        version = output.status_version
        if take_away(place.store, output.path, version, output.tombstone) is not None:
            kept.append(output)
    return kept


def _said(error: MarinBuildError | OSError) -> str:
    return error.with_reason if isinstance(error, MarinBuildError) else str(error)
