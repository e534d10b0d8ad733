"""`.accepted.json`: nobody's word is lost, and none counts for another build."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from marin_build.errors import StoreError
from marin_build.protocol.acceptance import (
    Acceptance,
    AcceptedDocument,
    AcceptedEnvironment,
    read_accepted,
    write_accepted,
)
from marin_build.store.memory import MemoryStore

if TYPE_CHECKING:
    from marin_build.store.base import Blob

PATH = "gs://b/a_1/.accepted.json"


def _word(digest: str) -> Acceptance:
    return Acceptance(
        code_digest=digest,
        environment=AcceptedEnvironment(python="3.12.4"),
        reason="a log line",
        by="ada@host",
        at="2026-11-21T10:20:30+00:00",
    )


def _build(run: str = "r-1") -> AcceptedDocument:
    return AcceptedDocument(target="a_1", fingerprint="f1", run=run, code_digest="c0")


def _write(store: MemoryStore, digest: str, run: str = "r-1") -> None:
    write_accepted(store, "gs://b/a_1", _build(run), _word(digest))


def _read(store: MemoryStore, run: str = "r-1") -> list[str | None]:
    words = read_accepted(store.get(PATH), fingerprint="f1", run=run)
    return [word.code_digest for word in words]


def test_words_add_up_and_one_is_written_once() -> None:
    """Else who accepts a second change takes the first word back."""
    store = MemoryStore()
    for digest in ("c1", "c2", "c2"):
        _write(store, digest)
    assert _read(store) == ["c1", "c2"]


def test_another_build_makes_it_void() -> None:
    """Else drift of a new output is hidden by what was said of the old one."""
    store = MemoryStore()
    _write(store, "c1")
    assert _read(store, "r-2") == []
    assert read_accepted(store.get(PATH), fingerprint="f2", run="r-1") == ()
    _write(store, "c9", "r-2")
    assert (_read(store, "r-2"), _read(store)) == (["c9"], [])


class Racing(MemoryStore):
    """Has somebody else write just before each of the first writes."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def _race(self) -> None:
        if self.times:
            self.times -= 1
            words = read_accepted(super().get(PATH), fingerprint="f1", run="r-1")
            others = _build().model_copy(update={"accepted": (*words, _word(f"o{self.times}"))})
            super().put(PATH, others.to_bytes())

    def put_if_absent(self, path: str, data: bytes) -> str | None:
        self._race()
        return super().put_if_absent(path, data)

    def replace_if(self, path: str, data: bytes, version: str) -> str | None:
        self._race()
        return super().replace_if(path, data, version)


def test_two_who_accept_at_once_both_count() -> None:
    """Else one of two words is lost, and its drift is reported again."""
    store = Racing(2)
    _write(store, "mine")
    assert _read(store) == ["o1", "o0", "mine"]


def test_a_store_that_never_lets_us_write_is_an_error() -> None:
    """Else a command says accepted, and nothing was."""
    with pytest.raises(StoreError, match="another program writes"):
        _write(Racing(100), "mine")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"schema_version": 2}', b"\xff"])
def test_what_nobody_can_read_accepts_nothing(data: bytes) -> None:
    """Else a damaged file hides drift, or ends every plan."""
    store: Any = MemoryStore()
    store.put(PATH, data)
    blob: Blob | None = store.get(PATH)
    assert read_accepted(blob, fingerprint="f1", run="r-1") == ()
    _write(store, "c1")
    assert _read(store) == ["c1"]
