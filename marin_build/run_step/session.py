"""What all targets of one run share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from marin_build.protocol import layout
from marin_build.run_step.orphans import still_written

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from marin_build.fingerprint import Targets
    from marin_build.protocol.documents import Provenance
    from marin_build.protocol.lease import Host, Lease
    from marin_build.store.base import Store


@dataclass(frozen=True, slots=True)
class Session:
    """One run: its store, targets, and who runs it.

    Args:
        store: where outputs, records, statuses and leases live.
        targets: all targets of the pipeline.
        deep: deep fingerprint of each target.
        run: the run's id.
        host: this machine.
        provenance: for the records.
        forced: targets built even if they are built.
        pinned_code: target id -> code digest a plan pins; another digest stops the target.
        now: the clock, for people.

    """

    store: Store
    targets: Targets
    deep: list[str]
    run: str
    host: Host
    provenance: Provenance
    now: Callable[[], datetime]
    forced: frozenset[int] = frozenset()
    pinned_code: Mapping[str, str] = field(default_factory=dict)

    def is_abandoned(self, index: int, lease: Lease) -> bool:
        """Return whether the holder died on this host, and all its attempt had started with it."""
        log = layout.log_path(self.targets.all[index].output_path, lease.attempt)
        return self.host.is_gone(lease) and not still_written(log)
