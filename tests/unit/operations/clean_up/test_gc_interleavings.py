"""gc beside runs, in any order of their requests, with deaths and lost replies at any of them.

An input is `data_1`, which nothing that gc knows needs. Consumers build from it all the same, an
apply asks for it, a person takes tombstones back. Whatever happens: a consumer that has begun finds
all of its input until it has ended, and what counts as built is whole.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import greenlet
from hypothesis import given, settings
from hypothesis import strategies as st

from marin_build.errors import StoreError
from marin_build.observe.read_whole_prefix import read_whole_prefix
from marin_build.operations.clean_up.carry_out_gc import Worker, undo_gc
from marin_build.operations.clean_up.gc import GcPlan, GcRequest, plan_of
from marin_build.operations.clean_up.gc_needs import InUse
from marin_build.operations.loading.place import Place
from marin_build.plan.reachability import Needs, judge
from marin_build.protocol.acquire import Claimant
from marin_build.protocol.claim_outcomes import Finished
from marin_build.protocol.held_target import Holding
from marin_build.protocol.lease import Host, Lease
from marin_build.protocol.status import readable_status
from marin_build.protocol.tombstone_writes import take_all_away
from marin_build.run_step.output_folder import clear_leftovers
from marin_build.store.memory import MemoryStore
from tests.unit.protocol.support import publication

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marin_build.store.base import Blob, File

T = TypeVar("T")
PREFIX = "gs://bucket/out"
DATA = f"{PREFIX}/data_1a2b3c4d"
FILES = ("part-0", "part-1", "d/part-2")
NOW = datetime(2026, 11, 30, tzinfo=UTC)


class DiedError(Exception):
    """The process of an actor is gone."""


@dataclass
class World:
    """A bucket and the actors, of which one at a time makes a request."""

    inner: MemoryStore = field(default_factory=MemoryStore)
    actors: dict[str, greenlet.greenlet] = field(default_factory=dict)
    deaths: dict[str, tuple[int, bool]] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    readers: set[str] = field(default_factory=set)
    deleted: int = 0

    def add(self, name: str, act: Callable[[Requests, str], object]) -> None:
        def run() -> None:
            try:
                act(Requests(self, name), name)
            except (DiedError, StoreError):
                self.dead.add(name)
                self.readers.discard(name)  # what it built is never committed

        self.actors[name] = greenlet.greenlet(run)

    def run(self, seed: int = 0) -> None:
        """Let the actors take turns, each for one request or for several."""
        chance = random.Random(seed)
        while alive := [actor for actor in self.actors.values() if not actor.dead]:
            actor = chance.choice(alive)
            for _ in range(chance.choice((1, 1, 2, 3, 5, 8, 13, 21))):
                if not actor.dead:
                    actor.switch()
                self.check()

    def status(self) -> str | None:
        blob = self.inner.get(f"{DATA}/.executor_status")
        return readable_status(blob.data if blob is not None else None, "")

    def is_whole(self) -> bool:
        return all(self.inner.get(f"{DATA}/{name}") is not None for name in FILES)

    def check(self) -> None:
        if self.status() == "SUCCESS" or self.readers:
            assert self.is_whole(), (self.status(), self.readers)

    def is_dead(self, lease: Lease) -> bool:
        return lease.worker in self.dead


@dataclass
class Requests:
    """The bucket, as one actor reaches it: each request is a turn, and may be its last."""

    world: World
    actor: str
    is_local = False
    conditional = True

    def _do(self, call: Callable[[], T]) -> T:
        hub = greenlet.getcurrent().parent
        if hub is None:  # the thread that points to the newest build
            return call()
        hub.switch()
        world = self.world
        number = world.calls[self.actor] = world.calls.get(self.actor, 0) + 1
        at, is_carried_out = world.deaths.get(self.actor, (0, False))
        if number == at and not is_carried_out:
            raise DiedError
        reply = call()
        if number == at:
            raise DiedError
        return reply

    def get(self, path: str) -> Blob | None:
        return self._do(lambda: self.world.inner.get(path))

    def get_many(self, paths: Sequence[str]) -> list[Blob | None]:
        return [self.get(path) for path in paths]

    def put(self, path: str, data: bytes) -> str:
        return self._do(lambda: self.world.inner.put(path, data))

    def put_if_absent(self, path: str, data: bytes) -> str | None:
        return self._do(lambda: self.world.inner.put_if_absent(path, data))

    def replace_if(self, path: str, data: bytes, version: str) -> str | None:
        return self._do(lambda: self.world.inner.replace_if(path, data, version))

    def delete_if(self, path: str, version: str) -> bool:
        return self._do(lambda: self.world.inner.delete_if(path, version))

    def files(self, folder: str) -> Sequence[File]:
        return self._do(lambda: self.world.inner.files(folder))

    def folders(self, start: str) -> Sequence[str]:
        return self._do(lambda: self.world.inner.folders(start))

    def list(self, folder: str) -> list[str]:
        return self._do(lambda: self.world.inner.list(folder))

    def delete(self, paths: Sequence[str]) -> None:
        for path in paths:
            self._do(lambda path=path: self.world.inner.delete([path]))  # type: ignore[misc]


def _record(name: str, target: str, attempt: int) -> Any:
    published = publication("ada", attempt)
    record = published.record.model_copy(update={"name": name, "target": target})
    return published.model_copy(update={"record": record})


def _claim(store: Requests, who: str, target: str, *, force: bool = False) -> Any:
    lease = Lease(who, 1.0, run="r-00000001", nonce=f"{who}-{target}", boot="far", pid=1)
    return Claimant(
        store, f"{PREFIX}/{target}", target, lease, store.world.is_dead, lambda: 1.0, NOW,
        force=force,
    ).acquire()  # fmt: skip


def consumer(store: Requests, who: str) -> None:
    """Build a target from the data, as a supervisor does."""
    target = f"train_{who[-1] * 8}"
    held = _claim(store, who, target)
    if not isinstance(held, Holding):
        return
    (status,) = take_all_away(store, [DATA])
    if status is None or status.data != b"SUCCESS":
        held.fail("interrupted", 1, "its input is gone", NOW)
        return
    store.world.readers.add(who)
    for name in FILES:
        assert store.get(f"{DATA}/{name}") is not None
    store.world.readers.discard(who)
    held.commit(_record("train", target, held.lease.attempt), NOW)


def applier(store: Requests, who: str) -> None:
    """Ask for the data: use it, or build it again."""
    for _ in range(3):
        held = _claim(store, who, DATA.rpartition("/")[2])
        if isinstance(held, Finished):
            return
        if isinstance(held, Holding):
            if not clear_leftovers(store, DATA, is_held=lambda: True):
                return
            for name in FILES:
                store.put(f"{DATA}/{name}", b"x")
            held.commit(_record("data", held.target, held.lease.attempt), NOW)
            return


def collector(store: Requests, who: str) -> None:
    """Mark and delete at once."""

    def is_held(_target: str, _output: str, lease: Lease) -> bool:
        return not store.world.is_dead(lease)

    def plan_now() -> GcPlan:
        found = read_whole_prefix(store, PREFIX, is_held)
        busy = any(it.is_held and it.name == "train" for it in found.outputs)
        in_use = {DATA.rpartition("/")[2]: "r-00000001"} if busy else {}
        declared = {it.target: "p" for it in found.outputs if it.name == "train"}
        needs = Needs(declared, in_use=in_use, names={"data"}, newest=0)
        request = GcRequest(grace=0.0)
        return plan_of(PREFIX, found, judge(found.outputs, needs), InUse(in_use), request)

    def note(done: Any) -> None:
        store.world.deleted += not done.said and done.step.action.value == "delete"

    Worker(store, PREFIX, who, is_held, note).collect(plan_now)


def undoer(store: Requests, _who: str) -> None:
    undo_gc(Place("", PREFIX, store), Host("me", ""), ())


ACTORS: dict[str, Callable[[Requests, str], object]] = {
    "consumer-a": consumer, "consumer-b": consumer, "applier-c": applier, "gc-d": collector,
    "gc-e": collector, "undo-f": undoer,
}  # fmt: skip


def _world() -> World:
    world = World()
    for name in FILES:
        world.inner.put(f"{DATA}/{name}", b"x")
    published = _record("data", DATA.rpartition("/")[2], 1)
    world.inner.put(f"{DATA}/.executor_info", published.record.to_bytes())
    attempt = {"result": "succeeded", "run": "r-1", "worker": "w", "target": "x"}
    world.inner.put(f"{DATA}/.logs/attempt-0001.json", json.dumps(attempt).encode())
    world.inner.put(f"{DATA}/.executor_status", b"SUCCESS")
    return world


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.sampled_from(sorted(ACTORS)), min_size=2, max_size=4, unique=True),
    st.dictionaries(
        st.sampled_from(sorted(ACTORS)), st.tuples(st.integers(1, 60), st.booleans()), max_size=2
    ),
    st.integers(0, 2**32),
)
def test_no_order_of_requests_takes_the_data_from_a_reader(
    names: list[str], deaths: dict[str, tuple[int, bool]], seed: int
) -> None:
    world = _world()
    world.deaths = deaths
    for name in names:
        world.add(name, ACTORS[name])
    world.run(seed)
    # Whatever died: the next gc ends what was begun, and nothing is half there.
    world.deaths, world.actors = {}, {}
    world.add("gc-z", collector)
    world.run()
    world.actors.clear()
    world.add("gc-y", collector)
    world.run()
    left = [file.path for file in world.inner.files(DATA)]
    # A builder that died right after it took the lease left that alone: it blocks nobody.
    is_gone = left in ([], [".executor_status.lock"])
    assert is_gone or (world.status() == "SUCCESS" and world.is_whole()), left


def test_gc_alone_deletes_what_nothing_needs() -> None:
    """Else the test above proves nothing."""
    world = _world()
    world.add("gc-d", collector)
    world.run()
    assert world.deleted == 1
    assert not world.inner.files(PREFIX)


def test_each_death_of_gc_is_ended_by_the_next() -> None:
    """At every request, whether or not the store carried it out."""
    calls = 0
    for at in range(1, 60):
        for is_carried_out in (False, True):
            world = _world()
            world.deaths = {"gc-d": (at, is_carried_out)}
            world.add("gc-d", collector)
            world.run()
            calls = world.calls["gc-d"]
            world.add("applier-c", applier)
            world.run()
            assert world.status() == "SUCCESS"
            assert world.is_whole()
    assert calls < 59, "every request was the last one once"
