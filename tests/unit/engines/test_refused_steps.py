"""An engine's own check is asked of each step by itself, without a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from marin_build import ResourceConfig, StepSpec
from marin_build.engines.local.engine import LocalEngine
from marin_build.engines.refused_steps import refused_steps
from marin_build.engines.registry import open_engine
from marin_build.errors import UsageError
from marin_build.pipeline.graph import build_graph
from marin_build.pipeline.targets import make_targets
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marin_build.pipeline.targets import Targets


@pytest.fixture
def targets() -> Iterator[Targets]:
    """One step that names an image, one that does not, one that nothing builds."""
    image = ResourceConfig.with_cpu(image="img")
    workspace = Workspace("/project", "/project/out")
    with in_workspace(workspace):
        steps = [
            StepSpec(name="in-image", fn=print, resources=image),
            StepSpec(name="plain", fn=print),
            StepSpec(name="there", resources=image),
        ]
        yield make_targets(build_graph(steps), workspace)


def test_each_refusal_has_its_step(targets: Targets) -> None:
    found = refused_steps(open_engine("slurm", {}), targets, range(3))
    assert [step.name for step, _ in found] == ["in-image"]
    assert list(refused_steps(open_engine("slurm", {}), targets, [1])) == []


def test_what_is_no_steps_fault_is_said_once() -> None:
    """A missing setting of an engine is one mistake, however many steps there are."""
    tpu = ResourceConfig.with_tpu("v4-8")
    workspace = Workspace("/project", "/project/out")
    with in_workspace(workspace):
        steps = [StepSpec(name=f"s{n}", fn=print, resources=tpu) for n in range(3)]
        targets = make_targets(build_graph(steps), workspace)
    found = [error.what for _, error in refused_steps(open_engine("tpu-vm", {}), targets, range(3))]
    assert sum("tpu-vm.project" in what for what in found) == 1


def test_an_engine_that_fails_is_named(targets: Targets) -> None:
    """Its author's mistake must not look like a bug of marin-build."""

    class Broken(LocalEngine):
        def check(self, plan: Any) -> Any:
            raise KeyError("x")

    with pytest.raises(UsageError, match="the engine `local` failed to check `in-image`"):
        list(refused_steps(Broken(LocalEngine.settings_type()), targets, range(3)))
