"""A gang in threads: its leader and its ranks, each with a body that the test holds."""

from __future__ import annotations

import json
import signal
import tempfile
import threading
import time
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import StepSpec
from marin_build.errors import StoppedError, StoreAwayError
from marin_build.plan import outcomes as ended
from marin_build.protocol.documents import Attempt, Provenance
from marin_build.protocol.gang import RankEnd, write_end
from marin_build.protocol.lease import Host, Lease, boot_clock
from marin_build.protocol.look import look
from marin_build.protocol.renewal import Keeping
from marin_build.run_step import leader
from marin_build.run_step.body import Done, run_body
from marin_build.run_step.launch import Launch
from marin_build.run_step.rank import RankEnded, RankWorker
from marin_build.run_step.resource_usage import OWN, Meter
from marin_build.run_step.session import Session
from marin_build.run_step.step_log import add_line
from marin_build.run_step.supervisor import build_target
from marin_build.run_step.workers import INTERRUPTED, Start
from marin_build.store.local import LocalStore
from marin_build.store.memory import MemoryStore
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from marin_build.pipeline.targets import Targets
    from marin_build.run_step.body import Request

NOW = datetime(2026, 11, 30, tzinfo=UTC)
LIFE = 6.0
"""Seconds that leases live here: ranks look ten times a second."""
PATIENCE = 240.0
HANGS = Done(-1)
"""Stands for a body that waits until it is signalled."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    with in_workspace(Workspace(str(tmp_path), str(tmp_path / "out"))):
        yield tmp_path


@dataclass
class Bodies:
    """Runs the body of one rank in the thread that asks, or hangs until it is signalled."""

    session: Session
    rank: int
    answer: Done | None = None
    after: threading.Event | None = None
    """What the body waits for before it ends."""
    is_spent: bool = False
    makes_logs: bool = False
    are_in_threads: bool = False
    started: threading.Event = field(default_factory=threading.Event)
    heard: list[int] = field(default_factory=list)
    _ends: threading.Event = field(default_factory=threading.Event)

    def run(self, slot: int, request: Request, tell: Callable[[str], None]) -> Done:
        add_line(request.log, f"words of rank {self.rank}", 0.0)
        self.started.set()
        target = self.session.targets.all[request.index]
        assert self.after is None or self.after.wait(PATIENCE)
        if self.answer is HANGS:
            self._wait(target.output_path, request)
            return Done(128 + self.heard[-1], f"killed by {self.heard[-1]}")
        if self.answer is not None:
            return self.answer
        Path(target.output_path, f"part-{self.rank}").write_text("x")
        return run_body(target, Meter.begin(OWN))

    def _wait(self, output: str, request: Request) -> None:
        """Wait for a signal; keep the lease meanwhile, as the keeper does for the leader."""
        life = self.session.time_to_live
        keeping = Keeping(output, request.nonce, held_since=boot_clock(), clock=boot_clock,
                          time_to_live=life)  # fmt: skip
        until = boot_clock() + PATIENCE
        while not self._ends.wait(life / 20):
            assert boot_clock() < until
            if self.rank == 0:
                keeping.renew(self.session.store, time.time())

    def release(self, index: int) -> None:
        """Nothing is kept."""

    def signal(self, index: int, number: int) -> None:
        self.heard.append(int(number))
        self._ends.set()

    def tend(self) -> float | None:
        return None

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class Gang:
    """Three ranks of one step, each in a thread."""

    session: Session
    answers: tuple[Done | None, ...]
    ends: dict[int, Any] = field(default_factory=dict)
    forced_over: str = ""
    why: str = ""
    """Why the leader is asked to end."""

    def __post_init__(self) -> None:
        self.bodies = [
            Bodies(self.session_of(rank), rank, answer) for rank, answer in enumerate(self.answers)
        ]
        self.workers = {
            rank: RankWorker(
                self.session_of(rank),
                0,
                self.bodies[rank],
                forced_over=self.forced_over,
                patience=PATIENCE,
            )
            for rank in (1, 2)
        }
        self._threads: dict[int, threading.Thread] = {}

    def session_of(self, rank: int) -> Session:
        return replace(self.session, launch=Launch("l.1", rank, len(self.answers)))

    @property
    def output(self) -> Path:
        return Path(self.session.targets.all[0].output_path)

    def start(self, *ranks: int) -> None:
        for rank in ranks:
            run = self.workers[rank].run if rank else self._lead
            thread = threading.Thread(target=self._keep, args=(rank, run), daemon=True)
            self._threads[rank] = thread
            thread.start()

    def wait(self, *ranks: int) -> None:
        for rank in ranks or tuple(self._threads):
            self._threads[rank].join(PATIENCE)
            assert rank in self.ends, f"rank {rank} has not ended"

    def run(self, *ranks: int) -> tuple[ended.Outcome, list[RankEnded]]:
        """Start ranks in an order; return how all ended."""
        self.start(*ranks)
        self.wait()
        return self.ends[0], [self.ends[rank] for rank in (1, 2)]

    def attempt(self) -> Attempt:
        return Attempt.from_bytes((self.output / ".logs/attempt-0001.json").read_bytes())

    def log(self) -> str:
        return (self.output / ".logs/attempt-0001.log").read_text()

    def _lead(self) -> ended.Outcome:
        force = 0 in self.session.forced
        return build_target(
            self.session_of(0),
            Start(0, "n", force=force, forced_over=self.forced_over or None),
            bodies=self.bodies[0],
            slot=0,
            asked_to_end=lambda: self.why,
            tell=print,
            bookkeeping=nullcontext(),
        )

    def _keep(self, rank: int, run: Callable[[], object]) -> None:
        try:
            self.ends[rank] = run()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            self.ends[rank] = error


@pytest.fixture
def gang(make: Callable[..., Targets]) -> Callable[..., Gang]:
    """Return what makes a gang of three."""

    def gang(
        *answers: Done | None, store: Any = None, life: float = LIFE, prefix: str = "out"
    ) -> Gang:
        targets = make(StepSpec(name="s", fn=lambda _: {"n": 1}, output_path_prefix=prefix))
        session = Session(
            store=store or LocalStore(), targets=targets, deep=targets.deep_fingerprints(),
            run="r-1", host=Host("me@here", "here"), now=lambda: NOW, time_to_live=life,
            provenance=lambda: Provenance(user="ada", host="h", argv=(), python="3", marin_build="0"),
        )  # fmt: skip
        return Gang(session, answers or (None, None, None))

    return gang


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0)])
def test_the_parts_of_all_ranks_are_one_output(
    gang: Callable[..., Gang], order: tuple[int, ...]
) -> None:
    """Else a step on three hosts is committed with a third of its data."""
    made = gang()
    led, ranks = made.run(*order)
    assert isinstance(led, ended.Succeeded)
    assert [rank.process_code for rank in ranks] == [0, 0]
    publish = made.attempt().publish
    assert publish is not None
    assert [entry.path for entry in publish.manifest] == ["part-0", "part-1", "part-2"]
    assert json.loads((made.output / ".artifact.json").read_text()) == {"n": 1}
    assert not (made.output / ".executor_status.lock").exists()
    assert "words of rank 1" in (made.output / ".logs/attempt-0001/rank-1.log").read_text()


def test_what_is_forced_is_built_again_by_all_ranks(gang: Callable[..., Gang]) -> None:
    """Else the ranks of a forced step end at once, and its leader waits for them for ever."""
    made = gang()
    made.run(1, 2, 0)
    over = look(made.session.store, str(made.output)).status_version
    forced = replace(made.session, forced=frozenset([0]))
    again = Gang(forced, (None, None, None), forced_over=over)
    led, ranks = again.run(1, 2, 0)
    assert isinstance(led, ended.Succeeded)
    assert led.attempt == 2
    assert [rank.message for rank in ranks] == ["", ""]
    meanwhile = Gang(forced, (None, None, None), forced_over=over)
    meanwhile.start(1)
    meanwhile.wait()
    assert meanwhile.ends[1].message == "it is built already"


@pytest.mark.parametrize("others", [HANGS, None], ids=["hang", "end"])
def test_a_rank_that_fails_ends_the_others_and_is_named(
    gang: Callable[..., Gang], others: Done | None
) -> None:
    """Else three hosts wait for one that is gone, until the job's time is over."""
    made = gang(others, Done(3, "ValueError: no shard", cause="app"), others)
    led, ranks = made.run(1, 0, 2)
    assert isinstance(led, ended.Failed)
    assert (led.exit_code, led.message) == (3, "rank 1: ValueError: no shard")
    assert [rank.process_code for rank in ranks] == [0, 0]
    assert "words of rank 1" in made.log()
    assert (made.output / ".executor_status").read_text() == "FAILED"
    assert not (made.output / ".executor_status.lock").exists()


def test_the_log_of_a_rank_is_sent_to_a_bucket(
    gang: Callable[..., Gang], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the words of a rank are lost with its host."""
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    store = MemoryStore()
    made = gang(HANGS, Done(3, "no shard"), HANGS, store=store, prefix="mem://b/out")
    led, _ = made.run(1, 2, 0)
    output = made.session.targets.all[0].output_path
    assert isinstance(led, ended.Failed)
    assert led.message == "rank 1: no shard"
    logs = [file.path for file in store.files(f"{output}/.logs") if file.path.endswith(".log")]
    # Rank 2 may be ended before it has said a word.
    assert {*logs, "attempt-0001/rank-2.log"} == {
        "attempt-0001.log",
        "attempt-0001/rank-1.log",
        "attempt-0001/rank-2.log",
    }
    for name in ("attempt-0001.log", "attempt-0001/rank-1.log"):
        blob = store.get(f"{output}/.logs/{name}")
        assert blob is not None
        assert b"words of rank 1" in blob.data


def test_a_leader_that_fails_ends_the_ranks(gang: Callable[..., Gang]) -> None:
    """Else what the ranks still write lies in the output of the next attempt."""
    made = gang(Done(1, "boom", cause="oom"), HANGS, HANGS)
    led, ranks = made.run(1, 2, 0)
    assert isinstance(led, ended.Failed)
    assert (led.message, led.cause) == ("rank 0: boom", "oom")
    assert [(rank.exit_code, rank.process_code) for rank in ranks] == [(143, 0), (143, 0)]


def test_each_rank_that_failed_by_itself_is_told(gang: Callable[..., Gang]) -> None:
    """Else the one that failed because of another one hides it."""
    made = gang(Done(1, "lost its peer"), None, None, life=600.0)  # it looks every ten seconds
    made.bodies[0].after = threading.Event()
    made.start(0)
    assert made.bodies[0].started.wait(PATIENCE)
    end = RankEnd(launch="l.1", attempt=1, rank=1, exit_code=7, message="boom", cause="app", at=1.0)
    stopped = end.model_copy(update={"rank": 2, "message": "stopped", "was_stopped": True})
    for each in (end, stopped):
        assert write_end(made.session.store, str(made.output), each)
    made.bodies[0].after.set()
    made.wait()
    assert isinstance(made.ends[0], ended.Failed)
    assert made.ends[0].message == "rank 1: boom; rank 0: lost its peer"
    assert made.ends[0].exit_code == 7


@pytest.mark.parametrize("own", [HANGS, None], ids=["running", "over"])
def test_a_rank_that_alone_is_asked_to_end_interrupts_the_gang(
    gang: Callable[..., Gang], monkeypatch: pytest.MonkeyPatch, own: Done | None
) -> None:
    """Else each host that is taken away, or drained, uses up a try of the step."""
    made = gang(own, HANGS, HANGS)

    def interrupt() -> None:
        made.why = INTERRUPTED
        made.bodies[0].signal(0, signal.SIGTERM)

    monkeypatch.setattr(leader, "interrupt_run", interrupt)
    made.start(1, 2, 0)
    made.bodies[1].started.wait(PATIENCE)
    made.workers[1].interrupt()
    made.wait()
    assert made.attempt().result == "interrupted"
    assert made.bodies[2].heard == [signal.SIGTERM]
    assert not (made.output / ".executor_status.lock").exists()


@pytest.mark.parametrize("own", [HANGS, None], ids=["running", "over"])
@pytest.mark.parametrize("why", [INTERRUPTED, "timed out after 5 s"])
def test_a_leader_that_is_asked_to_end_ends_all_ranks_first(
    gang: Callable[..., Gang], why: str, own: Done | None
) -> None:
    """Else the lease is free while two hosts still write."""
    made = gang(own, HANGS, HANGS)
    made.start(1, 2, 0)
    for bodies in made.bodies:
        assert bodies.started.wait(PATIENCE)
    made.why = why
    made.bodies[0].signal(0, signal.SIGTERM)
    made.wait()
    assert made.attempt().result == ("interrupted" if why == INTERRUPTED else "failed")
    assert made.attempt().exit_code == (143 if why == INTERRUPTED else 124)
    assert made.bodies[1].heard == made.bodies[2].heard == [signal.SIGTERM]
    assert not (made.output / ".executor_status.lock").exists()


def test_a_rank_whose_leader_vanished_ends(gang: Callable[..., Gang]) -> None:
    """Else it writes beside the next attempt, on a host that nobody thinks of."""
    made = gang(HANGS, HANGS, HANGS)
    made.start(1, 2, 0)
    for bodies in made.bodies:
        assert bodies.started.wait(PATIENCE)
    (made.output / ".executor_status.lock").unlink()
    made.wait(1, 2)
    assert made.ends[1].exit_code == 143
    assert made.bodies[1].heard == [signal.SIGTERM]
    made.bodies[0].signal(0, signal.SIGTERM)
    made.wait(0)
    assert isinstance(made.ends[0], ended.Stopped)


class _Blind(LocalStore):
    """A store that stops to answer."""

    is_away = False

    def get(self, path: str) -> Any:
        if self.is_away:
            raise StoreAwayError("no answer")
        return super().get(path)

    def put_if_absent(self, path: str, data: bytes) -> str | None:
        if self.is_away:
            raise StoreAwayError("no answer")
        return super().put_if_absent(path, data)


def test_a_rank_that_cannot_look_is_killed_before_its_lease_is_anothers(
    gang: Callable[..., Gang],
) -> None:
    """Else a host that lost the network works on beside the next attempt."""
    store = _Blind()
    made = gang(HANGS, HANGS, HANGS, store=store, life=1.2)
    made.start(1, 2, 0)
    assert made.bodies[1].started.wait(PATIENCE)
    store.is_away = True
    made.wait(1)
    assert made.bodies[1].heard == [signal.SIGKILL]
    assert made.ends[1].process_code == 75
    assert made.ends[1].exit_code == 143
    store.is_away = False
    made.bodies[0].signal(0, signal.SIGTERM)
    made.wait(0)


def _held(made: Gang, nonce: str) -> Path:
    path = made.output / ".executor_status.lock"
    path.parent.mkdir(parents=True)
    lease = Lease("you@there", 1.0, run="r-0", attempt=1, nonce=nonce, ttl=0.3)
    LocalStore().put(str(path), lease.encode())
    return path


def test_a_gang_takes_over_from_a_launch_that_died(gang: Callable[..., Gang]) -> None:
    """Else a job that Slurm starts again after a lost node never builds."""
    made = gang()
    _held(made, "l.0")
    led, ranks = made.run(1, 2, 0)
    assert led == ended.Succeeded(2, led.seconds)  # type: ignore[union-attr]
    assert [rank.exit_code for rank in ranks] == [0, 0]


def test_a_gang_waits_for_no_holder_that_lives(gang: Callable[..., Gang]) -> None:
    """Else a hundred hosts idle for the hours that another run takes."""
    made = gang()
    path = _held(made, "other")
    over = threading.Event()

    def renew() -> None:
        times = 1.0
        while not over.wait(0.05):
            times += 1
            lease = Lease("you@there", times, run="r-0", attempt=1, nonce="other", ttl=60.0)
            LocalStore().put(str(path), lease.encode())

    renewing = threading.Thread(target=renew)
    renewing.start()
    made.start(0)
    made.wait()
    over.set()
    renewing.join()
    assert isinstance(made.ends[0], ended.Stopped)
    assert "is held by you@there" in made.ends[0].message


def test_a_rank_has_nothing_to_do_where_the_target_is_built(gang: Callable[..., Gang]) -> None:
    """Else it waits for a leader that has ended long ago."""
    made = gang()
    made.run(1, 2, 0)
    again = Gang(made.session, (None, None, None))
    led, ranks = again.run(1, 2, 0)
    assert led == ended.Reused()
    assert [(rank.message, rank.process_code) for rank in ranks] == [("it is built already", 0)] * 2


def test_a_rank_whose_leader_never_begins_ends(gang: Callable[..., Gang]) -> None:
    """Else an engine that starts no leader pays for ranks for ever."""
    made = gang()
    with pytest.raises(StoppedError, match="rank 1: the leader did not begin"):
        RankWorker(made.session_of(1), 0, made.bodies[1], patience=0.0).run()


def test_what_a_rank_returns_need_not_be_savable(gang: Callable[..., Gang]) -> None:
    """Else a step fails for a value that nobody reads."""
    made = gang(None, Done(1, "what it returned cannot be saved", is_finished=True), None)
    led, _ = made.run(1, 2, 0)
    assert isinstance(led, ended.Succeeded)


def test_an_end_that_cannot_be_read_leaves_the_lease_to_age(gang: Callable[..., Gang]) -> None:
    """Else a failure that a damaged file hides counts as a success."""
    made = gang(HANGS, HANGS, HANGS, life=1.2)
    made.start(0, 2)
    assert made.bodies[2].started.wait(PATIENCE)
    (made.output / ".logs/attempt-0001/rank-1.json").write_text("{")
    made.wait(0)
    assert isinstance(made.ends[0], ended.Stopped)
    assert (made.output / ".executor_status.lock").exists()
