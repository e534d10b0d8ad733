"""Jobs as Marin's programs submit them: functions and commands, their environment, their client."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from marin_build.compat.fray.entrypoints import Entrypoint
from marin_build.compat.fray.job_environment import EnvironmentConfig, create_environment
from marin_build.compat.fray.resources import ResourceConfig
from marin_build.errors import SpecificationError
from marin_build.runtime.job_request import JobRequest
from marin_build.runtime.jobs import JobStatus
from marin_build.runtime.local_client import LocalClient


def test_a_function_runs_with_its_arguments() -> None:
    """Else a coordinator of Marin that submits its workers starts none."""
    seen: list[object] = []
    call = Entrypoint.from_callable(lambda *a, **k: seen.append((a, k)), args=[1], kwargs={"b": 2})
    request = JobRequest("call", call, ResourceConfig.with_cpu(cpu=2), create_environment())
    assert LocalClient().submit(request).wait() == JobStatus.SUCCEEDED
    assert seen == [((1,), {"b": 2})]
    assert request.resources == ResourceConfig(cpu=2)
    assert request.needs.cpu == 2


def test_a_command_runs_with_its_arguments(tmp_path: Path) -> None:
    there = tmp_path / "there"
    program = f"import pathlib; pathlib.Path({str(there)!r}).touch()"
    request = JobRequest("touch", Entrypoint.from_binary(sys.executable, ["-c", program]))
    assert LocalClient().submit(request).wait() == JobStatus.SUCCEEDED
    assert there.exists()


def test_an_entrypoint_is_one_of_both() -> None:
    assert Entrypoint.from_binary("ls", ["-l"]).binary_entrypoint is not None
    with pytest.raises(SpecificationError, match="neither a function nor a command"):
        _ = Entrypoint().lowered_work


def test_a_job_finds_its_variables_and_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else tokens are written into manifests and logs."""
    monkeypatch.setenv("HF_TOKEN", "hf_abc")
    monkeypatch.setenv("MARIN_CI_DISABLE_RUNTIME_ENVS", "1")
    made = create_environment(env_vars={"A": "b", "TOKENIZERS_PARALLELISM": "true"}, extras=["tpu"])
    assert made.env_vars == {
        "HF_DATASETS_TRUST_REMOTE_CODE": "1",
        "TOKENIZERS_PARALLELISM": "true",
        "MARIN_CI_DISABLE_RUNTIME_ENVS": "1",
        "A": "b",
    }
    assert (made.workspace, made.extras) == (str(Path.cwd()), ["tpu"])
    request = JobRequest("a", print, environment=made)
    assert (request.env_vars["A"], request.pip_dependency_groups) == ("b", ("tpu",))
    assert "hf_abc" not in repr(create_environment(secrets={"HF_TOKEN": "hf_abc"}))


@pytest.mark.parametrize("places", [{}, {"workspace": ".", "docker_image": "x"}])
def test_code_is_in_a_folder_or_in_an_image(places: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="workspace"):
        EnvironmentConfig(**places)  # type: ignore[arg-type]
    assert create_environment(docker_image="x").workspace is None


def test_what_was_lowered_equals_what_it_was_lowered_from() -> None:
    """A client compares what it is asked for with what the experiment wrote."""
    wanted = ResourceConfig.with_cpu(cpu=2, ram="8g")
    assert wanted.lowered_resources == wanted
    assert wanted != ResourceConfig.with_cpu()
    assert wanted != "2 cpu"
    with pytest.raises(TypeError, match="unhashable"):
        hash(wanted)
