"""Builds of a name, found by their folders and records alone."""

from __future__ import annotations

import json

from marin_build.observe.read_builds import read_begun, read_builds
from marin_build.protocol.layout import output_under
from marin_build.store.memory import MemoryStore

PREFIX = "/out"


def _put(
    store: MemoryStore,
    path: str,
    target: str,
    end: str = "2026",
    *,
    status: str = "SUCCESS",
    adopted_from: str | None = None,
) -> None:
    record = {
        "executor_version": "marin_build/1", "target": target, "fingerprint": "f" * 64,
        "run": "r-1", "end": end, "provenance": {"user": "ada", "host": "host"},
        "adopted_from": adopted_from,
    }  # fmt: skip
    store.put(f"{PREFIX}/{path}/.executor_info", json.dumps(record).encode())
    store.put(f"{PREFIX}/{path}/.executor_status", status.encode())


def test_all_identities_of_a_name_are_found_the_newest_first() -> None:
    """Else `report@latest` would print the path of another build."""
    store = MemoryStore()
    _put(store, "a/b_00000001", "a/b_00000001", "2026-01")
    _put(store, "a/b_00000002", "a/b_00000002", "2026-03")
    _put(store, "a/b/v1", "a/b@v1", "2026-02")
    found = read_builds(store, PREFIX, "a/b")
    assert [o.target for o in found] == ["a/b_00000002", "a/b@v1", "a/b_00000001"]
    assert [o.path for o in found] == [output_under(PREFIX, "a/b", o.target) for o in found]


def test_folders_that_marins_executor_names_are_builds_of_their_name() -> None:
    """Else `raw/dclm@latest` finds nothing of an ExecutorStep."""
    store = MemoryStore()
    _put(store, "a/b-00000a", "a/b-00000a", "2026-01")
    _put(store, "a/b_00000002", "a/b_00000002", "2026-02")
    _put(store, "a/b-c-00000a", "a/b-c-00000a")
    _put(store, "a/b-00000002", "a/b-00000002")
    found = read_builds(store, PREFIX, "a/b")
    assert [output.target for output in found] == ["a/b_00000002", "a/b-00000a"]


def test_outputs_of_other_names_are_no_builds_of_this_one() -> None:
    """Else a step in a folder of the same name would pass for a version."""
    store = MemoryStore()
    _put(store, "a_b_00000001", "a_b_00000001")
    _put(store, "a/b_00000001", "a/b_00000001")
    _put(store, "ab_00000001", "ab_00000001")
    store.put(f"{PREFIX}/a/notes/x.txt", b"of a person")
    assert read_begun(store, PREFIX, "a") == []


def test_what_is_not_finished_is_begun_but_not_built() -> None:
    """Else a half-written output would be opened as a result."""
    store = MemoryStore()
    _put(store, "a_00000001", "a_00000001", status="FAILED")
    store.put(f"{PREFIX}/a_00000002/.executor_status", b"SUCCESS")  # as Marin leaves it
    store.put(f"{PREFIX}/a_00000003/.executor_status", b"\xff damaged")
    begun = read_begun(store, PREFIX, "a")
    assert {o.target: o.is_built for o in begun} == {"a_00000001": False, "a_00000002": True}
    assert [o.target for o in read_builds(store, PREFIX, "a")] == ["a_00000002"]


def test_adopted_data_is_found_where_it_lies() -> None:
    """Else a script would read a folder that holds a record and no data."""
    store = MemoryStore()
    _put(store, "a_00000001", "a_00000001", adopted_from="/data/a")
    (found,) = read_builds(store, PREFIX, "a")
    assert (found.path, found.data) == (f"{PREFIX}/a_00000001", "/data/a")
