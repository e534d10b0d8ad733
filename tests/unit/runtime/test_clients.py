"""The seam to engines: a job that failed must never look like one that did not."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from marin_build import (
    JobRequest,
    JobStatus,
    LocalClient,
    StepRunner,
    StepSpec,
    current_client,
    set_current_client,
    submit,
)
from marin_build.workspace.workspace import Workspace
from tests.recording_client import Recorder
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from pathlib import Path

    from marin_build import Client


def test_a_client_is_in_force_in_a_block_and_the_former_one_after_it() -> None:
    """Else a program that only prepares a client sends its jobs somewhere already."""
    recorder: Client = Recorder(runs=False)
    prepared = set_current_client(recorder)
    assert isinstance(current_client(), LocalClient)
    with prepared as client:
        assert client is current_client() is recorder
        with set_current_client(None):
            assert isinstance(current_client(), LocalClient)
        assert current_client() is recorder
    assert isinstance(current_client(), LocalClient)


def test_the_client_in_force_gets_what_is_submitted() -> None:
    recorder, request = Recorder(runs=False), JobRequest("job", lambda: None)
    with set_current_client(recorder):
        submit(request)
    submit(JobRequest("elsewhere", lambda: None)).wait()
    assert recorder.requests == [request]


def test_steps_and_jobs_of_a_program_see_its_client_and_other_programs_do_not(
    tmp_path: Path,
) -> None:
    """Else a step that starts jobs runs them on the machine that only follows the pipeline."""
    recorder = Recorder(runs=False)
    seen: list[object] = []

    def look(_: str) -> None:
        seen.append(current_client())

    with (
        in_workspace(Workspace(str(tmp_path), str(tmp_path))),
        set_current_client(recorder),
    ):
        StepRunner().run([StepSpec(name="looks", fn=look)])
        assert LocalClient().submit(JobRequest("job", lambda: look(""))).wait() == "succeeded"
        other = threading.Thread(target=look, args=("",))
        other.start()
        other.join()
    assert seen[:2] == [recorder, recorder]
    assert isinstance(seen[2], LocalClient)


def test_without_a_client_jobs_wait_for_no_other_job() -> None:
    """Else functions that start functions, and wait for them, wait for each other."""

    def nested(depth: int) -> None:
        if depth:
            assert submit(JobRequest("inner", lambda: nested(depth - 1))).wait() is succeeded

    succeeded = JobStatus.SUCCEEDED
    nested(20)
