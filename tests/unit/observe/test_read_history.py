"""Earlier builds of a name: found in few requests, whoever made them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from marin_build import StepSpec
from marin_build.observe.read_history import read_history
from marin_build.store.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marin_build.pipeline.targets import Targets
    from marin_build.store.base import Blob


class Counting(MemoryStore):
    """A store that counts what is asked of it."""

    def __init__(self, *, is_local: bool = True) -> None:
        super().__init__()
        self.is_local = is_local
        self.listed: list[str] = []
        self.batches: list[int] = []

    def folders(self, start: str) -> Sequence[str]:
        self.listed.append(start)
        return super().folders(start)

    def get_many(self, paths: Sequence[str]) -> list[Blob | None]:
        self.batches.append(len(paths))
        return super().get_many(paths)


def _record(target: str, end: str) -> bytes:
    payload = json.dumps({"name": target.rpartition("_")[0], "attrs": {"end": end}, "deps": []})
    return json.dumps(
        {"executor_version": "marin_build/1", "target": target,
         "fingerprint": "f" * 64, "payload": payload, "run": "r-1", "end": end,
         "seconds": 2, "provenance": {"user": "ada", "host": "host"}}
    ).encode()  # fmt: skip


def _put(store: MemoryStore, prefix: str, target: str, end: str) -> None:
    store.put(f"{prefix}/{target}/.executor_info", _record(target, end))


@pytest.fixture
def one(make: Callable[..., Targets]) -> Targets:
    return make(StepSpec(name="tok/a", fn=print))


def _prefix(targets: Targets) -> str:
    return targets.workspace.prefix


def test_builds_of_the_same_name_are_found_the_latest_first(one: Targets) -> None:
    store, prefix = Counting(), _prefix(one)
    for number in range(25):
        _put(store, prefix, f"tok/a_{number:08x}", f"2026-{number:02}")
    _put(store, prefix, "tok/a_b_00000000", "2027")  # another name
    _put(store, prefix, "tok/ab_00000000", "2027")
    _put(store, prefix, "tok/a_notahash", "2027")
    _put(store, prefix, one.all[0].id, "2028")  # itself, whose status is gone
    store.put(f"{prefix}/tok/a_ffffffff/.executor_info", b"Marin's, or damaged")
    (builds,) = read_history(store, one, [0]).values()
    ends = [f"2026-{n:02}" for n in range(24, -1, -1)]
    assert [b.built.end for b in builds] == ["2028", *ends]
    assert (builds[0].built.worker, builds[0].built.seconds) == ("ada@host", 2.0)
    assert store.batches == [27]


@pytest.mark.parametrize("local", [True, False])
def test_many_names_in_one_folder_cost_one_listing(
    make: Callable[..., Targets], *, local: bool
) -> None:
    steps = [StepSpec(name=f"s{i}", fn=print) for i in range(60)]
    targets = make(*steps)
    store, prefix = Counting(is_local=local), _prefix(targets)
    _put(store, prefix, "s7_00000000", "2026")
    history = read_history(store, targets, range(60))
    assert store.listed == [f"{prefix}/"]
    assert [targets.all[i].name for i in history] == ["s7"]


def test_few_names_in_a_bucket_are_listed_each(make: Callable[..., Targets]) -> None:
    targets = make(StepSpec(name="a", fn=print), StepSpec(name="x/b", fn=print))
    store, prefix = Counting(is_local=False), _prefix(targets)
    assert read_history(store, targets, [0, 1]) == {}
    assert sorted(store.listed) == [f"{prefix}/a_", f"{prefix}/x/b_"]


def test_no_more_records_of_a_name_are_read_than_may_be(one: Targets) -> None:
    store, prefix = Counting(), _prefix(one)
    for i in range(5):
        _put(store, prefix, f"tok/a_0000000{i}", f"2026-01-0{i + 1}")
    assert len(read_history(store, one, [0], most=2)[0]) == 2
    assert store.batches == [2]


def test_other_versions_are_earlier_builds_too(make: Callable[..., Targets]) -> None:
    """Else a step with a version has no estimate, and nobody learns what its version changed."""
    targets = make(StepSpec(name="tok", fn=print, version="v2"))
    store, prefix = Counting(), _prefix(targets)
    record = _record("tok_00000000", "2026").replace(b'"tok_00000000"', b'"tok@v1"')
    store.put(f"{prefix}/tok/v1/.executor_info", record)
    _put(store, prefix, "tok/sub_00000000", "2027")  # another step, whose name begins alike
    (builds,) = read_history(store, targets, [0]).values()
    assert [build.built.target for build in builds] == ["tok@v1"]


def test_nothing_is_asked_for_an_output_path_of_its_own(make: Callable[..., Targets]) -> None:
    targets = make(StepSpec(name="b", fn=print, override_output_path="/elsewhere/b"))
    store = Counting()
    assert read_history(store, targets, [0]) == {}
    assert store.listed == []
