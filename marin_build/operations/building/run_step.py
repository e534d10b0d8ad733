"""One target as an emitted script or job builds it: pinned by a plan, or by its id alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.errors import EXIT_TARGET_FAILED, StoppedError
from marin_build.operations.loading.adopted_data import with_adopted
from marin_build.operations.saved_plans.plan_pins import (
    agreed_overwrites,
    pinned_code,
    rebuilt_anyway,
)
from marin_build.pipeline.retries import CODE_OF_CAUSE
from marin_build.plan.block_reasons import Unreadable
from marin_build.plan.capacity import hosts_of, limited_kinds
from marin_build.plan.decisions import Kind
from marin_build.plan.outcomes import Failed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marin_build.apply.events import ApplyFinished, Event
    from marin_build.operations.loading.loading import AdoptedData, Loaded
    from marin_build.pipeline.targets import Target
    from marin_build.plan.decisions import Plan
    from marin_build.plan.document import PlanDocument
    from marin_build.run_step.launch import Launch


@dataclass(frozen=True, slots=True)
class RanStep:
    """How the build of one target ended: the totals, and the exit code that the process returns."""

    finished: ApplyFinished
    exit_code: int


@dataclass(frozen=True, slots=True)
class PendingTarget:
    """A target of a plan that is not built, or whose files are not all readable.

    Args:
        target: its id.
        is_to_run: whether its script is to be run.
        damage: the file beside it that is not readable; None if all are.

    """

    target: str
    is_to_run: bool
    damage: Unreadable | None


def list_pending(loaded: Loaded, document: PlanDocument) -> tuple[PendingTarget, ...]:
    """Return the targets of a saved plan that are not built, dependencies first.

    Args:
        loaded: the pipeline of the plan, and its store.
        document: the plan.

    Raises:
        StoppedError: a target that the plan reuses is gone.
        StoreError: the store cannot be read.

    """
    from marin_build.operations.building.replay import replan_saved

    plan = replan_saved(loaded, document)
    planned = set(document.to_build)
    found = []
    for decision in plan.decisions:
        id_ = plan.targets.all[decision.index].id
        damage = decision.reason if isinstance(decision.reason, Unreadable) else None
        # A target that became blocked is listed, so that its script runs and reports why.
        is_blocked_since = decision.kind is Kind.BLOCKED and id_ in planned
        is_to_run = is_blocked_since or decision.kind in (Kind.RUN, Kind.WAIT)
        if is_to_run or damage is not None:
            found.append(PendingTarget(id_, is_to_run, damage))
    return tuple(found)


def run_step(
    loaded: Loaded,
    target_id: str,
    document: PlanDocument | None = None,
    words: Sequence[str] = (),
    *,
    lease: bool = True,
    once: bool = False,
    launch: Launch | None = None,
    overwrite: str | None = None,
    in_turn: bool = False,
    on_event: Callable[[Event], None],
) -> RanStep:
    """Build one target under its lease, unless it is built.

    Args:
        loaded: the pipeline and its store.
        target_id: the target's id, `name_with_hash`.
        document: the plan that pins it; None: it is built as it is declared now.
        words: the command that the target must have in the pipeline; empty: it is not checked.
        lease: whether the store must have conditional writes; without, no other run may build.
        once: try once; the exit code then says why it failed: 75 for the infrastructure, 124 for
            its time-out, 137 for out of memory.
        launch: the gang that this process leads; it is tried once, since its other ranks have ended
            after that. None: it leads none.
        overwrite: the listing of foreign data that may be deleted, for a target without a plan.
        in_turn: whether it waits for others of this project that take what it takes.
        on_event: gets every event.

    Raises:
        StoppedError: the pipeline does not declare the target, something that it needs is not
            built, `words` are not its command, or it needs a gang of another size.
        StoreError: the store cannot be read or written.

    """
    from marin_build.apply.events import StepEnded, Warned
    from marin_build.operations.building.apply import build, exit_code
    from marin_build.operations.building.prepare_apply import ReadyToBuild, Terms
    from marin_build.operations.planning.budgets import capacity_here
    from marin_build.operations.planning.planned import Planned, PlanRequest
    from marin_build.run_step.turn import turn

    loaded, plan = plan_of_target(loaded, target_id, document, words, launch, overwrite=overwrite)
    failed: list[Failed] = []

    def watch(event: Event) -> None:
        if isinstance(event, StepEnded) and isinstance(event.outcome, Failed):
            failed.append(event.outcome)
        on_event(event)

    pinned = pinned_code(document) if document is not None else {}
    planned = Planned(loaded, plan, PlanRequest(), capacity_here({}, {}), pinned)
    terms = Terms(
        isolation="process",
        lease=lease,
        once=once or launch is not None,
        keep=False,
        launch=launch,
    )
    kinds = [
        kind
        for index in (plan.to_build if in_turn else ())
        for kind in limited_kinds(plan.targets.all[index].step)
    ]

    def tell_wait(kind: str) -> None:
        on_event(Warned(f"`{target_id}` waits until others end that take `{kind}`", kind="note"))

    with turn(loaded.workspace.project, kinds, tell_wait):
        finished = build(ReadyToBuild(planned, jobs=1), terms, watch)
    code = exit_code(finished)
    if once and failed and code == EXIT_TARGET_FAILED:
        code = CODE_OF_CAUSE.get(failed[-1].cause, code)
    return RanStep(finished, code)


def plan_of_target(
    loaded: Loaded,
    target_id: str,
    document: PlanDocument | None,
    words: Sequence[str],
    launch: Launch | None,
    *,
    overwrite: str | None = None,
) -> tuple[Loaded, Plan]:
    """Return a plan that builds one target, and the pipeline with what it reads that was adopted.

    Raises:
        StoppedError: see `run_step`.
        StoreError: the store cannot be read.

    """
    from marin_build.operations.building.run import plan_of_one

    index = loaded.targets.by_id.get(target_id)
    if index is None:
        raise StoppedError(
            f"the pipeline declares no target `{target_id}`",
            facts=[("pipeline", loaded.file)],
            consequence="nothing was run",
            hint="the pipeline changed: make the plan again",
        )
    forced = rebuilt_anyway(document, loaded.targets) & {index} if document else frozenset()
    agreed = agreed_overwrites(document, loaded.targets) if document else {index: overwrite or ""}
    plan = plan_of_one(
        loaded,
        index,
        forced,
        lambda _missing: "build them first, or all with `marin-build apply`",
        is_compared=document is None or _has_vanished(document, target_id),
        overwrite={index: agreed[index]} if index in agreed else {},
    )
    loaded, plan = with_adopted(loaded, plan, readers=[index])
    if words:
        _check_command(plan.targets.all[plan.decisions[0].index], words, loaded.adopted)
    if launch is not None and (hosts := hosts_of(loaded.targets.all[index].step)) != launch.ranks:
        raise StoppedError(
            f"`{target_id}` needs {hosts} hosts at once, and its engine has started {launch.ranks}",
            consequence="nothing was run",
            hint="the step changed: make the plan again",
        )
    return loaded, plan


def _has_vanished(document: PlanDocument, target_id: str) -> bool:
    """Return whether a plan builds a target because its data was gone."""
    return any(
        reason["kind"] == "output_vanished"
        for decision in document.decisions
        if decision.target == target_id
        for reason in decision.reasons
    )


def _check_command(
    target: Target, words: Sequence[str], adopted: Mapping[str, AdoptedData]
) -> None:
    """Refuse a command that is not the one the pipeline declares for the target."""
    from marin_build.emit.quoting import plain_words
    from marin_build.pipeline.command import Command
    from marin_build.workspace.workspace import current_workspace

    fn = target.step.fn
    declared = fn.words(target.output_path) if isinstance(fn, Command) else ()
    absolute = fn.argv(target.output_path) if isinstance(fn, Command) else []
    if list(words) not in (absolute, plain_words(declared, current_workspace())):
        raise StoppedError(
            f"the command given for `{target.name}` is not the one the pipeline declares",
            facts=[
                ("declared", " ".join(absolute) or "none, it is a function"),
                *(("adopted", f"{id_}: {place.location}") for id_, place in adopted.items()),
            ],
            consequence="nothing was run",
            hint="make the plan again: data was adopted since, or elsewhere"
            if adopted
            else "change the pipeline, not the script",
        )
