"""One machine, simulated: its processes, its kernel's locks, and its disk.

A lock belongs to an open file (a *description*), whoever shares it: a fork does, and so does a
program, unless the file is closed on exec. It is gone the instant the last of them is gone.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from marin_build.store.base import Blob
from tests.sim.world import Actor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from tests.sim.local_rules import LocalJudge
    from tests.sim.world import Host, World


@dataclass(eq=False, slots=True)
class Description:
    """An open file: of the leases file by its number, or of a log by its path."""

    file: int | str
    holders: set[Process] = field(default_factory=set)


class Process:
    """A process: actors as its threads, and what it has open."""

    def __init__(self, machine: Machine, name: str, host: Host | None = None) -> None:
        self.machine, self.name, self.host = machine, name, host or machine.host
        self.runs = 0
        """Appliers in it that have not ended."""
        self.threads: list[Actor] = []
        self.alive = True
        self.is_ours = True
        """Whether it is no body, nor started by one."""
        self.mark = ""
        """The nonce in its environment, of what a body starts as a program."""
        self.on_death: list[Callable[[], None]] = []
        machine.processes.append(self)

    def thread(self, name: str = "") -> Actor:
        """Return a new thread of it."""
        actor = Actor(self.machine.world, self.host, f"{self.name}{name}")
        self.threads.append(actor)
        return actor

    def fork(self, name: str, *, keeps: Callable[[Description], bool] = lambda _: True) -> Process:
        """Return a child, which shares what is open; `keeps` says what of it."""
        child = Process(self.machine, name, self.host)
        for description in self.machine.open_in(self):
            if keeps(description):
                description.holders.add(child)
        return child

    def kill(self) -> None:
        """End it, with all its threads; what only it had open is closed."""
        if not self.alive:
            return
        self.alive = False
        self.machine.close_all(self)
        for actor in self.threads:
            actor.kill()
        for tell in self.on_death:
            tell()

    def freeze(self, seconds: float) -> None:
        """Stop all its threads, as SIGSTOP does."""
        for actor in self.threads:
            if actor.alive:
                actor.freeze(seconds)

    def is_excused(self) -> bool:
        """Return whether it stood still not long ago."""
        return any(actor.is_excused() for actor in self.threads)


class Machine:
    """What all processes share.

    Args:
        world: where time passes.
        host: the machine since it was started; another one after the next start.
        random: decides what a power cut leaves.

    """

    def __init__(self, world: World, host: Host, random: Random) -> None:
        self.world, self.host, self._random = world, host, random
        self.processes: list[Process] = []
        self.judge: LocalJudge | None = None
        self._descriptions: list[Description] = []
        self._locks: dict[tuple[int | str, int], Description] = {}
        # The disk.
        self.files: dict[str, Blob] = {}
        self.numbers: dict[str, int] = {}
        """Path -> which file it is: another one after each `rename`."""
        self.leases_file = 1
        """Number of the file at the path of the leases; another one when it was replaced."""
        self.folder_locks: dict[str, Actor] = {}
        self.moved: dict[str, int] = {}
        """Folder -> how often it was moved away: a lock on a moved folder is no lock."""
        self._versions = itertools.count(1)
        self._unsynced: list[dict[str, Blob | None]] = []
        """What was there before each change since the last sync."""
        self.synced_until = 0.0

    # The kernel.

    def open(self, process: Process, file: int | str) -> Description:
        """Open a file anew."""
        description = Description(file, {process})
        self._descriptions.append(description)
        return description

    def close(self, process: Process, description: Description) -> None:
        """Close it in one process; with the last one its locks are gone."""
        description.holders.discard(process)
        if not description.holders and description in self._descriptions:
            self._descriptions.remove(description)
            for key in [key for key, by in self._locks.items() if by is description]:
                del self._locks[key]

    def open_in(self, process: Process) -> list[Description]:
        """Return what a process has open."""
        return [it for it in self._descriptions if process in it.holders]

    def close_all(self, process: Process) -> None:
        """Close all that a process has open, and let its folder locks go."""
        for description in self.open_in(process):
            self.close(process, description)
        for folder, actor in list(self.folder_locks.items()):
            if actor in process.threads:
                del self.folder_locks[folder]

    def try_lock(self, description: Description, offset: int) -> bool:
        """Lock a byte; the same description may do so again."""
        by = self._locks.setdefault((description.file, offset), description)
        return by is description

    def unlock(self, description: Description, offset: int) -> None:
        """Let a byte go, if it is locked by this description."""
        if self._locks.get((description.file, offset)) is description:
            del self._locks[description.file, offset]

    def locks_of(self, description: Description) -> int:
        """Return how many bytes are locked by a description."""
        return sum(by is description for by in self._locks.values())

    @property
    def locks(self) -> int:
        """How many bytes are locked."""
        return len(self._locks)

    def is_held_by_ours(self, offset: int) -> bool:
        """Return whether a process of ours that lives has a byte of a leases file locked."""
        return any(
            process.alive and process.is_ours
            for (file, byte), by in self._locks.items()
            if byte == offset and isinstance(file, int)
            for process in by.holders
        )

    def is_locked_by_other(self, description: Description, offset: int) -> bool:
        """Return whether another description has a byte of the same file locked."""
        return self._locks.get((description.file, offset), description) is not description

    def has_locked(self, description: Description, offset: int) -> bool:
        """Return whether a description has a byte of its file locked."""
        return self._locks.get((description.file, offset)) is description

    def is_locked(self, file: int | str, offset: int = 0) -> bool:
        """Return whether a byte of a file is locked."""
        return (file, offset) in self._locks

    # The disk, as it really is.

    def write(self, actor: Actor, path: str, data: bytes) -> str:
        """Have bytes at a path, at once and whole."""
        old = self.files.get(path)
        self._unsynced.append({path: old})
        blob = self.files[path] = Blob(data, str(next(self._versions)))
        self.numbers[path] = int(blob.version)
        self.world.note(actor, f"  {path} := {data[:150]!r} ({blob.version})")
        if self.judge is not None:
            self.judge.wrote(actor, path, old, blob)
        return blob.version

    def write_in_place(self, actor: Actor, path: str, data: bytes) -> None:
        """Have other bytes in a file that lies at a path."""
        number = self.numbers[path]
        self.write(actor, path, data)
        self.numbers[path] = number

    def remove(self, actor: Actor, path: str) -> bool:
        """Have nothing at a path; return whether something was there."""
        old = self.files.pop(path, None)
        if old is None:
            return False
        self.numbers.pop(path, None)
        self._unsynced.append({path: old})
        self.world.note(actor, f"  {path} deleted ({old.version})")
        if self.judge is not None:
            self.judge.wrote(actor, path, old, None)
        return True

    def move_away(self, actor: Actor, folder: str) -> None:
        """Move a folder away, with all that lies in it, in one step."""
        before = len(self._unsynced)
        for path, _ in list(self.below(folder)):
            self.remove(actor, f"{folder}/{path}")
        changes = self._unsynced[before:]
        self._unsynced[before:] = [{path: old for it in changes for path, old in it.items()}]

    def below(self, folder: str) -> Iterator[tuple[str, Blob]]:
        """Yield the files below a folder: path inside it, bytes."""
        start = folder + "/"
        for path, blob in sorted(self.files.items()):
            if path.startswith(start):
                yield path[len(start) :], blob

    def busy_until(self) -> list[float]:
        """Return until when processes that are frozen stay so."""
        actors = [actor for it in self.processes if it.alive for actor in it.threads]
        return [actor.frozen_until for actor in actors]

    def replace_leases_file(self) -> None:
        """Do as `rm -rf .marin-build` and who comes next: there is another file of that name."""
        self.leases_file += 1
        self.world.note(None, f"the leases file is replaced: no. {self.leases_file}")

    def sync(self) -> None:
        """Write everything to the disk for good."""
        self._unsynced.clear()
        self.synced_until = self.world.now

    def cut_power(self, host: Host) -> None:
        """End all processes, and lose what was not synced.

        The names that are left are those of some instant since the sync, as a journal keeps them;
        of files written since then the bytes may be lost all the same.
        """
        for process in list(self.processes):
            process.kill()
        self.host = host
        kept = self._random.randint(0, len(self._unsynced))
        for change in reversed(self._unsynced[kept:]):
            for path, old in change.items():
                if old is None:
                    self.files.pop(path, None)
                else:
                    self.files[path] = old
        for path in dict.fromkeys(path for change in self._unsynced[:kept] for path in change):
            if path in self.files and self._random.random() < 0.3:
                self.files[path] = Blob(b"", self.files[path].version)
        self.world.note(None, f"the power is cut; {kept} of {len(self._unsynced)} writes are kept")
        self._unsynced.clear()
