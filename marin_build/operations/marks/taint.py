"""Marks builds as bad; takes marks away when a user asks, or after the target was built again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from marin_build.errors import UsageError
from marin_build.operations.loading.loading import chosen_engine
from marin_build.operations.planning.choose_targets import choose
from marin_build.operations.planning.take_snapshot import observe_tainted
from marin_build.pipeline.recipe import has_chosen_path
from marin_build.plan.decide import make_plan
from marin_build.plan.graph_shape import downstream
from marin_build.protocol.layout import STATUS
from marin_build.text.moments import stamp_now

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marin_build.operations.loading.loading import Loaded
    from marin_build.pipeline.targets import Target
    from marin_build.plan.decisions import Plan
    from marin_build.plan.estimate import PlanEstimate
    from marin_build.plan.snapshot import Observed
    from marin_build.protocol.taints import Taint


_NOTHING_MARKED = "nothing was marked"


@dataclass(frozen=True, slots=True)
class TaintedTargets:
    """Built targets that are bad, and what building them again takes.

    Args:
        plan: builds them again, and decides about nothing else.
        plan_id: its short name.
        estimate: how long that may take.
        roots: index of each target -> the chosen targets that it was made from; a chosen one counts
            as made from itself.
        ends: the names of those that no other of them needs: asking for these builds all.
        taint: why, who says so, and when.

    """

    plan: Plan
    plan_id: str
    estimate: PlanEstimate
    roots: Mapping[int, tuple[int, ...]]
    ends: tuple[str, ...]
    taint: Taint


def taint_targets(
    loaded: Loaded,
    selectors: Sequence[str],
    reason: str,
    *,
    dry_run: bool = False,
    on_found: Callable[[TaintedTargets], None] | None = None,
) -> TaintedTargets:
    """Mark built targets, and all built ones that were made from them, as bad.

    The next apply that is asked for a marked target builds it again; then the mark ends.

    Args:
        loaded: the pipeline and its store.
        selectors: which targets.
        reason: why they are bad; every plan will say so.
        dry_run: mark nothing.
        on_found: called with the value to return, before anything is marked.

    Raises:
        UsageError: selectors that cannot be read, or select nothing; an empty reason; or a target
            that cannot be tainted.
        CorruptStateError: a mark that is there is not readable.
        StoreError: the store cannot be read or written.

    """
    from marin_build.operations.planning.estimate import estimate_for
    from marin_build.plan.plan_id import plan_id
    from marin_build.protocol.taints import Taint

    chosen = choose(loaded, selectors)
    if not reason.strip():
        raise UsageError(
            "a taint needs a reason: each plan will show it",
            consequence=_NOTHING_MARKED,
            hint='--reason "trained on the wrong dump"',
        )
    taint = Taint(reason.strip(), loaded.host.worker, stamp_now("seconds"))
    plan, roots = _condemned(loaded, chosen, taint)
    needed = {dep for index in roots for dep in loaded.targets.deps[index]}
    ends = dict.fromkeys(loaded.targets.all[i].name for i in roots if i not in needed)
    again = replace(
        plan, decisions=tuple(d for d in plan.decisions if d.index in roots), requested=()
    )
    engine = chosen_engine(loaded)
    found = TaintedTargets(
        again,
        plan_id(again, loaded.file, loaded.pipeline.parameters, engine.name),
        estimate_for(loaded, again, engine),
        roots,
        tuple(ends),
        taint,
    )
    if on_found is not None:
        on_found(found)
    if not dry_run:
        _mark(loaded, found)
    return found


def _condemned(
    loaded: Loaded, chosen: Sequence[int], taint: Taint
) -> tuple[Plan, Mapping[int, tuple[int, ...]]]:
    """Return a plan that builds tainted targets again, and each tainted target with its roots.

    Raises:
        UsageError: one of the chosen targets cannot be tainted.

    """
    targets = loaded.targets
    below = sorted(downstream(targets, set(chosen)))
    plain = observe_tainted(loaded, below)
    for index in chosen:
        _refuse_untaintable(targets.all[index], plain.of(index))
    roots_of = {index: (index,) for index in chosen}
    for index in below:
        if plain.of(index).is_built and targets.all[index].step.is_built_by_code:
            above = [root for dep in targets.deps[index] for root in roots_of.get(dep, ())]
            if above:
                roots_of[index] = tuple(dict.fromkeys([*roots_of.get(index, ()), *above]))
    tainted = replace(plain, tainted=dict.fromkeys(chosen, taint))
    return make_plan(targets, tainted, sorted(roots_of)), roots_of


def _refuse_untaintable(target: Target, seen: Observed) -> None:
    """Refuse a target that no run would build again, or whose mark some runs would not see."""
    step, built = target.step, seen.built
    hint = None
    if not seen.is_built:
        what = "is not built: there is nothing to build again"
    elif not step.is_built_by_code:
        what = "has no function and no command: no run can build it again"
    elif built is not None and built.adopted_from == target.output_path:
        what = "was adopted where it lies: to build it again would delete that data"
        hint = f"move `{target.output_path}` away; then apply builds it"
    elif step.output_path_prefix is not None or has_chosen_path(step):
        what = "has an output path of its own: runs under other prefixes would not see the mark"
        hint = f"delete `{target.output_path}/{STATUS}`; then the next run that needs it builds it"
    else:
        return
    raise UsageError(f"`{target.id}` {what}", consequence=_NOTHING_MARKED, hint=hint)


def _mark(loaded: Loaded, found: TaintedTargets) -> None:
    from marin_build.protocol.taints import put_taints

    targets = loaded.targets
    entries = {}
    for index, roots in found.roots.items():
        run = _run_of(found.plan.snapshot.of(index))
        entries[index] = [(targets.all[root].id, run) for root in roots]
    put_taints(loaded.store, targets, entries, found.taint)


def _run_of(seen: Observed) -> str:
    """Return the run that built a target; a sealed one has no record yet."""
    if seen.built is not None:
        return seen.built.run
    return seen.lease.run if seen.lease is not None else ""


@dataclass(frozen=True, slots=True)
class Untainted:
    """Marks that were, or would be, taken away.

    Args:
        marks: with `dry_run`, target id -> taint, for every marked target; else empty.
        free: the ids of the targets that have no mark any more.

    """

    marks: Mapping[str, Taint]
    free: tuple[str, ...]


def untaint_targets(
    loaded: Loaded, selectors: Sequence[str], *, dry_run: bool = False
) -> Untainted:
    """Take away the marks that follow from some targets.

    Args:
        loaded: the pipeline and its store.
        selectors: the targets that were tainted.
        dry_run: only read the marks.

    Raises:
        UsageError: selectors that cannot be read, or select nothing.
        CorruptStateError: a mark is not readable.
        StoreError: the store cannot be read or written.

    """
    from marin_build.observe.read_snapshot import list_tainted
    from marin_build.observe.read_taints import read_taints
    from marin_build.protocol.taints import remove_taints

    targets = loaded.targets
    roots = {targets.all[index].id for index in choose(loaded, selectors)}
    marked = list_tainted(loaded.store, targets)
    if dry_run:
        read = read_taints(loaded.store, targets, marked)
        return Untainted({targets.all[index].id: taint for index, taint in read.items()}, ())
    free = remove_taints(loaded.store, targets, marked, roots)
    return Untainted({}, tuple(targets.all[index].id for index in free))
