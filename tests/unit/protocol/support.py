"""Claimants, what they commit, and a store that fails, dies, lies or sleeps at one of its calls."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from marin_build.errors import StoreError
from marin_build.protocol.acquire import Claimant
from marin_build.protocol.claim_outcomes import Finished, Foreign, Held
from marin_build.protocol.documents import FileEntry, Provenance, Publication, Record
from marin_build.protocol.held_target import Holding
from marin_build.protocol.lease import Host, Lease, parse_lease
from marin_build.store.local import LocalStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from marin_build.protocol.look import Seen
    from marin_build.store.base import Blob, File, Store

T = TypeVar("T")
STATUS, LEASE, RECORD, ARTIFACT = (
    ".executor_status",
    ".executor_status.lock",
    ".executor_info",
    ".artifact.json",
)
NOW = datetime(2026, 11, 21, 10, 20, 30, tzinfo=UTC)
HOST = Host("me@here", "here")


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def lease_of(who: str = "ada") -> Lease:
    return Lease(f"{who}@far", 1.0, run="r-1", nonce=f"nonce-{who}", boot="elsewhere", pid=9)


def claimant(
    store: Store, output: str, who: str = "ada", *, force: bool = False, stale: str = "",
    clock: Callable[[], float] = lambda: 1000.0, lease: Lease | None = None,
) -> Claimant:  # fmt: skip
    return Claimant(store, output, target="train_1", lease=lease or lease_of(who), now=NOW,
                    force=force, is_abandoned=HOST.is_gone, stale_version=stale,
                    clock=clock)  # fmt: skip


def take(
    store: Store, output: str, who: str = "ada", *, seen: Seen | None = None, **rest: Any
) -> Holding | Held | Finished:
    got = claimant(store, output, who, **rest).acquire(seen)
    assert not isinstance(got, Foreign)  # these claimants clear nothing
    return got


def hold(store: Store, output: str, who: str = "ada", **rest: Any) -> Holding:
    got = take(store, output, who, **rest)
    assert isinstance(got, Holding)
    return got


def publication(
    who: str, attempt: int, artifact: Any = None, file: str = "model", attr: object = 1
) -> Publication:
    record = Record(
        name="train", target="train_1", fn=None, attributes={"a": attr}, fingerprint="f",
        deep_fingerprint="d", payload="{}", code_digest=None, deps=(),
        provenance=Provenance(user=who, host="h", argv=(), python="3", marin_build="0"),
        run="r-1", attempt=attempt, start="s", end="e", seconds=1.0, exit_code=0,
        peak_memory_bytes=None,
    )  # fmt: skip
    return Publication(
        record=record, has_artifact=artifact is not None, artifact=artifact,
        manifest=(FileEntry(path=file, size=1),),
    )  # fmt: skip


def commit(holding: Holding, who: str = "ada", artifact: Any = None) -> None:
    holding.commit(publication(who, holding.lease.attempt, artifact), NOW)


def built_by(output: str | Path) -> str:
    blob = LocalStore().get(f"{output}/{RECORD}")
    assert blob is not None
    return Record.from_bytes(blob.data).provenance.user


def is_sealed(output: Path) -> bool:
    lease = output / LEASE
    return lease.exists() and parse_lease(lease.read_bytes(), str(lease)).is_sealed


def is_success(output: Path) -> bool:
    status = output / STATUS
    return status.exists() and status.read_text() == "SUCCESS"


def check_invariants(output: Path) -> None:
    """At no instant is there a SUCCESS without its record and artifact."""
    if is_success(output):
        Record.from_bytes((output / RECORD).read_bytes())
        assert json.loads((output / ARTIFACT).read_text())["by"]


Fault = Literal["refuse", "die", "lose", "forget"]


class Faulty:
    """A local store that counts calls, and does something at one of them.

    refuse: that call fails and does nothing
    die:    that call and all that follow fail and do nothing
    lose:   that call does what it should and fails, and all that follow fail
    forget: that call does what it should and says that its condition did not hold

    `before` and `after` are called around it, and may make as much time pass as they like.
    """

    conditional = True
    is_local = True

    def __init__(self, at: int = 0, how: Fault | None = None) -> None:
        self.at, self.how = at, how
        self.calls: list[tuple[str, str]] = []
        self.dead = False
        self.body_ran_after: int | None = None
        self.before: Callable[[], object] = lambda: None
        self.after: Callable[[], object] = lambda: None
        self.inner = LocalStore()

    @property
    def writes(self) -> list[str]:
        reads = {"get", "list", "files"}
        return [f"{verb} {name}" for verb, name in self.calls if verb not in reads]

    @property
    def reads(self) -> list[str]:
        return [f"{verb} {name}" for verb, name in self.calls if verb in {"get", "list"}]

    def _do(self, verb: str, path: str, call: Callable[[], T], forgotten: T) -> T:
        self.calls.append((verb, path.rpartition("/")[2]))
        now = len(self.calls) == self.at
        if self.dead or (now and self.how in {"refuse", "die"}):
            self.dead = self.dead or self.how == "die"
            raise StoreError(f"cannot {verb} `{path}`: injected")
        if now:
            self.before()
        reply = call()
        if now:
            self.after()
            if self.how == "lose":
                self.dead = True
                raise StoreError("the reply was lost: injected")
            if self.how == "forget":
                return forgotten
        return reply

    def get(self, path: str) -> Blob | None:
        found = self.inner.get(path)
        return self._do("get", path, lambda: self.inner.get(path), found)

    def get_many(self, paths: Sequence[str]) -> list[Blob | None]:
        return [self.get(path) for path in paths]

    def put(self, path: str, data: bytes) -> str:
        return self._do("put", path, lambda: self.inner.put(path, data), "forgotten")

    def put_if_absent(self, path: str, data: bytes) -> str | None:
        return self._do("create", path, lambda: self.inner.put_if_absent(path, data), None)

    def replace_if(self, path: str, data: bytes, version: str) -> str | None:
        return self._do("replace", path, lambda: self.inner.replace_if(path, data, version), None)

    def delete_if(self, path: str, version: str) -> bool:
        return self._do("delete", path, lambda: self.inner.delete_if(path, version), False)

    def files(self, folder: str) -> Sequence[File]:
        return self._do("files", folder, lambda: self.inner.files(folder), [])

    def folders(self, start: str) -> Sequence[str]:
        return self._do("folders", start, lambda: self.inner.folders(start), [])

    def list(self, folder: str) -> list[str]:
        found = self.inner.list(folder)
        return self._do("list", folder, lambda: self.inner.list(folder), found)

    def delete(self, paths: Sequence[str]) -> None:
        self._do("delete all", "", lambda: self.inner.delete(paths), None)
