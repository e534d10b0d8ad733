"""Where a plan looks for drift: nowhere if nothing changed, and only along what did."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from marin_build.identity.code.digest import code_digest
from marin_build.observe.drift_walk import walk_drift
from marin_build.plan.decide import make_plan
from marin_build.plan.deep_digests import deep_digest, deep_digests
from marin_build.plan.snapshot import Observed, Snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from marin_build.observe.drift_walk import DriftWalk
    from marin_build.pipeline.targets import Targets
    from tests.unit.conftest import MemoryStore, TargetsOf

CHAIN = [(), (0,), (1,), (2,)]


class Store:
    """Built targets: the code of each as it was, `old` where it was another one."""

    def __init__(self, store: MemoryStore, targets: Targets) -> None:
        self.store, self.targets = store, targets
        self.now = code_digest(targets.all[0].step.fn)  # all steps have one function
        self.digests = deep_digests(targets, range(len(targets)))

    def build(self, old: set[int]) -> None:
        """Write the records of a run that built all, with other code for some."""
        deep: list[str] = []
        for index, deps in enumerate(self.targets.deps):
            code = "old" if index in old else self.now
            deep.append(deep_digest(code, [deep[dep] for dep in deps]))
            self.record(index, code, deep[index])

    def record(self, index: int, code: str, deep: str | None, end: str = "2026-11-21") -> None:
        document = {
            "executor_version": "marin_build/1",
            "fingerprint": self.targets.all[index].fingerprint,
            "run": "r-1",
            "end": end,
            "provenance": {"user": "ada", "host": "host"},
            "code_digest": code,
            "deep_code_digest": deep,
        }
        self.write(index, document)

    def write(self, index: int, document: dict[str, Any]) -> None:
        path = f"{self.targets.all[index].output_path}/.executor_info"
        self.store.contents[path] = json.dumps(document).encode()

    def remove(self, index: int) -> None:
        del self.store.contents[f"{self.targets.all[index].output_path}/.executor_info"]

    def descend(self, *requested: int) -> DriftWalk:
        """Plan as if everything were built, and search below what is requested."""
        from marin_build.observe.read_records import read_built

        requested = requested or (len(self.targets) - 1,)
        records = read_built(self.store, self.targets, requested)
        seen = {index: Observed("SUCCESS", built=records.get(index)) for index in requested}
        self.store.batches.clear()
        return walk_drift(self.store, make_plan(self.targets, Snapshot(seen), requested))

    @property
    def read(self) -> list[list[int]]:
        """The targets whose records were read, batch by batch."""
        names = {f"{t.output_path}/.executor_info": i for i, t in enumerate(self.targets.all)}
        return [[names[path] for path in batch] for batch in self.store.batches]


@pytest.fixture
def chain(targets_of: TargetsOf, new_store: Callable[[], MemoryStore]) -> Store:
    """s0 -> s1 -> s2 -> s3."""
    return Store(new_store(), targets_of(CHAIN))


def test_nothing_is_read_if_nothing_changed(chain: Store) -> None:
    """Else each plan of a built pipeline reads all its records."""
    chain.build(set())
    descent = chain.descend()
    assert chain.read == []
    assert not descent.has_other_code(3)


@pytest.mark.parametrize("drifted", range(4))
def test_it_goes_down_to_where_the_code_drifted_and_no_further(chain: Store, drifted: int) -> None:
    """Else drift far upstream is passed over, or the whole pipeline is read to find it."""
    chain.build({drifted})
    descent = chain.descend()
    assert [i for i in descent.records if descent.has_other_code(i)] == [drifted]
    # The record just below tells that nothing below it did; what was read ahead is let go.
    assert sorted(descent.records) == list(range(max(drifted - 1, 0), 4))


def test_a_deep_chain_is_not_a_round_trip_a_step(
    targets_of: TargetsOf, new_store: Callable[[], MemoryStore]
) -> None:
    """Else the plan of a deep pipeline waits a second for each edit of its first step."""
    deep = Store(new_store(), targets_of([(), *((i,) for i in range(199))]))
    deep.build({0})
    descent = deep.descend()
    assert descent.has_other_code(0)
    assert len(deep.read) == 8
    assert sum(map(len, deep.read)) == 199, "and nothing twice"
    assert not any(descent.built_again_below(index) for index in descent.records)


def test_a_level_is_one_batch(targets_of: TargetsOf, new_store: Callable[[], MemoryStore]) -> None:
    """Else finding the drift of one of 50 shards takes 50 round trips."""
    shards: list[tuple[int, ...]] = [() for _ in range(50)]
    store = Store(new_store(), targets_of([*shards, tuple(range(50))]))
    store.build({7})
    descent = store.descend()
    assert [len(batch) for batch in store.read] == [50]
    assert [i for i in descent.records if descent.has_other_code(i)] == [7]


def test_records_that_do_not_say_are_searched_below(chain: Store) -> None:
    """Else one record of an old version, or Marin's, hides all that drifted below it."""
    chain.build({0})
    chain.record(2, chain.now, None)
    chain.write(1, {"name": "s1", "version": {}})  # Marin's
    descent = chain.descend(2)
    assert chain.read == [[1], [0]]
    assert (descent.records[1], descent.has_other_code(0)) == (None, True)


def test_a_deleted_output_is_searched_below_only_if_something_drifted(chain: Store) -> None:
    """Else a plan of what was adopted asks for a thousand records that are not there."""
    chain.build({0})
    chain.remove(1)
    descent = chain.descend()
    assert chain.read == [[2], [1, 0]]
    assert descent.has_other_code(0)
    chain.record(3, chain.now, None)
    chain.remove(2)
    chain.descend()
    assert chain.read == [[2]]


def test_another_targets_record_says_nothing(chain: Store) -> None:
    """Else what lies under a reused path by accident is compared with."""
    chain.build({0, 1})
    chain.write(1, {**_read(chain, 1), "fingerprint": "another"})
    descent = chain.descend()
    assert descent.records[1] is None
    assert descent.has_other_code(0)


def _read(chain: Store, index: int) -> dict[str, Any]:
    path = f"{chain.targets.all[index].output_path}/.executor_info"
    document: dict[str, Any] = json.loads(chain.store.contents[path])
    return document


def test_what_other_code_built_again_below_is_named(chain: Store) -> None:
    """Else an output is reused that was made from another one than lies there now."""
    chain.build({0})
    chain.record(0, chain.now, chain.digests[0], end="2026-11-25")
    descent = chain.descend()
    assert not any(descent.has_other_code(index) for index in descent.records)
    found = {i: descent.built_again_below(i) for i in descent.records}
    assert found == {3: (), 2: (), 1: (chain.targets.all[0].id,), 0: ()}


def test_steps_without_a_function_hide_nothing(
    targets_of: TargetsOf, new_store: Callable[[], MemoryStore]
) -> None:
    """Else data that nothing builds, and so has no record, ends the search or starts one."""
    store = Store(new_store(), targets_of([(), (0,), (1,)], unbuildable={0}))
    store.now = code_digest(store.targets.all[1].step.fn)
    raw = deep_digest("", [])
    middle = deep_digest(store.now, [raw])
    store.record(1, store.now, middle)
    store.record(2, store.now, deep_digest(store.now, [middle]))
    store.descend()
    assert store.read == []
    middle = deep_digest("old", [raw])
    store.record(1, "old", middle)
    store.record(2, store.now, deep_digest(store.now, [middle]))
    descent = store.descend()
    assert store.read == [[1], [0]]
    assert [descent.has_other_code(index) for index in (1, 2)] == [True, False]
    assert not any(descent.built_again_below(index) for index in (1, 2))
