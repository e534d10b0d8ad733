"""Bodies in threads: what the keeper is told about their leases, and when."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import StepSpec
from marin_build.errors import StoppedError
from marin_build.protocol.documents import Provenance
from marin_build.protocol.lease import TIME_TO_LIVE, Host, boot_clock
from marin_build.protocol.living_work import still_written
from marin_build.run_step import thread_bodies
from marin_build.run_step.body import EXPIRED, Request
from marin_build.run_step.session import Session
from marin_build.run_step.thread_bodies import ThreadBodies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from marin_build.pipeline.targets import Targets
    from tests.unit.conftest import MemoryStore


class Spy:
    """Stands for the keeper process; remembers what it was told."""

    def __init__(self, *_: object) -> None:
        self.told: list[str] = []
        self.died = False

    def hold(self, output: str, request: Request, pid: int, *, group: bool) -> None:
        assert not group
        self.told.append(f"hold {request.nonce}")

    def release(self, output: str) -> None:
        self.told.append("release")

    def has_died(self) -> bool:
        return self.died

    def close(self) -> None:
        """Nothing runs."""


class Stage:
    """One step that runs in a thread until it is let go, and the clock it takes time on."""

    def __init__(self, session: Session, patch: pytest.MonkeyPatch, log: str) -> None:
        self.now = 0.0
        patch.setattr(thread_bodies, "Keeper", Spy)
        patch.setattr(thread_bodies, "time", SimpleNamespace(monotonic=lambda: self.now))
        self.bodies, self.log = ThreadBodies(session), log
        self.keeper: Any = self.bodies._keeper

    def run(self, nonce: str, seconds: float, gate: Gate, *, tend: bool = True) -> None:
        """Have a body begin, take its time, and end; look at it while it runs."""
        request = Request(0, nonce, boot_clock(), self.log)
        thread = threading.Thread(target=self.bodies.run, args=(0, request, print))
        thread.start()
        gate.began.acquire()
        self.now += seconds
        if tend:
            self.bodies.tend()
        gate.go.release()
        thread.join()


class Gate:
    """Where the step waits."""

    def __init__(self) -> None:
        self.began, self.go = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, output: str) -> None:
        self.began.release()
        self.go.acquire()


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def stage(
    make: Callable[..., Targets], new_store: Callable[[], MemoryStore], gate: Gate,
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> Iterator[Stage]:  # fmt: skip
    targets = make(StepSpec(name="s", fn=gate))
    session = Session(
        store=new_store(), targets=targets, deep=targets.deep_fingerprints(), run="r-1",
        host=Host("me@here", "here"), now=lambda: None,  # type: ignore[arg-type, return-value]
        provenance=lambda: Provenance(user="u", host="h", argv=(), python="3", marin_build="0"),
    )  # fmt: skip
    made = Stage(session, monkeypatch, str(tmp_path / "log"))
    yield made
    made.bodies.close()


LONG = TIME_TO_LIVE / 2


def test_a_thread_holds_its_log_while_it_runs(stage: Stage, gate: Gate) -> None:
    """Else a run whose keeper stands still is overtaken, and SUCCESS holds lines of two steps."""
    thread = threading.Thread(
        target=stage.bodies.run, args=(0, Request(0, "n1", boot_clock(), stage.log), print)
    )
    thread.start()
    gate.began.acquire()
    assert still_written(stage.log)
    gate.go.release()
    thread.join()
    assert not still_written(stage.log)


def test_a_step_whose_lease_expired_before_it_started_does_not_start(stage: Stage) -> None:
    """Else a run that stood still just then builds beside the one that took over."""
    late = Request(0, "n1", boot_clock() - TIME_TO_LIVE, stage.log)
    assert stage.bodies.run(0, late, print) == EXPIRED


def test_the_lease_of_a_long_body_is_kept_until_it_is_released(stage: Stage, gate: Gate) -> None:
    stage.run("n1", LONG, gate)
    stage.now += LONG
    stage.bodies.tend()
    assert stage.keeper.told == ["hold n1"], "what it left is still verified and committed"
    stage.bodies.release(0)
    assert stage.keeper.told == ["hold n1", "release"]


def test_the_lease_of_a_quick_body_is_never_kept(stage: Stage, gate: Gate) -> None:
    """Nobody releases it: the keeper would find the lease of somebody else, and end the run."""
    stage.run("n1", 0.01, gate)
    stage.now += 10 * LONG
    stage.bodies.tend()
    assert stage.keeper.told == []
    assert stage.bodies._running == {}


def test_a_retry_has_its_own_lease_kept(stage: Stage, gate: Gate) -> None:
    """Else the keeper finds another nonce, takes the lease for lost, and the run ends."""
    stage.run("n1", LONG, gate)
    stage.bodies.release(0)
    stage.run("n2", LONG, gate)
    assert stage.keeper.told == ["hold n1", "release", "hold n2"]


def test_the_keeper_lets_go_before_a_retry_can_take_the_lease(stage: Stage, gate: Gate) -> None:
    stage.run("n1", LONG, gate)
    stage.bodies.release(0)  # at once, and not when somebody looks the next time
    assert stage.keeper.told[-1] == "release"
    stage.bodies.release(0)
    assert stage.keeper.told.count("release") == 1


def test_the_end_of_the_keeper_ends_the_run(stage: Stage) -> None:
    stage.keeper.died = True
    with pytest.raises(StoppedError, match="was lost, or no process renews it"):
        stage.bodies.tend()
