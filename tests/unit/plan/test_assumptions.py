"""What if: a question that is answered wrongly makes somebody start what costs thousands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from marin_build.observe.read_snapshot import observe
from marin_build.plan import reasons as why
from marin_build.plan.assumptions import NOTHING_ASSUMED, assume
from marin_build.plan.decide import cascade_of, make_plan
from marin_build.plan.decisions import Kind
from marin_build.plan.snapshot import Observed, Snapshot
from tests.unit.plan.test_decide import (
    HOST,
    SIGHTS,
    Model,
    World,
    _fill,
    _kinds,
    _targets,
    _worlds,
    with_living_work,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

    from hypothesis.strategies import SearchStrategy

    from marin_build.plan.decisions import Plan
    from tests.unit.conftest import Dag, MemoryStore, TargetsOf


class WhatIf(Model):
    """The rules of planning, and what assumptions change of them."""

    def __init__(self, world: World, changed: AbstractSet[int], built: AbstractSet[int]) -> None:
        super().__init__(world)
        self.changed, self.built = changed, built

    def is_another(self, index: int) -> bool:
        """It would have another identity: assumed to, or it needs such a one."""
        return (index in self.changed and index not in self.built) or any(
            self.is_another(dep) for dep in self.world.dag[index]
        )

    def rebuilt_anyway(self, index: int) -> bool:
        if index in self.built or index not in self.within:
            return False
        asked = index in self.world.forced or index in self.world.dev or self.is_another(index)
        return asked or any(self.rebuilt_anyway(dep) for dep in self.world.dag[index])

    def there(self, index: int) -> bool:
        return index in self.built or super().there(index)

    def alone(self, index: int) -> Kind:
        if index in self.built:
            return Kind.REUSE
        if self.is_another(index) and index not in self.world.unbuildable:
            return Kind.RUN  # nobody holds that identity, and it never failed
        return super().alone(index)


@given(data=st.data())
def test_assumptions_follow_the_rules_on_every_graph(
    data: st.DataObject, dags: SearchStrategy[Dag], targets_of: TargetsOf,
    new_store: Callable[[], MemoryStore],
) -> None:  # fmt: skip
    world = data.draw(_worlds(dags))
    indices = st.sets(st.sampled_from(range(len(world.dag))), max_size=2)
    changed, built = data.draw(indices), data.draw(indices)
    model = WhatIf(world, changed, built)
    targets = _targets(world, targets_of)
    assumed = assume(targets, changed, built)
    assert assumed.affected == {i for i in range(len(world.dag)) if model.is_another(i)}
    store = new_store()
    _fill(store, targets, world)
    cascade = cascade_of(targets, world.requested, world.forced, assumed)
    snapshot = observe(store, targets, world.requested, cascade, HOST, assumed=assumed)
    snapshot = with_living_work(snapshot, world)
    plan = make_plan(targets, snapshot, world.requested, forced=world.forced,
                     rerun_failed=world.rerun_failed, assumed=assumed)  # fmt: skip
    assert _kinds(plan) == [model.kind(i) for i in range(len(world.dag))]
    for decision in plan.decisions:
        if isinstance(decision.reason, why.Cascade):
            upstream = plan.targets.by_id[decision.reason.upstream]
            assert upstream in cascade
            assert upstream in snapshot.seen, "what is named is rebuilt"
    for index in built:  # it is not read: it may lie where nobody may look
        assert not any(path.startswith(targets.all[index].output_path) for path in store.read)


def _plan(targets_of: TargetsOf, dag: Dag, sight: str, changed: set[int], built: set[int]) -> Plan:
    targets = targets_of(dag)
    seen = Snapshot(dict.fromkeys(range(len(dag)), SIGHTS[sight]))
    return make_plan(targets, seen, [len(dag) - 1], assumed=assume(targets, changed, built))


def test_what_needs_a_changed_target_is_built_too(targets_of: TargetsOf) -> None:
    plan = _plan(targets_of, ((), (0,), (1,)), "success", {1}, set())
    raw, tokens, _ = plan.targets.all
    assert [(d.kind, d.reason) for d in plan.decisions] == [
        (Kind.REUSE, why.BuiltBefore("r-0", "ada@host", "2026-11-21T10:20:30")),
        (Kind.RUN, why.AssumedChanged()),
        (Kind.RUN, why.Cascade(tokens.id)),
    ]
    assert plan.assumed
    assert raw.id not in {d.reason.upstream for d in plan.decisions
                          if isinstance(d.reason, why.Cascade)}  # fmt: skip


def test_a_lease_or_failure_of_todays_identity_means_nothing_for_another(
    targets_of: TargetsOf,
) -> None:
    for sight in ("running", "failed", "sealed"):
        plan = _plan(targets_of, ((), (0,)), sight, {0}, set())
        assert [d.kind for d in plan.decisions] == [Kind.RUN, Kind.RUN], sight


def test_identities_change_through_what_is_assumed_to_be_built(targets_of: TargetsOf) -> None:
    """And no cascade names what is not rebuilt."""
    plan = _plan(targets_of, ((), (0,), (1,)), "success", {0}, {1})
    assert [d.reason for d in plan.decisions] == [
        why.AssumedChanged(), why.AssumedBuilt(), why.AssumedChanged(),
    ]  # fmt: skip


def test_force_ends_at_what_is_assumed_to_be_built(targets_of: TargetsOf) -> None:
    targets = targets_of([(), (0,), (1,)])
    assert cascade_of(targets, [2], [0], assume(targets, (), {1})) == {0}


def test_without_assumptions_nothing_is_assumed(targets_of: TargetsOf) -> None:
    targets = targets_of([(), (0,)])
    assert not make_plan(targets, Snapshot({1: Observed()}), [1]).assumed
    assert assume(targets, (), ()) == NOTHING_ASSUMED
