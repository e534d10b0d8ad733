"""`step_lock`: a block in which this program alone builds an output path, and says how it ended."""

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
    """Hold the lock of an output in a `with` block, which gets its StatusFile.

    RUNNING is written, and a thread renews the lock. The block writes how it ended:
    `status_file.write_status(STATUS_SUCCESS)`. That refuses to write once the lock was lost.

    Args:
        output_path: a folder or a URL.
        step_label: for messages.
        force_run_failed: whether a target that failed may be tried again.
        force_rerun: whether a target that is built is built again.

    Raises:
        StepAlreadyDone: the output is built, perhaps since this call waited for the lock.
        PreviousTaskFailedError: it failed, and must not be tried again.
        LeaseLostError: (at the end of the block) another program has taken the lock over.

    """
    status_file = StatusFile(output_path, worker_id())
    if not should_run(status_file, step_label, force_run_failed, force_rerun):
        raise StepAlreadyDone(status_file.output_path)
    try:
        status_file.keep_lock()
        yield status_file
        status_file.confirm_lock()
    finally:
        status_file.release_lock()
