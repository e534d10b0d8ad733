"""Contents compared with what digests were recorded of."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest

from marin_build.errors import StoreError
from marin_build.observe import digest_files
from marin_build.observe.verify_contents import Contents, compare_contents
from marin_build.protocol.attempt_reader import Committed
from marin_build.protocol.record_reader import Built
from marin_build.protocol.returned_value import digest_of_value
from marin_build.store.base import File

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.unit.conftest import MemoryStore

DIGEST = hashlib.sha256(b"abc").hexdigest()
FILES = (File("a", 3), File("b", 3))


def _compare(
    store: MemoryStore, digests: Mapping[str, str], *, artifact: Any = None, has_artifact: bool
) -> Contents:
    committed = Committed(Built("f", "r", "w", ""), FILES, has_artifact, artifact, digests)
    found = store.files("gs://o")
    return compare_contents(store, "gs://o", found, committed, has_artifact=has_artifact)


@pytest.mark.parametrize(
    ("b", "digests", "expected"),
    [
        (b"abc", {"a": DIGEST, "b": DIGEST}, Contents((), 2, 0)),
        (b"cba", {"a": DIGEST, "b": DIGEST}, Contents(("b",), 2, 0)),
        (b"cba", {"a": DIGEST}, Contents((), 1, 1)),
        (b"cba", {}, Contents((), 0, 2)),
        (b"abcd", {"a": DIGEST, "b": DIGEST}, Contents((), 1, 0)),  # its size says it all
    ],
)
def test_contents(
    new_store: Callable[[], MemoryStore],
    b: bytes,
    digests: Mapping[str, str],
    expected: Contents,
) -> None:
    """Else a file that was sorted in place counts as what was built."""
    store = new_store()
    store.contents = {"gs://o/a": b"abc", "gs://o/b": b}
    assert _compare(store, digests, has_artifact=False) == expected


@pytest.mark.parametrize(
    ("data", "value", "is_same"),
    [
        (b'{"b":1,"a":NaN}', {"a": float("nan"), "b": 1}, True),
        (b'{"a":2}', {"a": 1}, False),
        (b"{", {"a": 1}, False),
        (b"null", None, True),
    ],
)
def test_what_a_step_returned(
    new_store: Callable[[], MemoryStore], data: bytes, value: object, is_same: bool
) -> None:
    store = new_store()
    store.contents = {"gs://o/.artifact.json": data}
    expected = Contents(() if is_same else (".artifact.json",), 1, 0)
    assert _compare(store, {}, artifact=value, has_artifact=True) == expected
    by_record = Committed(
        Built("f", "r", "w", ""), (), has_artifact=True, artifact_digest=digest_of_value(value)
    )
    found = compare_contents(store, "gs://o", [], by_record, has_artifact=True)
    assert found == expected, "a quick step has the digest of it in its record"


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        (Contents((), 2, 0), "contents compared"),
        (Contents((), 1, 3), "contents of 1 of 4 files compared: of the others no digest was"),
    ],
)
def test_what_was_not_compared_is_said(contents: Contents, words: str) -> None:
    """Else `intact` says more than is known."""
    assert contents.note.startswith(words)


def test_a_file_that_cannot_be_read_is_not_called_rewritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_store: Callable[[], MemoryStore]
) -> None:
    """Else a colleague who lacks a right rebuilds days of work that is intact."""
    (tmp_path / "a").write_bytes(b"abc")
    store = new_store()

    def refuse(path: str, *_: object) -> Any:
        raise PermissionError(path)

    def get(path: str) -> Any:
        raise StoreError(f"cannot read `{path}`")

    monkeypatch.setattr(digest_files, "open", refuse, raising=False)
    monkeypatch.setattr(store, "get", get)
    committed = Committed(Built("f", "r", "w", ""), FILES[:1], False, None, {"a": DIGEST})
    with pytest.raises(StoreError, match="cannot read"):
        compare_contents(store, str(tmp_path), FILES[:1], committed, has_artifact=False)
