"""`distributed_lock` alone: one builder at a time, and nothing else is touched."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from marin_build import (
    STATUS_FAILED,
    STATUS_SUCCESS,
    PreviousTaskFailedError,
    StatusFile,
    StepAlreadyDone,
    distributed_lock,
)
from marin_build.errors import StoppedError
from marin_build.protocol import path_lock, renewal
from marin_build.protocol.path_lease import Clocks

LOCK = ".executor_status.lock"


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_function_runs_under_the_lock_and_nothing_stays(tmp_path: Path) -> None:
    seen: list[list[str]] = []

    @distributed_lock
    def build(output_path: str) -> int:
        """Build it."""
        seen.append(_names(Path(output_path)))
        return 7

    assert build(str(tmp_path)) == 7
    assert seen == [[LOCK]]
    assert _names(tmp_path) == []
    assert (build.__name__, build.__doc__) == ("build", "Build it.")


def test_the_function_gets_the_path_as_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert distributed_lock(lambda path: path)("out") == "out"
    assert distributed_lock(lambda path: path)(tmp_path) == tmp_path  # type: ignore[arg-type, comparison-overlap]


def test_what_somebody_finished_raises(tmp_path: Path) -> None:
    StatusFile(str(tmp_path), "w").write_status(STATUS_SUCCESS)
    with pytest.raises(StepAlreadyDone) as caught:
        distributed_lock(lambda _: 1 / 0)(str(tmp_path))
    assert caught.value.output_path == str(tmp_path)
    assert _names(tmp_path) == [".executor_status"]


def test_what_failed_is_run_again_unless_that_is_refused(tmp_path: Path) -> None:
    StatusFile(str(tmp_path), "w").write_status(STATUS_FAILED)
    with pytest.raises(PreviousTaskFailedError):
        distributed_lock(lambda _: 1, force_run_failed=False)(str(tmp_path))
    assert distributed_lock(lambda _: 1)(str(tmp_path)) == 1
    assert StatusFile(str(tmp_path), "w").status == STATUS_FAILED


def test_an_exception_goes_through_and_the_lock_is_free(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        distributed_lock(lambda _: 1 / 0)(str(tmp_path))
    assert _names(tmp_path) == []


def test_two_at_once_take_turns(tmp_path: Path) -> None:
    inside, most = 0, 0
    guard = threading.Lock()

    @distributed_lock
    def build(_: str) -> None:
        nonlocal inside, most
        with guard:
            inside += 1
            most = max(most, inside)
        time.sleep(0.02)
        with guard:
            inside -= 1

    threads = [threading.Thread(target=build, args=(str(tmp_path),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_a_lock_that_was_lost_makes_the_call_raise(tmp_path: Path) -> None:
    """The function cannot be stopped; its result must not count."""

    @distributed_lock
    def build(output_path: str) -> int:
        theirs = {"worker_id": "host-2", "timestamp": 1.0}
        Path(output_path, LOCK).write_text(json.dumps(theirs))
        return 1

    with pytest.raises(StoppedError, match="was lost") as caught:
        build(str(tmp_path))
    assert ("holder now", "host-2") in caught.value.facts
    assert _names(tmp_path) == [LOCK]


def test_the_lease_is_renewed_while_the_function_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("marin_build.protocol.path_lease.RENEW_EVERY", 0.02)
    monkeypatch.setattr(renewal, "RENEW_EVERY", 0.02)

    @distributed_lock
    def build(output_path: str) -> set[str]:
        seen: set[str] = set()
        ends = time.monotonic() + 240
        while len(seen) < 3 and time.monotonic() < ends:
            seen.add(Path(output_path, LOCK).read_text())
            time.sleep(0.005)
        return seen

    assert len(build(str(tmp_path))) == 3
    assert _names(tmp_path) == []


def test_a_function_may_lock_other_paths(tmp_path: Path) -> None:
    @distributed_lock
    def inner(output_path: str) -> str:
        return Path(output_path).name

    @distributed_lock
    def outer(output_path: str) -> list[str]:
        return [inner(f"{output_path}/a"), inner(f"{output_path}/a"), inner(output_path)]

    assert outer(str(tmp_path)) == ["a", "a", tmp_path.name]


_HOLDER = """
import sys, time
from marin_build import distributed_lock

def hold(output_path):
    print("held", flush=True)
    time.sleep(100)

distributed_lock(hold)(sys.argv[1])
"""


def _must_not_wait(seconds: float) -> None:
    raise AssertionError(f"waits for {seconds} s")


def test_nobody_waits_for_a_process_of_this_machine_that_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = [sys.executable, "-c", _HOLDER, str(tmp_path)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert StatusFile(str(tmp_path), "w").has_active_lock()
        holder.kill()
    monkeypatch.setattr(path_lock, "Clocks", partial(Clocks, wait=_must_not_wait))
    assert distributed_lock(lambda _: 1)(str(tmp_path)) == 1
