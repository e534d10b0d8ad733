"""TPU VMs against a stand-in: real scripts on machines that boot, build and are deleted."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.servers.gcs import GcsServer
from tests.servers.tpu_resources import PROJECT, ZONE

from .support import PROGRAM, shellcheck
from .tpu_support import (
    BUCKET,
    attempt_in,
    cloud_for,
    configure,
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


def test_a_step_is_built_on_tpu_vms_that_are_deleted(
    on_tpus: Project, cloud: TpuCloud, bucket: GcsServer
) -> None:
    """Else a plan with TPU steps builds nothing, or machines are paid for when nothing runs."""
    done = on_tpus.run("apply", "--json")
    assert done.code == 0, done.out
    assert ran_of(on_tpus) == ["corpus here", "model there", "report here"]
    moved = [e for e in done.events if e["event"] == "job_moved"]
    assert [(e["phase"], e["message"]) for e in moved if e["message"] != "CREATING"][-1] == (
        "running",
        "",
    )
    job = moved[0]["job"]
    said = attempt_in(bucket)
    assert (said["engine"], said["job"]) == ("tpu-vm", job)
    until_deleted(cloud)
    (resource,) = cloud.ended
    assert job == f"tpu-vm:{resource.id}"
    assert resource.body["spot"] == {}
    assert on_tpus.run("apply").out.startswith("nothing to do: 3 targets are reused\n")
    doctor = on_tpus.run("doctor", "--engine", "tpu-vm")
    assert (doctor.code, "queued resources: 0" in doctor.out) == (0, True)


@pytest.mark.parametrize(("room", "ranks"), [("two", 2), ("four", 4)])
def test_the_machines_of_a_slice_or_of_several_build_one_output(
    on_tpus: Project, cloud: TpuCloud, bucket: GcsServer, room: str, ranks: int
) -> None:
    """Else a model that needs several machines is trained on one, or several times."""
    done = on_tpus.run("apply", "model", "--set", f"room={room}")
    assert done.code == 0, done.err
    found = objects_of(bucket, "model")
    parts = {name: data for name, data in found.items() if name.startswith("part-")}
    assert parts == {f"part-{rank}": f"{ranks} 10.0.0.0".encode() for rank in range(ranks)}
    assert json.loads(found[".artifact.json"]) == {"rank": 0}
    assert json.loads(found[".executor_info"])["attempt"] == 1
    until_deleted(cloud)


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
    until_deleted(cloud)
    assert sorted(ran_of(on_tpus)) == ["corpus here", "model there", "model there", "report here"]
    on_tpus.write("gate.py", gate.MODULE)
    done = on_tpus.run("apply", "there")
    assert done.code == 0, done.err
    assert "0 to build" in done.out or "nothing to do" in done.out


# No package index has gcloud. Elsewhere Google's own types judge our bodies (tests/unit).
if shutil.which("gcloud"):

    def test_gcloud_asks_for_the_same_and_can_list_and_delete_it(
        on_tpus: Project, cloud: TpuCloud
    ) -> None:
        """Else what people know of gcloud does not hold for us, or our requests are not legal."""
        cloud.has_capacity = False
        configure(on_tpus, 'service_account = "sa@x.iam"\nvalid_until = 6\ntags = ["a"]\n')
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
        until_deleted(cloud)


def test_a_failure_is_told_in_its_own_words(
    on_tpus: Project, cloud: TpuCloud, bucket: GcsServer
) -> None:
    """Else a person looks for one line on the serial console of a machine that is gone."""
    done = on_tpus.run("apply", "--set", "what=fail")
    assert done.code == 1
    assert "ValueError: no <such> shard" in done.out + done.err
    # What fails outside the step, before anything could reach the bucket.
    configure(on_tpus, 'setup = ["echo preparing", "pip-of-nowhere install jax"]\n')
    done = on_tpus.run("apply")
    assert done.code == 1
    assert "pip-of-nowhere: command not found" in done.out + done.err
    assert ".marin-build/tpu-vm/mb-model-" in done.out + done.err
    until_deleted(cloud)
