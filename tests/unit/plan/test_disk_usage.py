"""No byte is counted twice, or for a group that it is not of."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from marin_build.plan.disk_usage import is_within, usage_by_group, usage_of
from marin_build.plan.inventory import InventoryTarget
from marin_build.plan.target_state import State, TargetState

BUILT = TargetState(State.BUILT)
NAMES = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join)


def target(name: str, size: int | None, number: int = 0) -> InventoryTarget:
    id_ = f"{name}_{number:08x}"
    return InventoryTarget(name, id_, f"/out/{id_}", BUILT, size=size)


TARGETS = st.lists(st.tuples(NAMES, st.none() | st.integers(0, 1 << 50)), max_size=12).map(
    lambda said: [target(name, size, number) for number, (name, size) in enumerate(said)]
)


@given(TARGETS, st.integers(0, 5))
def test_the_groups_of_any_depth_hold_everything_once(
    targets: list[InventoryTarget], depth: int
) -> None:
    total = usage_of(targets, None)
    groups = usage_by_group(targets, None, depth=depth)
    assert sum(group.size for group in groups) == total.size == sum(t.size or 0 for t in targets)
    assert sum(group.outputs for group in groups) == total.outputs == len(targets)
    assert sum(group.unknown for group in groups) == total.unknown
    assert [group.size for group in groups] == sorted((g.size for g in groups), reverse=True)
    for group in groups:
        inside = [each for each in targets if is_within(each.name, group.group)]
        assert len(group.group.split("/")) <= max(depth, 1)
        assert group.outputs <= len(inside)


@given(TARGETS, st.data())
def test_what_is_declared_and_what_is_not_are_all(
    targets: list[InventoryTarget], data: st.DataObject
) -> None:
    paths = [each.path for each in targets]
    declared = set(data.draw(st.lists(st.sampled_from(paths)))) if paths else set[str]()
    usage = usage_of(targets, declared)
    assert usage.older == len(targets) - len(declared)
    assert usage.older_size == sum(t.size or 0 for t in targets if t.path not in declared)
    assert usage_of(targets, None).older is None


def test_a_group_is_made_of_whole_segments() -> None:
    targets = [target("data/web", 1), target("data/web2", 2), target("data", 4), target("dat", 8)]
    (web,) = usage_by_group(targets, None, "data/web")
    assert (web.group, web.size) == ("data/web", 1)
    found = {usage.group: usage.size for usage in usage_by_group(targets, None, "data")}
    assert found == {"data/web": 1, "data/web2": 2, "data": 4}
    assert usage_by_group(targets, None, "nothing") == []
