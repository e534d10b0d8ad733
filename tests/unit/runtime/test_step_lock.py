"""A block that holds the lock of an output: one builder at a time, and none after its lease."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from marin_build import (
    STATUS_FAILED,
    STATUS_RUNNING,
    STATUS_SUCCESS,
    PreviousTaskFailedError,
    StatusFile,
    StepAlreadyDone,
    step_lock,
)
from marin_build.errors import LeaseLostError
from marin_build.runtime.status_file import check_cache

if TYPE_CHECKING:
    from pathlib import Path

    from marin_build.protocol.status import Status

LOCK = ".executor_status.lock"


def test_a_block_runs_under_the_lock_and_says_how_it_ended(tmp_path: Path) -> None:
    with step_lock(tmp_path / "out", "step") as status_file:
        assert status_file.status == STATUS_RUNNING
        assert StatusFile(tmp_path / "out", "another").has_active_lock()
        assert not check_cache(tmp_path / "out")
        status_file.write_status(STATUS_SUCCESS)
    assert not (tmp_path / "out" / LOCK).exists()
    assert check_cache(tmp_path / "out")


def test_what_is_built_is_not_built_again_unless_that_is_asked_for(tmp_path: Path) -> None:
    StatusFile(tmp_path, "w").write_status(STATUS_SUCCESS)
    with pytest.raises(StepAlreadyDone), step_lock(tmp_path, "step"):
        raise AssertionError
    with step_lock(tmp_path, "step", force_rerun=True) as status_file:
        assert status_file.status == STATUS_RUNNING


def test_what_failed_is_built_again_unless_that_is_refused(tmp_path: Path) -> None:
    StatusFile(tmp_path, "w").write_status(STATUS_FAILED)
    refused = step_lock(tmp_path, "step", force_run_failed=False)
    with pytest.raises(PreviousTaskFailedError), refused:
        raise AssertionError
    with step_lock(tmp_path, "step"):
        assert StatusFile(tmp_path, "w").status == STATUS_RUNNING


def test_an_exception_goes_through_and_the_lock_is_free(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), step_lock(tmp_path, "step"):
        _ = 1 / 0
    assert not (tmp_path / LOCK).exists()


@pytest.mark.parametrize("status", [STATUS_SUCCESS, STATUS_FAILED, None])
def test_a_block_whose_lock_was_taken_over_says_nothing_of_the_output(
    tmp_path: Path, status: Status | None
) -> None:
    """Else what two programs wrote at once counts as built."""
    theirs = json.dumps({"worker_id": "another", "timestamp": 2e9})

    def build() -> None:
        with step_lock(tmp_path, "step") as status_file:
            (tmp_path / LOCK).write_text(theirs)
            if status is not None:
                status_file.write_status(status)

    with pytest.raises(LeaseLostError, match="was lost"):
        build()
    assert StatusFile(tmp_path, "w").status == STATUS_RUNNING
    assert (tmp_path / LOCK).read_text() == theirs


def test_the_holder_of_a_lock_is_told(tmp_path: Path) -> None:
    ours, theirs = StatusFile(tmp_path, "the coordinator"), StatusFile(tmp_path, "another")
    assert ours.active_lock_holder() is None
    ours.try_acquire_lock()
    assert ours.active_lock_holder() == theirs.active_lock_holder() == "the_coordinator"
    ours.release_lock()
    assert theirs.active_lock_holder() is None


def test_a_program_may_look_around_with_fsspec(tmp_path: Path) -> None:
    status_file = StatusFile(tmp_path, "w")
    status_file.write_status(STATUS_SUCCESS)
    assert status_file.fs.cat_file(status_file.path) == b"SUCCESS"
