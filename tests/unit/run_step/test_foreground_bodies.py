"""A body at the keyboard: it can be interrupted, and its lease is kept and lost as any other's."""

from __future__ import annotations

import bdb
import os
import signal
import sys
import threading
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import StepSpec
from marin_build.pipeline.command_process import stdin_inherited
from marin_build.plan import outcomes as ended
from marin_build.protocol.documents import Attempt, Provenance
from marin_build.protocol.lease import Host, Lease
from marin_build.protocol.living_work import still_written
from marin_build.run_step import foreground_bodies
from marin_build.run_step.foreground_bodies import NOTE, ForegroundBodies
from marin_build.run_step.interpreter_end import join_threads
from marin_build.run_step.session import Session
from marin_build.run_step.supervisor import build_target
from marin_build.run_step.workers import Start
from marin_build.store.local import LocalStore
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from marin_build.pipeline.targets import Targets


class Stage:
    """One step, and what became of it."""

    def __init__(self, session: Session) -> None:
        self.session, self.lost = session, threading.Event()

    @property
    def output(self) -> Path:
        return Path(self.session.targets.all[0].output_path)

    @property
    def attempt(self) -> Attempt:
        return Attempt.from_bytes((self.output / ".logs/attempt-0001.json").read_bytes())

    def build(self) -> ended.Outcome:
        bodies = ForegroundBodies(self.session, self.lost.set)
        try:
            return build_target(
                self.session, Start(0, "n1"), bodies=bodies, slot=0,
                asked_to_end=bodies.why_ended, tell=print, bookkeeping=nullcontext(),
            )  # fmt: skip
        finally:
            bodies.close()


@pytest.fixture
def stage(make: Callable[..., Targets], tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    """Return what sets a stage for a function."""
    with in_workspace(Workspace(str(tmp_path), str(tmp_path / "out"))):

        def set_stage(fn: Callable[[str], Any], **options: Any) -> Stage:
            targets = make(StepSpec(name="s", fn=fn, override_output_path=str(tmp_path / "o")))
            return Stage(
                Session(
                    store=LocalStore(),
                    targets=targets,
                    deep=targets.deep_fingerprints(),
                    run="r-1",
                    host=Host("me@here", "here"),
                    now=lambda: datetime(2026, 11, 21, tzinfo=UTC),
                    provenance=lambda: Provenance(
                        user="u", host="h", argv=(), python="3", marin_build="0"
                    ),
                    **options,
                )
            )

        yield set_stage


def test_a_body_runs_here_and_is_committed(stage: Callable[..., Stage]) -> None:
    seen: list[object] = []

    def body(output: str) -> None:
        log = f"{output}/.logs/attempt-0001.log"
        seen.extend(
            [os.getpid(), threading.current_thread() is threading.main_thread(),
             stdin_inherited.get(), still_written(log)]
        )  # fmt: skip
        Path(output, "x").touch()

    one = stage(body)
    assert isinstance(one.build(), ended.Succeeded)
    assert seen == [os.getpid(), True, True, True]
    assert (one.output / ".executor_status").read_text() == "SUCCESS"
    assert (one.output / ".logs/attempt-0001.log").read_text() == NOTE
    assert not still_written(str(one.output / ".logs/attempt-0001.log"))
    assert not stdin_inherited.get()
    assert not one.lost.is_set()


def test_a_failure_is_one(stage: Callable[..., Stage], capsys: pytest.CaptureFixture[str]) -> None:
    def body(output: str) -> None:
        raise ValueError("no")

    outcome = stage(body).build()
    assert isinstance(outcome, ended.Failed)
    assert outcome.message == "ValueError: no"
    assert capsys.readouterr().err.endswith('raise ValueError("no")\nValueError: no\n')


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_no_failure(stage: Callable[..., Stage], number: int) -> None:
    """Else the next plan says that the step is broken."""
    one = stage(lambda output: os.kill(os.getpid(), number))
    assert one.build() == ended.Interrupted(1)
    assert (one.attempt.result, one.attempt.exit_code) == ("interrupted", 130)
    assert (one.output / ".executor_status").read_text() == "RUNNING"
    assert not (one.output / ".executor_status.lock").exists()


def test_who_leaves_the_debugger_leaves_the_step(stage: Callable[..., Stage]) -> None:
    def body(output: str) -> None:
        raise bdb.BdbQuit

    assert stage(body).build() == ended.Interrupted(1)


def test_an_interrupt_that_the_body_handles_is_its_own(stage: Callable[..., Stage]) -> None:
    """A debugger handles them at its prompt, and then the step goes on."""

    def body(output: str) -> None:
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        signal.signal(signal.SIGINT, lambda *_: None)
        Path(output, "x").touch()

    assert isinstance(stage(body).build(), ended.Succeeded)


def test_an_interrupt_before_the_body_keeps_it_from_starting(
    stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = stage(lambda output: 1 / 0)
    prepare = os.makedirs

    def interrupted(*args: Any, **options: Any) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        prepare(*args, **options)

    monkeypatch.setattr(os, "makedirs", interrupted)
    assert one.build() == ended.Interrupted(1)


def test_an_interrupt_while_it_is_committed_comes_too_late(
    stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what is done is done again."""
    one = stage(lambda output: Path(output, "x").touch())
    files = LocalStore.files

    def interrupted(self: LocalStore, folder: str) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return files(self, folder)

    monkeypatch.setattr(LocalStore, "files", interrupted)
    assert isinstance(one.build(), ended.Succeeded)


def test_the_signals_are_given_back(stage: Callable[..., Stage]) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    stage(lambda output: 1).build()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize("found", ["another's", "deleted by hand"])
def test_a_lost_lease_is_told_while_the_body_runs(stage: Callable[..., Stage], found: str) -> None:
    """Else somebody thinks at a prompt while another builds the same."""

    def body(output: str) -> None:
        lock = f"{output}/.executor_status.lock"
        if found == "another's":
            LocalStore().put(lock, Lease("bob", 1.0, nonce="his").encode())
        else:
            os.unlink(lock)
        assert one.lost.wait(240)

    one = stage(body, time_to_live=0.6)
    assert isinstance(one.build(), ended.Stopped)


def test_a_lease_is_kept_for_as_long_as_somebody_thinks(stage: Callable[..., Stage]) -> None:
    def body(output: str) -> str:
        lock, seen = f"{output}/.executor_status.lock", set[str]()
        while len(seen) < 4:
            blob = LocalStore().get(lock)
            assert blob is not None
            seen.add(blob.version)
        return "done"

    one = stage(body, time_to_live=0.6)
    assert isinstance(one.build(), ended.Succeeded)
    assert not one.lost.is_set()


def test_what_the_body_printed_is_out_before_it_is_committed(
    stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    monkeypatch.setattr(sys.stdout, "flush", lambda: flushed.append("flush"))
    stage(lambda output: 1).build()
    assert flushed


def test_a_step_ends_with_the_threads_that_its_threads_started(
    stage: Callable[..., Stage], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the last file of a writer behind a writer is missing in what is committed."""
    waits = [threading.Event(), threading.Event()]
    calls = iter(waits)

    def join(*args: Any) -> None:
        next(calls).set()
        join_threads(*args)

    monkeypatch.setattr(foreground_bodies, "join_threads", join)

    def fn(output: str) -> None:
        def save() -> None:
            if waits[1].wait(240):
                Path(output, "last").write_text("x")

        def start_another() -> None:
            waits[0].wait()
            threading.Thread(target=save).start()

        Path(output, "first").write_text("x")
        threading.Thread(target=start_another).start()

    it = stage(fn)
    assert isinstance(it.build(), ended.Succeeded)
    publish = it.attempt.publish
    assert publish is not None
    assert [entry.path for entry in publish.manifest] == ["first", "last"]
