"""An estimate is believed when machines are ordered, so it never says more than is known.

The scheduler is compared with a plain model that lives second by second, and with `apply`'s own.
"""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build.pipeline.resources import ResourceConfig
from marin_build.pipeline.step_spec import StepSpec
from marin_build.plan.capacity import Limits
from marin_build.plan.estimate import Duration, Estimate, estimate_plan, estimate_steps, typical
from marin_build.plan.estimate_text import summary_text
from marin_build.plan.outcomes import Succeeded
from marin_build.plan.prices import load_prices
from marin_build.plan.schedule import Open, Schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marin_build.pipeline.targets import Targets

Deps = tuple[tuple[int, ...], ...]
Steps = dict[int, Estimate]


@st.composite
def _plans(draw: st.DrawFn, *, known: bool = True, elsewhere: bool = True) -> tuple[Deps, Steps]:
    """Draw a graph, and the estimates of some of its targets; times are whole seconds."""
    size = draw(st.integers(1, 12))
    needs = [st.sets(st.integers(0, max(i - 1, 0)), max_size=min(i, 3)) for i in range(size)]
    deps = tuple(tuple(sorted(draw(need))) for need in needs)
    seconds = st.integers(0, 9).map(float)
    steps = {
        i: Estimate(
            draw(seconds if known else st.none() | seconds),
            count=1,
            takes_slot=draw(st.booleans()) if elsewhere else True,
        )
        for i in sorted(draw(st.sets(st.integers(0, size - 1), min_size=1)))
    }
    return deps, steps


_NAMES = ("api", "cpu", "ram")


def _limits(size: int) -> st.SearchStrategy[Limits]:
    """Return what so many targets may take together; what there is of each is 4."""
    amount = st.integers(0, 4)
    needs = st.dictionaries(st.sampled_from(_NAMES), amount).map(lambda n: tuple(sorted(n.items())))
    return st.lists(needs, min_size=size, max_size=size).map(
        lambda drawn: Limits(dict.fromkeys(_NAMES, 4), dict(enumerate(drawn)))
    )


def _slowest(deps: Deps, steps: Mapping[int, Estimate], upto: int) -> float:
    above = [_slowest(deps, steps, dep) for dep in deps[upto] if dep in steps]
    return max(above, default=0.0) + (steps[upto].seconds or 0.0)


def _behind(deps: Deps, steps: Mapping[int, Estimate], of: int) -> float:
    """Return how long the slowest chain takes that begins with a step."""
    later = [_behind(deps, steps, i) for i in steps if of in deps[i]]
    return (steps[of].seconds or 0.0) + max(later, default=0.0)


def _lived(deps: Deps, steps: Mapping[int, Estimate], jobs: int) -> float:
    """Return when all is built: the clock goes second by second, and looks at everything."""
    ends: dict[int, float] = {}
    for now in itertools.count():
        while True:
            done = {i for i, end in ends.items() if end <= now}
            if len(done) == len(steps):
                return now
            ready = [
                i for i in steps if i not in ends and all(d in done for d in deps[i] if d in steps)
            ]
            free = jobs - sum(steps[i].takes_slot for i in ends if i not in done)
            inside = sorted(
                (i for i in ready if steps[i].takes_slot),
                key=lambda i: (-_behind(deps, steps, i), i),
            )
            started = [i for i in ready if not steps[i].takes_slot] + inside[:free]
            if not started:
                break
            ends |= {i: now + (steps[i].seconds or 0.0) for i in started}
    raise AssertionError


def _busy(steps: Mapping[int, Estimate]) -> float:
    return sum(step.seconds or 0.0 for step in steps.values() if step.takes_slot)


@given(plan=_plans(), jobs=st.integers(1, 4))
def test_the_total_is_what_a_clock_would_show(plan: tuple[Deps, Steps], jobs: int) -> None:
    deps, steps = plan
    assert estimate_plan(steps, deps, jobs).total_seconds == _lived(deps, steps, jobs)


def _applied(deps: Deps, steps: Mapping[int, Estimate], jobs: int, limits: Limits) -> float:
    """Return when the scheduler of `apply` would be through."""
    known = {i: step.seconds for i, step in steps.items() if step.seconds is not None}
    schedule = Schedule(sorted(steps), deps, known, limits)
    now, ends = 0.0, dict[int, float]()
    while True:
        while schedule.count(Open.RUNNING) < jobs and (taken := schedule.take()) is not None:
            ends[taken] = now + (steps[taken].seconds or 0.0)
        if not ends:
            return now
        now = min(ends.values())
        for index in [i for i, end in ends.items() if end == now]:
            del ends[index]
            schedule.move(index, Succeeded)


@given(plan=_plans(elsewhere=False), jobs=st.integers(1, 4), data=st.data())
def test_steps_start_in_the_order_of_apply_and_with_its_limits(
    plan: tuple[Deps, Steps], jobs: int, data: st.DataObject
) -> None:
    deps, steps = plan
    limits = data.draw(_limits(len(deps)))
    found = estimate_plan(steps, deps, jobs, limits)
    assert found.total_seconds == _applied(deps, steps, jobs, limits)
    assert found.is_limited == (
        found.total_seconds > estimate_plan(steps, deps, jobs).total_seconds
    )


@given(plan=_plans(), jobs=st.integers(1, 4))
def test_the_total_lies_between_the_bounds_of_every_such_schedule(
    plan: tuple[Deps, Steps], jobs: int
) -> None:
    deps, steps = plan
    found = estimate_plan(steps, deps, jobs)
    assert found.critical_seconds == max(_slowest(deps, steps, i) for i in steps)
    lower = max(found.critical_seconds, _busy(steps) / jobs)
    assert lower <= found.total_seconds <= found.critical_seconds + _busy(steps) / jobs


@given(plan=_plans())
def test_enough_slots_leave_the_critical_path_and_one_leaves_the_sum(
    plan: tuple[Deps, Steps],
) -> None:
    deps, steps = plan
    found = estimate_plan(steps, deps, len(steps))
    assert found.total_seconds == found.critical_seconds
    inside = {i: replace(step, takes_slot=True) for i, step in steps.items()}
    assert estimate_plan(inside, deps, 1).total_seconds == _busy(inside)


@given(plan=_plans(known=False), jobs=st.integers(1, 4), data=st.data())
def test_what_is_not_known_makes_lower_bounds(
    plan: tuple[Deps, Steps], jobs: int, data: st.DataObject
) -> None:
    deps, steps = plan
    limits = data.draw(st.none() | _limits(len(deps)))
    found = estimate_plan(steps, deps, jobs, limits)
    seconds = st.integers(0, 9).map(float)
    real = {
        i: replace(step, seconds=data.draw(seconds)) if step.seconds is None else step
        for i, step in steps.items()
    }
    after = estimate_plan(real, deps, jobs, limits)
    assert found.no_history == sum(step.seconds is None for step in steps.values())
    assert found.critical_seconds <= after.critical_seconds
    assert found.total_seconds <= after.total_seconds


@given(plan=_plans(known=False))
def test_the_critical_path_is_a_chain_of_that_duration(plan: tuple[Deps, Steps]) -> None:
    deps, steps = plan
    found = estimate_plan(steps, deps, 1)
    assert all(one in deps[other] for one, other in itertools.pairwise(found.critical_path))
    assert sum(steps[i].seconds or 0.0 for i in found.critical_path) == found.critical_seconds
    assert bool(found.critical_path) == any(step.seconds is not None for step in steps.values())


def test_a_shorter_step_can_make_it_longer_so_a_lower_bound_is_not_simulated() -> None:
    deps = ((), (0,), (), (2,), ())
    steps = {i: Estimate(float(s), 1) for i, s in enumerate([1, 3, 3, 1, 4])}
    assert estimate_plan(steps, deps, 2).total_seconds == 6
    assert estimate_plan(steps | {3: Estimate(0.0, 1)}, deps, 2).total_seconds == 7
    assert estimate_plan(steps | {3: Estimate(None, 0)}, deps, 2).total_seconds == 5.5


def test_a_hundred_thousand_steps_in_a_row_need_no_recursion() -> None:
    size = 100_000
    deps = [(i - 1,) if i else () for i in range(size)]
    found = estimate_plan({i: Estimate(1.0, 1) for i in range(size)}, deps, 2)
    assert found.critical_seconds == found.total_seconds == size
    assert found.critical_path == tuple(range(size))


def test_nothing_to_build_takes_no_time() -> None:
    found = estimate_plan({}, (), 4)
    assert (found.critical_path, found.total_seconds, found.cost) == ((), 0.0, None)
    assert summary_text(found) == ""


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([], None),
        ([4.0], Duration(4.0, 1)),
        ([9.0, 1.0, 2.0], Duration(2.0, 3)),
        ([1.0, 2.0], Duration(1.5, 2)),
        ([math.nan, -3.0, math.inf, 5.0], Duration(5.0, 1)),
        ([math.nan], None),
    ],
)
def test_the_typical_duration_is_the_median(
    seconds: Sequence[float], expected: Duration | None
) -> None:
    assert typical(seconds) == expected


@pytest.fixture
def pipeline(make: Callable[..., Targets]) -> Targets:
    """Return words -> train -> report, with chips for `train` of which the price is unknown."""
    words = StepSpec(
        name="words",
        fn=str,
        resources=ResourceConfig.with_tpu("v5p-8", preemptible=False, regions=["us-east5"]),
    )
    unpriced = ResourceConfig.with_gpu("gtx")
    train = StepSpec(name="train", fn=str, deps=[words], resources=unpriced)
    return make(StepSpec(name="report", fn=str, deps=[train]))


def test_an_estimate_of_each_step(pipeline: Targets) -> None:
    history = {"words": [3600.0, 7200.0, 7200.0], "train": [60.0]}
    steps = estimate_steps(pipeline, range(3), history, load_prices(), is_here=lambda _: False)
    assert steps[0].cost == pytest.approx(4 * 4.2 * 2)
    assert steps == {
        0: Estimate(7200.0, 3, steps[0].cost, is_charged=True, takes_slot=False),
        1: Estimate(60.0, 1, None, is_charged=True, takes_slot=False),
        2: Estimate(None, 0, None, is_charged=False, takes_slot=True),
    }
    found = estimate_plan(steps, pipeline.deps, 1)
    assert (found.no_history, found.no_price, found.cost_is_complete) == (1, 1, False)
    assert summary_text(found) == (
        "at least 2 h on the critical path, $34; no history: 1 of 3; no price: 1 of 3"
    )


def test_jobs_wait_for_their_turn_and_waiting_costs_nothing(pipeline: Targets) -> None:
    """Else a plan promises an hour where the queue of the cluster takes five."""
    history, queued = {"words": [3600.0], "report": [60.0]}, {"words": [7200.0, 9.0, 7200.0]}
    steps = estimate_steps(
        pipeline,
        range(3),
        history,
        load_prices(),
        is_here=lambda step: step.name != "words",
        queued=queued | {"report": [500.0]},
    )
    assert (steps[0].seconds, steps[0].queued) == (3600.0, 7200.0)
    assert steps[0].cost == pytest.approx(4 * 4.2)
    assert steps[2].queued == 0.0  # it asks for nothing, so it is built here
    found = estimate_plan({0: steps[0], 2: steps[2]}, ((), (0,), (0,)), 1)
    assert (found.queued_seconds, found.critical_seconds) == (7200.0, 10860.0)
    assert summary_text(found) == "about 3 h on the critical path (2 h of it in queues), $17"


def test_on_this_machine_every_step_takes_a_slot(pipeline: Targets) -> None:
    steps = estimate_steps(pipeline, range(3), {}, load_prices())
    assert all(step.takes_slot for step in steps.values())


def test_who_builds_it_pays_and_takes_no_slot_of_ours(pipeline: Targets) -> None:
    history = {"words": [60.0]}
    steps = estimate_steps(pipeline, [0, 1], history, load_prices(), waiting=[0])
    assert steps[0] == Estimate(60.0, 1, None, False, False)
    assert steps[1].takes_slot


HOURS = 3600.0
TRAIN = Estimate(9 * HOURS, 4, 2410.0, True, False)
TOKENIZE = Estimate(2.1 * HOURS, 2, 38.0, True, True)
EVAL = Estimate(3 * HOURS, 1)
NEW = Estimate(None, 0)


@pytest.mark.parametrize(
    ("steps", "deps", "expected"),
    [
        ([TOKENIZE, TRAIN], ((), (0,)), "about 11 h on the critical path, $2,448"),
        ([EVAL, EVAL], ((), ()), "about 6 h with -j 1, 3 h on the critical path"),
        ([EVAL], ((),), "about 3 h on the critical path"),
        ([NEW, NEW], ((), (0,)), "no history: 2 of 2"),
        (
            [TRAIN, NEW],
            ((), ()),
            "at least 9 h on the critical path, about $2,410; no history: 1 of 2",
        ),
        (
            [TRAIN, replace(NEW, is_charged=True)],
            ((), ()),
            "at least 9 h on the critical path, $2,410; no history: 1 of 2",
        ),
        (
            [TRAIN, replace(EVAL, is_charged=True)],
            ((), ()),
            "about 9 h on the critical path, at least $2,410; no price: 1 of 2",
        ),
        (
            [replace(EVAL, is_charged=True)],
            ((),),
            "about 3 h on the critical path; no price: 1 of 1",
        ),
        (
            [TOKENIZE, EVAL, EVAL, NEW],
            ((), (), (), ()),
            "at least 8.1 h with -j 1, 3 h on the critical path, about $38; no history: 1 of 4",
        ),
    ],
)
def test_the_summary_says_what_is_known(steps: list[Estimate], deps: Deps, expected: str) -> None:
    assert summary_text(estimate_plan(dict(enumerate(steps)), deps, 1)) == expected


def test_the_summary_says_that_more_slots_would_not_help() -> None:
    limits = Limits({"api": 1}, dict.fromkeys(range(2), (("api", 1),)))
    found = estimate_plan({0: EVAL, 1: EVAL}, ((), ()), 2, limits)
    assert summary_text(found) == (
        "about 6 h with -j 2 and the resources here, 3 h on the critical path"
    )


def test_it_is_pure() -> None:
    code = (
        "import sys, marin_build.plan.estimate; "
        "print(*(m for m in sys.modules if m.startswith(('fsspec', 'click', 'rich', 'pydantic', "
        "'marin_build.store', 'marin_build.cli', 'marin_build.apply'))))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
