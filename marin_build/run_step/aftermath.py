"""After a step's process died without a word: end its attempt for it."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from marin_build.errors import MarinBuildError
from marin_build.protocol import layout
from marin_build.protocol.documents import Attempt
from marin_build.protocol.holding import Holding, look
from marin_build.protocol.publishing import finish_publishing
from marin_build.run_step.outcome import Failed, Interrupted, Outcome, Stopped, Succeeded

if TYPE_CHECKING:
    from marin_build.run_step.session import Session


def after_death(
    session: Session, index: int, nonce: str, status: int, *, interrupted: bool
) -> Outcome:
    """Return how the attempt ended, and write that down where the dead process could not.

    Args:
        session: the run.
        index: the target.
        nonce: of the attempt's lease.
        status: of the process, as from waitpid.
        interrupted: we had asked it to end.

    """
    code = os.waitstatus_to_exitcode(status)
    message = _meaning(code)
    exit_code = code if code >= 0 else 128 - code
    output = session.targets.all[index].output_path
    try:
        seen = look(session.store, output)
        lease = seen.lease
        if lease is None:
            return Interrupted() if interrupted else Failed(0, exit_code, message)
        if lease.nonce != nonce:
            return Stopped(f"the lease on `{output}` was lost to {lease.describe()}")
        if lease.is_sealed:
            finish_publishing(session.store, output, lease, seen.lease_version)
            return Succeeded(lease.attempt, 0.0)
        path = layout.attempt_path(output, lease.attempt)
        blob = session.store.get(path)
        if blob is None:  # it died between taking the lease and opening its attempt
            session.store.delete_if(f"{output}/{layout.LEASE}", seen.lease_version)
            return Interrupted() if interrupted else Failed(0, exit_code, message)
        attempt = Attempt.model_validate_json(blob.data)
        holding = Holding(session.store, output, lease, seen.lease_version, attempt)
        result = "interrupted" if interrupted else "failed"
        holding.fail(result, exit_code, message, session.now())  # type: ignore[arg-type]
    except MarinBuildError as error:
        return Failed(0, exit_code, f"{message}; {error.what}")
    if interrupted:
        return Interrupted(lease.attempt)
    return Failed(lease.attempt, exit_code, message, layout.log_path(output, lease.attempt))


def _meaning(code: int) -> str:
    """Return what the end of a process means, for people."""
    if code >= 0:
        return f"the step ended its process with code {code} and no result"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    if -code == signal.SIGKILL:
        return f"killed by {name} (out of memory, or killed by somebody)"
    return f"killed by {name}"
