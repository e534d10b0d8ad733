"""What a program that calls StepRunner can rely on: its context, its errors, its leases."""

from __future__ import annotations

import json
import os
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from marin_build import STATUS_RUNNING, STATUS_SUCCESS, StatusFile, StepRunner, StepSpec
from marin_build.errors import LeaseLostError, SpecificationError, StepFailedError
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _prefix(tmp_path: Path) -> Iterator[None]:
    with in_workspace(Workspace(str(tmp_path), str(tmp_path / "prefix"))):
        yield


_who: ContextVar[str] = ContextVar("who", default="nobody")


def test_steps_see_the_context_of_the_caller_as_it_was_when_they_were_taken() -> None:
    """Else a program that sets a client, a logger or a build context finds none in its steps."""
    seen: dict[str, str] = {}

    def spec(name: str, *deps: StepSpec) -> StepSpec:
        def build(_: str) -> None:
            seen[name] = _who.get()
            _who.set("the step itself")

        return StepSpec(name=name, fn=build, deps=deps)

    def steps() -> Iterator[StepSpec]:
        _who.set("first caller")
        yield spec("a")
        _who.set("second caller")
        yield spec("c", spec("b"))

    StepRunner().run(steps(), max_concurrent=1)
    assert seen == {"a": "first caller", "b": "second caller", "c": "second caller"}
    assert _who.get() == "second caller"


def test_a_step_that_nothing_builds_is_a_value_error_before_anything_runs() -> None:
    """Else a program works for hours, and then says that it was never whole."""
    ran: list[str] = []
    whole = StepSpec(name="whole", fn=ran.append)
    empty = StepSpec(name="empty", deps=[whole])
    with pytest.raises(ValueError, match="nothing builds `empty`") as caught:
        StepRunner().run([whole, empty])
    assert isinstance(caught.value, SpecificationError)
    assert caught.value.consequence == "nothing was run"
    assert ran == []
    StepRunner().run([whole, empty], dry_run=True)


def test_a_step_that_nothing_builds_is_used_where_it_is_there() -> None:
    empty = StepSpec(name="empty")
    StatusFile(empty.output_path, "someone").write_status(STATUS_SUCCESS)
    ran: list[str] = []
    StepRunner().run([StepSpec(name="reads", fn=ran.append, deps=[empty])])
    assert len(ran) == 1


@pytest.mark.parametrize("number", [0, -1])
def test_no_steps_at_once_is_a_value_error(number: int) -> None:
    with pytest.raises(ValueError, match="max_concurrent"):
        StepRunner().run([], max_concurrent=number)


def _taken_over(output_path: str) -> dict[str, str]:
    """Do the work of a step, while another program takes its lease over."""
    Path(output_path).mkdir(parents=True, exist_ok=True)
    lease = {"worker_id": "another", "timestamp": 2e9}
    Path(output_path, ".executor_status.lock").write_text(json.dumps(lease))
    StatusFile(output_path, "another").write_status(STATUS_RUNNING)
    return {"built": "by the first one"}


def test_a_step_whose_lease_was_lost_commits_nothing() -> None:
    """Else two programs build one output, and the slower one overwrites what was committed."""
    step = StepSpec(name="slow", fn=_taken_over)
    above = StepSpec(name="above", fn=_taken_over, deps=[step])
    with pytest.raises(StepFailedError, match=r"1 step\(s\) failed") as caught:
        StepRunner().run([above])
    failed = caught.value.__cause__
    assert failed is not None
    assert isinstance(failed.__cause__, LeaseLostError)
    assert "another" in dict(failed.__cause__.facts)["holder now"]
    files = sorted(os.listdir(step.output_path))
    assert files == [".executor_status", ".executor_status.lock"]
    assert StatusFile(step.output_path, "w").status == STATUS_RUNNING
    assert not os.path.exists(above.output_path)
