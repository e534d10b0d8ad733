"""A step as one function: built once, its value and its record beside it, where it should run."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from marin_build import (
    STATUS_FAILED,
    STATUS_SUCCESS,
    RemoteCallable,
    ResourceConfig,
    StatusFile,
    StepSpec,
    command,
    remote,
    set_current_client,
    step,
)
from marin_build.errors import SpecificationError, StepFailedError, StoppedError
from marin_build.pipeline.graph import build_graph
from marin_build.pipeline.targets import make_targets
from marin_build.protocol.documents import Record
from marin_build.workspace.workspace import Workspace
from tests.recording_client import Recorder
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Score:
    loss: float


@pytest.fixture(autouse=True)
def place(tmp_path: Path) -> Iterator[Workspace]:
    workspace = Workspace(str(tmp_path), str(tmp_path / "prefix"))
    with in_workspace(workspace):
        yield workspace


def _names(output: str) -> list[str]:
    return sorted(path.name for path in Path(output).iterdir())


def test_a_step_is_built_once_and_then_loaded_as_its_type() -> None:
    calls: list[str] = []

    def score(output_path: str) -> Score:
        calls.append(output_path)
        Path(output_path, "log.txt").write_text("x")
        return Score(0.5)

    declared = StepSpec(name="score", fn=score)
    output = declared.output_path
    assert declared.executable_fn(output) == declared.executable_fn(output) == Score(0.5)
    assert calls == [output]
    assert _names(output) == [".artifact.json", ".executor_info", ".executor_status", "log.txt"]


def test_a_step_that_returns_nothing_leaves_no_artifact() -> None:
    declared = StepSpec(name="a", fn=lambda _: None)
    assert declared.executable_fn(declared.output_path) is None
    assert declared.executable_fn(declared.output_path) is None
    assert _names(declared.output_path) == [".executor_info", ".executor_status"]


def test_the_record_says_what_was_built_as_run_step_would(place: Workspace) -> None:
    raw = StepSpec(name="raw", fn=lambda _: None)
    declared = StepSpec(name="a/b", fn=lambda _: None, deps=[raw], hash_attrs={"lr": 0.1})
    declared.executable_fn(declared.output_path)
    data = Path(declared.output_path, ".executor_info").read_bytes()
    record = Record.from_bytes(data)
    targets = make_targets(build_graph([declared]), place)
    assert json.loads(data)["executor_version"] == "marin_build/1"
    assert (record.name, record.target) == ("a/b", declared.target_id)
    assert record.deep_fingerprint == targets.deep_fingerprints()[-1]
    assert (record.payload, record.attributes) == (declared.payload, {"lr": 0.1})
    assert (record.deps, record.exit_code, record.attempt) == ((raw.target_id,), 0, 0)


def test_there_is_no_success_without_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> bytes:
        raise OSError("full")

    monkeypatch.setattr("marin_build.runtime.executable._record", fail)
    declared = StepSpec(name="a", fn=lambda _: None)
    with pytest.raises(OSError, match="full"):
        declared.executable_fn(declared.output_path)
    assert StatusFile(declared.output_path, "w").status == STATUS_FAILED


def test_without_resources_no_client_is_touched() -> None:
    recorder = Recorder()
    declared = StepSpec(name="a", fn=lambda _: 1)
    with set_current_client(recorder):
        assert declared.executable_fn(declared.output_path) == 1
    assert recorder.requests == []


def test_with_resources_the_client_runs_lock_and_cache_and_all() -> None:
    recorder = Recorder()
    tpu = ResourceConfig.with_tpu("v5p-64")
    declared = StepSpec(name="a", fn=lambda _: 1, resources=tpu, env_vars={"A_VARIABLE": "1"})
    with set_current_client(recorder):
        assert declared.executable_fn(declared.output_path) is None
    (request,) = recorder.requests
    assert (request.resources, request.env_vars) == (tpu, {"A_VARIABLE": "1"})
    assert request.name.startswith(f"{declared.name_with_hash}-")
    assert StatusFile(declared.output_path, "w").status == STATUS_SUCCESS


def test_what_a_remote_function_says_holds_but_for_what_the_step_says() -> None:
    fn = remote(lambda _: 1, env_vars={"A": "1", "B": "1"}, pip_dependency_groups=["x"], name="n")
    cpu = ResourceConfig.with_cpu(8)
    called = StepSpec(name="a", fn=fn, resources=cpu, env_vars={"B": "2"}).executable_fn
    assert isinstance(called, RemoteCallable)
    assert (called.resources, called.pip_dependency_groups) == (cpu, ("x",))
    assert called.env_vars == {"A": "1", "B": "2"}


def test_a_remote_function_is_not_submitted_a_second_time_from_where_it_runs() -> None:
    recorder = Recorder()
    declared = StepSpec(name="a", fn=remote(lambda _: {"a": 1}))
    with set_current_client(recorder):
        declared.executable_fn(declared.output_path)
    assert len(recorder.requests) == 1
    assert Path(declared.output_path, ".artifact.json").read_text() == '{"a": 1}'


def test_steps_of_the_decorator_and_commands_are_built_alike() -> None:
    @step
    def words(output: Path) -> int:
        (output / "words.txt").write_text("a b")
        return 2

    text = words()
    count = command("wc -w < {text}/words.txt > {output}/n.txt", name="count", deps={"text": text})
    assert text.executable_fn(text.output_path) == 2
    count.executable_fn(count.output_path)
    assert Path(count.output_path, "n.txt").read_text().strip() == "2"


def test_a_command_that_fails_leaves_failed() -> None:
    failing = command("exit 3", name="failing")
    with pytest.raises(SystemExit):
        failing.executable_fn(failing.output_path)
    assert StatusFile(failing.output_path, "w").status == STATUS_FAILED


def test_declared_outputs_must_be_there_before_it_counts_as_built() -> None:
    declared = StepSpec(name="a", fn=lambda _: None, outputs=["model.bin"])
    with pytest.raises(StepFailedError, match=r"missing or empty: `model\.bin`"):
        declared.executable_fn(declared.output_path)
    assert StatusFile(declared.output_path, "w").status == STATUS_FAILED


def test_the_variables_of_a_step_are_there_while_it_runs() -> None:
    declared = StepSpec(
        name="a", fn=lambda _: os.environ["A_VARIABLE"], env_vars={"A_VARIABLE": "1"}
    )
    assert declared.executable_fn(declared.output_path) == "1"
    assert "A_VARIABLE" not in os.environ


def test_a_dev_version_is_built_each_time() -> None:
    calls: list[int] = []
    declared = StepSpec(name="a", version="dev", fn=lambda _: calls.append(1))
    declared.executable_fn(declared.output_path)
    declared.executable_fn(declared.output_path)
    assert len(calls) == 2


def test_a_step_that_nothing_builds_fails_unless_it_is_there() -> None:
    declared = StepSpec(name="raw")
    with pytest.raises(StepFailedError, match="nothing builds `raw`"):
        declared.executable_fn(declared.output_path)
    StatusFile(declared.output_path, "w").write_status(STATUS_SUCCESS)
    assert declared.executable_fn(declared.output_path) is None


def test_a_timeout_is_refused_rather_than_forgotten() -> None:
    declared = StepSpec(name="a", fn=lambda _: None, timeout=1.0)
    with pytest.raises(SpecificationError, match="`a` has a timeout"):
        _ = declared.executable_fn


def test_a_script_that_changes_while_it_runs_is_not_committed(place: Workspace) -> None:
    """Else what two versions of a script made counts as built."""
    script = Path(place.project) / "tool.sh"
    script.write_text("echo '# new' >> tool.sh; echo x > $1/x\n")
    step = command(["bash", "tool.sh", "{output}"], name="tool")
    output = step.output_path
    with pytest.raises(StoppedError, match=r"code changed while the step ran: `tool\.sh`"):
        step.executable_fn(output)
    assert not (Path(output) / ".executor_info").exists()
