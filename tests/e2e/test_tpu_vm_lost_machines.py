"""TPU VMs that are taken away, and runs, requests and answers that are lost."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from tests.servers.gcs import GcsServer
from tests.servers.tpu_resources import ApiError

from .tpu_support import (
    BUCKET,
    attempt_in,
    cloud_for,
    needs_machines,
    objects_of,
    ran_of,
    until_deleted,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.tpu import TpuCloud

    from .support import Gate, Project

pytestmark = needs_machines


@pytest.fixture
def bucket() -> Iterator[GcsServer]:
    """A bucket of its own."""
    with GcsServer(BUCKET) as made:
        yield made


@pytest.fixture
def cloud(project: Project, gate: Gate, bucket: GcsServer, tmp_path: Path) -> Iterator[TpuCloud]:
    """The API, and machines that reach the bucket and the gate."""
    with cloud_for(project, bucket, tmp_path) as made:
        yield made


@pytest.fixture
def on_tpus(project: Project, cloud: TpuCloud) -> Project:
    """A project whose steps with TPUs go to the stand-in."""
    return project


def test_a_killed_apply_leaves_its_job_to_the_next_one_or_to_itself(
    on_tpus: Project, cloud: TpuCloud, gate: Gate
) -> None:
    """Else a lost terminal means machines that are paid for twice, or for ever."""
    first = on_tpus.start("apply", "--set", "what=wait", "--json")
    job = first.wait_event("job_moved")["job"]
    gate.wait_started()
    first.send(signal.SIGKILL)
    first.wait()
    second = on_tpus.start("apply", "--set", "what=wait", "--json")
    assert second.wait_event("job_moved")["job"] == job
    second.send(signal.SIGKILL)
    second.wait()
    # Nobody follows it now: its machines commit, and delete themselves.
    gate.let_go()
    until_deleted(cloud)
    done = on_tpus.run("apply", "--set", "what=wait")
    assert done.code == 0, done.err
    assert ran_of(on_tpus) == ["corpus here", "model there", "report here"]
    assert len(cloud.ended) == 1


def test_what_is_preempted_is_queued_again(
    on_tpus: Project, cloud: TpuCloud, gate: Gate, bucket: GcsServer
) -> None:
    """Else spot capacity is of no use overnight, and what was preempted eats the quota."""
    run = on_tpus.start("apply", "--set", "what=wait", "--json")
    run.wait_event("job_moved")
    gate.wait_started()
    (first,) = cloud.resources
    cloud.preempt(first)
    gate.wait_started()
    (second,) = [id_ for id_, one in cloud.resources.items() if one.state == "ACTIVE"]
    assert (first[-2:], second) == ("-1", f"{first[:-2]}-2")
    # A startup script runs at each boot: after a restart, the step must not begin again there.
    (machine,) = cloud.resources[second].machines
    machine.stop()
    cloud.boot(machine)
    gate.wait_started()
    gate.let_go()
    done = run.wait()
    assert done.code == 0, done.err
    assert json.loads(objects_of(bucket, "model")[".executor_info"])["attempt"] == 3
    assert [e["cause"] for e in done.events if e["event"] == "step_failed"] == ["infra"] * 2
    assert attempt_in(bucket)["result"] == "abandoned"
    until_deleted(cloud)


def test_an_interrupt_deletes_what_waits_and_what_runs(
    on_tpus: Project, cloud: TpuCloud, gate: Gate, bucket: GcsServer
) -> None:
    """Else Ctrl-C leaves machines behind, or a request that gets some at night."""
    cloud.has_capacity = False
    run = on_tpus.start("apply", "--json")
    while run.wait_event("job_moved")["message"] != "WAITING_FOR_RESOURCES":
        pass
    run.send(signal.SIGINT)
    done = run.wait()
    assert done.code == 130, done.err
    assert done.names_of("step_interrupted") == ["model"]
    until_deleted(cloud)

    cloud.has_capacity = True
    run = on_tpus.start("apply", "--set", "what=wait", "--json")
    gate.wait_started()
    run.send(signal.SIGINT)
    done = run.wait()
    assert done.code == 130, done.err
    until_deleted(cloud)
    assert attempt_in(bucket)["result"] == "interrupted"

    # What a person takes away in the console is no failure, and is not started again.
    run = on_tpus.start("apply", "--set", "what=wait", "--json")
    gate.wait_started()
    (id_,) = cloud.resources
    cloud.preempt(id_, "USER")
    done = run.wait()
    assert done.names_of("step_stopped") == ["model"]
    until_deleted(cloud)


def test_answers_that_are_lost_or_refused(on_tpus: Project, cloud: TpuCloud) -> None:
    """Else a time-out doubles what is paid for, and a quota that is used up fails a sweep."""
    cloud.faults["POST"] = [ApiError(503, "try later"), ApiError(0, "")]
    done = on_tpus.run("apply", "--json")
    assert done.code == 0, done.err
    created = [status for _, path, status in cloud.calls if "queuedResourceId" in path]
    assert created == [503, 200]
    until_deleted(cloud)

    cloud.faults["POST"] = [
        ApiError(429, "Quota limit 'TPUV4sPreemptiblePodPerProject' has been exceeded")
    ]
    done = on_tpus.run("apply", "--force", "model")
    assert done.code == 0, done.err
    assert "TPUV4sPreemptiblePodPerProject" in done.err
    assert "submitted later" in done.err
    until_deleted(cloud)

    cloud.faults["GET"] = [ApiError(403, "Permission 'tpu.queuedResources.list' denied")]
    done = on_tpus.run("apply", "--force", "model")
    assert done.code == 4
    assert "tpu.queuedResources.list" in done.err
