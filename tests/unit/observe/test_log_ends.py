"""The ends of logs in a page: the newest lines of what failed, and no gigabytes for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.observe.read_logs import ends_of_logs
from marin_build.pipeline.graph import build_graph
from marin_build.pipeline.step_spec import StepSpec
from marin_build.pipeline.targets import make_targets
from marin_build.plan.decide import make_plan
from marin_build.plan.snapshot import LastAttempt, Observed, Snapshot
from marin_build.store.memory import MemoryStore
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from pathlib import Path

    from marin_build.plan.decisions import Plan

LINES = [f"line {i}" for i in range(30)]
TEXT = "\n".join(LINES).encode()


def _failed(prefix: str, count: int) -> Plan:
    """Return a plan in which every target failed, in its second attempt."""
    workspace = Workspace("/project", prefix)
    with in_workspace(workspace):
        steps = [StepSpec(name=f"s{i}", fn=print) for i in range(count)]
        targets = make_targets(build_graph(steps), workspace)
    last = LastAttempt(2, 1, "no", "ada@host", None)
    seen = {i: Observed(status="FAILED", last=last) for i in range(count)}
    return make_plan(targets, Snapshot(seen), range(count))


def _log(plan: Plan, index: int) -> str:
    return f"{plan.targets.all[index].output_path}/.logs/attempt-0002.log"


def test_the_last_lines_of_a_local_log(tmp_path: Path) -> None:
    plan = _failed(str(tmp_path), 2)
    for index in range(2):
        folder = tmp_path / plan.targets.all[index].id / ".logs"
        folder.mkdir(parents=True)
        (folder / f"attempt-000{2 - index}.log").write_bytes(TEXT)
    found = ends_of_logs(MemoryStore(), plan)
    assert found == {0: ("end of the log of attempt 2", tuple(LINES[-20:]))}


def test_logs_in_a_bucket_are_read_if_they_are_small() -> None:
    plan, store = _failed("gs://bucket/out", 3), MemoryStore()
    store.put(_log(plan, 0), TEXT)
    store.put(_log(plan, 1), b"x" * (1 << 20))
    found = ends_of_logs(store, plan)
    assert found == {0: ("end of the log of attempt 2", tuple(LINES[-20:]))}


def test_only_some_are_read_where_all_failed() -> None:
    plan, store = _failed("gs://bucket/out", 30), MemoryStore()
    for index in range(30):
        store.put(_log(plan, index), TEXT)
    assert len(ends_of_logs(store, plan)) == 10
