"""`step_lock`: the lock of an output around a block that builds it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from marin_build.errors import StepAlreadyDone
from marin_build.protocol.holder import worker_id
from marin_build.runtime.status_file import StatusFile, should_run

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator


@contextmanager
def step_lock(
    output_path: str | os.PathLike[str],
    step_label: str,
    *,
    force_run_failed: bool = True,
    force_rerun: bool = False,
) -> Iterator[StatusFile]:
    """Hold the lock of an output in a `with` block, which writes how it ended.

    A thread renews the lock. When the block begins, the status is RUNNING.

    Args:
        output_path: the output.
        step_label: who builds it, for messages.
        force_run_failed: whether a target that failed may be tried again.
        force_rerun: whether one that is built is built again.

    Raises:
        StepAlreadyDone: another holder has built it.
        PreviousTaskFailedError: it failed, and must not be tried again.
        LeaseLostError: (at the end of a block that raised nothing) the lock was lost meanwhile.
        StoreError: nothing can be locked there.

    """
    status = StatusFile(output_path, worker_id())
    if not should_run(status, step_label, force_run_failed, force_rerun=force_rerun):
        raise StepAlreadyDone(status.output_path)
    status.keep_lock()
    try:
        yield status
        status.refresh_lock()
    finally:
        status.release_lock()
