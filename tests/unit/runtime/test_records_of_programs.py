"""What StepRunner leaves beside an output for others: for Marin's browser, and later programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from marin_build import Artifact, StatusFile, StepRunner, StepSpec
from marin_build.pipeline.foreign_records import TellsRecord
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _prefix(tmp_path: Path) -> Iterator[None]:
    with in_workspace(Workspace(str(tmp_path), str(tmp_path / "prefix"))):
        yield


def _info(step: StepSpec) -> Any:
    return json.loads(Path(step.output_path, ".executor_info").read_text())


def test_the_record_has_what_marins_data_browser_reads() -> None:
    """Else people who look at a bucket see what was built, and not from what."""
    raw = StepSpec("raw", fn=lambda _: 1)
    made = StepSpec("made", deps=[raw], hash_attrs={"lr": 0.1}, fn=lambda _: 1)
    StepRunner().run([made])
    info = _info(made)
    assert (info["name"], info["config"], info["version"]) == ("made", {"lr": 0.1}, {})
    assert (info["dependencies"], info["output_path"]) == ([raw.output_path], made.output_path)


class _Configured(TellsRecord):
    """A function of another dialect: it has a configuration, and no attributes."""

    recorded_config = {"seq_len": 4096, "path": "gs://b/x"}  # noqa: RUF012 - it is a property
    recorded_version = {"name": "train", "config": {"seq_len": 4096}}  # noqa: RUF012

    def __call__(self, output_path: str) -> None: ...


def test_a_function_of_another_dialect_says_itself_what_the_record_shows() -> None:
    step = StepSpec("train", fn=_Configured(), fingerprint_payload="{}")
    StepRunner().run([step])
    info = _info(step)
    assert info["config"] == _Configured.recorded_config
    assert info["version"] == _Configured.recorded_version
    assert info["fingerprint_payload"] == "{}"


def test_a_dry_run_and_a_failure_leave_no_record() -> None:
    step = StepSpec("fails", fn=lambda _: 1 / 0)
    StepRunner().run([step], dry_run=True)
    with pytest.raises(RuntimeError):
        StepRunner().run([step])
    assert StatusFile(step.output_path, "w").status == "FAILED"
    assert not Path(step.output_path, ".executor_info").exists()


def test_a_record_that_the_function_wrote_itself_is_not_overwritten() -> None:
    """Else the bare value takes the place of what says how it was made."""
    document = {"name": "train", "version": "1", "result": {"loss": 0.5}}
    empty = {"fingerprint": "f", "result_type": "t", "output_path": "o"}

    def train(output_path: str) -> dict[str, float]:
        Path(output_path, ".artifact.json").write_text(json.dumps({**document, **empty}))
        return {"loss": 0.7}

    step = StepSpec("train", fn=train, writes_record=True)
    StepRunner().run([step])
    assert json.loads(Path(step.output_path, ".artifact.json").read_text())["version"] == "1"
    assert Artifact.load(step) == {"loss": 0.5}
