"""What lies where something is to be built: found without a request that a no-op would pay for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from marin_build import StepSpec
from marin_build.observe.read_snapshot import observe
from marin_build.pipeline.graph import build_graph
from marin_build.pipeline.targets import make_targets
from marin_build.plan.block_reasons import ForeignData, NotAFolder
from marin_build.plan.decide import make_plan
from marin_build.protocol.lease import Host
from marin_build.store.local import LocalStore
from marin_build.store.memory import MemoryStore
from marin_build.workspace.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from marin_build.pipeline.targets import Targets
    from marin_build.plan.snapshot import Snapshot
    from marin_build.store.base import File, Store

HOST = Host("me@here", "here")
RECORD = json.dumps(
    {
        "executor_version": "marin_build/1",
        "fingerprint": "0" * 64,
        "run": "r-0",
        "provenance": {"user": "ada", "host": "host"},
        "end": "2026-11-21T10:20:30",
    }
)


class Bucket(MemoryStore):
    """A store that is far away, and notes what is listed."""

    is_local = False

    def __init__(self) -> None:
        super().__init__()
        self.listed: list[str] = []

    def files(self, folder: str) -> list[File]:
        self.listed.append(folder)
        return super().files(folder)

    def folders(self, start: str) -> Sequence[str]:
        self.listed.append(start)
        return super().folders(start)


def _targets(prefix: str, **options: object) -> Targets:
    def build(output: str) -> None: ...

    one = StepSpec(name="one", fn=build)
    two = StepSpec(name="two", fn=build, deps=[one], **options)  # type: ignore[arg-type]
    return make_targets(build_graph([two]), Workspace("/project", prefix))


def _observe(store: Store, targets: Targets, *, history: bool = False) -> Snapshot:
    return observe(store, targets, targets.requested, frozenset(), HOST, history=history)


@pytest.mark.parametrize("history", [False, True])
def test_one_listing_for_each_name_finds_it_and_earlier_builds(history: bool) -> None:
    """A first build of a thousand steps in a bucket waits for each request more."""
    store, targets = Bucket(), _targets("gs://b/out")
    _observe(store, targets, history=history)
    assert store.listed == ["gs://b/out/one_", "gs://b/out/two_"]
    store.listed.clear()
    output = targets.all[1].output_path
    store.put(f"{output}/ckpt", b"hours")
    seen = _observe(store, targets, history=history)
    assert store.listed == ["gs://b/out/one_", "gs://b/out/two_", output]
    assert (seen.of(0).foreign, seen.of(1).foreign is not None) == (None, True)


@pytest.mark.parametrize("status", ["SUCCESS", "RUNNING", "FAILED"])
def test_where_a_status_is_nothing_is_looked_for(status: str) -> None:
    """A no-op costs one status, and a failed output is ours."""
    store, targets = Bucket(), _targets("gs://b/out")
    for target in targets.all:
        store.put(f"{target.output_path}/.executor_status", status.encode())
        store.put(f"{target.output_path}/half", b"x")
    seen = _observe(store, targets)
    assert all(seen.of(i).foreign is None for i in range(2))
    assert not [folder for folder in store.listed if folder in _outputs(targets)]
    if status == "SUCCESS":
        assert store.listed == []


def _outputs(targets: Targets) -> set[str]:
    return {target.output_path for target in targets.all}


@pytest.mark.parametrize(
    ("options", "is_found"),
    [({}, True), ({"resumable": True}, False), ({"override_output_path": "gs://b/x"}, False)],
)
def test_an_output_that_is_never_cleared_is_not_looked_at(
    options: dict[str, object], is_found: bool
) -> None:
    """A person puts a checkpoint there, so that the step goes on with it."""
    store, targets = Bucket(), _targets("gs://b/out", **options)
    store.put(f"{targets.all[1].output_path}/ckpt", b"hours")
    assert (_observe(store, targets).of(1).foreign is not None) is is_found


def test_a_link_is_found_on_a_disk_whatever_lies_behind_it(tmp_path: Path) -> None:
    """A built output of another target behind it says SUCCESS."""
    targets = _targets(str(tmp_path / "out"))
    other = tmp_path / "other"
    other.mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / targets.all[1].output_path).symlink_to(other)
    for status, record in [(None, None), ("FAILED", None), ("RUNNING", None), ("SUCCESS", RECORD)]:
        if status is not None:
            (other / ".executor_status").write_text(status)
        if record is not None:
            (other / ".executor_info").write_text(record)
        plan = make_plan(targets, _observe(LocalStore(), targets), targets.requested)
        decision = next(d for d in plan.decisions if d.index == 1)
        assert isinstance(decision.reason, NotAFolder), status
        assert str(other) in decision.reason.found


def test_foreign_data_blocks_what_needs_it_too(tmp_path: Path) -> None:
    targets = _targets(str(tmp_path / "out"))
    output = tmp_path / targets.all[0].output_path
    output.mkdir(parents=True)
    (output / "ckpt").write_text("hours")
    plan = make_plan(targets, _observe(LocalStore(), targets), targets.requested)
    first, second = plan.decisions
    assert isinstance(first.reason, ForeignData)
    assert (first.reason.name, first.reason.files, first.reason.size) == ("one", 1, 5)
    assert second.kind.value == "blocked"
