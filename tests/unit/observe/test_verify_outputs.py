"""Outputs compared with what was committed: what differs is found, and nothing is vouched for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marin_build import StepSpec
from marin_build.errors import StoreError
from marin_build.observe.verify_outputs import Verdict, Verified, verify
from marin_build.plan.snapshot import Observed, Snapshot
from marin_build.protocol.lease import Lease
from marin_build.protocol.manifest import FileChanges, Resized, compare
from marin_build.protocol.record_reader import Built
from marin_build.store.base import File

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from marin_build.pipeline.targets import Targets
    from tests.unit.conftest import MemoryStore

_FILES = st.dictionaries(st.sampled_from("abcde"), st.integers(0, 3)).map(
    lambda sizes: [File(path, size) for path, size in sizes.items()]
)


@given(_FILES, _FILES)
def test_what_differs_is_all_that_differs(old: list[File], new: list[File]) -> None:
    changes = compare(old, new)
    assert bool(changes) == (sorted(old) != sorted(new))
    again = {file.path: file.size for file in old}
    for path in changes.missing:
        del again[path]
    again.update({path: found for path, _, found in changes.resized})
    sizes = {file.path: file.size for file in new}
    assert again | {path: sizes[path] for path in changes.added} == sizes
    assert len(changes.words) == sum(map(len, (changes.missing, changes.resized, changes.added)))


@dataclass
class Stage:
    """One target that is built, with one file."""

    store: MemoryStore
    targets: Targets

    @property
    def output(self) -> str:
        return self.targets.all[0].output_path

    def commit(self, *, attempt: int = 1, artifact: bool = False, **record: Any) -> None:
        who = {"user": "ada", "host": "h"}
        known = {"fingerprint": "f", "run": "r", "end": "", "provenance": who}
        document = {
            "result": "succeeded",
            "run": "r",
            "worker": "ada@h",
            "publish": {
                "manifest": [{"path": "a/x", "size": 3}],
                "has_artifact": artifact,
                "record": {**known, **record},
            },
        }
        path = f"{self.output}/.logs/attempt-{attempt:04}.json"
        self.store.contents[path] = json.dumps(document).encode()

    def built(self, **facts: Any) -> Built:
        known: dict[str, Any] = {"fingerprint": self.targets.all[0].fingerprint, "attempt": 1}
        return Built(**{"run": "r", "worker": "w", "end": "", **known, **facts})

    def verify(self, seen: Observed, other: MemoryStore | None = None) -> Verified:
        def open_store(place: str) -> Any:
            assert other is not None, place
            return other

        (found,) = verify(self.store, self.targets, Snapshot({0: seen}), [0], open_store)
        return found


@pytest.fixture
def stage(make: Callable[..., Targets], new_store: Callable[[], MemoryStore]) -> Stage:
    made = Stage(new_store(), make(StepSpec(name="s")))
    made.store.contents |= {f"{made.output}/a/x": b"123", f"{made.output}/.executor_info": b""}
    made.commit()
    return made


def test_what_was_not_touched_is_intact(stage: Stage) -> None:
    found = stage.verify(Observed("SUCCESS", built=stage.built()))
    manifest = (File("a/x", 3),)
    assert found == Verified(0, Verdict.INTACT, stage.output, 1, 3, manifest=manifest)


def test_what_a_late_writer_changed_is_found(stage: Stage) -> None:
    """Else data that no attempt committed is trained on."""
    del stage.store.contents[f"{stage.output}/a/x"]
    stage.store.contents |= {f"{stage.output}/b": b"", f"{stage.output}/.hidden": b""}
    found = stage.verify(Observed("SUCCESS", built=stage.built()))
    assert found.verdict is Verdict.DIFFERS
    assert found.changes == FileChanges(missing=("a/x",), added=("b",))
    stage.store.contents = {**stage.store.contents, f"{stage.output}/a/x": b"1234"}
    found = stage.verify(Observed("SUCCESS", built=stage.built()))
    assert found.changes.resized == (Resized("a/x", 3, 4),)


def test_what_the_step_returned_must_be_there(stage: Stage) -> None:
    """Else what needs it fails, and nobody knows why."""
    stage.commit(artifact=True)
    seen = Observed("SUCCESS", built=stage.built())
    assert stage.verify(seen).changes.missing == (".artifact.json",)
    stage.store.contents[f"{stage.output}/.artifact.json"] = b"1"
    assert stage.verify(seen).verdict is Verdict.INTACT


def test_what_is_sealed_is_compared_with_what_it_commits(stage: Stage) -> None:
    """Its artifact comes with the publishing."""
    stage.commit(attempt=4, artifact=True)
    lease = Lease("w", 1.0, run="r", attempt=4, nonce="n", seal="d")
    assert stage.verify(Observed("RUNNING", lease=lease)).verdict is Verdict.INTACT


@pytest.mark.parametrize(
    "seen",
    [
        Observed(),
        Observed("FAILED"),
        Observed("RUNNING", lease=Lease("w", 1.0, run="r", attempt=1, nonce="n")),
    ],
)
def test_what_is_not_built_is_not_compared(stage: Stage, seen: Observed) -> None:
    assert stage.verify(seen) == Verified(0, Verdict.NOT_BUILT, stage.output)


def test_the_output_of_another_target_differs(stage: Stage) -> None:
    found = stage.verify(Observed("SUCCESS", built=stage.built(fingerprint="f")))
    assert (found.verdict, found.note) == (Verdict.DIFFERS, "it holds another target")


def test_adopted_data_is_looked_at_where_it_lies(
    stage: Stage, new_store: Callable[[], MemoryStore]
) -> None:
    stage.commit(adopted_from="gs://far/data")
    seen, far = Observed("SUCCESS", built=stage.built(adopted_from="gs://far/data")), new_store()
    found = stage.verify(seen, far)
    assert (found.place, found.verdict) == ("gs://far/data", Verdict.DIFFERS)
    far.contents["gs://far/data/a/x"] = b"123"
    assert stage.verify(seen, far).verdict is Verdict.INTACT


def test_without_a_manifest_files_are_counted(stage: Stage) -> None:
    """Such is what a program built that ran the step itself."""
    stage.store.contents.pop(f"{stage.output}/.logs/attempt-0001.json")
    seen = Observed("SUCCESS", built=stage.built(attempt=0, files=1, size=3))
    found = stage.verify(seen)
    assert found.verdict is Verdict.INTACT
    assert found.note == "only number and bytes of its files were recorded"
    stage.store.contents[f"{stage.output}/b"] = b"1"
    found = stage.verify(seen)
    assert (found.verdict, found.note) == (Verdict.DIFFERS, "2 files of 4 B, not 1 of 3 B")


@pytest.mark.parametrize("built", [None, {"attempt": 0}, {"attempt": 7}])
def test_what_nothing_was_recorded_of_is_not_called_intact(
    stage: Stage, built: dict[str, int] | None
) -> None:
    """Else a copy of half a bucket passes."""
    record = stage.built(**built) if built is not None else None
    found = stage.verify(Observed("SUCCESS", built=record))
    assert found.verdict is Verdict.UNKNOWN
    assert found.note == "which files belong to it was not recorded"


def test_what_cannot_be_read_is_said_and_stops_nobody(stage: Stage) -> None:
    stage.store.contents[f"{stage.output}/.logs/attempt-0001.json"] = b"{"
    found = stage.verify(Observed("SUCCESS", built=stage.built()))
    assert (found.verdict, "is not readable" in found.note) == (Verdict.UNKNOWN, True)


def test_a_place_that_cannot_be_listed_is_said(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def files(folder: str) -> Sequence[File]:
        raise StoreError("no permission")

    monkeypatch.setattr(stage.store, "files", files)
    found = stage.verify(Observed("SUCCESS", built=stage.built()))
    assert (found.verdict, found.note) == (Verdict.UNKNOWN, "no permission")


def test_many_targets_cost_one_batch_and_a_listing_each(
    make: Callable[..., Targets], new_store: Callable[[], MemoryStore]
) -> None:
    targets, store = make(*(StepSpec(name=f"s{i}") for i in range(50))), new_store()
    seen = {
        i: Observed("SUCCESS", built=Built(target.fingerprint, "r", "w", "", attempt=1))
        for i, target in enumerate(targets.all)
    }
    verify(store, targets, Snapshot(seen), seen, lambda _: store)
    assert [len(batch) for batch in store.batches] == [50, 50], "attempts; records without any"
