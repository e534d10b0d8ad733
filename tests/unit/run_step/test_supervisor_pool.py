"""Supervisors in real threads, with the build loop: each goes on with the next target by itself."""

from __future__ import annotations

import random
import threading
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import Retries, StepSpec
from marin_build.apply.books import Books
from marin_build.apply.build_loop import BuildLoop
from marin_build.apply.delivery import Delivery
from marin_build.apply.events import Event, StepEnded, StepStarted
from marin_build.plan.outcomes import Failed, Interrupted, Outcome, Reused, Succeeded
from marin_build.plan.schedule import Schedule
from marin_build.run_step import supervisor_pool
from marin_build.run_step.supervisor_pool import SupervisorPool
from marin_build.run_step.workers import Start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from marin_build.pipeline.targets import Targets
    from tests.unit.conftest import TargetsOf


class Played:
    """Bodies that are never run: what would run them is played."""

    is_spent = False
    are_in_threads = True

    def __init__(self) -> None:
        self.was_signalled = threading.Event()

    def tend(self) -> float | None:
        return None

    def signal(self, index: int, number: int) -> None:
        self.was_signalled.set()

    def close(self) -> None:
        """Nothing runs."""


class Requests:
    """Requests of which nothing but the index matters."""

    next_look = 0.0

    def start(self, index: int, now: float) -> Start:
        return Start(index, "n")

    def ended(self, index: int) -> None:
        """Nothing was reserved."""

    def held(self, index: int, by: object, now: float) -> None:
        raise AssertionError(index, by, now)

    def freed(self, held: Iterable[int], now: float) -> list[int]:
        return []


class Run:
    """A run of one graph, whose targets end as `build` says."""

    def __init__(
        self,
        patch: pytest.MonkeyPatch,
        targets: Targets,
        build: Callable[[int, Callable[[], str]], Outcome],
        jobs: int,
        **options: Any,
    ) -> None:
        self.events: list[Event] = []
        self.refused: set[int] = set()
        self._turn = threading.Lock()
        self.threads: dict[int, int] = {}

        def build_target(
            _session: object, start: Start, *, asked_to_end: Callable[[], str],
            bookkeeping: AbstractContextManager[object], **_: object,
        ) -> Outcome:  # fmt: skip
            self.threads[start.index] = threading.get_ident()
            with bookkeeping:
                self.in_turn(start.index)
                if start.index in self.refused:
                    return Reused()
            outcome = build(start.index, asked_to_end)
            with bookkeeping:
                self.in_turn(start.index)
            return outcome

        patch.setattr(supervisor_pool, "build_target", build_target)
        session: Any = SimpleNamespace(store=SimpleNamespace(is_local=True), close=lambda: None)
        self.bodies = Played()
        bodies: Any = self.bodies
        self.pool = SupervisorPool(session, bodies, jobs)
        schedule = Schedule(range(len(targets)), targets.deps)
        hear = options.pop("on_event", self.events.append)
        books = Books(targets.all, schedule, self.pool, Requests(), jobs=jobs, on_event=hear)
        self.loop = BuildLoop(books, self.pool, **options)

    def in_turn(self, index: int) -> None:
        """Do what one supervisor at a time may do."""
        assert self._turn.acquire(blocking=False), index
        self._turn.release()

    def go(self) -> None:
        try:
            self.loop.run()
        finally:
            self.pool.close()


def _layers(width: int, depth: int) -> list[tuple[int, ...]]:
    dag: list[tuple[int, ...]] = [() for _ in range(width)]
    for layer in range(1, depth):
        above = range((layer - 1) * width, layer * width)
        dag += [tuple(above) for _ in range(width)]
    return dag


@pytest.mark.parametrize("jobs", [1, 2, 4, 8])
def test_every_target_is_built_once_in_any_number_of_threads(
    monkeypatch: pytest.MonkeyPatch, targets_of: TargetsOf, jobs: int
) -> None:
    dag = _layers(10, 20)
    built: Counter[int] = Counter()
    not_run = set(range(0, len(dag), 7))
    there = set(not_run)

    def build(index: int, _asked: object) -> Outcome:
        assert there.issuperset(dag[index])
        built[index] += 1
        there.add(index)
        return Reused() if index % 3 else Succeeded(1, 0.0)

    run = Run(monkeypatch, targets_of(dag), build, jobs)
    run.refused = not_run
    run.go()
    assert built == Counter(set(range(len(dag))) - not_run)
    assert _is_in_order(run.events, jobs)


def _is_in_order(events: Sequence[Event], jobs: int) -> bool:
    """Return whether each target starts and ends in turn, and never too many at once."""
    running: set[str] = set()
    for event in events:
        if isinstance(event, StepStarted):
            assert event.target not in running
            running.add(event.target)
            assert len(running) <= jobs
        elif isinstance(event, StepEnded):
            running.remove(event.target)
    return not running


def test_a_chain_stays_in_one_thread(
    monkeypatch: pytest.MonkeyPatch, targets_of: TargetsOf
) -> None:
    """Else every step of it waits until another thread has woken up."""
    dag = [(i - 1,) if i else () for i in range(50)]
    run = Run(monkeypatch, targets_of(dag), lambda _i, _asked: Succeeded(1, 0.0), 4)
    run.go()
    assert len(set(run.threads.values())) == 1


def test_bodies_that_wait_for_each_other_all_begin_after_quick_ones(
    monkeypatch: pytest.MonkeyPatch, targets_of: TargetsOf
) -> None:
    """Else a slot that keeps its turn during a body holds up the one that this body waits for."""
    together = threading.Barrier(4)

    def build(index: int, _asked: object) -> Outcome:
        if index // 4 % 2:
            together.wait(60)
        return Succeeded(1, 0.0)

    dag = _layers(4, 20)
    run = Run(monkeypatch, targets_of(dag), build, 4)
    run.go()
    assert len(run.threads) == len(dag)
    assert not together.broken


@pytest.mark.parametrize("seed", range(8))
def test_failures_and_retries_in_many_threads_end_the_run(
    monkeypatch: pytest.MonkeyPatch, make: Callable[..., Targets], seed: int
) -> None:
    chance, dag = random.Random(seed), _layers(6, 12)
    quick = Retries(limit=1, wait=0.001)
    steps: list[StepSpec] = []
    for index, above in enumerate(dag):
        needs = [steps[dep] for dep in chance.sample(above, min(2, len(above)))]
        steps.append(StepSpec(name=f"s{index}", fn=print, deps=needs, retries=quick))
    targets = make(*steps)
    fails = [chance.choice([0, 0, 0, 0, 0, 1, 9]) for _ in targets.all]
    tries: Counter[int] = Counter()

    def build(index: int, _asked: object) -> Outcome:
        tries[index] += 1
        return Failed(0, 1, "no") if tries[index] <= fails[index] else Succeeded(1, 0.0)

    run = Run(monkeypatch, targets, build, 4)
    run.go()
    for index, deps in enumerate(targets.deps):
        is_reached = all(tries[dep] == fails[dep] + 1 for dep in deps)
        assert tries[index] == (min(2, fails[index] + 1) if is_reached else 0)
    assert len([e for e in run.events if isinstance(e, StepStarted)]) == tries.total()


def test_an_interrupt_ends_all_threads_and_starts_nothing(
    monkeypatch: pytest.MonkeyPatch, targets_of: TargetsOf
) -> None:
    begun = threading.Semaphore(0)

    def build(index: int, asked: Callable[[], str]) -> Outcome:
        begun.release()
        if index < 4:
            return Succeeded(1, 0.0)
        run.bodies.was_signalled.wait()
        assert asked()
        return Interrupted(1)

    run = Run(monkeypatch, targets_of([() for _ in range(20)]), build, 3)

    def interrupt() -> None:
        for _ in range(7):  # four that end, and three that do not
            begun.acquire()
        run.loop.interrupt()

    threading.Thread(target=interrupt, daemon=True).start()
    run.go()
    assert len(run.threads) == 7
    assert run.loop.was_interrupted
    cut = [e for e in run.events if isinstance(e, StepEnded) and e.outcome == Interrupted(1)]
    assert len(cut) == 3


def test_an_error_where_an_event_is_heard_is_raised_by_the_run(
    monkeypatch: pytest.MonkeyPatch, targets_of: TargetsOf
) -> None:
    """Else the thread that met it dies, and the run waits for it for ever."""
    seen: list[Event] = []

    def hear(event: Event) -> None:
        seen.append(event)
        if len(seen) == 20:
            raise OSError("disk on fire")

    build = lambda _i, _asked: Succeeded(1, 0.0)  # noqa: E731 - short
    run = Run(monkeypatch, targets_of([() for _ in range(50)]), build, 2, on_event=hear)
    with pytest.raises(OSError, match="disk on fire"):
        run.go()
    assert len(run.threads) < 50


def test_a_slow_view_holds_no_step_up(
    monkeypatch: pytest.MonkeyPatch, targets_of: TargetsOf
) -> None:
    """Else a terminal that scrolls slowly, or a pipe that nobody reads, slows the run down."""
    count, shown = 60, []
    are_all_built = threading.Event()
    built: Counter[int] = Counter()

    def build(index: int, _asked: object) -> Outcome:
        built[index] += 1
        if len(built) == count:
            are_all_built.set()
        return Succeeded(1, 0.0)

    def show(event: Event) -> None:
        assert are_all_built.wait(60)
        shown.append(event)

    delivery = Delivery(show)
    run = Run(
        monkeypatch, targets_of([() for _ in range(count)]), build, 2,
        on_event=delivery, deliver=delivery.deliver,
    )  # fmt: skip
    with delivery.awaited(run.pool.wake):
        run.go()
    assert len(shown) == 2 * count
