"""Numbers and recipes of outputs, from the files beside them alone."""

from __future__ import annotations

import json
from typing import Any

from marin_build.observe.list_names import list_names
from marin_build.observe.read_hashed_steps import read_hashed_steps
from marin_build.observe.read_metrics import read_metrics
from marin_build.store.memory import MemoryStore

PREFIX = "mem://b/run"


def put(store: MemoryStore, target: str, name: str, deps: tuple[str, ...] = (), **more: Any) -> str:
    """Leave what a build leaves; return the output path."""
    path = f"{PREFIX}/{target}"
    record = {
        "executor_version": "marin_build/1", "name": name, "target": target, "fingerprint": "f",
        "run": "r-1", "end": "", "seconds": 2.0, "deps": deps, "output_path": path,
        "payload": json.dumps({"name": name, "attrs": {"of": target}, "deps": deps}),
        "provenance": {"user": "u", "host": "h"}, **more,
    }  # fmt: skip
    store.put(f"{path}/.executor_info", json.dumps(record).encode())
    store.put(f"{path}/.executor_status", b"SUCCESS")
    return path


def test_the_steps_above_are_found_level_by_level() -> None:
    store = MemoryStore()
    put(store, "a_00000001", "a")
    put(store, "b_00000002", "b", ("a_00000001",))
    path = put(store, "c_00000003", "c", ("b_00000002", "gone_00000009"))
    found = read_hashed_steps(store, PREFIX, {}, [path])
    assert {step.name for step in found.values()} == {"a", "b", "c"}
    assert found[path].deps["b_00000002"] == f"{PREFIX}/b_00000002"


def test_a_prefix_that_was_moved_is_read_where_it_is_now() -> None:
    """Records hold the places of the day: a bucket is copied, a folder renamed."""
    store = MemoryStore()
    put(store, "a_00000001", "a")
    path = put(
        store, "b_00000002", "b", ("a_00000001",),
        output_path="mem://old/place/b_00000002", dependencies=["mem://old/place/a_00000001"],
    )  # fmt: skip
    found = read_hashed_steps(store, PREFIX, {}, [path])
    assert found[path].deps == {"a_00000001": f"{PREFIX}/a_00000001"}


def test_places_of_other_stores_are_not_read() -> None:
    store = MemoryStore()
    places = ["/etc", "gs://b/x_00000002"]
    path = put(store, "b_00000002", "b", ("x_00000001", "x_00000002"), dependencies=places)
    assert read_hashed_steps(store, PREFIX, {}, [path])[path].deps == {}


def test_what_is_known_is_not_read() -> None:
    store = MemoryStore()
    path = put(store, "a_00000001", "a")
    known = read_hashed_steps(store, PREFIX, {}, [path])
    assert read_hashed_steps(store, PREFIX, known, [path]) == {}


def test_numbers_are_those_of_finished_outputs() -> None:
    store = MemoryStore()
    names = ("built", "running", "never", "silent", "old")
    ids = [f"{name}_0000000{at}" for at, name in enumerate(names)]
    places = [(name, id_, f"{PREFIX}/{id_}") for name, id_ in zip(names, ids, strict=True)]
    for name, target, path in places[:2]:
        put(store, target, name)
        store.put(f"{path}/.artifact.json", b'{"acc": 1}')
    store.put(f"{places[1][2]}/.executor_status", b"RUNNING")
    put(store, places[3][1], "silent")
    store.put(f"{places[4][2]}/.executor_status", b"SUCCESS")
    store.put(f"{places[4][2]}/.artifact", b'{"acc": 2}')
    assert [measured.metrics for measured in read_metrics(store, places)] == [
        {"acc": 1}, {}, {}, {}, {"acc": 2},
    ]  # fmt: skip


def test_names_are_found_by_folders() -> None:
    store = MemoryStore()
    for target in ("a_00000001", "sweep/x/t_00000001", "sweep/y/t_00000001", "sweep/v/1.0"):
        put(store, target, "any")
    store.put(f"{PREFIX}/.marin-build/runs/r-1/plan.json", b"{}")
    assert list_names(store, PREFIX, "sweep/*/t") == ["sweep/x/t", "sweep/y/t"]
    assert list_names(store, PREFIX, "*") == ["a", "sweep"]
    assert "sweep/v" in list_names(store, PREFIX, "sweep/**")
    assert list_names(store, PREFIX, "nothing*") == []
