"""Targets without their pipeline: by records where no run was kept, and what may stand for what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from marin_build.errors import NotFoundError, SpecificationError, StoreAwayError, UsageError
from marin_build.operations.building.run_step import run_step
from marin_build.operations.loading.loading import load
from marin_build.operations.loading.options import PipelineOptions
from marin_build.operations.loading.place import Place, open_place
from marin_build.operations.outputs.explain_record import explain_record
from marin_build.operations.outputs.find_outputs import find_output, find_outputs
from marin_build.operations.outputs.recall import load_or_recall, recall
from marin_build.operations.runs.status import read_status
from marin_build.plan.target_state import State
from marin_build.store.memory import MemoryStore

if TYPE_CHECKING:
    from pathlib import Path

    from marin_build.apply.events import Event

PIPELINE = """\
from marin_build import command

raw = command("echo 1 > {output}/x", name="raw", version="v1")
end = command("cat {raw}/x > {output}/x", name="x/end", deps={"raw": raw})
targets = [end]
"""


def _ignore(_: Event) -> None:
    """Take an event."""


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> PipelineOptions:
    """A pipeline that was built step by step, so that no run was kept, and then broken.

    The tests only look at it: to run a step, this large process is forked.
    """
    folder = tmp_path_factory.mktemp("recall")
    (folder / "marin-build.toml").write_text("")
    file = folder / "pipeline.py"
    file.write_text(PIPELINE)
    options = PipelineOptions(file=str(file))
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MARIN_PREFIX", raising=False)
        loaded = load(options)
        for target in loaded.targets.all:
            assert run_step(loaded, target.id, on_event=_ignore).exit_code == 0
    file.write_text("def f(:\n")
    return options


def _ids(options: PipelineOptions, *words: str) -> list[str]:
    recalled = load_or_recall(options, words)
    assert not recalled.is_declared
    states = read_status(recalled.loaded, recalled.selectors, ask_queues=False).states
    assert {each.state for each in states.values()} == {State.BUILT}
    return [recalled.loaded.targets.all[index].id for index in states]


def test_names_and_identities_are_recalled_by_records(options: PipelineOptions) -> None:
    """Else what a script built cannot be looked at once the pipeline is broken."""
    assert _ids(options, "raw") == ["raw@v1"]
    assert _ids(options, "x/end", "raw@v1") == [find_output(options, "x/end")[0].target, "raw@v1"]
    assert _ids(options, "x/*", "r??") == [find_output(options, "x/end")[0].target, "raw@v1"]
    assert [o.target for o in find_outputs(options, ["r*"]).outputs] == ["raw@v1"]
    assert recall(options, "raw@v1").loaded.targets.all[0].step.version == "v1"


@pytest.mark.parametrize("words", [(), ("nothing",), ("y/*",), ("raw", "nothing@v1")])
def test_what_no_record_knows_is_the_error_of_the_pipeline(
    options: PipelineOptions, words: tuple[str, ...]
) -> None:
    """Else a typing error in the pipeline is reported as a step that is not there."""
    for find in (load_or_recall, find_outputs):
        with pytest.raises(SpecificationError, match="SyntaxError"):
            find(options, words)
    with pytest.raises(NotFoundError):
        recall(options, "nothing_00000000")


def test_records_explain_what_no_pipeline_declares(options: PipelineOptions) -> None:
    """Else the history of a target ends with its declaration."""
    explained = explain_record(load_or_recall(options, ["raw"]))
    facts = dict(explained.facts())
    assert facts["made by"] == "echo 1 > {output}/x"
    assert facts["decision"].startswith("none: the pipeline raised SyntaxError")
    assert explained.changed is None
    assert explained.json_values()["status"] == "SUCCESS"
    assert dict(explain_record(load_or_recall(options, ["x/end"])).facts())["needs"] == "raw@v1"


def test_only_the_pipelines_own_errors_are_answered_by_records(tmp_path: Path) -> None:
    """Else a wrong option shows another run, as if all were well."""
    place = Place(str(tmp_path), "/out", MemoryStore())
    assert place.is_pipelines(SpecificationError("x"))
    assert place.is_pipelines(StoreAwayError("an input cannot be read"))
    assert not place.is_pipelines(UsageError("an unknown parameter"))
    missing = open_place(PipelineOptions(folder=str(tmp_path)))
    assert missing.is_pipelines(UsageError("no pipeline file"))


def test_an_engine_with_a_queue_is_not_asked_and_said_so(options: PipelineOptions) -> None:
    """Else a user takes a target that waits in a queue for one that nobody builds."""
    recalled = load_or_recall(PipelineOptions(file=options.file, engine="slurm"), ["raw"])
    assert recalled.loaded.settings.engine == "slurm"
    silent = read_status(recalled.loaded, recalled.selectors, ask_queues=False).silent
    assert list(silent) == ["slurm"]
