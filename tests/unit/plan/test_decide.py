"""What is rebuilt, reused, waited for and blocked, against a definition written as plain rules.

The rules are those of DESIGN, "What is requested, what cascades": recursive, over one small graph
at a time. The planner must agree with them on every graph.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build import StepSpec
from marin_build.observe.read_snapshot import observe
from marin_build.plan import block_reasons as blocks
from marin_build.plan import reasons as why
from marin_build.plan.decide import cascade_of, make_plan
from marin_build.plan.decisions import Kind
from marin_build.plan.outcomes import Blocked, Failed
from marin_build.plan.schedule import Schedule
from marin_build.plan.snapshot import LastAttempt, Observed, Snapshot
from marin_build.protocol.foreign_data import ForeignData
from marin_build.protocol.lease import Host, Lease
from marin_build.protocol.living_work import Process
from marin_build.protocol.record_reader import Built
from marin_build.protocol.taints import Taint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hypothesis.strategies import SearchStrategy

    from marin_build.pipeline.targets import Targets
    from marin_build.plan.decisions import Plan
    from tests.unit.conftest import Dag, MemoryStore, TargetsOf

LIVE = Lease("ada@far", 0.0, run="r-1", attempt=1, nonce="n", boot="other")
SEALED = LIVE.sealed("d" * 64, 0.0)

SIGHTS: dict[str, Observed] = {
    "absent": Observed(),
    "success": Observed("SUCCESS", built=Built("f", "r-0", "ada@host", "2026-11-21T10:20:30")),
    "success of Marin": Observed("SUCCESS"),
    "failed": Observed("FAILED", last=LastAttempt(2, 3, "boom", "ada@host", "2026")),
    "failed without attempt": Observed("FAILED"),
    "dependency failed": Observed("DEP_FAILED"),
    "running": Observed("RUNNING", LIVE),
    "abandoned": Observed("RUNNING"),
    "dead": Observed("RUNNING", LIVE, gone=True),
    "dead, its work alive": Observed("RUNNING", LIVE, gone=True, work=(Process(7, "sleep 9"),)),
    "sealed": Observed("RUNNING", SEALED),
    "sealed, holder dead": Observed("RUNNING", SEALED, gone=True),
    "status damaged": Observed(damage=blocks.Unreadable("status", "p")),
    "lease damaged": Observed("RUNNING", damage=blocks.Unreadable("lease", "p")),
    "record damaged": Observed("SUCCESS", damage=blocks.Unreadable("record", "p")),
}
DATA = ForeignData(2, 3, ("a", "b"), "l")
OBSTACLES: dict[str, Observed] = {
    "foreign data": Observed(foreign=DATA),
    "foreign data, an adopt died": Observed("RUNNING", LIVE, gone=True, foreign=DATA),
    "a link": Observed(in_the_way="a symbolic link"),
    "a link to a built output": Observed("SUCCESS", in_the_way="a symbolic link"),
    "a link to a held output": Observed("RUNNING", LIVE, in_the_way="a symbolic link"),
}
"""What only a look at the output path shows."""
EVERY = {**SIGHTS, **OBSTACLES}
BUILT = {"success", "success of Marin", "sealed", "sealed, holder dead"}
HELD = {"running", "dead, its work alive"}
FAILED = {"failed", "failed without attempt"}
DAMAGED = {"status damaged", "lease damaged", "record damaged"}


@dataclass(frozen=True)
class World:
    """One graph, what the store holds, and what the person asks for."""

    dag: Dag
    sight: tuple[str, ...]
    requested: tuple[int, ...]
    forced: frozenset[int]
    tainted: frozenset[int]
    dev: frozenset[int]
    unbuildable: frozenset[int]
    rerun_failed: bool


class Model:
    """The rules, each said once."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.within = set(world.requested)
        for index in reversed(range(len(world.dag))):
            if index in self.within:
                self.within.update(world.dag[index])

    def rebuilt_anyway(self, index: int) -> bool:
        """Asked for by force, tainted, dev, or downstream of such a one, within the request."""
        return index in self.within and (
            index in self.world.forced
            or index in self.world.tainted
            or index in self.world.dev
            or any(self.rebuilt_anyway(dep) for dep in self.world.dag[index])
        )

    def needed(self, index: int) -> bool:
        """Requested, or needed by something that is needed and not simply reused."""
        return index in self.world.requested or any(
            index in deps and self.needed(above) and self.asks(above)
            for above, deps in enumerate(self.world.dag)
        )

    def asks(self, index: int) -> bool:
        """Neither reused nor, for a damaged file, left alone: what it needs is asked for."""
        is_left = self.world.sight[index] in DAMAGED and not self.rebuilt_anyway(index)
        return not self.there(index) and not is_left

    def there(self, index: int) -> bool:
        return self.world.sight[index] in BUILT and not self.rebuilt_anyway(index)

    def alone(self, index: int) -> Kind:
        """The decision as if nothing it needs were blocked."""
        sight = self.world.sight[index]
        if sight in HELD:
            return Kind.WAIT
        if sight in OBSTACLES:  # whatever insists on a build: it would delete data
            return Kind.BLOCKED
        if sight in {"status damaged", "lease damaged"}:  # somebody may hold it
            return Kind.BLOCKED
        if self.rebuilt_anyway(index) and index not in self.world.unbuildable:
            return Kind.RUN
        if sight in BUILT:
            return Kind.REUSE
        if sight == "record damaged":
            return Kind.BLOCKED
        if index in self.world.unbuildable or (sight in FAILED and not self.world.rerun_failed):
            return Kind.BLOCKED
        return Kind.RUN

    def kind(self, index: int) -> Kind | None:
        """The decision; None is PRUNED."""
        if not self.needed(index):
            return None
        alone = self.alone(index)
        blocked = any(self.kind(dep) is Kind.BLOCKED for dep in self.world.dag[index])
        return Kind.BLOCKED if blocked and alone in {Kind.RUN, Kind.WAIT} else alone


@st.composite
def _worlds(
    draw: st.DrawFn, dags: SearchStrategy[Dag], sights: Iterable[str] = tuple(SIGHTS)
) -> World:
    dag = draw(dags)
    indices = st.sampled_from(range(len(dag)))
    dev: set[int] = set(draw(st.sets(indices, max_size=1)))
    for index, deps in enumerate(dag):  # what is kept must not depend on a dev version
        if dev.intersection(deps):
            dev.add(index)
    return World(
        dag,
        tuple(
            draw(st.lists(st.sampled_from(sorted(sights)), min_size=len(dag), max_size=len(dag)))
        ),
        tuple(sorted(draw(st.sets(indices, min_size=1, max_size=3)))),
        frozenset(draw(st.sets(indices, max_size=2))),
        frozenset(draw(st.sets(indices, max_size=2))),
        frozenset(dev if draw(st.booleans()) else ()),
        frozenset(draw(st.sets(indices, max_size=2))),
        draw(st.booleans()),
    )


def _kinds(plan: Plan) -> list[Kind | None]:
    found = {decision.index: decision.kind for decision in plan.decisions}
    return [found.get(i) for i in range(len(plan.targets))]


def _snapshot(world: World, model: Model) -> Snapshot:
    needed = [i for i in range(len(world.dag)) if model.needed(i)]
    taint = Taint("bad", "ada@host", "2026")
    return Snapshot(
        {i: EVERY[world.sight[i]] for i in needed}, tainted=dict.fromkeys(world.tainted, taint)
    )


def with_living_work(snapshot: Snapshot, world: World) -> Snapshot:
    """Put the processes into a snapshot that no store holds: the machine's own list has them."""
    work = {
        i: replace(it, work=SIGHTS[world.sight[i]].work)
        for i, it in snapshot.seen.items()
        if it.gone
    }
    return replace(snapshot, seen={**snapshot.seen, **work})


def _targets(world: World, targets_of: TargetsOf) -> Targets:
    return targets_of(world.dag, unbuildable=world.unbuildable, dev=world.dev)


@given(data=st.data())
def test_the_plan_follows_the_rules_on_every_graph(
    data: st.DataObject, dags: SearchStrategy[Dag], targets_of: TargetsOf
) -> None:
    world = data.draw(_worlds(dags, EVERY))
    model = Model(world)
    targets = _targets(world, targets_of)
    plan = make_plan(targets, _snapshot(world, model), world.requested, forced=world.forced,
                     rerun_failed=world.rerun_failed)  # fmt: skip
    assert _kinds(plan) == [model.kind(i) for i in range(len(world.dag))]
    assert cascade_of(targets, world.requested, world.forced | world.tainted) == {
        i for i in range(len(world.dag)) if model.rebuilt_anyway(i)
    }
    counts = plan.summary()
    assert sum(counts.values()) == len(model.within)
    pruned = [i for i in model.within if model.kind(i) is None]
    assert counts["pruned"] == plan.pruned == len(pruned)
    assert plan.to_build == tuple(
        d.index for d in plan.decisions if d.kind.value in {"run", "wait"}
    )
    assert [d.index for d in plan.decisions] == sorted(d.index for d in plan.decisions)


def _fill(store: MemoryStore, targets: Targets, world: World) -> None:
    """Write what the sights say, as files."""
    for target, name in zip(targets.all, world.sight, strict=True):
        sight = SIGHTS[name]
        if sight.status is not None:
            store.contents[f"{target.output_path}/.executor_status"] = sight.status.encode()
        if sight.lease is not None:
            lease = sight.lease
            if sight.gone:  # a process of this host that is not there
                lease = functools.reduce(_with, [("boot", "here"), ("pid", 2**22 + 1)], lease)
            store.contents[f"{target.output_path}/.executor_status.lock"] = lease.encode()
        if sight.built is not None:
            record = (
                f'{{"executor_version": "marin_build/1", "fingerprint": "{target.fingerprint}",'
                '"run": "r-0", "provenance": {"user": "ada", "host": "host"},'
                '"end": "2026-11-21T10:20:30"}'
            )
            store.contents[f"{target.output_path}/.executor_info"] = record.encode()
        if sight.damage is not None:
            file = {"status": "_status", "lease": "_status.lock"}.get(sight.damage.what, "_info")
            store.contents[f"{target.output_path}/.executor{file}"] = b"{"
        if sight.last is not None:
            for number in (1, 2):
                store.contents[f"{target.output_path}/.logs/attempt-000{number}.json"] = (
                    f'{{"attempt": {number}, "result": "failed", "run": "r-1", "exit_code": 3,'
                    ' "message": "boom", "worker": "ada@host", "end": "2026"}'
                ).encode()


def _with(lease: Lease, change: tuple[str, Any]) -> Lease:
    return replace(lease, **{change[0]: change[1]})


HOST = Host("me@here", "here")


@given(data=st.data())
def test_observing_sees_what_a_plain_reader_sees_and_nothing_below_what_is_built(
    data: st.DataObject, dags: SearchStrategy[Dag], targets_of: TargetsOf,
    new_store: Callable[[], MemoryStore],
) -> None:  # fmt: skip
    world = data.draw(_worlds(dags))
    model = Model(world)
    targets = _targets(world, targets_of)
    store = new_store()
    _fill(store, targets, world)
    cascade = cascade_of(targets, world.requested, world.forced | world.tainted)
    snapshot = observe(store, targets, world.requested, cascade, HOST)
    snapshot = replace(snapshot, tainted=_snapshot(world, model).tainted)
    snapshot = with_living_work(snapshot, world)

    plain = _snapshot(world, model).seen
    assert sorted(snapshot.seen) == sorted(plain)
    for index, sight in plain.items():
        seen = snapshot.seen[index]
        assert (seen.status, seen.gone, seen.last) == (sight.status, sight.gone, sight.last)
        assert (seen.lease is None) == (sight.lease is None)
        assert (seen.built is None) == (sight.built is None)
        assert seen.damage is None or seen.damage.path.startswith(targets.all[index].output_path)
        assert (seen.damage and seen.damage.what) == (sight.damage and sight.damage.what)
    plan = make_plan(targets, snapshot, world.requested, forced=world.forced,
                     rerun_failed=world.rerun_failed)  # fmt: skip
    assert _kinds(plan) == [model.kind(i) for i in range(len(world.dag))]

    read = [i for i, target in enumerate(targets.all)
            if any(path.startswith(target.output_path + "/") for path in store.read)]  # fmt: skip
    assert set(read) <= model.within
    if all(model.there(i) for i in world.requested):
        assert set(read) == set(world.requested)


def _decide(targets_of: TargetsOf, sight: str, **rest: Any) -> why.Reason:
    plan = make_plan(targets_of([()]), Snapshot({0: SIGHTS[sight]}), [0], **rest)
    return plan.decisions[0].reason


@pytest.mark.parametrize(
    ("sight", "rest", "reason"),
    [
        ("absent", {}, why.NeverBuilt()),
        ("success", {}, why.BuiltBefore("r-0", "ada@host", "2026-11-21T10:20:30")),
        ("success of Marin", {}, why.BuiltBefore("", "", "")),
        ("success", {"forced": [0]}, why.Forced()),
        ("failed", {}, why.FailedBefore(2, 3, "boom", "ada@host", "2026")),
        ("failed", {"rerun_failed": False}, blocks.FailureKept(2)),
        ("failed without attempt", {}, why.FailedBefore(0, None, "", "", "")),
        ("failed without attempt", {"rerun_failed": False}, blocks.FailureKept(0)),
        ("dependency failed", {"rerun_failed": False}, why.DependencyFailed()),
        ("abandoned", {}, why.Interrupted("")),
        (
            "dead, its work alive",
            {"forced": [0]},
            why.HeldByWork("ada@far, run r-1, attempt 1", 7, "sleep 9", 1),
        ),
        ("dead", {}, why.Interrupted("ada@far")),
        (
            "running",
            {"forced": [0]},
            why.HeldBy("ada@far, run r-1, attempt 1", LIVE.written_at, 60.0),
        ),
        ("sealed, holder dead", {}, why.SealedBefore("ada@far")),
        ("record damaged", {}, blocks.Unreadable("record", "p")),
        ("record damaged", {"forced": [0]}, why.Forced()),
        ("status damaged", {"forced": [0]}, blocks.Unreadable("status", "p")),
        ("lease damaged", {"forced": [0]}, blocks.Unreadable("lease", "p")),
    ],
)
def test_every_decision_has_its_reason(
    targets_of: TargetsOf, sight: str, rest: dict[str, Any], reason: why.Reason
) -> None:
    assert _decide(targets_of, sight, **rest) == reason


@pytest.mark.parametrize(("rest", "kind"), [({}, Kind.BLOCKED), ({"forced": [0]}, Kind.RUN)])
def test_what_is_finished_and_not_saved_is_built_again_only_by_force(
    targets_of: TargetsOf, rest: dict[str, Any], kind: Kind
) -> None:
    """Else an apply clears hours of work that lacks only one value."""
    last = LastAttempt(2, 1, "cannot be saved", "ada@host", "2026", is_finished=True)
    seen = Snapshot({0: Observed("FAILED", last=last)})
    plan = make_plan(targets_of([()]), seen, [0], **rest)
    assert plan.decisions[0].kind is kind
    assert kind is Kind.RUN or plan.decisions[0].reason == blocks.ResultNotSaved(2)


@pytest.mark.parametrize("forced", [False, True])
def test_what_a_person_agreed_to_delete_is_said_beside_the_reason(
    targets_of: TargetsOf, forced: bool
) -> None:
    """It is recorded in a saved plan, whatever else the reason is; a blocked target has none."""
    seen = Snapshot({0: Observed(overwrites=DATA), 1: Observed()})
    forced_ones = [0] if forced else []
    plan = make_plan(targets_of([(), (0,)]), seen, [1], forced=forced_ones)
    agreed = why.Overwrites(2, 3, ("a", "b"), "l")
    assert plan.decisions[0].kind is Kind.RUN
    first = why.Forced() if forced else why.NeverBuilt()
    assert plan.decisions[0].reasons == (first, agreed)
    assert plan.decisions[1].reasons[1:] == ()
    assert plan.overwrites == {0: "l"}
    above = Snapshot({0: Observed(in_the_way="a file"), 1: Observed(overwrites=DATA)})
    blocked = make_plan(targets_of([(), (0,)]), above, [1])
    assert [decision.overwrites for decision in blocked.decisions] == [None, None]
    assert blocked.overwrites == {}


def test_reasons_name_the_upstream_they_come_from(targets_of: TargetsOf) -> None:
    targets = targets_of([(), (0,), (1,)], unbuildable={0})
    seen = Snapshot(dict.fromkeys(range(3), Observed()))
    plan = make_plan(targets, seen, [2])
    assert [d.reason for d in plan.decisions] == [
        blocks.NothingBuildsIt(),
        blocks.UpstreamBlocked(targets.all[0].id),
        blocks.UpstreamBlocked(targets.all[1].id),
    ]
    targets = targets_of([(), (0,), (1,)])
    built = Snapshot(dict.fromkeys(range(3), SIGHTS["success"]))
    plan = make_plan(targets, built, [2], forced=[0])
    assert [d.reason for d in plan.decisions] == [
        why.Forced(),
        why.Cascade(targets.all[0].id),
        why.Cascade(targets.all[1].id),
    ]


def test_force_reaches_no_further_than_the_request(targets_of: TargetsOf) -> None:
    """`apply tokens --force raw` must not retrain the model that also uses the tokens."""
    targets = targets_of([(), (0,), (1,), (1,)])
    assert cascade_of(targets, [2], [0]) == {0, 1, 2}
    assert cascade_of(targets, [2], [3]) == frozenset()


def test_a_rebuilt_upstream_does_not_rerun_a_built_consumer(targets_of: TargetsOf) -> None:
    targets = targets_of([(), (0,)])
    seen = Snapshot({0: Observed(), 1: SIGHTS["success"]})
    assert _kinds(make_plan(targets, seen, [0, 1])) == [Kind.RUN, Kind.REUSE]


LENGTH = 20_000


@pytest.fixture(scope="module")
def chain(make: Callable[..., Targets]) -> Targets:
    """A chain of many times more steps than Python calls may be nested."""
    step = StepSpec(name="s0", fn=print, declared=("p.py", 1))
    for i in range(1, LENGTH):
        step = StepSpec(name=f"s{i}", fn=print, deps=(step,), declared=("p.py", 1))
    return make(step)


def test_a_long_chain_is_planned_without_recursion(
    chain: Targets, new_store: Callable[[], MemoryStore]
) -> None:
    store = new_store()
    plan = make_plan(chain, observe(store, chain, [LENGTH - 1], set(), HOST), [LENGTH - 1])
    assert plan.summary()["run"] == LENGTH
    assert len(set(chain.deep_fingerprints())) == LENGTH
    # A batch reads 2, 4, 8 ... levels: a deep chain is no round trip a step.
    assert len(store.batches) < 300


def test_a_long_chain_is_blocked_at_once_by_its_first_step(chain: Targets) -> None:
    schedule = Schedule(range(LENGTH), chain.deps)
    assert schedule.take() == 0
    assert len(schedule.move(0, Failed)) == LENGTH - 1
    assert schedule.count(Blocked) == LENGTH - 1


def test_a_built_end_of_a_long_chain_is_one_read(
    chain: Targets, new_store: Callable[[], MemoryStore]
) -> None:
    store = new_store()
    end = f"{chain.all[-1].output_path}/.executor_status"
    store.contents[end] = b"SUCCESS"
    plan = make_plan(chain, observe(store, chain, [LENGTH - 1], set(), HOST, records=False),
                     [LENGTH - 1])  # fmt: skip
    assert plan.summary() == {"run": 0, "reuse": 1, "wait": 0, "blocked": 0, "pruned": LENGTH - 1}
    assert store.batches == [[end]]


def test_what_was_adopted_says_where_it_lies(targets_of: TargetsOf) -> None:
    built = Built("f", "a-1", "ada@host", "2026", adopted_from="gs://old", files=3, size=9)
    plan = make_plan(targets_of([()]), Snapshot({0: Observed("SUCCESS", built=built)}), [0])
    (decision,) = plan.decisions
    assert decision.kind is Kind.REUSE
    assert decision.reason == why.Adopted("gs://old", 3, 9, "ada@host", "2026")
