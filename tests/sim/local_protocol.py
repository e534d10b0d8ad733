"""What the protocol of a local disk asks of the kernel, on a simulated machine.

The decisions are the real ones: `KernelLocks`, `Claimant`, `QuickHolding`, `Announcer`. These stand
for `store.lock_file.LockFile` and `store.begun_folder`, system call by system call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.store.lock_file import mark_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.sim.local_disk import Disk
    from tests.sim.machine import Description, Machine, Process

PREFIX = "/sim"
MARK = mark_path(PREFIX)


class SimulatedLockFile:
    """One open file description of the leases file.

    Args:
        machine, disk: where it lies.
        process: opens it; what is forked from that shares it.

    """

    def __init__(
        self,
        machine: Machine,
        disk: Disk,
        process: Process,
    ) -> None:
        self._machine, self._disk = machine, disk
        self._process = process
        self.description: Description = machine.open(process, machine.leases_file)
        self.identity = str(self.description.file)

    def lock(self, offset: int) -> bool:
        self._disk.step("lock", "leases")
        return self._machine.try_lock(self.description, offset)

    def unlock(self, offset: int) -> None:
        self._machine.unlock(self.description, offset)

    def is_free(self, offset: int) -> bool:
        self._disk.step("lock", "leases")
        return not self._machine.is_locked_by_other(self.description, offset)

    def is_in_place(self) -> bool:
        self._disk.step("stat", "leases")
        return self.description.file == self._machine.leases_file

    def has_mark(self) -> bool:
        self._disk.step("stat", "mark")
        return MARK in self._machine.files

    def close(self) -> None:
        self._machine.close(self._process, self.description)


@dataclass(slots=True)
class SimulatedFolder:
    """A folder that was made for an output, with a first file in it, which stays open."""

    machine: Machine
    disk: Disk
    path: str
    name: str
    file: int

    def is_in_place(self) -> bool:
        self.disk.step("stat", f"{self.path}/{self.name}")
        return self.machine.numbers.get(f"{self.path}/{self.name}") == self.file

    def finish(
        self, content: bytes, others: Mapping[str, bytes], last: str, token: bytes, absent: str
    ) -> bool:
        first = f"{self.path}/{self.name}"
        self.write(content)
        with self.disk.locked(first):
            if not self.is_in_place() or self.has(absent) or self.has(last):
                return False
            for name, data in others.items():
                self.disk.put(f"{self.path}/{name}", data)
            self.put_last(f"{self.path}/{last}", token)
        return True

    def write(self, content: bytes) -> None:
        """Write into the file; if another one lies there by now, nobody sees that."""
        first = f"{self.path}/{self.name}"
        self.disk.step("write", first, writes=True)
        if self.machine.numbers.get(first) == self.file:
            self.machine.write_in_place(self.disk.actor, first, content)

    def has(self, name: str) -> bool:
        """Return whether a file is there."""
        self.disk.step("stat", f"{self.path}/{name}")
        return f"{self.path}/{name}" in self.machine.files

    def put_last(self, path: str, token: bytes) -> None:
        """Write the file that says that all is there."""
        self.disk.put(path, token)

    def take_back(self) -> None:
        """Delete the first file, if it is still the one."""
        if self.is_in_place():
            first = f"{self.path}/{self.name}"
            self.disk.step("unlink", first, writes=True)
            self.machine.remove(self.disk.actor, first)

    def close(self) -> None:
        """Close it: nothing else has it open."""


@dataclass(frozen=True, slots=True)
class Beginner:
    """Begins outputs: `store.begun_folder.begin_folder`."""

    machine: Machine
    disk: Disk

    def begin(self, path: str, name: str, content: bytes) -> SimulatedFolder | None:
        """Make a folder and a first file in it, if nothing lies there."""
        self.disk.step("list", path)
        if any(True for _ in self.machine.below(path)):
            return None
        first = f"{path}/{name}"
        self.disk.step("begin", first, writes=True)
        if first in self.machine.files:
            return None
        self.machine.write(self.disk.actor, first, b"")
        file = self.machine.numbers[first]
        begun = SimulatedFolder(self.machine, self.disk, path, name, file)
        begun.write(content)
        return begun


@dataclass(slots=True)
class Mutex:
    """A lock between threads of one process, where a wait lets others run."""

    disk: Disk
    is_taken: bool = False

    def __enter__(self) -> None:
        while self.is_taken:
            self.disk.step("wait", "mutex")
        self.is_taken = True

    def __exit__(self, *_: object) -> None:
        self.is_taken = False
