"""The terms of a run: an isolation that is an engine's work is that engine."""

from __future__ import annotations

import pytest

from marin_build.errors import UsageError
from marin_build.operations.building.isolation import with_isolation
from marin_build.operations.building.prepare_apply import Terms
from marin_build.operations.loading.options import PipelineOptions


@pytest.mark.parametrize("name", [None, "process", "worker", "thread", "local", "slurm", "typo"])
def test_other_isolations_choose_no_engine(name: str | None) -> None:
    """Else a mistyped word sends a run to a cluster."""
    options, terms = PipelineOptions(engine="slurm"), Terms(isolation=name)
    assert with_isolation(options, terms) == (options, terms)


@pytest.mark.parametrize("engine", [None, "container"])
def test_a_container_is_an_isolation(engine: str | None) -> None:
    """Else there are two ways to run a step in a container, and they differ."""
    given = PipelineOptions(engine=engine), Terms(isolation="container", fail_fast=True)
    assert with_isolation(*given) == (PipelineOptions(engine="container"), Terms(fail_fast=True))


def test_two_engines_are_refused() -> None:
    """Else one of them is ignored."""
    with pytest.raises(UsageError, match="and `--engine slurm` another one"):
        with_isolation(PipelineOptions(engine="slurm"), Terms(isolation="container"))
