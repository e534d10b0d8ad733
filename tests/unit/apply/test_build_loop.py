"""The loop: what it starts, when it stops starting, and what it tells at the end.

Steps are played by a script and time by a counter, so that nothing here waits.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build import Retries, StepSpec
from marin_build.apply import books, build_loop, events, looker, waiting
from marin_build.apply.applier import Applier
from marin_build.apply.deadlines import GRACE
from marin_build.apply.looker import Looker
from marin_build.errors import CorruptStateError, StoreAwayError, StoreDeniedError, StoreError
from marin_build.pipeline.targets import Targets
from marin_build.plan import outcomes as ended
from marin_build.plan.capacity import Capacity, Machine
from marin_build.plan.decide import make_plan
from marin_build.plan.snapshot import LastAttempt, Observed, Snapshot
from marin_build.protocol.documents import Provenance
from marin_build.protocol.lease import TIME_TO_LIVE, Host, Lease
from marin_build.protocol.look import Seen
from marin_build.protocol.record_reader import Built
from marin_build.run_step.commit_retry import LONGEST
from marin_build.run_step.session import Session
from marin_build.run_step.workers import INTERRUPTED, Ended, Lingers, Start

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hypothesis.strategies import SearchStrategy

    from marin_build.plan.decisions import Plan
    from marin_build.plan.outcomes import Outcome
    from tests.unit.conftest import Dag, MemoryStore, TargetsOf

OK = ended.Succeeded(1, 0.5)
BAD = ended.Failed(1, 3, "boom", "a.log", 0.5)
THEIRS = Lease("bob@far", 1.0, run="r-2", attempt=1, nonce="n", boot="elsewhere")
HELD = ended.Held(THEIRS, "v1")


class Play:
    """An isolation that answers from a script, and the clock its steps take time on."""

    def __init__(self, script: dict[int, list[Outcome]], *, takes: float = 1.0) -> None:
        self.script, self.takes, self.now = script, takes, 0.0
        self.is_spent = False
        self.running: dict[int, float] = {}
        self.started: list[Start] = []
        self.ended_by: list[tuple[int, bool]] = []
        self.most = 0
        self.interrupts: list[float] = []
        self.interrupt: Callable[[], None] = lambda: None

    def answer_to(self, hear: Callable[[Ended | Lingers], None]) -> None:
        """All answers are returned by `wait`."""

    def start(self, request: Start) -> None:
        self.started.append(request)
        self.running[request.index] = self.now + self.takes
        self.most = max(self.most, len(self.running))

    def wait(self, timeout: float | None) -> list[Ended]:
        return self.next_end(timeout)

    def next_end(self, timeout: float | None) -> list[Ended]:
        if self.interrupts and self.now >= self.interrupts[0]:
            self.interrupts.pop(0)
            self.interrupt()
            return []
        first = min(self.running, key=lambda i: self.running[i], default=None)
        if first is None or (timeout is not None and self.running[first] > self.now + timeout):
            assert timeout is not None, "waits for ever"
            self.now += timeout + 0.001
            return []
        self.now = max(self.now, self.running.pop(first))
        return [Ended(first, self.script.get(first, [OK]).pop(0) if self.script.get(first) else OK)]

    def wake(self) -> None:
        """What waits here never sleeps."""

    def terminate(self, index: int, *, kill: bool, why: str) -> None:
        self.ended_by.append((index, kill))
        died: Outcome = ended.Failed(1, 124, why)
        self.script[index] = [ended.Interrupted(1) if why == INTERRUPTED else died]
        self.running[index] = self.now

    def close(self) -> None:
        """Nothing is held."""


class Aloud(Play):
    """The same, but it has its answers heard, as threads do, while who waits sleeps on."""

    def __init__(self, script: dict[int, list[Outcome]], *, takes: float = 1.0) -> None:
        super().__init__(script, takes=takes)
        self.is_awake = False
        self.hear: Callable[[Ended | Lingers], None] = lambda _: None

    def answer_to(self, hear: Callable[[Ended | Lingers], None]) -> None:
        self.hear = hear

    def wait(self, timeout: float | None) -> list[Ended]:
        until = None if timeout is None else self.now + timeout
        while not self.is_awake:
            first = self.next_end(None if until is None else max(0.0, until - self.now))
            if not first:
                return []
            self.hear(first[0])
        self.is_awake = False
        return []

    def wake(self) -> None:
        self.is_awake = True


class Inline(Looker):
    """Looks at once, in the thread that asks."""

    def _begin(self, outputs: Mapping[int, str], now: float) -> None:
        self._look_at(outputs, now)


class Stage:
    """A plan, a script and a store, played to the end."""

    def __init__(self, plan: Plan, store: MemoryStore, play: Play) -> None:
        provenance = Provenance(user="u", host="h", argv=(), python="3", marin_build="0")
        self.told: list[events.Event] = []
        self.play = play
        self.session = Session(
            store=store, targets=plan.targets, deep=plan.targets.deep_fingerprints(), run="r-1",
            host=Host("me@here", "here"), provenance=lambda: provenance,
            now=lambda: datetime(2026, 11, 21, tzinfo=UTC),
        )  # fmt: skip
        self.plan = plan

    def run(
        self, *, jobs: int = 2, keep_going: bool = False, **options: Any
    ) -> events.ApplyFinished:
        with pytest.MonkeyPatch.context() as patch:
            for module in (books, build_loop, looker):
                patch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.play.now))
            patch.setattr(waiting, "Looker", Inline)
            options.setdefault("max_failures", None if keep_going else 1)
            options.setdefault("on_event", self.told.append)
            played = Applier(self.plan, self.session, self.play, jobs=jobs, **options)
            self.play.interrupt = played.interrupt
            return played.run()

    def names(self, kind: type[Any]) -> list[str]:
        return [event.name for event in self.told if isinstance(event, kind)]

    def ended(self, *kinds: type[Any]) -> list[tuple[str, Any]]:
        """Return the steps that ended so, each with how."""
        ends = [event for event in self.told if isinstance(event, events.StepEnded)]
        return [(e.name, e.outcome) for e in ends if isinstance(e.outcome, kinds)]


@pytest.fixture(scope="session", params=[Play, Aloud])
def stage(
    request: pytest.FixtureRequest, targets_of: TargetsOf, new_store: Callable[[], MemoryStore]
) -> Callable[..., Stage]:  # fmt: skip
    """Return what sets a stage for a graph of which nothing is built."""
    kind: type[Play] = request.param

    def stage(
        dag: Sequence[tuple[int, ...]] | Targets, script: dict[int, list[Outcome]] | None = None,
        *, sights: dict[int, Observed] | None = None, **rest: Any,
    ) -> Stage:  # fmt: skip
        targets = dag if isinstance(dag, Targets) else targets_of(dag)
        count = len(targets)
        seen = {i: (sights or {}).get(i, Observed()) for i in range(count)}
        plan = make_plan(targets, Snapshot(seen), range(count))
        return Stage(plan, new_store(), kind(script or {}, **rest))

    return stage


def _totals(finished: events.ApplyFinished) -> dict[str, int]:
    fields = ("succeeded", "failed", "reused", "blocked", "stopped", "interrupted", "not_started")
    return {name: getattr(finished, name) for name in fields if getattr(finished, name)}


def test_everything_is_built_in_order(stage: Callable[..., Stage]) -> None:
    built = stage([(), (0,), (0,), (1, 2)])
    finished = built.run()
    assert _totals(finished) == {"succeeded": 4}
    assert [request.index for request in built.play.started] == [0, 1, 2, 3]
    assert built.play.most == 2
    assert len({request.nonce for request in built.play.started}) == 4
    assert isinstance(built.told[0], events.ApplyStarted)
    assert built.told[-1] == finished


OUTCOMES: list[Outcome] = [
    OK, OK, BAD, ended.Reused(), ended.Stopped("lost"), ended.Interrupted(1),
]  # fmt: skip


@given(data=st.data())
def test_each_target_is_counted_once_whatever_happens(
    data: st.DataObject, dags: SearchStrategy[Dag], stage: Callable[..., Stage]
) -> None:
    dag = data.draw(dags)
    script = {i: [data.draw(st.sampled_from(OUTCOMES))] for i in range(len(dag))}
    jobs, keep_going = data.draw(st.integers(1, 3)), data.draw(st.booleans())
    plain = {i: outcomes[0] for i, outcomes in script.items()}
    played = stage(dag, script)
    finished = played.run(jobs=jobs, keep_going=keep_going)
    assert sum(_totals(finished).values()) == len(dag)
    assert played.play.most <= jobs
    started = {request.index for request in played.play.started}
    there = {i for i in started if isinstance(plain[i], ended.Succeeded | ended.Reused)}
    assert all(set(dag[i]) <= there for i in started)
    ends = Counter(type(plain[i]) for i in started)
    assert finished.succeeded == ends[ended.Succeeded]
    assert (finished.failed, finished.stopped) == (ends[ended.Failed], ends[ended.Stopped])
    assert (finished.reused, finished.interrupted) == (ends[ended.Reused], ends[ended.Interrupted])
    if keep_going:
        assert finished.not_started == 0
        assert started == {i for i in range(len(dag)) if set(dag[i]) <= there}


class Rules:
    """What holds at every event of a run, whatever happens.

    Args:
        plan: its plan.
        jobs, gpus: how much may run at once, and how much of it each target takes.

    """

    def __init__(self, plan: Plan, jobs: int, gpus: Sequence[int]) -> None:
        self.targets, self.jobs, self.gpus = plan.targets, jobs, gpus
        self.running: set[int] = set()
        self.there: set[int] = set()
        self.is_ending = self.is_over = False

    def check(self, event: events.Event) -> None:
        """Check an event; its class is told by its fields."""
        assert not self.is_over
        match event:
            case events.StepStarted(target=target):
                index = self.targets.by_id[target]
                assert not self.is_ending
                assert index not in self.running | self.there
                assert self.there.issuperset(self.targets.deps[index])
                self.running.add(index)
                assert len(self.running) <= self.jobs
                assert sum(self.gpus[i] for i in self.running) <= 2
            case events.StepWaiting(target=target):
                self.running.discard(self.targets.by_id[target])
            case events.StepEnded(target=target, outcome=ended.Blocked()):
                assert self.targets.by_id[target] not in self.running | self.there
            case events.StepEnded(target=target, outcome=outcome):
                self.running.remove(self.targets.by_id[target])
                if isinstance(outcome, ended.Succeeded | ended.Reused):
                    self.there.add(self.targets.by_id[target])
            case events.Interrupting() | events.FailingFast():
                self.is_ending = True
            case events.ApplyFinished():
                assert not self.running
                self.is_over = True


@given(data=st.data())
def test_no_step_starts_too_soon_or_twice_and_every_run_ends(
    data: st.DataObject,
    dags: SearchStrategy[Dag],
    make: Callable[..., Targets],
    stage: Callable[..., Stage],
) -> None:
    """Retries, pauses, leases of others, amounts, time-outs, interrupts and failures at once."""
    dag = data.draw(dags)
    steps: list[StepSpec] = []
    for i, deps in enumerate(dag):
        retries = Retries(limit=data.draw(st.integers(0, 2)), wait=data.draw(st.integers(0, 3)))
        steps.append(
            StepSpec(
                name=f"s{i}", fn=print, deps=[steps[dep] for dep in deps], retries=retries,
                timeout=data.draw(st.sampled_from([None, 0.5, 20.0])),
                budgets={"gpu": data.draw(st.integers(1, 2))} if data.draw(st.booleans()) else {},
            )
        )  # fmt: skip
    outcomes = st.lists(st.sampled_from([*OUTCOMES, HELD, HELD]), max_size=4)
    targets = make(*steps)
    played = stage(targets, {i: data.draw(outcomes) for i in range(len(dag))})
    played.play.interrupts = data.draw(st.lists(st.floats(0.0, 12.0), max_size=2).map(sorted))
    jobs = data.draw(st.integers(1, 8))
    gpus = [dict(targets.all[i].step.budgets).get("gpu", 0) for i in range(len(dag))]
    rules = Rules(played.plan, jobs, gpus)

    def hear(event: events.Event) -> None:
        rules.check(event)
        played.told.append(event)

    finished = played.run(
        jobs=jobs,
        keep_going=data.draw(st.booleans()),
        fail_fast=data.draw(st.booleans()),
        capacity=Capacity(Machine(8, gpus=("0", "1")), {}),
        on_event=hear,
    )
    assert rules.is_over
    assert sum(_totals(finished).values()) == len(dag)


def test_a_view_that_fails_in_the_thread_of_a_step_ends_the_run(
    stage: Callable[..., Stage],
) -> None:
    """Else its error is lost, and the run goes on without anybody who looks."""
    played = stage([(), (0,)])

    def fail(event: events.Event) -> None:
        if isinstance(event, events.StepEnded):
            raise OSError("broken pipe")

    with pytest.raises(OSError, match="broken pipe"):
        played.run(on_event=fail)
    assert [request.index for request in played.play.started] == [0]


def test_after_a_failure_nothing_new_is_started_and_what_runs_may_end(
    stage: Callable[..., Stage],
) -> None:
    played = stage([(), (), (), (0,)], {0: [BAD]})
    finished = played.run(jobs=2)
    assert _totals(finished) == {"failed": 1, "succeeded": 1, "blocked": 1, "not_started": 1}
    assert [name for name, _ in played.ended(ended.Blocked)] == ["s3"]


def test_keep_going_builds_all_that_does_not_need_the_failure(stage: Callable[..., Stage]) -> None:
    played = stage([(), (), (1,), (0,), (3, 2)], {0: [BAD]})
    finished = played.run(keep_going=True)
    assert _totals(finished) == {"failed": 1, "succeeded": 2, "blocked": 2}
    blocked = played.ended(ended.Blocked)
    assert [(name, how.upstream) for name, how in blocked] == [("s3", "s0"), ("s4", "s0")]


@pytest.mark.parametrize(
    ("most", "expected"),
    [(1, {"failed": 1, "not_started": 5}), (2, {"failed": 2, "succeeded": 1, "not_started": 3}),
     (3, {"failed": 3, "succeeded": 2, "not_started": 1}), (None, {"failed": 3, "succeeded": 3})],
)  # fmt: skip
def test_after_so_many_failures_nothing_more_is_started(
    stage: Callable[..., Stage], most: int | None, expected: dict[str, int]
) -> None:
    """Else one broken input fails a thousand steps, one after the other, until the morning."""
    played = stage([()] * 6, {0: [BAD], 2: [ended.Stopped("lost")], 4: [BAD]})
    finished = played.run(jobs=1, max_failures=most)
    if "failed" in expected and finished.stopped:
        finished = replace(finished, failed=finished.failed + finished.stopped, stopped=0)
    assert _totals(finished) == expected


def test_failing_fast_ends_what_runs(stage: Callable[..., Stage]) -> None:
    """Else people wait an hour for a step of a run that has failed already."""
    played = stage([(), (), (), (1,)], {0: [BAD]})
    slow = played.play.start

    def start(request: Start) -> None:
        played.play.takes = 1.0 if request.index == 0 else 100.0
        slow(request)

    played.play.start = start  # type: ignore[method-assign]
    finished = played.run(jobs=3, fail_fast=True)
    assert sorted(played.play.ended_by) == [(1, False), (2, False)]
    assert _totals(finished) == {"failed": 1, "interrupted": 2, "blocked": 1}
    assert not finished.was_interrupted, "nobody did: it failed"
    assert [e.running for e in played.told if isinstance(e, events.FailingFast)] == [2]
    assert played.play.now < 5


def test_failing_fast_waits_for_as_many_failures_as_may_be(stage: Callable[..., Stage]) -> None:
    played = stage([()] * 4, {0: [BAD], 2: [BAD]})
    assert _totals(played.run(jobs=1, fail_fast=True, max_failures=2)) == {
        "failed": 2, "succeeded": 1, "not_started": 1,
    }  # fmt: skip
    assert played.names(events.FailingFast) == []


def test_what_is_ended_by_failing_fast_is_not_tried_again(
    make: Callable[..., Targets], stage: Callable[..., Stage]
) -> None:
    steps = [StepSpec(name="s0", fn=print), StepSpec(name="s1", fn=print, retries=5)]
    played = stage(make(StepSpec(name="s2", fn=print, deps=steps)), {0: [BAD], 1: [BAD]})
    finished = played.run(jobs=2, fail_fast=True)
    assert len(played.play.started) == 2
    assert _totals(finished)["blocked"] == 1


def test_an_interrupt_while_failing_fast_kills_at_once(stage: Callable[..., Stage]) -> None:
    played = stage([(), ()], {0: [BAD]})
    played.play = Deaf({0: [BAD]}, takes=1.0)
    start, wait = played.play.start, played.play.wait

    def slow(request: Start) -> None:
        played.play.takes = 1.0 if request.index == 0 else 1000.0
        start(request)

    def in_small_steps(timeout: float | None) -> list[Ended]:
        return wait(timeout if timeout is None else min(timeout, 0.5))

    played.play.start, played.play.wait = slow, in_small_steps  # type: ignore[method-assign]
    played.play.interrupts = [3.0]
    finished = played.run(jobs=2, fail_fast=True)
    assert played.play.ended_by == [(1, False), (1, True)]
    assert (finished.was_interrupted, finished.failed) == (True, 1)
    assert played.play.now < 6


def test_the_totals_tell_where_the_time_went(stage: Callable[..., Stage]) -> None:
    played = stage([(), (), (0, 1), (2,)], {1: [ended.Succeeded(1, 0.9)]}, takes=2.0)
    finished = played.run(jobs=2)
    assert [one.target[:2] for one in finished.slowest] == ["s1", "s3", "s2"]
    path = finished.critical_path
    assert path is not None
    assert (path.count, path.seconds, finished.saved_seconds) == (3, 6.0, None)
    assert [(step.target[:2], step.seconds) for step in path.steps][1:] == [
        ("s2", 2.0),
        ("s3", 2.0),
    ]


def test_reuse_saved_what_the_records_say(stage: Callable[..., Stage]) -> None:
    """As far as they were read: nothing is read for it."""
    built = [Built("f", "r-0", "ada", "", seconds=seconds) for seconds in (100.0, 20.0)]
    adopted = Built("f", "r-0", "ada", "", seconds=7.0, adopted_from="/elsewhere")
    sights = {i: Observed("SUCCESS", built=one) for i, one in enumerate([*built, adopted, None])}
    played = stage([(), (), (), (), (0, 1, 2, 3)], sights=sights)
    assert played.run().saved_seconds == 120.0


def test_a_run_says_now_and_then_that_it_goes_on(stage: Callable[..., Stage]) -> None:
    """Else a log of CI cannot, and a run of hours looks as if it hung."""
    played = stage([(), (), (0,)], takes=150.0)
    played.run(report_every=60.0)
    told = [e for e in played.told if isinstance(e, events.StillRunning)]
    assert [(e.running, round(e.seconds)) for e in told] == [(2, 60), (2, 120), (1, 180), (1, 240)]
    silent = stage([(), (), (0,)], takes=150.0)
    silent.run()
    assert not [e for e in silent.told if isinstance(e, events.StillRunning)]


def test_a_start_says_what_it_waited_for(stage: Callable[..., Stage]) -> None:
    played = stage([(), (0,), (), ()], takes=2.0)
    played.run(jobs=1)
    starts = [event for event in played.told if isinstance(event, events.StepStarted)]
    assert [(e.name, e.slot, e.after[:2], e.queued) for e in starts] == [
        ("s0", 1, "", 0.0), ("s1", 1, "s0", 0.0), ("s2", 1, "s1", 4.0), ("s3", 1, "s2", 6.0),
    ]  # fmt: skip


def _alone(make: Callable[..., Targets], **options: Any) -> Targets:
    return make(StepSpec(name="s0", fn=print, **options))


def test_a_step_is_tried_as_often_as_it_may_be(
    make: Callable[..., Targets], stage: Callable[..., Stage]
) -> None:
    played = stage(_alone(make, retries=2), {0: [BAD, BAD, BAD]})
    assert _totals(played.run()) == {"failed": 1}
    failed = _failures(played)
    assert [event.retries_left for event in failed] == [2, 1, 0]
    again = stage(_alone(make, retries=2), {0: [BAD, OK]})
    assert _totals(again.run()) == {"succeeded": 1}


def _failures(played: Stage) -> list[ended.Failed]:
    return [how for _, how in played.ended(ended.Failed)]


def test_another_try_waits_and_holds_no_slot_meanwhile(
    make: Callable[..., Targets], stage: Callable[..., Stage]
) -> None:
    """Else a step that waits a minute for its next try keeps the machine idle."""
    steps = [StepSpec(name="s0", fn=print, retries=Retries(limit=1, wait=40.0)),
             *(StepSpec(name=f"s{i}", fn=print) for i in (1, 2))]  # fmt: skip
    played = stage(make(*steps), {0: [BAD]})
    assert _totals(played.run(jobs=1)) == {"succeeded": 3}
    assert [request.index for request in played.play.started] == [0, 1, 2, 0]
    (failed,) = _failures(played)
    assert failed.retry_in is not None
    assert 20 <= failed.retry_in <= 40
    assert played.play.now >= 1 + failed.retry_in
    last = [event for event in played.told if isinstance(event, events.StepStarted)][-1]
    assert last.queued == 0.0, "it was not ready"


def test_failures_of_the_infrastructure_use_up_no_retries(
    make: Callable[..., Targets], stage: Callable[..., Stage]
) -> None:
    """Else a bad node costs the step the tries that it has for itself."""
    away = replace(BAD, exit_code=75, cause="infra")
    played = stage(_alone(make, retries=1), {0: [away, BAD, away, OK]})
    assert _totals(played.run()) == {"succeeded": 1}
    assert [(e.cause, e.retries_left) for e in _failures(played)] == [
        ("infra", 3), ("app", 1), ("infra", 2),
    ]  # fmt: skip
    played = stage(_alone(make), {0: [away] * 4})
    assert _totals(played.run()) == {"failed": 1}
    assert [e.retry_in is None for e in _failures(played)] == [False, False, False, True]


def test_nobody_waits_for_a_try_after_enough_failures_or_an_interrupt(
    make: Callable[..., Targets], stage: Callable[..., Stage]
) -> None:
    """Else Ctrl-C is heard when the back-off is over."""

    def again() -> Targets:
        return make(StepSpec(name="s0", fn=print, retries=Retries(limit=9, wait=60.0)),
                    StepSpec(name="s1", fn=print))  # fmt: skip

    played = stage(again(), {0: [BAD], 1: [BAD]})
    assert _totals(played.run(jobs=2)) == {"failed": 1, "not_started": 1}
    played = stage(again(), {0: [BAD]})
    played.play.interrupts = [2.0]
    finished = played.run(jobs=1)
    assert _totals(finished) == {"succeeded": 1, "not_started": 1}
    assert finished.was_interrupted
    assert played.play.now < 60


def test_trying_once_means_once(make: Callable[..., Targets], stage: Callable[..., Stage]) -> None:
    """Else an engine that tries again multiplies its tries with ours."""
    played = stage(_alone(make, retries=5), {0: [replace(BAD, cause="infra")]})
    assert _totals(played.run(once=True)) == {"failed": 1}
    assert [e.retries_left for e in _failures(played)] == [0]


def test_each_step_gets_devices_of_its_own(
    make: Callable[..., Targets], stage: Callable[..., Stage]
) -> None:
    """Else two trainings share a GPU, and both run out of its memory."""
    steps = [StepSpec(name=f"s{i}", fn=print, budgets={"gpu": 1 + i % 2}) for i in range(6)]
    played = stage(make(*steps, StepSpec(name="s6", fn=print)))
    played.play.takes = 10.0
    taken: dict[int, tuple[str, ...]] = {}
    start, next_end = played.play.start, played.play.next_end

    def started(request: Start) -> None:
        taken[request.index] = request.gpus
        used = [name for gpus in taken.values() for name in gpus]
        assert len(used) == len(set(used)) <= 3
        start(request)

    def waited(timeout: float | None) -> list[Ended]:
        answers = next_end(timeout)
        for answer in answers:
            del taken[answer.index]
        return answers

    played.play.start, played.play.next_end = started, waited  # type: ignore[method-assign]
    capacity = Capacity(Machine(8, gpus=("4", "5", "6")), {})
    assert _totals(played.run(jobs=8, capacity=capacity)) == {"succeeded": 7}
    given = {request.index: len(request.gpus) for request in played.play.started}
    assert given == {0: 1, 1: 2, 2: 1, 3: 2, 4: 1, 5: 2, 6: 0}
    waited_for = [e for e in played.told if isinstance(e, events.StepStarted) and e.queued]
    assert all(event.after for event in waited_for)
    assert waited_for


def test_a_step_that_needs_more_than_there_is_runs_alone(
    make: Callable[..., Targets], stage: Callable[..., Stage]
) -> None:
    """Else it never runs, or the machine is overrun."""
    steps = [StepSpec(name=f"s{i}", fn=print, budgets={"cpu": 64 if i == 1 else 1})
             for i in range(4)]  # fmt: skip
    played = stage(make(*steps))
    running: list[set[int]] = []
    start = played.play.start

    def started(request: Start) -> None:
        start(request)
        running.append(set(played.play.running))

    played.play.start = started  # type: ignore[method-assign]
    assert _totals(played.run(jobs=3, capacity=Capacity(Machine(2), {}))) == {"succeeded": 4}
    assert [one for one in running if 1 in one] == [{1}]


def test_what_others_build_is_not_built_here_for_want_of_a_device(
    make: Callable[..., Targets], stage: Callable[..., Stage]
) -> None:
    played = stage(_alone(make, budgets={"gpu": 1}), {0: [HELD, ended.Reused()]},
                   sights={0: Observed("RUNNING", THEIRS)})  # fmt: skip
    assert _totals(played.run(capacity=Capacity(Machine(2), {}))) == {"reused": 1}
    assert {request.refusal[:11] for request in played.play.started} == {"needs 1 GPU"}


def test_a_plan_that_was_blocked_says_why(
    make: Callable[..., Targets], stage: Callable[..., Stage]
) -> None:
    """Else `1 blocked` is all that a run of an hour tells."""
    nothing = StepSpec(name="s0")
    played = stage(make(StepSpec(name="s1", fn=print, deps=[nothing])))
    assert _totals(played.run()) == {"blocked": 2}
    blocked = played.ended(ended.Blocked)
    assert [(name, how.upstream, how.reason) for name, how in blocked] == [
        ("s0", "", "nothing builds it, and its output is not there"), ("s1", "", ""),
    ]  # fmt: skip


def test_a_step_that_takes_too_long_is_asked_to_end_and_has_failed(
    make: Callable[..., Targets], stage: Callable[..., Stage]
) -> None:
    """Else a step cannot save a checkpoint when its time is over, as it can at Ctrl-C."""
    played = stage(_alone(make, timeout=60.0, retries=1), takes=100.0)
    assert _totals(played.run()) == {"failed": 1}
    assert played.play.ended_by == [(0, False), (0, False)]
    failed = _failures(played)
    assert [(e.exit_code, e.message) for e in failed] == [(124, "timed out after 60 s")] * 2


def test_a_step_that_takes_too_long_and_does_not_listen_is_killed(
    make: Callable[..., Targets], stage: Callable[..., Stage]
) -> None:
    """Else a step that hangs holds its slot for ever, whatever its time-out says."""
    played = stage(_alone(make, timeout=60.0), takes=100.0)
    played.play = Deaf({}, takes=100.0)
    assert _totals(played.run()) == {"failed": 1}
    assert played.play.ended_by == [(0, False), (0, True)]
    assert played.play.now == pytest.approx(60.0 + GRACE, abs=0.1)
    assert [e.exit_code for e in _failures(played)] == [124]


def test_a_step_that_ends_in_time_is_not_killed_later(
    make: Callable[..., Targets], stage: Callable[..., Stage]
) -> None:
    first = StepSpec(name="s0", fn=print, timeout=5.0)
    played = stage(make(StepSpec(name="s1", fn=print, deps=[first])), takes=4.0)
    assert _totals(played.run()) == {"succeeded": 2}
    assert played.play.ended_by == []


def test_what_somebody_else_builds_is_waited_for(stage: Callable[..., Stage]) -> None:
    played = stage([(), (0,)], {0: [HELD, ended.Reused()]})
    path = played.plan.targets.all[0].output_path
    store: Any = played.session.store
    store.contents[f"{path}/.executor_status.lock"] = THEIRS.encode()
    look = store.get
    reads: list[str] = []

    def get(asked: str) -> object:
        reads.append(asked)
        if len(reads) == 5:  # now they are done
            store.contents = {f"{path}/.executor_status": b"SUCCESS"}
        return look(asked)

    store.get = get
    assert _totals(played.run()) == {"reused": 1, "succeeded": 1}
    assert played.names(events.StepWaiting) == ["s0"]
    assert 2.0 <= played.play.now < 6.0  # it looked every half second, and went on at once


def test_a_lease_that_nobody_renews_is_taken_over_after_its_time_and_not_before(
    stage: Callable[..., Stage],
) -> None:
    played = stage([()])
    path = f"{played.plan.targets.all[0].output_path}/.executor_status.lock"
    store: Any = played.session.store
    version = store.put(path, THEIRS.encode())
    played.play.script[0] = [ended.Held(THEIRS, version), OK]
    assert _totals(played.run()) == {"succeeded": 1}
    assert [request.stale_version for request in played.play.started] == ["", version]
    assert TIME_TO_LIVE < played.play.now < TIME_TO_LIVE + 5


def test_a_lease_that_is_renewed_is_never_taken_over(stage: Callable[..., Stage]) -> None:
    played = stage([()])
    path = f"{played.plan.targets.all[0].output_path}/.executor_status.lock"
    store: Any = played.session.store
    version = store.put(path, THEIRS.encode())
    played.play.script[0] = [ended.Held(THEIRS, version), ended.Reused()]
    look = store.get

    def get(asked: str) -> object:
        if played.play.now > 10 * TIME_TO_LIVE:
            store.contents = {path.removesuffix(".lock"): b"SUCCESS"}
        elif asked == path:
            store.put(path, replace(THEIRS, timestamp=float(int(played.play.now / 50))).encode())
        return look(asked)

    store.get = get
    assert _totals(played.run()) == {"reused": 1}
    assert [request.stale_version for request in played.play.started] == ["", ""]
    assert played.play.now > 10 * TIME_TO_LIVE


@pytest.mark.parametrize("error", [StoreAwayError("away"), StoreDeniedError("no")])
@pytest.mark.parametrize("seconds", [3.0, 75.0, 600.0])
def test_a_store_without_an_answer_ends_no_waiting(
    stage: Callable[..., Stage], seconds: float, error: StoreError
) -> None:
    """Else seconds of an outage end a run that waits, or have it take what another builds."""
    played = stage([(), (), (1,)])
    path = f"{played.plan.targets.all[0].output_path}/.executor_status.lock"
    store: Any = played.session.store
    version = store.put(path, THEIRS.encode())
    played.play.script[0] = [ended.Held(THEIRS, version), ended.Reused()]
    look, over = store.get, 2.0 + seconds

    def get(asked: str) -> object:
        if 2.0 < played.play.now < over:
            raise error
        if played.play.now > over + 20:  # the holder renews it as soon as it can, and ends
            store.contents = {path.removesuffix(".lock"): b"SUCCESS"}
        elif played.play.now > over + 10:
            store.put(path, replace(THEIRS, timestamp=5.0).encode())
        return look(asked)

    store.get = get
    assert _totals(played.run()) == {"reused": 1, "succeeded": 2}
    assert [r.stale_version for r in played.play.started if r.index == 0] == ["", ""]
    assert played.play.now > over


@pytest.mark.parametrize(
    "error", [StoreAwayError("away"), StoreError("no"), CorruptStateError("?")]
)
def test_what_stays_unseen_is_a_workers_matter(
    stage: Callable[..., Stage], error: StoreError
) -> None:
    """Else a lease that is not readable ends the whole run, and what it builds besides."""
    played = stage([(), ()])
    played.play.script[0] = [HELD, replace(BAD, message="cannot read it")]
    store: Any = played.session.store

    def get(asked: str) -> object:
        raise error

    store.get = get
    finished = played.run(keep_going=True)
    assert _totals(finished) == {"failed": 1, "succeeded": 1}
    assert (played.play.now > LONGEST) == isinstance(error, StoreAwayError)


def test_a_dead_holder_on_this_host_is_not_waited_for(stage: Callable[..., Stage]) -> None:
    played = stage([()])
    dead = replace(THEIRS, boot="here", pid=2**22 + 1)
    path = f"{played.plan.targets.all[0].output_path}/.executor_status.lock"
    store: Any = played.session.store
    played.play.script[0] = [ended.Held(dead, store.put(path, dead.encode())), OK]
    assert _totals(played.run()) == {"succeeded": 1}
    assert played.play.now < 5


def test_an_interrupt_asks_what_runs_to_end_and_starts_nothing_more(
    stage: Callable[..., Stage],
) -> None:
    played = stage([(), (), (), (0,)], takes=100.0)
    played.play.interrupts = [0.0]
    finished = played.run(jobs=2)
    assert played.play.ended_by == [(0, False), (1, False)]
    assert (finished.was_interrupted, finished.interrupted, finished.not_started) == (True, 2, 1)
    assert (finished.succeeded, finished.failed) == (0, 0)
    assert [e.running for e in played.told if isinstance(e, events.Interrupting)] == [2]


class Dying(Play):
    """The process that starts the steps dies with the first of them that ends."""

    def wait(self, timeout: float | None) -> list[Ended]:
        answers = super().wait(timeout)
        self.is_spent = True
        return answers


def test_what_can_be_built_no_more_is_not_called_a_failure(
    stage: Callable[..., Stage],
) -> None:
    """Else one kill marks the other 10,000 targets of a run as failed, one after the other."""
    died = ended.Failed(1, 3, "the process that starts the steps died", cause="infra")
    played = stage([()] * 5, {0: [died], 1: [died]})
    played.play = Dying(played.play.script)
    finished = played.run(jobs=2, keep_going=True)
    assert (finished.failed, finished.not_started, len(played.play.started)) == (2, 3, 2)


class Deaf(Play):
    """A step that does not hear SIGTERM."""

    def terminate(self, index: int, *, kill: bool, why: str) -> None:
        if kill:
            super().terminate(index, kill=kill, why=why)
        else:
            self.ended_by.append((index, kill))


@pytest.mark.parametrize(("interrupts", "until"), [([0.0], GRACE), ([0.0, 3.0], 5.0)])
def test_a_step_that_does_not_end_is_killed_after_the_grace_or_a_second_interrupt(
    stage: Callable[..., Stage], interrupts: list[float], until: float
) -> None:
    played = stage([()])
    played.play = Deaf({}, takes=1000.0)
    played.play.interrupts = [*interrupts]
    wait = played.play.wait

    def in_small_steps(timeout: float | None) -> list[Ended]:
        return wait(timeout if timeout is None else min(timeout, 0.5))

    played.play.wait = in_small_steps  # type: ignore[method-assign]
    finished = played.run()
    assert played.play.ended_by == [(0, False), (0, True)]
    assert (finished.was_interrupted, finished.interrupted) == (True, 1)
    assert played.play.now <= until + 1


def test_what_the_snapshot_saw_is_not_read_again_but_once(stage: Callable[..., Stage]) -> None:
    """A retry, or a second look at what another builds, must not act on that old news."""
    failed = Observed("FAILED", last=LastAttempt(4, 1, "boom", "ada", None), status_version="v1")
    dead = Observed("RUNNING", THEIRS, gone=True, status_version="v2", lease_version="v3")
    played = stage([(), (), ()], {0: [HELD, OK], 1: [BAD]}, sights={0: failed, 1: dead})
    played.run(jobs=3, keep_going=True)
    seen = {request.index: request.seen for request in played.play.started[:3]}
    assert seen == {
        0: Seen("FAILED", "v1", attempt=4),
        1: Seen("RUNNING", "v2", THEIRS, "v3"),
        2: Seen(),
    }
    assert [request.seen for request in played.play.started[3:]] == [None]


def test_a_retry_looks_for_itself(
    make: Callable[..., Targets], stage: Callable[..., Stage]
) -> None:
    played = stage(_alone(make, retries=1), {0: [BAD, OK]})
    played.run()
    assert [request.seen for request in played.play.started] == [Seen(), None]


def test_a_seal_that_the_snapshot_saw_is_looked_at_again(stage: Callable[..., Stage]) -> None:
    played = stage([()], {0: [ended.Reused(published=True)]},
                   sights={0: Observed("RUNNING", THEIRS.sealed("d", 1.0))})  # fmt: skip
    played.run()
    assert [request.seen for request in played.play.started] == [None]


def test_a_sealed_target_is_finished_before_what_needs_it(stage: Callable[..., Stage]) -> None:
    sealed = Observed("RUNNING", THEIRS.sealed("d", 1.0))
    built = Observed("SUCCESS")
    played = stage([(), (0,), (), (2,)], {0: [ended.Reused(published=True)]},
                   sights={0: sealed, 2: built})  # fmt: skip
    finished = played.run()
    assert [request.index for request in played.play.started] == [0, 3, 1]
    assert _totals(finished) == {"reused": 2, "succeeded": 2}


def test_targets_the_plan_blocked_are_told_and_counted(
    targets_of: TargetsOf, stage: Callable[..., Stage]
) -> None:
    played = stage(targets_of([(), (0,), ()], unbuildable={0}))
    finished = played.run()
    assert _totals(finished) == {"blocked": 2, "succeeded": 1}
    assert [name for name, _ in played.ended(ended.Blocked)] == ["s0", "s1"]
