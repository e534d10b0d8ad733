"""`distributed_lock`: one builder of an output path at a time, among all machines.

Inside `disk_cache` of the same path the lock is not released when the function returns, but after
the cache has written how it ended: else a second builder could slip in between.
"""

from __future__ import annotations

import functools
import os
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from marin_build.errors import StepAlreadyDone
from marin_build.protocol.holder import worker_id
from marin_build.runtime.status_file import new_lock
from marin_build.workspace.workspace import absolute_prefix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from marin_build.protocol.path_lock import PathLock


T = TypeVar("T")


@dataclass(slots=True)
class LockScope:
    """What a cache and the lock inside it share.

    Args:
        output: the output path, absolute.
        reading: the output is built: the function is called to read it, without a lock.
        rebuild: the output is built again even if it is built.
        lock: the lock that was taken inside; None if there is none yet.

    """

    output: str
    reading: bool = False
    rebuild: bool = False
    lock: PathLock | None = None

    def confirm(self, *, within: float = 0.0) -> None:
        """Make sure that the lock is still held, so that what was run under it counts.

        Args:
            within: a look at the lock at most this many seconds ago is enough.

        Raises:
            LeaseLostError: the lock was lost meanwhile.

        """
        if self.lock is not None:
            self.lock.confirm(within=within)


_scope: ContextVar[LockScope | None] = ContextVar("lock_scope", default=None)


@contextmanager
def lock_scope(scope: LockScope) -> Iterator[LockScope]:
    """Keep the lock that is taken inside, on the same path, until the end of the block."""
    token = _scope.set(scope)
    try:
        yield scope
    finally:
        _scope.reset(token)
        if scope.lock is not None:
            scope.lock.release()


def distributed_lock(
    fn: Callable[[str], T], *, force_run_failed: bool = True
) -> Callable[[str], T]:
    """Wrap a function of an output path, so that it runs at one place at a time.

    While it runs, a thread renews the lease. No status is written and nothing is saved: that is
    the caller's part (`disk_cache`). A thread cannot be killed: a function whose lease was lost
    ends by itself, and then the call raises.

    Args:
        fn: a function of the output path.
        force_run_failed: whether a target that failed before may be tried again.

    Raises:
        StepAlreadyDone: (by the call) another process finished it.
        PreviousTaskFailedError: (by the call) it failed before, and must not be tried again.
        LeaseLostError: (by the call) the lease was lost while the function ran.
        StoreError: (by the call) nothing can be locked there.

    """

    @functools.wraps(fn)
    def locked(output_path: str) -> T:
        output = absolute_prefix(output_path, os.getcwd())
        scope = _scope.get()
        if scope is None or scope.output != output:
            with lock_scope(LockScope(output)) as scope:
                result = _run(fn, output_path, scope, force_run_failed=force_run_failed)
                scope.confirm()
                return result
        return _run(fn, output_path, scope, force_run_failed=force_run_failed, just_looked=True)

    return locked


def _run(
    fn: Callable[[str], T],
    output_path: str,
    scope: LockScope,
    *,
    force_run_failed: bool,
    just_looked: bool = False,
) -> T:
    """Run a function under the lock of its scope, which is taken if it is not there yet."""
    if not scope.reading and scope.lock is None:
        lock = new_lock(scope.output, worker_id())
        if not lock.acquire(
            rerun_failed=force_run_failed, rebuild=scope.rebuild, presume_free=just_looked
        ):
            raise StepAlreadyDone(scope.output)
        scope.lock = lock
        lock.keep()
    return fn(output_path)
