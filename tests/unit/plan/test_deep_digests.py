"""The digest that tells drift far upstream without reading what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from marin_build import StepSpec, step
from marin_build.plan.deep_digests import deep_digest, deep_digests, deep_digests_of_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from marin_build.pipeline.targets import Targets
    from tests.unit.conftest import Dag, TargetsOf


def _chain(make: Callable[..., Targets], *captured: int, **options: Any) -> Targets:
    """Return targets s0 -> s1 ... whose functions differ by what they captured."""
    before: list[StepSpec] = []
    for index, number in enumerate(captured):

        def build(output_path: str, n: int = number) -> int:
            return n

        only = options.get(f"s{index}", {})
        before.append(StepSpec(name=f"s{index}", fn=build, deps=before[-1:], **only))
    return make(*before[-1:])


def test_a_change_far_up_changes_the_digest_and_none_beside_it(
    make: Callable[..., Targets],
) -> None:
    """Else an edit of the first step of a built pipeline is passed over."""
    before = deep_digests(_chain(make, 1, 2, 3), [2])
    after = deep_digests(_chain(make, 9, 2, 3), [2])
    assert set(before) == {0, 1, 2}
    assert all(before[index] != after[index] for index in before)
    last = deep_digests(_chain(make, 1, 2, 9), [2])
    assert [before[index] == last[index] for index in before] == [True, True, False]


def test_only_what_is_wanted_and_below_it_is_read(make: Callable[..., Targets]) -> None:
    """Else a plan of one small target reads the code of the whole pipeline."""
    assert set(deep_digests(_chain(make, 1, 2, 3), [1])) == {0, 1}


def test_a_step_whose_author_ignores_its_code_is_constant(make: Callable[..., Targets]) -> None:
    """Else each plan searches below for a change that nobody wants to hear of."""
    ignoring = {"s0": {"code": "ignore"}}
    one, other = (deep_digests(_chain(make, n, 2, **ignoring), [1]) for n in (1, 9))
    assert one == other
    assert one != deep_digests(_chain(make, 1, 2), [1])


def test_steps_of_one_function_have_one_digest(make: Callable[..., Targets]) -> None:
    """Else the code of a thousand shards is read a thousand times."""

    @step(name="s{n}")
    def work(output: str, n: int) -> None: ...

    targets = make(work(1), work(2))
    one, other = deep_digests(targets, [0, 1]).values()
    assert one == other


@given(data=st.data())
def test_a_run_that_builds_all_records_what_plans_compute(
    data: st.DataObject, dags: st.SearchStrategy[Dag], targets_of: TargetsOf
) -> None:
    """Else every plan after the first run searches for drift, or overlooks it."""
    targets = targets_of(data.draw(dags))
    every = range(len(targets))
    now = deep_digests(targets, every)
    assert deep_digests_of_run(targets, every, {}) == now
    rest = data.draw(st.sets(st.sampled_from(every)))
    recorded = {index: now[index] for index in every if index not in rest}
    assert deep_digests_of_run(targets, rest, recorded) == {index: now[index] for index in rest}


def test_what_was_reused_counts_as_it_was_built(make: Callable[..., Targets]) -> None:
    """Else code that drifted before a consumer was built is forgotten when it is."""
    targets = _chain(make, 1, 2)
    now = deep_digests(targets, [1])
    own = deep_digests_of_run(targets, [1], {0: "as-built"})[1]
    assert own != now[1]
    alone = _chain(make, 2)
    assert deep_digests(alone, [0])[0] == deep_digest(_own(alone), [])
    assert own == deep_digest(_own(_chain(make, 1, 2), 1), ["as-built"])


def _own(targets: Targets, index: int = 0) -> str:
    from marin_build.identity.code.digest import code_digest

    return code_digest(targets.all[index].step.fn)


def test_what_nobody_knows_counts_as_it_is(make: Callable[..., Targets]) -> None:
    """Else a pipeline that Marin began to build is searched through by every plan."""
    targets = _chain(make, 1, 2)
    for recorded in ({}, {0: None}):
        assert deep_digests_of_run(targets, [1], recorded)[1] == deep_digests(targets, [1])[1]
