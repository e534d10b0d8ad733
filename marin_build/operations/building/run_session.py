"""Makes the session of a run: checks its prefix, and sees that a local disk gets what it builds."""

from __future__ import annotations

import errno
import math
import os
import shlex
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from marin_build.apply.events import Warned
from marin_build.errors import StoreError
from marin_build.identity.secret import known_values
from marin_build.operations.planning.refuse_secrets import refuse_secrets
from marin_build.plan.decisions import Kind
from marin_build.plan.deep_digests import deep_digests_of_run
from marin_build.protocol.provenance import provenance_at, read_here
from marin_build.redaction import Redactor
from marin_build.store.local_read import owner_of
from marin_build.store.mounts import is_shared, probe_locks
from marin_build.workspace.own_folder import NAME, make_folder
from marin_build.workspace.places import is_url

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from marin_build.apply.events import Event
    from marin_build.operations.loading.loading import Loaded
    from marin_build.plan.decisions import Plan
    from marin_build.run_step.launch import Launch
    from marin_build.run_step.session import Session
    from marin_build.store.base import Store
    from marin_build.store.durability import Syncing
    from marin_build.store.kernel_locks import KernelLocks


_JOB_VARIABLE = "MARIN_BUILD_JOB"
"""The environment variable by which a job says which one it is: `<engine>:<id>`."""
_QUEUED_VARIABLE = "MARIN_BUILD_QUEUED_SINCE"
"""The same for when it was submitted: seconds since 1970, if it waited for nothing but its turn."""


def check_writable(prefix: str) -> None:
    """Refuse a local prefix that cannot be written.

    Raises:
        StoreError: it cannot.

    """
    if is_url(prefix):
        return  # the first write finds out
    try:
        make_folder(prefix)
    except OSError as error:
        raise _unwritable(prefix, error) from error
    if not os.access(prefix, os.W_OK | os.X_OK):
        is_read_only = os.statvfs(prefix).f_flag & os.ST_RDONLY
        number = errno.EROFS if is_read_only else errno.EACCES
        raise _unwritable(prefix, OSError(number, os.strerror(number)))


def _unwritable(prefix: str, error: OSError) -> StoreError:
    """Return the error for a prefix, or a folder of ours in it, that cannot be written."""
    facts, hint = [("reason", str(error.strerror).lower())], "give another one with --prefix"
    own = f"{prefix}{os.sep}{NAME}"
    is_denied = error.errno in (errno.EACCES, errno.EPERM)
    if is_denied and os.path.isdir(own) and os.access(prefix, os.W_OK | os.X_OK):
        facts.append(("folder", f"{own}, {owner_of(own)}"))
        shared = f"chmod -R g+w {shlex.quote(own)}"
        hint = f"to share it with your group, its owner says: {shared}"
    return StoreError(
        f"cannot write to the prefix `{prefix}`",
        facts=facts,
        consequence="nothing was run",
        hint=hint,
    )


def syncing_of(loaded: Loaded, run: str) -> Syncing | None:
    """Return a `Syncing` that flushes a run's outputs to disk; None for a remote prefix.

    Raises:
        StoreError: nothing can be written there.

    """
    if is_url(loaded.workspace.prefix):
        return None
    from marin_build.store.durability import Syncing

    host = os.uname().nodename
    try:
        return Syncing(loaded.workspace.prefix, run, boot=loaded.host.machine_boot, host=host)
    except OSError as error:
        raise _unwritable(loaded.workspace.prefix, error) from error


def end_syncing(syncing: Syncing | None, on_event: Callable[[Event], None]) -> None:
    """Bring the rest to disk, or warn that the disk refuses."""
    if syncing is None:
        return
    try:
        syncing.close()
    except OSError as error:
        why = str(error.strerror).lower()
        what = f"what was built may not be on disk: {why}; "
        on_event(Warned(f"{what}if this machine goes down now, it is built again"))


def make_session(
    loaded: Loaded,
    plan: Plan,
    pinned_code: Mapping[str, str],
    *,
    lease: bool,
    argv: Sequence[str] | None = None,
    launch: Launch | None = None,
    run: str | None = None,
) -> Session:
    """Return the session of a run, after checking that the prefix can be written.

    Args:
        loaded: the pipeline and its store.
        plan: what is built.
        pinned_code: target id -> code digest, for a saved plan.
        lease: whether the store must have conditional writes.
        argv: the command line to name in records; None: that of this process.
        launch: the gang that this process is a rank of; None: of none.

    """
    from marin_build.run_step.code_watch import CodeWatch
    from marin_build.run_step.input_files import Inputs
    from marin_build.run_step.session import Session

    check_writable(loaded.workspace.prefix)
    refuse_secrets(loaded, plan.to_build)
    seen = plan.snapshot.seen
    recorded = {i: it.built.deep_code_digest for i, it in seen.items() if it.built is not None}
    if any(plan.targets.all[index].step.writes_record for index in plan.to_build):
        from marin_build.protocol.launch_provenance import publish_provenance

        publish_provenance(loaded.workspace.project)
    # Read now: of the code as it was loaded, whatever is edited while it runs.
    deep_code = deep_digests_of_run(plan.targets, plan.to_build, recorded)
    store = _leasing(loaded, lease=lease)
    if not store.is_local:
        from marin_build.run_step.patient_store import PatientStore

        store = PatientStore(store)
    locks = _locks(loaded, plan) if lease and launch is None else None
    return Session(
        store=store,
        targets=plan.targets,
        deep=_deep_fingerprints(plan),
        run=run or f"r-{os.urandom(4).hex()}",
        host=loaded.host,
        provenance=provenance_at(loaded.workspace.project, argv or ("marin-build", *sys.argv[1:])),
        now=lambda: datetime.now(UTC),
        forced=plan.rebuilt_anyway,
        pinned_code=pinned_code,
        time_to_live=float(loaded.settings.lease),
        deep_code=deep_code,
        here=read_here(loaded.workspace.project, os.environ),
        redactor=Redactor.of(os.environ, loaded.settings.secrets).joined(
            Redactor.for_values(known_values())
        ),
        secrets=loaded.settings.secrets,
        log_limit=loaded.settings.log_limit << 20,
        job=os.environ.get(_JOB_VARIABLE, "").replace(" ", "_"),
        queued_seconds=_queued_seconds(os.environ.get(_QUEUED_VARIABLE, ""), time.time()),
        protect=loaded.settings.protect,
        digests=loaded.settings.digests,
        overwrites=plan.overwrites,
        code=CodeWatch(plan.targets, [d.index for d in plan.of_kind(Kind.RUN)]),
        inputs=Inputs(store, plan.targets, plan.snapshot.manifests, is_own_disk=locks is not None),
        launch=launch,
        locks=locks,
    )


def _locks(loaded: Loaded, plan: Plan) -> KernelLocks | None:
    """Return the kernel's locks below a local prefix, if they serve as leases there.

    Where nothing is built, as by `adopt`, they only keep out who builds by them already.

    Raises:
        StoreError: they do not, and the configuration insists on them.

    """
    if is_url(loaded.workspace.prefix):
        return None
    if not plan.to_build:
        from marin_build.store.kernel_locks import KernelLocks

        return KernelLocks(loaded.workspace.prefix, is_quick=False, create=False)
    from marin_build.store.lease_choice import choose_locks

    return choose_locks(loaded.workspace.prefix, loaded.settings.lease_by)


def _queued_seconds(since: str, now: float) -> float | None:
    """Return how long the job of this process waited in a queue; None if that is not known.

    The clocks of two machines are compared: it is good for estimates, and for nothing else.
    """
    try:
        seconds = now - float(since)
    except ValueError:
        return None
    return round(max(0.0, seconds), 1) if seconds < math.inf else None


def _deep_fingerprints(plan: Plan) -> list[str]:
    if not plan.snapshot.drifted:
        return plan.targets.deep_fingerprints()
    from marin_build.plan.deep_digests import deep_fingerprints_of_run

    return deep_fingerprints_of_run(plan)


def _leasing(loaded: Loaded, *, lease: bool) -> Store:
    """Return the store for leases.

    Raises:
        StoreError: it has no conditional writes, and leases were not waived.

    """
    if not lease:
        from marin_build.store.without_conditions import UnfencedStore

        return UnfencedStore(loaded.store)
    if not loaded.store.conditional:
        raise StoreError(
            f"no lease holds at `{loaded.workspace.prefix}`: no conditional writes there",
            consequence="nothing was run",
            hint="if no other run builds there, say `--no-lease`",
        )
    prefix = loaded.workspace.prefix
    if not is_url(prefix) and is_shared(prefix):
        probe_locks(prefix)
    return loaded.store
