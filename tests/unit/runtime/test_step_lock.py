"""A block that holds the lock of an output is alone there, and what it did without it is void."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from marin_build.errors import LeaseLostError, PreviousTaskFailedError, StepAlreadyDone
from marin_build.protocol.status import STATUS_FAILED, STATUS_RUNNING, STATUS_SUCCESS
from marin_build.runtime.status_file import StatusFile
from marin_build.runtime.step_lock import step_lock

if TYPE_CHECKING:
    from pathlib import Path


def test_a_block_is_alone_and_says_how_it_ended(tmp_path: Path) -> None:
    other = StatusFile(tmp_path, "other")
    with step_lock(tmp_path, "train") as status:
        assert (status.status, other.has_active_lock()) == (STATUS_RUNNING, True)
        assert not other.try_acquire_lock()
        status.write_status(STATUS_SUCCESS)
    assert not other.has_active_lock()
    with pytest.raises(StepAlreadyDone):
        step_lock(tmp_path, "train").__enter__()
    with step_lock(tmp_path, "train", force_rerun=True) as status:
        status.write_status(STATUS_SUCCESS)


def _failing(output: Path) -> None:
    with step_lock(output, "train") as status:
        status.write_status(STATUS_FAILED)
        raise ValueError("no room")


def test_the_lock_is_free_after_a_failure(tmp_path: Path) -> None:
    """Else the next worker waits until the lease is stale."""
    with pytest.raises(ValueError, match="no room"):
        _failing(tmp_path)
    assert not StatusFile(tmp_path, "other").has_active_lock()
    with pytest.raises(PreviousTaskFailedError):
        step_lock(tmp_path, "train", force_run_failed=False).__enter__()


def _losing(output: Path) -> None:
    with step_lock(output, "train"):
        (output / ".executor_status.lock").unlink()
        assert StatusFile(output, "other").try_acquire_lock()


def test_a_lock_that_another_took_is_told_at_the_end(tmp_path: Path) -> None:
    """Else a worker believes that its work counts, and another one does it again."""
    with pytest.raises(LeaseLostError):
        _losing(tmp_path)
