"""Targets built by jobs: no answer is lost, whatever the queue, the store or a person does."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from marin_build.apply import queue_workers, silence, wanted_jobs
from marin_build.apply.queue_workers import QueueWorkers
from marin_build.engines.jobs import (
    JobNotYetError,
    JobQueue,
    JobRefusedError,
    JobRequest,
    JobState,
    Phase,
    QueueAwayError,
)
from marin_build.errors import StoreAwayError
from marin_build.plan import outcomes as ended
from marin_build.protocol import layout
from marin_build.protocol.documents import Attempt, Provenance
from marin_build.protocol.lease import Host, Lease
from marin_build.protocol.look import look
from marin_build.run_step.session import Session
from marin_build.run_step.workers import INTERRUPTED, Start
from tests.unit.conftest import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from marin_build.pipeline.targets import Targets
    from marin_build.plan.outcomes import Outcome
    from marin_build.protocol.documents import Result
    from marin_build.store.base import Blob, File
    from tests.unit.conftest import TargetsOf

PATIENCE = 240.0
"""Seconds until a lost answer fails a test."""
NOW = "2026-11-21T00:00:00Z"
RUNS, ENDS = JobState(Phase.RUNNING, "RUNNING"), JobState(Phase.ENDED, "FAILED")


class SharedStore(MemoryStore):
    """A store in memory for two threads."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self.is_away = False

    def get_many(self, paths: Sequence[str]) -> list[Blob | None]:
        if self.is_away:
            raise StoreAwayError("away")
        return super().get_many(paths)

    def put(self, path: str, data: bytes) -> str:
        with self._lock:
            return super().put(path, data)

    def list(self, folder: str) -> list[str]:
        if self.is_away:
            raise StoreAwayError("away")
        with self._lock:
            return super().list(folder)

    def files(self, folder: str) -> Sequence[File]:
        with self._lock:
            return super().files(folder)


class Queue(JobQueue):
    """A queue in memory; what a test puts into `fails` happens to the next call of that name."""

    poll_every = 0.01

    def __init__(self) -> None:
        self.jobs: dict[str, JobState] = {}
        self.calls: list[tuple[str, object]] = []
        self.fails: dict[str, list[Exception]] = {}
        self.on_submit: Callable[[str], None] = lambda _: None
        self.asked = threading.Event()

    def _called(self, name: str, with_what: object) -> None:
        self.calls.append((name, with_what))
        self.asked.set()
        if self.fails.get(name):
            raise self.fails[name].pop(0)

    def check(self) -> None:
        """It is always there."""

    def find(self, names: Collection[str]) -> dict[str, str]:
        self._called("find", sorted(names))
        live = {Phase.QUEUED, Phase.RUNNING}
        return {n: n for n in names if n in self.jobs and self.jobs[n].phase in live}

    def submit(self, job: JobRequest) -> str:
        self.jobs[job.name] = RUNS
        self.on_submit(job.name)
        self._called("submit", job.name)
        return job.name

    def poll(self, jobs: Mapping[str, str]) -> dict[str, JobState]:
        self._called("poll", sorted(jobs))
        return {id_: self.jobs.get(id_, JobState(Phase.UNKNOWN)) for id_ in jobs}

    def cancel(self, jobs: Mapping[str, str], *, kill: bool) -> None:
        self._called("cancel", (sorted(jobs), kill))
        for id_ in jobs:
            self.jobs[id_] = JobState(Phase.ENDED, "CANCELLED", "infra")

    def forget(self, job_id: str) -> None:
        self._called("forget", job_id)


class Scene:
    """Workers over a store and a queue, both in memory."""

    def __init__(self, targets: Targets, store: SharedStore) -> None:
        self.targets, self.store, self.queue = targets, store, Queue()
        provenance = Provenance(user="u", host="h", argv=(), python="3", marin_build="0")
        session = Session(
            store=store, targets=targets, deep=targets.deep_fingerprints(), run="r-1",
            host=Host("me@here", "here"), provenance=lambda: provenance,
            now=lambda: datetime(2026, 11, 21, tzinfo=UTC),
        )  # fmt: skip
        specs = {i: JobRequest(f"job{i}", "spec") for i in range(len(targets))}
        self.workers = QueueWorkers(session, "slurm", self.queue, specs, lambda _: None)
        self._ended: dict[int, Outcome] = {}

    def start(self, *indices: int, force: bool = False) -> None:
        for index in indices:
            self.workers.start(Start(index, "nonce", force=force))
        self._ended |= {e.index: e.outcome for e in self.workers.wait(0)}

    def ends(self, count: int = 1) -> dict[int, Outcome]:
        found, self._ended = self._ended, {}
        deadline = time.monotonic() + PATIENCE
        while len(found) < count and time.monotonic() < deadline:
            found |= {e.index: e.outcome for e in self.workers.wait(1.0)}
        assert len(found) == count, "an answer was lost"
        return found

    def until(self, name: str, with_what: object) -> None:
        while (name, with_what) not in list(self.queue.calls):
            assert self.queue.asked.wait(PATIENCE), self.queue.calls
            self.queue.asked.clear()

    def path(self, index: int, name: str) -> str:
        return f"{self.targets.all[index].output_path}/{name}"

    def attempt(
        self, index: int, number: int, result: Result = "failed", exit_code: int = 7
    ) -> None:
        """Write what an attempt leaves that ended."""
        target = self.targets.all[index]
        document = Attempt(target=target.id, attempt=number, run="r-2", worker="w", result=result,
                           start=NOW, end=NOW, exit_code=exit_code,
                           message=f"boom {number}")  # fmt: skip
        self.store.put(layout.attempt_path(target.output_path, number), document.to_bytes())
        said = b"FAILED" if result == "failed" else b"RUNNING"
        self.store.put(self.path(index, layout.STATUS), said)


@pytest.fixture
def scene(
    targets_of: TargetsOf, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[int], Scene]]:
    """Return what makes a scene with so many targets."""
    monkeypatch.setattr(queue_workers, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(wanted_jobs, "_PAUSE_IF_NOT_YET", 0.01)
    monkeypatch.setattr(silence, "doubled", lambda *_: 0.01)
    made: list[Scene] = []

    def make(count: int) -> Scene:
        made.append(Scene(targets_of([()] * count), SharedStore()))
        return made[-1]

    yield make
    for it in made:
        it.workers.close()


@pytest.mark.parametrize("error", [QueueAwayError("away"), RuntimeError("bug"), OSError(5, "io")])
def test_an_end_is_told_though_the_job_cannot_be_freed(
    scene: Callable[[int], Scene], error: Exception
) -> None:
    """Else a run waits for ever for a target that is built."""
    it = scene(2)
    it.queue.fails["forget"] = [error]
    it.start(0, 1)
    it.until("submit", "job1")
    it.queue.jobs |= {"job0": ENDS, "job1": ENDS}
    assert all(isinstance(end, ended.Failed) for end in it.ends(2).values())


@pytest.mark.parametrize("name", ["find", "submit", "poll", "cancel"])
def test_a_bug_of_an_engine_ends_all_its_targets(scene: Callable[[int], Scene], name: str) -> None:
    """Else a run waits for ever for threads that died."""
    it = scene(3)
    it.queue.fails[name] = [RuntimeError("bug")] * 10
    it.start(0, 1, 2)
    if name == "cancel":
        it.until("submit", "job2")
        it.workers.terminate(0, kill=False, why=INTERRUPTED)
    assert {end.message for end in it.ends(3).values() if isinstance(end, ended.Failed)} == {
        "RuntimeError: bug"
    }


@pytest.mark.parametrize("kind", ["lease", "status", "refused"])
def test_an_error_about_one_target_ends_that_target_alone(
    scene: Callable[[int], Scene], kind: str
) -> None:
    """Else one damaged file has all jobs of a run waited for, for ever."""
    it = scene(2)
    if kind == "refused":
        it.queue.fails["submit"] = [JobRefusedError("no", hint="ask")]
    else:
        it.store.put(it.path(0, layout.LEASE if kind == "lease" else layout.STATUS), b"?{")
    it.start(0, 1)
    (failed,) = it.ends(1).items()
    assert failed[0] == 0
    assert isinstance(failed[1], ended.Failed)
    it.until("submit", "job1")
    it.attempt(1, 1)
    assert it.ends(1)[1] == ended.Failed(1, 7, "boom 1")


def test_a_job_that_cannot_be_taken_now_holds_up_no_other(scene: Callable[[int], Scene]) -> None:
    """Else one pod that saves its checkpoint keeps a hundred others from starting."""
    it = scene(2)
    tries: list[str] = []

    def submitted(name: str) -> None:
        tries.append(name)
        if tries == ["job0"]:
            del it.queue.jobs["job0"]
            raise JobNotYetError("an earlier one is still ending")

    it.queue.on_submit = submitted
    it.start(0, 1)
    it.until("submit", "job0")
    assert tries == ["job0", "job1", "job0"]
    it.attempt(0, 1)
    it.attempt(1, 1)
    assert set(it.ends(2)) == {0, 1}


class BatchQueue(Queue):
    """A queue that takes several jobs by one request, or none of them."""

    def batches(self, jobs: Sequence[JobRequest]) -> list[Sequence[JobRequest]]:
        return [jobs] if jobs else []

    def submit_batch(self, jobs: Sequence[JobRequest]) -> list[str]:
        names = [job.name for job in jobs]
        self._called("batch", names)
        return [self.submit(job) for job in jobs]


def test_jobs_that_are_refused_together_are_submitted_one_by_one(
    scene: Callable[[int], Scene],
) -> None:
    """Else one impossible step of a sweep fails all of them, without saying which it is."""
    it = scene(3)
    it.queue.__class__ = BatchQueue
    it.queue.fails["find"] = [QueueAwayError("away")]  # so that all three begin together
    it.queue.fails["batch"] = [JobRefusedError("no")]
    refused: list[str] = []

    def submitted(name: str) -> None:
        if name == "job1":
            refused.append(name)
            del it.queue.jobs[name]
            raise JobRefusedError("too large an array")

    it.queue.on_submit = submitted
    it.start(0, 1, 2)
    found = it.ends(1)[1]
    assert isinstance(found, ended.Failed)
    assert "too large" in found.message
    assert refused == ["job1"]
    it.attempt(0, 1)
    it.attempt(2, 1)
    assert set(it.ends(2)) == {0, 2}


def test_what_is_ready_together_is_submitted_together(scene: Callable[[int], Scene]) -> None:
    """Else it depends on the moment how many requests a sweep costs."""
    it = scene(3)
    it.queue.__class__ = BatchQueue
    it.start(0, 1, 2)
    it.until("batch", ["job0", "job1", "job2"])


def test_a_job_that_ends_before_the_next_is_submitted_is_not_made_again(
    scene: Callable[[int], Scene],
) -> None:
    """Else a run that begins as the job of another one ends pays for a second job."""
    it = scene(1)
    output = it.targets.all[0].output_path
    seen = look(it.store, output)
    it.attempt(0, 1)
    it.store.put(it.path(0, layout.STATUS), b"SUCCESS")
    it.workers.start(Start(0, "nonce", seen=seen))
    assert isinstance(it.ends(1)[0], ended.Reused)
    assert [name for name, _ in it.queue.calls if name == "submit"] == []


def test_an_array_whose_answer_is_lost_is_found(scene: Callable[[int], Scene]) -> None:
    """Else a busy controller starts a thousand jobs twice."""
    it = scene(2)
    it.queue.__class__ = BatchQueue
    it.queue.fails["submit"] = [QueueAwayError("away")]
    it.start(0, 1)
    it.until("poll", ["job0", "job1"])
    it.attempt(0, 1)
    it.attempt(1, 1)
    assert set(it.ends(2)) == {0, 1}
    assert [with_what for name, with_what in it.queue.calls if name == "submit"].count("job0") == 1


def test_a_target_damaged_while_its_job_runs_ends_alone(scene: Callable[[int], Scene]) -> None:
    """Else no other end of a job is ever seen."""
    it = scene(2)
    it.start(0, 1)
    it.until("submit", "job1")
    it.store.put(it.path(0, layout.STATUS), b"nonsense")
    assert isinstance(it.ends(1)[0], ended.Failed)
    it.attempt(1, 1)
    assert it.ends(1)[1] == ended.Failed(1, 7, "boom 1")


def test_a_cancel_without_an_answer_is_asked_again(scene: Callable[[int], Scene]) -> None:
    """Else Ctrl-C beside a busy controller leaves jobs that nothing follows."""
    it = scene(1)
    it.start(0)
    it.until("poll", ["job0"])
    it.queue.fails["cancel"] = [QueueAwayError("away")] * 3
    it.workers.terminate(0, kill=False, why=INTERRUPTED)
    assert it.ends(1)[0] == ended.Interrupted()
    assert it.queue.calls.count(("cancel", (["job0"], False))) == 4


def test_an_interrupt_cancels_jobs_while_the_store_gives_no_answer(
    scene: Callable[[int], Scene],
) -> None:
    """Else Ctrl-C in an outage leaves all jobs, and takes until the longest pause is over."""
    made = scene(1)
    made.start(0)
    made.until("poll", ["job0"])
    made.store.is_away = True
    made.workers.terminate(0, kill=False, why=INTERRUPTED)
    assert made.ends() == {0: ended.Interrupted()}
    assert ("cancel", (["job0"], False)) in made.queue.calls


def test_a_kill_cancels_first(scene: Callable[[int], Scene]) -> None:
    """Else a job that still waits stays: a signal reaches only what runs."""
    it = scene(1)
    it.start(0)
    it.until("poll", ["job0"])
    it.workers.terminate(0, kill=True, why=INTERRUPTED)
    it.ends(1)
    cancels = [with_what for name, with_what in it.queue.calls if name == "cancel"]
    assert cancels == [(["job0"], False), (["job0"], True)]


def test_a_job_whose_submit_got_no_answer_is_ended_by_an_interrupt(
    scene: Callable[[int], Scene],
) -> None:
    """Else Ctrl-C during a submit leaves a job that no run knows of."""
    it = scene(1)
    it.queue.fails["submit"] = [QueueAwayError("away")]
    it.queue.on_submit = lambda _: it.workers.terminate(0, kill=False, why=INTERRUPTED)
    it.start(0)
    assert it.ends(1)[0] == ended.Interrupted()
    assert ("cancel", (["job0"], False)) in it.queue.calls


def test_a_job_of_another_run_is_left_alone_by_an_early_interrupt(
    scene: Callable[[int], Scene],
) -> None:
    """Else Ctrl-C right after the start cancels days of work of a killed run."""
    it = scene(1)
    it.queue.jobs["job0"] = RUNS
    it.queue.fails["find"] = [QueueAwayError("away")]
    it.workers.terminate(0, kill=False, why=INTERRUPTED)
    it.start(0)
    assert it.ends(1)[0] == ended.Interrupted()
    assert it.queue.jobs["job0"] is RUNS


def test_a_job_that_ends_while_it_is_submitted_says_why(scene: Callable[[int], Scene]) -> None:
    """Else `apply` tells a quick failure without its cause, code and log."""
    it = scene(1)

    def at_once(name: str) -> None:
        it.attempt(0, 1)
        it.queue.jobs[name] = ENDS

    it.queue.on_submit = at_once
    it.start(0)
    assert it.ends(1)[0] == ended.Failed(1, 7, "boom 1")


def test_each_try_of_a_job_is_counted(scene: Callable[[int], Scene]) -> None:
    """Else a step with one retry is tried four times: by its job, and by further jobs."""
    it = scene(1)

    def twice(name: str) -> None:
        it.attempt(0, 1)
        it.attempt(0, 2)
        it.queue.jobs[name] = ENDS

    it.queue.on_submit = twice
    it.start(0)
    assert it.ends(1)[0] == ended.Failed(1, 7, "boom 1")
    it.start(0)
    assert it.ends(1)[0] == ended.Failed(2, 7, "boom 2")
    assert [name for name, _ in it.queue.calls].count("submit") == 1


def test_a_job_whose_run_has_given_up_is_ended(scene: Callable[[int], Scene]) -> None:
    """Else an engine that counts no lost machines pays for tries that nobody waits for."""
    it = scene(1)
    for number in range(1, 5):  # three tries beside the first one
        it.start(0)
        it.until("find", ["job0"])
        it.attempt(0, number, exit_code=75)
        (failed,) = it.ends(1).values()
        assert isinstance(failed, ended.Failed)
        assert (failed.attempt, failed.cause) == (number, "infra")
        assert (("cancel", (["job0"], False)) in it.queue.calls) == (number == 4)


def test_unknown_jobs_are_looked_for_together_and_go_on(scene: Callable[[int], Scene]) -> None:
    """Else a controller that forgot a thousand jobs gets a thousand questions a poll."""
    it = scene(3)
    it.start(0, 1, 2)
    it.until("submit", "job2")
    it.attempt(0, 1, "interrupted")  # by a preemption: Slurm starts it again
    for name in ("job0", "job1", "job2"):
        it.queue.jobs[name] = JobState(Phase.UNKNOWN)
    it.queue.calls.clear()
    it.until("find", ["job0", "job1", "job2"])
    for index in range(3):
        it.attempt(index, 2)
    assert set(it.ends(3).values()) == {ended.Failed(2, 7, "boom 2")}


def test_an_interrupt_does_not_wait_for_a_job_that_the_queue_has_forgotten(
    scene: Callable[[int], Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else Ctrl-C hangs for a minute for a job that is nowhere, and that nobody can end."""
    monkeypatch.setattr(Queue, "cancel", lambda *_, **__: None)  # there is nothing to cancel
    it = scene(1)
    it.start(0)
    it.until("submit", "job0")
    it.queue.jobs["job0"] = JobState(Phase.UNKNOWN)
    it.workers.terminate(0, kill=False, why=INTERRUPTED)
    assert it.ends() == {0: ended.Interrupted()}


def test_jobs_of_a_killed_run_are_asked_for_together(scene: Callable[[int], Scene]) -> None:
    """Else the next run puts one question for each of a thousand jobs."""
    it = scene(3)
    for index in range(3):
        lease = Lease("w", 1.0, run="r-0", attempt=1, nonce="n", job=f"slurm:job{index}")
        it.store.put(it.path(index, layout.LEASE), lease.encode())
        it.store.put(it.path(index, layout.STATUS), b"RUNNING")
        it.queue.jobs[f"job{index}"] = RUNS
    with _together(it):
        it.start(0, 1, 2)
    it.until("poll", ["job0", "job1", "job2"])
    for index in range(3):
        it.attempt(index, 1)
    assert set(it.ends(3).values()) == {ended.Failed(1, 7, "boom 1")}
    assert "submit" not in [name for name, _ in it.queue.calls]


def test_a_job_that_died_with_its_lease_is_followed_by_another_at_once(
    scene: Callable[[int], Scene],
) -> None:
    """Else a lost gang costs the life of its lease twice: once here, and once on its nodes."""
    it = scene(1)
    lease = Lease("w", 1.0, run="r-0", attempt=1, nonce="n", job="slurm:dead")
    it.store.put(it.path(0, layout.LEASE), lease.encode())
    it.store.put(it.path(0, layout.STATUS), b"RUNNING")
    it.queue.jobs["dead"] = JobState(Phase.ENDED, "FAILED")
    it.start(0)
    it.until("submit", "job0")


@contextmanager
def _together(it: Scene) -> Iterator[None]:
    """Let the workers see what is asked for in a block at once."""
    it.workers._silence.ask_at = float("inf")
    yield
    it.workers._silence.ask_at = 0.0
    it.workers._something.set()
