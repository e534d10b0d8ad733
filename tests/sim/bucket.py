"""The simulated store: what is really there, and what a client gets to see of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from marin_build.errors import StoreError
from marin_build.store.base import Blob, File
from tests.sim.world import Actor, KilledError, World

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.sim.rules import Judge

T = TypeVar("T")


class Bucket:
    """What is really there. Every change is shown to the judge.

    Args:
        digests: versions are digests of the bytes, as etags of S3 are, and so come back.

    """

    def __init__(self, world: World, *, digests: bool) -> None:
        self._world = world
        self.digests = digests
        self._blobs: dict[str, Blob] = {}
        self._count = 0
        self.judge: Judge | None = None

    def get(self, path: str) -> Blob | None:
        return self._blobs.get(path)

    def write(
        self, actor: Actor, path: str, data: bytes, *, absent: bool, version: str, late: bool
    ) -> str | None:
        """Write if the condition holds: `absent`, or that `version` is there."""
        found = self._blobs.get(path)
        if (absent and found is not None) or (
            version and (found is None or found.version != version)
        ):
            return None
        self._count += 1
        new = hashlib.md5(data, usedforsecurity=False).hexdigest() if self.digests else None
        blob = self._blobs[path] = Blob(data, new or str(self._count))
        self._world.note(actor, f"  {path} := {data[:150]!r} ({blob.version[:6]})")
        if self.judge is not None:
            self.judge.wrote(actor, path, found, blob, late=late)
        return blob.version

    def delete(self, actor: Actor, path: str, version: str, *, late: bool) -> bool:
        found = self._blobs.get(path)
        if found is None or (version and found.version != version):
            return False
        del self._blobs[path]
        self._world.note(actor, f"  {path} deleted ({found.version[:6]})")
        if self.judge is not None:
            self.judge.wrote(actor, path, found, None, late=late)
        return True

    def files(self, folder: str) -> list[File]:
        start = folder + "/"
        return sorted(
            File(path[len(start) :], len(blob.data))
            for path, blob in self._blobs.items()
            if path.startswith(start)
        )


@dataclass(slots=True)
class Faults:
    """What goes wrong at which request.

    Args:
        at: number of the request -> kind of fault.
        among: (verb, file name) -> number among such requests -> kind of fault.
        hit: has something happen to an actor.

    """

    at: dict[int, str] = field(default_factory=dict)
    among: dict[tuple[str, str], dict[int, str]] = field(default_factory=dict)
    hit: Callable[[Actor, str], None] = lambda _actor, _kind: None
    count: int = 0
    counts: dict[tuple[str, str], int] = field(default_factory=dict)

    def next(self, verb: str, path: str) -> str:
        """Return the fault of the next request, or nothing."""
        self.count += 1
        if self.among:
            what = verb, path[path.rfind("/") + 1 :]
            if what in self.among:
                number = self.counts[what] = self.counts.get(what, 0) + 1
                if number in self.among[what]:
                    return self.among[what][number]
        return self.at.get(self.count, "")


class Client:
    """The store as one actor reaches it: late, unreliably, or not at all."""

    is_local = False
    conditional = True

    def __init__(self, bucket: Bucket, faults: Faults, actor: Actor) -> None:
        self._bucket = bucket
        self._faults = faults
        self._actor = actor
        self.idle = False
        """Whether it only looks on, so that its requests are no place for a fault."""

    def get(self, path: str) -> Blob | None:
        return self._request("get", path, lambda _late: self._bucket.get(path))

    def get_many(self, paths: Sequence[str]) -> list[Blob | None]:
        """Read them at different instants: a batch is no transaction."""
        found: dict[str, Blob | None] = {}
        for path in self._actor.world.random.sample(paths, len(paths)):
            found[path] = self.get(path)
        return [found[path] for path in paths]

    def put(self, path: str, data: bytes) -> str:
        version = self._write("put", path, data)
        assert version is not None
        return version

    def put_if_absent(self, path: str, data: bytes) -> str | None:
        return self._write("create", path, data, absent=True)

    def replace_if(self, path: str, data: bytes, version: str) -> str | None:
        assert version
        return self._write("replace", path, data, version=version)

    def delete_if(self, path: str, version: str) -> bool:
        assert version

        def effect(late: bool) -> bool:
            return self._bucket.delete(self._actor, path, version, late=late)

        return self._request("delete", path, effect, version, writes=True)

    def files(self, folder: str) -> list[File]:
        return self._request("list", folder, lambda _late: self._bucket.files(folder))

    def folders(self, start: str) -> list[str]:
        raise NotImplementedError(f"the protocol asks for no folders: {start}")

    def list(self, folder: str) -> list[str]:
        return [file.path for file in self.files(folder) if "/" not in file.path]

    def delete(self, paths: Sequence[str]) -> None:
        def effect(late: bool) -> None:
            for path in paths:
                self._bucket.delete(self._actor, path, "", late=late)

        if paths:
            self._request("delete", " ".join(paths), effect, writes=True)

    def _write(
        self, verb: str, path: str, data: bytes, *, absent: bool = False, version: str = ""
    ) -> str | None:
        def effect(late: bool) -> str | None:
            return self._bucket.write(
                self._actor, path, data, absent=absent, version=version, late=late
            )

        return self._request(verb, path, effect, version, writes=True)

    def _request(
        self,
        verb: str,
        path: str,
        effect: Callable[[bool], T],
        version: str = "",
        *,
        writes: bool = False,
    ) -> T:
        """Make a request: travel, effect, travel back; each may go wrong.

        Raises:
            StoreError: no answer came, whatever became of the request.

        """
        actor, world = self._actor, self._actor.world
        if not actor.alive:
            raise KilledError
        random = world.random.random
        fault = "" if self.idle else self._faults.next(verb, path)
        if fault == "again" and self._bucket.digests and verb == "create":
            # A lease that an echo creates anew has the version of the first one. An echo of the
            # seal then commits it, however long ago it was lost: digests cannot tell.
            fault = ""
        if world.trace is not None:
            condition = f" if {version[:6]}" if version else ""
            world.note(actor, f"{verb} {path}{condition}" + (f"   <- {fault}" if fault else ""))
        if fault:
            self._before(fault)
        actor.wait(random() ** 4)
        if actor.host.away_until > world.now:
            actor.wait(random() * 2.0)
            raise StoreError(f"cannot {verb} `{path}`: no way there")
        answer = self._faulty(fault, effect, writes=writes) if fault else effect(False)
        actor.wait(random() ** 4)
        if fault == "lost":
            raise StoreError(f"cannot {verb} `{path}`: no answer")
        return answer

    def _before(self, fault: str) -> None:
        actor, random = self._actor, self._actor.world.random
        if fault == "slow":
            seconds = random.uniform(5.0, 60.0)
            actor.stall(seconds)
            actor.wait(seconds)
        elif fault.startswith("early "):
            self._hit(fault.removeprefix("early "))

    def _hit(self, fault: str) -> None:
        """Have something happen to the actor, or to what is near it, at this very instant."""
        self._faults.hit(self._actor, fault)
        if not self._actor.alive:
            raise KilledError
        self._actor.wait(0.0)  # for as long as it stands still

    def _faulty(self, fault: str, effect: Callable[[bool], T], *, writes: bool) -> T:
        actor, random = self._actor, self._actor.world.random
        if fault == "refused":
            raise StoreError("the store says 503")
        if fault == "later" and writes:
            # Given up on by the client, and carried out when nobody counts on it any more.
            self._echo(effect)
            raise StoreError("no answer")
        if fault == "twice":
            effect(False)
            actor.wait(random.random() * 2.0)
        elif fault == "again" and writes:
            self._echo(effect)  # the resent request was quicker than the first one
        answer = effect(False)
        if fault.startswith("late "):
            self._hit(fault.removeprefix("late "))
        return answer

    def _echo(self, effect: Callable[[bool], T]) -> None:
        """Have a request carried out some time, when its sender does not wait for it any more."""
        world = self._actor.world

        def late() -> None:
            effect(True)

        world.nobody.call(world.random.uniform(0.1, 150.0), late)
