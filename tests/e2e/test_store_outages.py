"""A store that refuses, hangs or does not take what was built, over HTTP, under the build loop."""

from __future__ import annotations

import json
import signal
from collections import Counter
from typing import TYPE_CHECKING, Literal

import pytest

from tests.servers.faults import Fault
from tests.servers.gcs import GcsServer

from .support import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .support import Gate, Project

BUCKET = "outputs"

PIPELINE = """\
from pathlib import Path

import fsspec

from gate import wait_at_gate
from marin_build import step

HERE = Path(__file__).parent


def write(path, name):
    with open(HERE / "ran.txt", "a") as stream:
        stream.write(name + "\\n")
    with fsspec.open(path + "/text.txt", "w") as stream:
        stream.write("text")
    wait_at_gate(name)


@step
def held(output: str) -> dict:
    write(output, "held")
    return {"lines": 1}


@step
def own(output: str) -> dict:
    write(output, "own")
    return {"lines": 2}


@step
def report(output: str, about: dict) -> None:
    write(output, "report")


def pipeline():
    return [report(about=held()), own()]
"""


@pytest.fixture
def server() -> Iterator[GcsServer]:
    """A bucket of its own."""
    with GcsServer(BUCKET) as made:
        yield made


@pytest.fixture
def remote(project: Project, server: GcsServer) -> Project:
    """A project whose outputs go to the bucket; its steps wait for nothing."""
    project.build_in_bucket(server.url, f"gs://{BUCKET}/run")
    project.write("gate.py", "def wait_at_gate(word):\n    pass\n")
    project.pipeline(PIPELINE)
    return project


def _ran(project: Project) -> Counter[str]:
    return Counter(project.file("ran.txt").split())


def _refuse_to_commit(server: GcsServer, status: int) -> None:
    """Refuse all writes that end an attempt, and not those of the body."""
    for name in (".executor_status", "attempt-"):
        for method in ("POST", "DELETE"):
            server.faults.add(Fault(status, every=1, method=method, holds=name))


def test_waiting_and_working_outlive_refusals_and_ctrl_c_outlives_a_store_that_hangs(
    remote: Project, server: GcsServer, gate: Gate
) -> None:
    """Else seconds without an answer end a run that only waits, and all that it builds besides."""
    # Requests that hang are waited for longer than this test waits for the end.
    remote.pipeline(f"from marin_build.store import remote\nremote.PATIENCE = 3600\n{PIPELINE}")
    first = remote.start_fork("apply", "held", "--json")
    assert gate.wait_started()[0] == "held"
    second = remote.start_fork("apply", "--json", "-j", "2")
    assert gate.wait_started()[0] == "own"
    second.wait_event("step_waiting")
    for status in (403, 401):
        server.faults.add(Fault(status, every=1))
        line = second.lines_until("asking again", err=True)[-1]
        assert "the store does not let us in: cannot " in line
        assert "injected by the test" in line
        server.faults.clear()
        second.lines_until("the store answers again, after ", err=True)
    gate.let_go(2)  # `held` of the first run, and `own` of the second
    assert first.wait().code == 0
    assert gate.wait_started()[0] == "report"
    server.faults.add(Fault("hang", every=1))
    second.send(signal.SIGINT)
    second.process.wait(PATIENCE)
    assert second.process.stdout is not None
    last = json.loads(second.process.stdout.read().splitlines()[-1])
    assert second.process.returncode == 130
    assert last["event"] == "apply_finished"
    assert (last["succeeded"], last["reused"], last["interrupted"]) == (1, 1, 1)
    server.faults.clear()
    again = remote.start_fork("apply")
    gate.wait_started()
    gate.let_go()
    assert again.wait().code == 0
    assert _ran(remote) == {"held": 1, "own": 1, "report": 2}


def test_a_commit_waits_for_a_login_that_has_ended(
    remote: Project, server: GcsServer, gate: Gate
) -> None:
    """Else a token that ends while a step commits throws away what it has done."""
    running = remote.start_fork("apply", "held")
    gate.wait_started()
    _refuse_to_commit(server, 403)
    gate.let_go()
    running.lines_until("asking again", err=True)
    server.faults.clear()
    done = running.wait()
    assert (done.code, "1 built" in done.out) == (0, True), done
    assert _ran(remote) == {"held": 1}


@pytest.mark.parametrize(
    ("isolation", "way"), [("process", "commit"), ("worker", "apply"), ("thread", "commit")]
)
def test_what_the_store_does_not_take_is_committed_later(
    remote: Project, server: GcsServer, gate: Gate, isolation: str, way: Literal["commit", "apply"]
) -> None:
    """Else a bucket that is gone for a moment costs the work of a day."""
    running = remote.start_fork("apply", "held", "--isolation", isolation)
    gate.wait_started()
    _refuse_to_commit(server, 404)
    gate.let_go()
    failed = running.wait()
    assert failed.code == 1
    assert "it did its work, and the store does not take it: cannot write" in failed.out
    assert "there is no bucket `outputs`; infrastructure" in failed.out
    assert "marin-build commit held" in failed.err
    server.faults.clear()
    done = remote.run(way, "held")
    assert done.code == 0, done
    assert remote.run("apply", "held").out.startswith("nothing to do: 1 target is reused\n")
    assert remote.run("verify", "held").code == 0
    assert _ran(remote) == {"held": 1}
    (artifact,) = [
        stored.data
        for name, stored in server.api.buckets.objects(BUCKET).items()
        if name.endswith("/.artifact.json")
    ]
    assert json.loads(artifact) == {"lines": 1}


def test_a_job_says_that_the_infrastructure_failed_and_the_next_one_commits(
    remote: Project, server: GcsServer, gate: Gate
) -> None:
    """Else an engine counts an outage as a failure of the step, and runs all of it again."""
    target = remote.run("plan", "held", "--json").document["decisions"][0]["target"]
    job = ("run-step", "--target", target, "--once")
    running = remote.start_fork(*job)
    gate.wait_started()
    _refuse_to_commit(server, 404)
    gate.let_go()
    failed = running.wait()
    assert failed.code == 75, failed
    assert failed.err.endswith("exit code 75: infrastructure failed, try again\n")
    server.faults.clear()
    assert remote.run(*job).code == 0
    assert _ran(remote) == {"held": 1}


@pytest.mark.parametrize("isolation", ["process", "thread"])
def test_an_outage_while_an_artifact_is_loaded_is_no_failure_of_the_step(
    remote: Project, server: GcsServer, isolation: str
) -> None:
    """Else a step without retries fails for good, for a login that ended."""
    server.faults.add(Fault(403, method="GET", holds=".artifact.json", first=1))
    done = remote.run("apply", "report", "--json", "--isolation", isolation)
    assert done.code == 0, done
    (failed,) = [event for event in done.events if event["event"] == "step_failed"]
    assert failed["cause"] == "infra"
    assert failed["message"].endswith("permission denied: injected by the test")
    assert _ran(remote) == {"held": 1, "report": 1}
