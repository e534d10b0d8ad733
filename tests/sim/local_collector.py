"""A `gc` of this version on a local disk: tombstones first, then what is still not used is deleted.

The calls are those of `delete_output.Deleter`, whose own paths are those of the real disk.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from marin_build.errors import MarinBuildError
from marin_build.protocol import layout
from marin_build.protocol.lease import COLLECTING, Lease
from marin_build.protocol.look import look
from marin_build.protocol.status import STATUS_DELETING
from marin_build.protocol.tombstone import Tombstone
from marin_build.protocol.tombstone_writes import put_tombstone
from marin_build.store.kernel_locks import KernelLocks
from tests.sim.local_disk import Disk
from tests.sim.local_protocol import PREFIX, Mutex, SimulatedLockFile
from tests.sim.machine import Process

if TYPE_CHECKING:
    from marin_build.store.lock_file import LockFile
    from tests.sim.bucket import Faults
    from tests.sim.machine import Machine
    from tests.sim.world import World


@dataclass(slots=True)
class Collector:
    """One run of `gc`."""

    world: World
    machine: Machine
    faults: Faults
    outputs: list[str]

    def start(self, after: float) -> None:
        """Begin after some seconds."""
        process = Process(self.machine, "gc")
        actor = process.thread()
        actor.nonce = f"{COLLECTING}1"
        disk = Disk(self.machine, self.faults)

        def open_file(_folder: str, *, create: bool) -> LockFile:
            del create
            return cast("LockFile", SimulatedLockFile(self.machine, disk, process))

        locks = KernelLocks(PREFIX, open_file=open_file, guard=Mutex(disk))

        def run() -> None:
            marked: dict[str, str] = {}
            for output in self.outputs:
                with suppress(MarinBuildError):
                    blob = disk.get(f"{output}/{layout.STATUS}")
                    if blob is not None and blob.data == b"SUCCESS":
                        tombstone = Tombstone("SUCCESS", "u", "t", "g-1")
                        version = put_tombstone(disk, output, blob.version, tombstone)
                        marked |= {output: version} if version is not None else {}
            actor.wait(self.world.random.choice((0.01, 2.0)))
            for output, version in marked.items():
                lock = locks.take(output)
                if lock is None:
                    continue
                with suppress(MarinBuildError):
                    self._delete(disk, output, version, lock.identity)
                lock.release()
            actor.listen()

        actor.start(run, after)

    def _delete(self, disk: Disk, output: str, version: str, lock: str) -> None:
        seen = look(disk, output)
        if seen.status_version != version or seen.lease is not None:
            return
        own = f"{COLLECTING}1"
        lease = Lease("gc", 1.0, run=own, nonce=own, boot="none", lock=lock)
        path, status = f"{output}/{layout.LEASE}", f"{output}/{layout.STATUS}"
        held = disk.put_if_absent(path, lease.encode())
        if held is None:
            return
        if disk.replace_if(status, STATUS_DELETING.encode(), version) is None:
            disk.delete_if(path, held)
            return
        with disk.locked(status):  # moved away as a whole
            disk.step("rename", output, writes=True)
            self.machine.move_away(disk.actor, output)
