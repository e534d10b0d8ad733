"""TPU VMs against a stand-in: real scripts on machines that boot, are taken away and deleted."""

from __future__ import annotations

import json
import os
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from tests.servers.gcs import GcsServer
from tests.servers.slurm import wait_until
from tests.servers.tpu import PROJECT, ZONE, ApiError, TpuCloud

from .support import PATIENCE, PROGRAM, shellcheck

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .support import Gate, Project

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("curl"),
    reason="needs curl, unshare, and to be root",
)
PIPELINE = """\
import os

import fsspec
from gate import wait_at_gate
from marin_build import ResourceConfig, current_rank, step

ROOMS = {
    "one": ResourceConfig.with_tpu("v4-8"),
    "two": ResourceConfig.with_tpu("v4-16"),
    "four": ResourceConfig.with_tpu("v4-16", slice_count=2),
}


def ran(name):
    with open(os.environ["RAN"], "a") as stream:
        stream.write(f"{name} {'there' if 'PJRT_DEVICE' in os.environ else 'here'}\\n")


@step
def corpus(output: str, lines: int) -> int:
    ran("corpus")
    with fsspec.open(f"{output}/text", "w") as stream:
        stream.write("x" * lines)
    return lines


def train(output: str, corpus: str, what: str) -> dict:
    ran("model")
    if what == "wait":
        wait_at_gate("model")
    if what == "fail":
        raise ValueError("no <such> shard")
    with fsspec.open(f"{corpus}/text") as stream:
        assert stream.read() == b"xxx"
    rank = current_rank()
    with fsspec.open(f"{output}/part-{rank.number}", "w") as stream:
        stream.write(f"{rank.count} {rank.leader}")
    return {"rank": rank.number}


@step
def report(output: str, model: dict) -> int:
    ran("report")
    return model["rank"]


def pipeline(lines: int = 3, what: str = "plain", room: str = "one"):
    model = step(train, name="model", resources=ROOMS[room])
    return report(model=model(corpus=corpus(lines=lines), what=what))
"""
BUCKET = "lab"


@pytest.fixture
def bucket() -> Iterator[GcsServer]:
    """A bucket of its own."""
    with GcsServer(BUCKET) as made:
        yield made


@pytest.fixture
def cloud(project: Project, gate: Gate, bucket: GcsServer, tmp_path: Path) -> Iterator[TpuCloud]:
    """The API, and machines that reach the bucket and the gate."""
    project.build_in_bucket(bucket.url, f"gs://{BUCKET}/out")
    project.environment["RAN"] = str(tmp_path / "ran.txt")
    kept = {"STORAGE_EMULATOR_HOST", "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "GATE", "RAN"}
    environment = {name: project.environment[name] for name in kept}
    environment |= {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONWARNINGS": "error"}
    made = TpuCloud(tmp_path / "machines", environment)
    with made.serve():
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture
def on_tpus(project: Project, cloud: TpuCloud) -> Project:
    """A project whose steps with TPUs go to the stand-in."""
    project.environment |= cloud.environment
    project.write("pipeline.py", PIPELINE)
    _configure(project)
    return project


def _configure(project: Project, more: str = "", program: object = PROGRAM) -> None:
    project.write(
        "marin-build.toml",
        f'engine = "tpu-vm"\nlease = 5\n[tpu-vm]\npoll = 0.3\nproject = "{PROJECT}"\n'
        f'zone = "{ZONE}"\nprogram = "{program}"\n{more}',
    )


def _ran(project: Project) -> list[str]:
    with open(project.environment["RAN"]) as stream:
        return stream.read().splitlines()


def _objects(bucket: GcsServer, name: str) -> dict[str, bytes]:
    """Return the objects of the only target of a name, by their names in it."""
    found = {}
    for path, stored in bucket.api.buckets.objects(BUCKET).items():
        target, _, rest = path.removeprefix("out/").partition("/")
        if target.rpartition("_")[0] == name:
            found[rest] = stored.data
    return found


def _attempt(bucket: GcsServer, number: int = 1) -> dict[str, object]:
    document: dict[str, object] = json.loads(
        _objects(bucket, "model")[f".logs/attempt-{number:04}.json"]
    )
    return document


def _until_deleted(cloud: TpuCloud) -> None:
    wait_until(lambda: not cloud.resources, PATIENCE)


def test_a_step_is_built_on_tpu_vms_that_are_deleted(
    on_tpus: Project, cloud: TpuCloud, bucket: GcsServer
) -> None:
    """Else a plan with TPU steps builds nothing, or machines are paid for when nothing runs."""
    done = on_tpus.run("apply", "--json")
    assert done.code == 0, done.out
    assert _ran(on_tpus) == ["corpus here", "model there", "report here"]
    moved = [e for e in done.events if e["event"] == "job_moved"]
    assert [(e["phase"], e["message"]) for e in moved if e["message"] != "CREATING"][-1] == (
        "running",
        "",
    )
    job = moved[0]["job"]
    said = _attempt(bucket)
    assert (said["engine"], said["job"]) == ("tpu-vm", job)
    _until_deleted(cloud)
    (resource,) = cloud.ended
    assert job == f"tpu-vm:{resource.id}"
    assert resource.body["spot"] == {}
    assert on_tpus.run("apply").out == "nothing to do: 3 targets are built\n"
    assert "queued resources: 0" in on_tpus.run("doctor").out


@pytest.mark.parametrize(("room", "ranks"), [("two", 2), ("four", 4)])
def test_the_machines_of_a_slice_or_of_several_build_one_output(
    on_tpus: Project, cloud: TpuCloud, bucket: GcsServer, room: str, ranks: int
) -> None:
    """Else a model that needs several machines is trained on one, or several times."""
    done = on_tpus.run("apply", "model", "--set", f"room={room}")
    assert done.code == 0, done.err
    found = _objects(bucket, "model")
    parts = {name: data for name, data in found.items() if name.startswith("part-")}
    assert parts == {f"part-{rank}": f"{ranks} 10.0.0.0".encode() for rank in range(ranks)}
    assert json.loads(found[".artifact.json"]) == {"rank": 0}
    assert json.loads(found[".executor_info"])["attempt"] == 1
    _until_deleted(cloud)


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
    _until_deleted(cloud)
    done = on_tpus.run("apply", "--set", "what=wait")
    assert done.code == 0, done.err
    assert _ran(on_tpus) == ["corpus here", "model there", "report here"]
    assert len(cloud.ended) == 1


def test_a_saved_plan_is_built_by_its_script_and_by_apply(
    on_tpus: Project, cloud: TpuCloud, gate: Gate
) -> None:
    """Else what was reviewed is not what runs, or loads other code than was reviewed."""
    assert on_tpus.run("plan", "-o", "there", "--set", "room=two").code == 0
    shellcheck(on_tpus.root / "there" / "submit.sh")
    here_only = "import os\nassert 'PJRT_DEVICE' not in os.environ\nwait_at_gate = None\n"
    on_tpus.write("gate.py", here_only)
    on_tpus.environment["MARIN_BUILD_POLL"] = "0.2"
    on_tpus.environment["PATH"] = f"{PROGRAM.parent}:/usr/bin:/bin"
    done = on_tpus.bash("there/submit.sh")
    assert done.code == 0, done.err
    said = [line.split() for line in done.out.splitlines()]
    told = [(words[0], words[1].partition("_")[0]) for words in said if len(words) > 1]
    assert [each for each in told if each[1] == "model"] == [
        ("created", "model"),
        ("built", "model"),
    ]
    _until_deleted(cloud)
    assert sorted(_ran(on_tpus)) == ["corpus here", "model there", "model there", "report here"]
    on_tpus.write("gate.py", gate.MODULE)
    done = on_tpus.run("apply", "there")
    assert done.code == 0, done.err
    assert "0 to build" in done.out or "nothing to do" in done.out


@pytest.mark.skipif(shutil.which("gcloud") is None, reason="needs gcloud")
def test_gcloud_asks_for_the_same_and_can_list_and_delete_it(
    on_tpus: Project, cloud: TpuCloud
) -> None:
    """Else what a person knows of gcloud does not hold for our requests, or ours are not legal."""
    cloud.has_capacity = False
    _configure(on_tpus, 'service_account = "sa@x.iam"\nvalid_until = 6\ntags = ["a"]\n')
    assert on_tpus.run("plan", "model", "-o", "there").code == 0
    (path,) = (on_tpus.root / "there").glob("steps/model_*/queued_resource.json")
    body = json.loads(path.read_text())
    (ours,) = body["tpu"]["nodeSpec"]
    labels = ",".join(f"{key}={value}" for key, value in ours["node"]["labels"].items())
    on_tpus.write("script", ours["node"]["metadata"].pop("startup-script"))
    metadata = ",".join(f"{key}={value}" for key, value in ours["node"]["metadata"].items())

    def gcloud(*words: str) -> str:
        command = ["gcloud", "--quiet", f"--project={PROJECT}", "compute", "tpus"]
        done = on_tpus.execute([*command, "queued-resources", *words, f"--zone={ZONE}"])
        assert done.code == 0, done.err
        return done.out

    on_tpus.environment |= {
        "CLOUDSDK_CONFIG": str(on_tpus.home / "gcloud"),
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
        "PYTHONWARNINGS": "ignore",
    }
    node = ours["node"]
    gcloud(
        "create", ours["nodeId"], f"--node-id={ours['nodeId']}", "--spot", "--async",
        f"--accelerator-type={node['acceleratorType']}", f"--labels={labels}",
        f"--runtime-version={node['runtimeVersion']}", f"--metadata={metadata}",
        "--metadata-from-file=startup-script=script", "--valid-until-duration=6h",
        "--service-account=sa@x.iam", "--tags=a",
    )  # fmt: skip
    (created,) = cloud.resources.values()
    node["metadata"]["startup-script"] = (on_tpus.root / "script").read_text()
    assert created.body == body
    assert ours["nodeId"] in gcloud("list")
    gcloud("delete", ours["nodeId"], "--force", "--async")
    _until_deleted(cloud)


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
    assert json.loads(_objects(bucket, "model")[".executor_info"])["attempt"] == 3
    assert [e["cause"] for e in done.events if e["event"] == "step_failed"] == ["infra"] * 2
    assert _attempt(bucket)["result"] == "abandoned"
    _until_deleted(cloud)


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
    _until_deleted(cloud)

    cloud.has_capacity = True
    run = on_tpus.start("apply", "--set", "what=wait", "--json")
    gate.wait_started()
    run.send(signal.SIGINT)
    done = run.wait()
    assert done.code == 130, done.err
    _until_deleted(cloud)
    assert _attempt(bucket)["result"] == "interrupted"

    # What a person takes away in the console is no failure, and is not started again.
    run = on_tpus.start("apply", "--set", "what=wait", "--json")
    gate.wait_started()
    (id_,) = cloud.resources
    cloud.preempt(id_, "USER")
    done = run.wait()
    assert done.names_of("step_stopped") == ["model"]
    _until_deleted(cloud)


def test_a_failure_is_told_in_its_own_words(
    on_tpus: Project, cloud: TpuCloud, bucket: GcsServer
) -> None:
    """Else a person looks for one line on the serial console of a machine that is gone."""
    done = on_tpus.run("apply", "--set", "what=fail")
    assert done.code == 1
    assert "ValueError: no <such> shard" in done.out + done.err
    # What fails outside the step, before anything could reach the bucket.
    _configure(on_tpus, 'setup = ["echo preparing", "pip-of-nowhere install jax"]\n')
    done = on_tpus.run("apply")
    assert done.code == 1
    assert "pip-of-nowhere: command not found" in done.out + done.err
    assert ".marin-build/tpu-vm/mb-model-" in done.out + done.err
    _until_deleted(cloud)


def test_answers_that_are_lost_or_refused(on_tpus: Project, cloud: TpuCloud) -> None:
    """Else a time-out doubles what is paid for, and a quota that is used up fails a sweep."""
    cloud.faults["POST"] = [ApiError(503, "try later"), ApiError(0, "")]
    done = on_tpus.run("apply", "--json")
    assert done.code == 0, done.err
    created = [status for _, path, status in cloud.calls if "queuedResourceId" in path]
    assert created == [503, 200]
    _until_deleted(cloud)

    cloud.faults["POST"] = [
        ApiError(429, "Quota limit 'TPUV4sPreemptiblePodPerProject' has been exceeded")
    ]
    done = on_tpus.run("apply", "--force", "model")
    assert done.code == 0, done.err
    assert "TPUV4sPreemptiblePodPerProject" in done.err
    assert "submitted later" in done.err
    _until_deleted(cloud)

    cloud.faults["GET"] = [ApiError(403, "Permission 'tpu.queuedResources.list' denied")]
    done = on_tpus.run("apply", "--force", "model")
    assert done.code == 4
    assert "tpu.queuedResources.list" in done.err
