"""Pools of ninja: what takes the same never runs side by side, and nothing waits that need not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from marin_build.engines.local.build_files import pools_of

KINDS = st.lists(st.sets(st.sampled_from(["api", "gpu", "ram", "tpu", "x.y-z"]), min_size=1))


def test_kinds_that_one_step_takes_together_share_a_pool() -> None:
    pools = pools_of([("ram",), ("api", "gpu"), ("gpu", "tpu"), ("disk",)])
    assert [pool.kinds for pool in pools] == [("api", "gpu", "tpu"), ("disk",), ("ram",)]
    assert [pool.name for pool in pools] == ["limited1", "limited2", "limited3"]


@given(KINDS)
def test_each_kind_is_in_one_pool_and_each_pool_holds_together(taken: list[set[str]]) -> None:
    """Else a step is in no pool, or two that could run side by side wait for each other."""
    pools = pools_of(sorted(kinds) for kinds in taken)
    found = [kind for pool in pools for kind in pool.kinds]
    assert sorted(found) == sorted(set().union(*taken))
    assert all(sum(kinds <= set(pool.kinds) for pool in pools) == 1 for kinds in taken)
    for pool in pools:  # no part of it could stand alone
        reached = {pool.kinds[0]}
        for _ in taken:
            reached |= set().union(*(kinds for kinds in taken if kinds & reached))
        assert reached == set(pool.kinds)


@given(KINDS)
def test_the_order_of_steps_does_not_change_the_pools(taken: list[set[str]]) -> None:
    """Else the same plan has other bytes on another day."""
    sets = [sorted(kinds) for kinds in taken]
    assert pools_of(sets) == pools_of(reversed(sets))
