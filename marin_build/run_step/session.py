"""What all targets of one run share."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from marin_build.protocol.layout import local_log_path, new_local_log
from marin_build.protocol.lease import TIME_TO_LIVE, boot_clock
from marin_build.protocol.living_work import is_abandoned, is_worked_on, living_work
from marin_build.redaction import NOTHING_SECRET, Redactor
from marin_build.run_step.announcer import ANNOUNCE_AFTER, Announcer
from marin_build.run_step.lease_keeper import REGISTER_AFTER
from marin_build.run_step.step_log import LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from marin_build.pipeline.step_spec import StepSpec
    from marin_build.pipeline.targets import Targets
    from marin_build.plan.outcomes import Stopped
    from marin_build.protocol.documents import Provenance
    from marin_build.protocol.held_target import Holding
    from marin_build.protocol.lease import Host, Lease
    from marin_build.protocol.living_work import Process
    from marin_build.protocol.provenance import Here
    from marin_build.run_step.code_watch import CodeWatch
    from marin_build.run_step.input_files import Inputs
    from marin_build.run_step.launch import Launch
    from marin_build.store.base import Store
    from marin_build.store.kernel_locks import KernelLocks


@dataclass(frozen=True, slots=True)
class Session:
    """One run: its store, targets, and who runs it.

    Args:
        store: where outputs, records, statuses and leases live.
        targets: all targets of the pipeline.
        deep: deep fingerprint of each target.
        run: the run's id.
        host: this machine.
        provenance: makes what the records say of who runs it.
        forced: targets built even if they are built.
        pinned_code: target id -> code digest a plan pins; another digest stops the target.
        now: the clock, for people.
        time_to_live: seconds its leases hold without being renewed.
        refused: targets that must not be built here, and why; more may join while the run goes on.
        deep_code: deep code digest of what is built, for the records (see plan/deep_digests.py).
        here: what it runs in, for the records; None: they do not say.
        redactor: replaces the secrets of this process's environment.
        secrets: patterns of further variables that hold some, from the configuration.
        log_limit: bytes of the longest log.
        job: engine and id of the job that the run is in, `slurm:1234`; empty outside any.
        queued_seconds: how long that job waited for its turn; None: it did not, or nobody knows.
        inputs: compares what steps read with what was built; None: nothing is compared.
        code: compares the code that steps reach with what was loaded; None: it is not looked at.
        protect: whether what is committed to a local disk is made read-only.
        digests: whether its contents are digested.
        overwrites: targets whose foreign data may be deleted -> the listing of that data.
        launch: the gang that builds its one target; None: no gang does.
        locks: the kernel's locks on its outputs; None: only documents keep others out.
        announcer: announces targets that only these locks keep.

    """

    store: Store
    targets: Targets
    deep: list[str]
    run: str
    host: Host
    provenance: Callable[[], Provenance]
    now: Callable[[], datetime]
    forced: frozenset[int] = frozenset()
    pinned_code: Mapping[str, str] = field(default_factory=dict)
    time_to_live: float = TIME_TO_LIVE
    refused: dict[int, Stopped] = field(default_factory=dict)
    deep_code: Mapping[int, str] = field(default_factory=dict)
    here: Here | None = None
    redactor: Redactor = NOTHING_SECRET
    secrets: tuple[str, ...] = ()
    log_limit: int = LIMIT
    job: str = ""
    queued_seconds: float | None = None
    inputs: Inputs | None = None
    code: CodeWatch | None = None
    protect: bool = False
    digests: bool = False
    overwrites: Mapping[int, str] = field(default_factory=dict)
    launch: Launch | None = None
    locks: KernelLocks | None = None
    announcer: Announcer = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Make the announcer; its thread starts with the first target."""
        announcer = Announcer(self.announce_after)
        object.__setattr__(self, "announcer", announcer)

    def let_go(self, holding: Holding) -> None:
        """Let go of a target: its attempt has ended, or was given up."""
        self.announcer.forget(holding)
        holding.unlock()

    def close(self) -> None:
        """End what the session started, once nothing more is built."""
        self.announcer.close()
        if self.locks is not None:
            self.locks.close()

    @property
    def register_after(self) -> float:
        """Seconds a body runs before its lease is handed to the keeper."""
        return self.time_to_live * REGISTER_AFTER

    @property
    def announce_after(self) -> float:
        """Seconds after which a target is announced that only the kernel's lock keeps."""
        return self.time_to_live * ANNOUNCE_AFTER

    def has_expired(self, held_since: float) -> bool:
        """Return whether another run may have taken over a lease, as this process stood still.

        A body asks when it has locked its log: no run of this machine takes over from then on.

        Args:
            held_since: when the lease was last written, on the clock that counts sleep.

        """
        return boot_clock() - held_since >= self.time_to_live

    def redactor_of(self, step: StepSpec) -> Redactor:
        """Return the redactor of the secrets that a step may print."""
        if not step.env_vars and not step.secrets:
            return self.redactor
        declared = (*self.secrets, *step.secrets)
        own = Redactor.of(
            {**os.environ, **step.env_vars} if step.secrets else step.env_vars, declared
        )
        return self.redactor.joined(own)

    def is_abandoned(self, index: int, lease: Lease) -> bool:
        """Return whether the holder died on this host, and all its attempt had started with it.

        A lease of this process is one, too: it has no other attempt at the target any more, and
        could not delete the lease.
        """
        if (lease.run, lease.pid, lease.boot) == (self.run, os.getpid(), self.host.boot):
            return not self.is_worked_on(index, lease)
        if lease.lock and self.locks is not None:
            output = self.targets.all[index].output_path
            if self.locks.is_free(output, lease.lock):
                return not self.is_worked_on(index, lease)
        return is_abandoned(self.host, lease, self.log_path(index, lease))

    def is_worked_on(self, index: int, lease: Lease) -> bool:
        """Return whether something that an attempt started lives on this machine."""
        return is_worked_on(self.host, lease, self.log_path(index, lease))

    def left_work(self, index: int, lease: Lease) -> tuple[Process, ...]:
        """Return what still works on a target although its holder has died on this machine."""
        if not self.host.is_gone(lease):
            return ()
        return living_work(lease.nonce, self.log_path(index, lease), lease.run)

    def log_path(self, index: int, lease: Lease) -> str:
        """Return the local file that takes what an attempt prints."""
        target = self.targets.all[index]
        return local_log_path(target.output_path, target.id, lease)

    def new_log(self, index: int, lease: Lease) -> str:
        """Return the same for an attempt that begins, and make the folder it lies in."""
        target = self.targets.all[index]
        return new_local_log(target.output_path, target.id, lease)
