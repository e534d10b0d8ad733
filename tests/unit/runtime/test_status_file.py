"""Programs that build outputs themselves share statuses and locks with everybody else."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from marin_build import (
    STATUS_DEP_FAILED,
    STATUS_FAILED,
    STATUS_RUNNING,
    STATUS_SUCCESS,
    PreviousTaskFailedError,
    StatusFile,
    should_run,
    worker_id,
)
from marin_build.errors import CorruptStateError, SpecificationError, StoppedError


def _file(tmp_path: Path, worker: str = "w1") -> StatusFile:
    return StatusFile(str(tmp_path / "out"), worker)


def test_a_status_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = _file(tmp_path)
    assert file.status is None
    for status in (STATUS_RUNNING, STATUS_FAILED, STATUS_DEP_FAILED, STATUS_SUCCESS):
        file.write_status(status)
        assert file.status == status
    assert Path(file.path).read_text() == "SUCCESS"
    assert file.path == f"{tmp_path}/out/.executor_status"
    assert file.lock_path == f"{tmp_path}/out/.executor_status.lock"


def test_a_status_nobody_knows_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(SpecificationError, match="`SUCESS` is no status") as caught:
        _file(tmp_path).write_status("SUCESS")  # type: ignore[arg-type]
    assert caught.value.hint == "did you mean `SUCCESS`?"


def test_garbage_is_never_taken_for_a_status(tmp_path: Path) -> None:
    file = _file(tmp_path)
    Path(file.path).parent.mkdir()
    Path(file.path).write_text("garbage")
    with pytest.raises(CorruptStateError, match="is not readable"):
        _ = file.status


def test_the_methods_of_a_lock(tmp_path: Path) -> None:
    ours, theirs = _file(tmp_path, "w1"), _file(tmp_path, "w 2")
    assert ours.try_acquire_lock()
    assert theirs.has_active_lock()
    assert not ours.has_active_lock()
    assert not theirs.try_acquire_lock()
    ours.refresh_lock()
    with pytest.raises(StoppedError, match="was lost"):
        theirs.refresh_lock()
    theirs.release_lock()
    assert Path(ours.lock_path).exists()
    ours.release_lock()
    assert not Path(ours.lock_path).exists()
    assert theirs.try_acquire_lock()


def test_should_run_takes_the_lock_and_says_running(tmp_path: Path) -> None:
    file = _file(tmp_path)
    assert should_run(file, "tokenize")
    assert file.status == STATUS_RUNNING
    assert Path(file.lock_path).exists()


def test_should_run_says_no_where_it_is_built(tmp_path: Path) -> None:
    file = _file(tmp_path)
    file.write_status(STATUS_SUCCESS)
    assert not should_run(file)
    assert not Path(file.lock_path).exists()


def test_should_run_waits_for_who_holds_the_lock(tmp_path: Path) -> None:
    first, second = _file(tmp_path, "w1"), _file(tmp_path, "w2")
    assert should_run(first)
    answers: list[bool] = []
    waiting = threading.Thread(target=lambda: answers.append(should_run(second)))
    waiting.start()
    first.write_status(STATUS_SUCCESS)
    first.release_lock()
    waiting.join(240)
    assert answers == [False]


def test_should_run_refuses_what_failed_if_it_is_told_to(tmp_path: Path) -> None:
    file = _file(tmp_path)
    file.write_status(STATUS_DEP_FAILED)
    with pytest.raises(PreviousTaskFailedError, match="DEP_FAILED") as caught:
        should_run(file, "tokenize", force_run_failed=False)
    assert ("step", "tokenize") in caught.value.facts
    assert should_run(file)


def test_every_thread_is_another_worker() -> None:
    names = [worker_id()]
    thread = threading.Thread(target=lambda: names.append(worker_id()))
    thread.start()
    thread.join()
    assert len(set(names)) == 2
    assert worker_id() == names[0]
    assert " " not in names[0]
