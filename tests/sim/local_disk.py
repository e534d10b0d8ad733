"""The disk of a simulated machine as a run reaches it: system calls take time, or fail."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.errors import StoreError
from marin_build.store.base import File
from tests.sim.world import KilledError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.store.base import Blob
    from tests.sim.bucket import Faults
    from tests.sim.machine import Machine
    from tests.sim.world import Actor

LOCK_PATIENCE = 20.0
"""As `folder_lock`."""
_PAUSES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)


class Disk:
    """The disk as a run reaches it, as `LocalStore` does: each system call takes its time."""

    is_local = True
    conditional = True

    def __init__(self, machine: Machine, faults: Faults) -> None:
        self._machine, self._faults = machine, faults

    @property
    def actor(self) -> Actor:
        """The thread whose turn it is."""
        return self._machine.world.current

    def get(self, path: str) -> Blob | None:
        """Read a file."""
        self.step("get", path)
        return self._machine.files.get(path)

    def get_many(self, paths: Sequence[str]) -> list[Blob | None]:
        """Read files, one after the other."""
        return [self.get(path) for path in paths]

    def put(self, path: str, data: bytes) -> str:
        """Write through a temporary file and `rename`."""
        self.step("put", path, writes=True)
        return self._machine.write(self.actor, path, data)

    def put_if_absent(self, path: str, data: bytes) -> str | None:
        """Look, then write over whatever is there by then, under the folder's lock."""
        with _Locked(self, path):
            self.step("create", path)
            if path in self._machine.files:
                return None
            self.step("create", path, writes=True)
            return self._machine.write(self.actor, path, data)

    def replace_if(self, path: str, data: bytes, version: str) -> str | None:
        """Look, then write, under the folder's lock."""
        with _Locked(self, path):
            self.step("replace", path)
            if not self._has(path, version):
                return None
            self.step("replace", path, writes=True)
            return self._machine.write(self.actor, path, data)

    def delete_if(self, path: str, version: str) -> bool:
        """Look, then delete, under the folder's lock."""
        with _Locked(self, path):
            self.step("delete", path)
            if not self._has(path, version):
                return False
            self.step("delete", path, writes=True)
            return self._machine.remove(self.actor, path)

    def locked(self, path: str) -> _Locked:
        """Hold the lock of the folder of a path."""
        return _Locked(self, path)

    def files(self, folder: str) -> list[File]:
        """Return the files below a folder."""
        self.step("list", folder)
        return [File(path, len(blob.data)) for path, blob in self._machine.below(folder)]

    def folders(self, start: str) -> list[str]:
        """Return the folders that begin so."""
        self.step("list", start)
        parent, _, head = start.rpartition("/")
        inside = [path.split("/") for path, _ in self._machine.below(parent)]
        names = {parts[0] for parts in inside if len(parts) > 1 and parts[0].startswith(head)}
        return sorted(f"{parent}/{name}" for name in names)

    def list(self, folder: str) -> list[str]:
        """Return the names of the files right in a folder."""
        self.step("list", folder)
        return [path for path, _ in self._machine.below(folder) if "/" not in path]

    def delete(self, paths: Sequence[str]) -> None:
        """Delete files."""
        for path in paths:
            self.step("delete", path, writes=True)
            self._machine.remove(self.actor, path)

    def step(self, verb: str, path: str, *, writes: bool = False) -> None:
        """Make a system call: let others run, and have something go wrong.

        Raises:
            StoreError: the disk refuses.

        """
        actor, world = self.actor, self.actor.world
        if not actor.alive:
            raise KilledError
        fault = self._faults.next(verb, path)
        if world.trace is not None:
            world.note(actor, f"{verb} {path}" + (f"   <- {fault}" if fault else ""))
        if fault.startswith("early "):
            self._hit(fault.removeprefix("early "))
        actor.wait(0.0001 + world.random.random() ** 8 * 0.01)
        if fault == "refused" and writes:
            raise StoreError(f"cannot {verb} `{path}`: no space left")
        if fault.startswith("late "):
            self._hit(fault.removeprefix("late "))

    def _hit(self, fault: str) -> None:
        self._faults.hit(self.actor, fault)
        if not self.actor.alive:
            raise KilledError
        self.actor.wait(0.0)  # for as long as it stands still

    def _has(self, path: str, version: str) -> bool:
        blob = self._machine.files.get(path)
        return blob is not None and blob.version == version

    def take(self, folder: str) -> None:
        """Wait for the lock of a folder.

        Raises:
            StoreError: who holds it does not go on.

        """
        locks, actor = self._machine.folder_locks, self.actor
        waited, pauses = 0.0, itertools.chain(_PAUSES, itertools.repeat(_PAUSES[-1]))
        while locks.setdefault(folder, actor) is not actor:
            if waited > LOCK_PATIENCE:
                raise StoreError(f"cannot lock `{folder}`: a process holds it")
            pause = next(pauses)
            waited += pause
            actor.wait(pause)

    def free(self, folder: str) -> None:
        """Let the lock of a folder go."""
        if self._machine.folder_locks.get(folder) is self.actor:
            del self._machine.folder_locks[folder]


@dataclass(slots=True)
class _Locked:
    """The lock of the folder of a path, while it is held."""

    disk: Disk
    path: str

    def __enter__(self) -> None:
        self.disk.take(self.path.rpartition("/")[0])

    def __exit__(self, *_: object) -> None:
        self.disk.free(self.path.rpartition("/")[0])
