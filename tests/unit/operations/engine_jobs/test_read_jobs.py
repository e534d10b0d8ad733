"""What queues say of targets: each is asked once, and none without need."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from marin_build.engines import registry
from marin_build.engines.container.command_line import ContainerQueue
from marin_build.engines.jobs import JobState, Phase, QueueAwayError
from marin_build.engines.slurm.command_line import SlurmQueue
from marin_build.operations.engine_jobs.read_jobs import read_jobs
from marin_build.operations.loading import loading
from marin_build.operations.loading.loading import load
from marin_build.operations.loading.options import PipelineOptions
from marin_build.plan.target_state import WaitingJob

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from marin_build.operations.loading.loading import Loaded

PIPELINE = """\
from marin_build import ResourceConfig, command

GPU = ResourceConfig.with_gpu("h100", 1)
plain = command("true", name="plain")
gpu = command("true", name="gpu", resources=GPU, deps={"plain": plain})
boxed = command("true", name="boxed", resources=ResourceConfig.with_cpu(1, image="i"))
targets = [gpu, boxed]
"""
WAITS = JobState(Phase.QUEUED, "PENDING (Priority)")


class Asked:
    """What was asked of queues; a name is known by its second word, the name of a step."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.questions: list[tuple[str, list[str]]] = []
        self.slurm_is_away = False
        monkeypatch.setattr(SlurmQueue, "look", lambda _, names: self._slurm(names))
        monkeypatch.setattr(ContainerQueue, "look", lambda _, names: self._container(names))

    def _slurm(self, names: Collection[str]) -> Mapping[str, tuple[str, JobState]]:
        self.questions.append(("slurm", sorted(name.split("-")[1] for name in names)))
        if self.slurm_is_away:
            raise QueueAwayError("Slurm gives no answer: no route")
        return {name: ("7", WAITS) for name in names if name.startswith("mb-gpu")}

    def _container(self, names: Collection[str]) -> Mapping[str, tuple[str, JobState]]:
        self.questions.append(("container", sorted(name.split("-")[1] for name in names)))
        return {name: (name, JobState(Phase.RUNNING, "running")) for name in names}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(monkeypatch)


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    monkeypatch.delenv("MARIN_PREFIX", raising=False)
    (tmp_path / "marin-build.toml").write_text("")
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    return load(PipelineOptions(file=str(tmp_path / "pipeline.py")))


def _on(loaded: Loaded, engine: str) -> Loaded:
    return replace(loaded, settings=replace(loaded.settings, engine=engine))


def _indices(loaded: Loaded) -> dict[str, int]:
    return {target.name: index for index, target in enumerate(loaded.targets.all)}


def _short(names: list[str]) -> list[str]:
    return sorted(name.partition("_")[0] for name in names)


def test_one_queue_is_asked_once_for_all_that_it_may_have(loaded: Loaded, asked: Asked) -> None:
    """Else `status` of 1,000 targets asks a controller 1,000 times, or misses what was detached."""
    index = _indices(loaded)
    seen = read_jobs(_on(loaded, "slurm"), index.values())
    assert seen.jobs == {index["gpu"]: WaitingJob("slurm:7", "PENDING (Priority)")}
    ((engine, names),) = asked.questions
    assert (engine, _short(names)) == ("slurm", ["boxed", "gpu", "plain"])


def test_rules_ask_each_queue_for_its_own_steps(loaded: Loaded, asked: Asked) -> None:
    """Else a plan for several engines shows the jobs of one."""
    asked.slurm_is_away = True
    index = _indices(loaded)
    seen = read_jobs(_on(loaded, "gpu=slurm,image=container"), index.values())
    assert list(seen.jobs) == [index["boxed"]]
    assert seen.jobs[index["boxed"]].job.startswith("container:mb-boxed")
    assert seen.silent == {"slurm": "Slurm gives no answer: no route"}
    assert [(e, _short(names)) for e, names in asked.questions] == [
        ("slurm", ["gpu"]), ("container", ["boxed"]),
    ]  # fmt: skip


@pytest.mark.parametrize("engine", ["local", "kubernetes"])
def test_an_engine_without_a_queue_is_not_asked(loaded: Loaded, asked: Asked, engine: str) -> None:
    assert read_jobs(_on(loaded, engine), _indices(loaded).values()).jobs == {}
    assert asked.questions == []


def test_where_nothing_may_wait_no_engine_is_loaded(
    loaded: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a look at what is built waits for a controller, and a no-op for an import."""

    def open_engine(*_: object) -> None:
        raise AssertionError("an engine was opened")

    monkeypatch.setattr(loading, "open_engine", open_engine)
    assert loaded.settings.engine == registry.DEFAULT_ENGINE
    read_jobs(loaded, _indices(loaded).values())
    read_jobs(_on(loaded, "slurm"), [])
