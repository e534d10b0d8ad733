"""Kubernetes as it builds: by a stand-in of its API, whose pods are real processes."""

from __future__ import annotations

import itertools
import json
import re
import signal
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest
import yaml
from kubernetes.client import BatchV1Api
from kubernetes.config import new_client_from_config

from tests.servers.faults import Fault
from tests.servers.gcs import GcsServer
from tests.servers.kubernetes import kubernetes_cluster
from tests.servers.kubernetes_nodes import Node
from tests.servers.slurm import wait_until

from .support import PATIENCE, Project, copy_examples, shellcheck

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers.kubernetes import KubernetesCluster

    from .support import Gate, Running

PIPELINE = """\
import os
from pathlib import Path

from gate import wait_at_gate
from marin_build import ResourceConfig, current_rank, step

HERE = Path(__file__).parent


def ran(name):
    with open(HERE / "ran.txt", "a") as stream:
        stream.write(f"{name} {os.environ.get('HOSTNAME')}\\n")


@step
def corpus(output, lines: int) -> int:
    ran("corpus")
    return lines


@step(resources=ResourceConfig.with_cpu(1, ram="64Mi"))
def model(output, corpus: int, gated: bool) -> int:
    ran("model")
    if gated:
        wait_at_gate("model")
    return corpus * 2


@step
def report(output, model: int) -> int:
    ran("report")
    return model + 1


def pipeline(lines: int = 3, gated: bool = False):
    return report(model=model(corpus=corpus(lines=lines), gated=gated))
"""
SETTINGS = """\
engine = "kubernetes"
lease = 5
[kubernetes]
image = "registry.example/lm@sha256:{digest}"
working_dir = "{root}"
context = "stand-in"
poll = 0.3
start_within = 1
"""
SPOT = {"cloud.google.com/gke-spot": "true"}


@pytest.fixture(scope="module")
def bucket() -> Iterator[GcsServer]:
    """The Cloud Storage of the tests of this file."""
    with GcsServer("b") as server:
        yield server


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesCluster]:
    """One cluster for the tests of this file."""
    nodes = [Node(name, labels=SPOT) for name in ("n1", "n2")]
    with kubernetes_cluster(tmp_path_factory.mktemp("kubernetes"), nodes) as made:
        yield made


@pytest.fixture
def cluster(shared: KubernetesCluster) -> Iterator[KubernetesCluster]:
    """The cluster, well again."""
    yield shared
    shared.heal()


@pytest.fixture
def there(project: Project, cluster: KubernetesCluster, bucket: GcsServer, gate: Gate) -> Project:
    """A project whose steps run in the cluster, and build into the bucket."""
    project.build_in_bucket(bucket.url, f"gs://b/{project.root.parent.name}")
    project.environment |= cluster.environment
    cluster.image_environment.clear()
    cluster.image_environment.update(
        project.environ() | project.forking() | {"GATE": str(gate.folder)}
    )
    project.write("marin-build.toml", SETTINGS.format(root=project.root, digest="0" * 64))
    project.pipeline(PIPELINE)
    return project


def _attempt(project: Project, name: str, number: int) -> dict[str, Any]:
    """Return the document of an attempt at the only target of that name, out of the bucket."""
    objects = f"{project.environment['STORAGE_EMULATOR_HOST']}/storage/v1/b/b/o"
    place = f"{project.environment['MARIN_PREFIX'].removeprefix('gs://b/')}/{name}_"
    listed = json.load(urlopen(f"{objects}?prefix={place}"))["items"]
    (found,) = [
        item["name"] for item in listed if item["name"].endswith(f"/.logs/attempt-{number:04}.json")
    ]
    document: dict[str, Any] = json.load(urlopen(f"{objects}/{quote(found, safe='')}?alt=media"))
    return document


def _is_running(project: Project, name: str) -> bool:
    objects = f"{project.environment['STORAGE_EMULATOR_HOST']}/storage/v1/b/b/o"
    place = f"{project.environment['MARIN_PREFIX'].removeprefix('gs://b/')}/{name}_"
    listed = json.load(urlopen(f"{objects}?prefix={place}")).get("items", ())
    return any(item["name"].endswith("/.executor_status") for item in listed)


def _names(project: Project) -> list[str]:
    return [line.split()[0] for line in project.file("ran.txt").splitlines()]


def test_a_plan_is_built_by_pods(there: Project, cluster: KubernetesCluster) -> None:
    """Else people submit what is ready by hand, for days."""
    done = there.run("apply", "--json")
    assert done.code == 0, done.err
    assert _names(there) == ["corpus", "model", "report"]
    assert there.run("apply").out.startswith("nothing to do: 3 targets are reused\n")


def _job(running: Running) -> str:
    """Return the name of the next job that a run tells of, once it runs or waits."""
    return str(running.wait_event("job_moved")["job"]).removeprefix("kubernetes:")


def _until_said(running: Running, words: str) -> None:
    """Wait until a run says something on standard error."""
    stream = running.process.stderr
    assert stream is not None
    for line in stream:
        if words in line:
            return
    raise AssertionError(f"it ended without `{words}`")


def _running_job(cluster: KubernetesCluster) -> str:
    """Return the name of the only Job that runs."""
    (found,) = [job for job in cluster.objects("Job") if job["status"].get("active")]
    return str(found["metadata"]["name"])


def _until_gone(cluster: KubernetesCluster, job: str) -> None:
    cluster.wait_for(lambda: cluster.find("Job", job) is None and not cluster.pods_of(job))


def test_a_killed_apply_leaves_its_job_to_the_next_one(
    there: Project, cluster: KubernetesCluster, gate: Gate
) -> None:
    """Else a lost terminal means a second job for hours of work, or a lost one."""
    first = there.start_fork("apply", "--set", "gated=true", "--json")
    gate.wait_started()
    first.send(signal.SIGKILL)
    first.wait()
    left = _running_job(cluster)
    second = there.start_fork("apply", "--set", "gated=true", "--json")
    assert _job(second) == left
    gate.let_go()
    done = second.wait()
    assert done.code == 0, done.err
    assert _names(there) == ["corpus", "model", "report"]


def test_an_interrupt_deletes_the_job_and_the_next_run_builds(
    there: Project, cluster: KubernetesCluster, gate: Gate
) -> None:
    """Else Ctrl-C leaves pods that cost by the hour, or a name that nobody can use again."""
    run = there.start_fork("apply", "--set", "gated=true", "--json")
    gate.wait_started()
    job = _running_job(cluster)
    run.send(signal.SIGINT)
    done = run.wait()
    assert done.code == 130, done.err
    assert done.names_of("step_interrupted") == ["model"]
    again = there.start_fork("apply", "--set", "gated=true")  # while the pod may still be ending
    gate.wait_started()
    gate.let_go(2)
    assert again.wait().code == 0
    assert len({pod["metadata"]["labels"]["batch.kubernetes.io/controller-uid"]
                for pod in cluster.pods_of(job)}) == 1  # fmt: skip


def test_a_failing_step_says_what_it_printed_and_is_tried_again(there: Project) -> None:
    """Else a person must find a pod to read one line, and the failed Job blocks the next try."""
    there.pipeline(PIPELINE.replace('ran("model")', 'raise ValueError("no <such> shard")'))
    done = there.run("apply")
    assert done.code == 1
    assert "ValueError: no <such> shard" in done.err + done.out
    assert "no <such> shard" in there.run("logs", "model").out
    done = there.run("apply", "--json")  # the Job of the first try is still there
    assert done.code == 1
    assert done.names_of("step_failed") == ["model"]


def test_an_evicted_pod_is_no_failure_of_the_step(
    there: Project, cluster: KubernetesCluster, gate: Gate
) -> None:
    """Else each spot node that is taken away uses up a try of the step."""
    run = there.start_fork("apply", "--set", "gated=true", "--json")
    gate.wait_started()
    (pod,) = cluster.pods_of(_running_job(cluster))
    cluster.evict(pod["metadata"]["name"])
    gate.wait_started()
    gate.let_go(2)
    done = run.wait()
    assert done.code == 0, done.err
    assert done.names_of("step_failed") == []
    assert _names(there) == ["corpus", "model", "model", "report"]
    assert _attempt(there, "model", 1)["result"] == "interrupted"


def test_a_lost_node_is_no_failure_of_the_step(
    there: Project, cluster: KubernetesCluster, gate: Gate
) -> None:
    """Else a machine that dies ends a run of a week."""
    run = there.start_fork("apply", "--set", "gated=true", "--json")
    gate.wait_started()
    (pod,) = cluster.pods_of(_running_job(cluster))
    node = pod["spec"]["nodeName"]
    cluster.lose_node(node)
    gate.wait_started()  # after the lease of the dead one has aged
    gate.let_go(2)
    done = run.wait()
    cluster.add_node(Node(node, labels=SPOT))
    assert done.code == 0, done.err
    assert done.names_of("step_failed") == []
    assert _names(there) == ["corpus", "model", "model", "report"]
    assert _attempt(there, "model", 1)["result"] == "abandoned"


def test_a_pod_that_its_node_refuses_is_tried_again(
    there: Project, cluster: KubernetesCluster
) -> None:
    """Else a node that comes back before its devices do fails a step that never ran."""
    cluster.refuse_pods(1)
    done = there.run("apply", "--json")
    assert done.code == 0, done.err
    (failed,) = [e for e in done.events if e["event"] == "step_failed"]
    assert failed["cause"] == "infra"
    assert "UnexpectedAdmissionError" in failed["message"]


def test_an_image_that_cannot_be_pulled_ends_the_job(
    there: Project, cluster: KubernetesCluster
) -> None:
    """Else a mistyped image waits for a week, and the run says nothing."""
    cluster.unpullable("registry.example/")
    done = there.run("apply", "--json")
    assert done.code == 1
    (failed,) = [e for e in done.events if e["event"] == "step_failed"]
    assert "registry.example/lm" in failed["message"]
    assert "Image" in failed["message"]
    (job,) = {e["job"] for e in done.events if e["event"] == "job_moved"}
    _until_gone(cluster, job.removeprefix("kubernetes:"))


def test_a_server_that_is_away_is_waited_for(
    there: Project, cluster: KubernetesCluster, gate: Gate
) -> None:
    """Else an upgrade of the control plane fails the runs of a whole team."""
    run = there.start_fork("apply", "--set", "gated=true")
    gate.wait_started()
    cluster.down()
    _until_said(run, "asking again until it answers")
    gate.let_go()
    cluster.up()
    done = run.wait()
    assert done.code == 0, done.err
    assert _names(there) == ["corpus", "model", "report"]


def test_a_login_that_ends_is_read_again(
    there: Project, cluster: KubernetesCluster, gate: Gate
) -> None:
    """Else a run of a day ends with the token of an hour."""
    run = there.start_fork("apply", "--set", "gated=true")
    gate.wait_started()
    cluster.expire_token()
    _until_said(run, "the cluster does not accept our login")
    cluster.write_kubeconfig()
    gate.let_go()
    done = run.wait()
    assert done.code == 0, done.err
    cluster.expire_token()  # a run whose login has ended before it begins does not begin
    done = there.run("apply", "--set", "lines=4")
    cluster.write_kubeconfig()
    assert done.code == 4
    assert "the cluster does not accept our login" in done.err
    doctor = there.run("doctor", "--engine", "kubernetes")
    assert (doctor.code, "cluster: answers" in doctor.out) == (0, True)
    there.write("marin-build.toml", there.file("marin-build.toml").replace("stand-in", "gone"))
    done = there.run("apply", "--set", "lines=4")
    assert done.code == 4
    assert "no cluster is configured here" in done.err
    assert "gone" in done.err


def test_a_create_whose_answer_is_lost_makes_one_job(
    there: Project, cluster: KubernetesCluster
) -> None:
    """Else each time-out of a busy server fails a step, or doubles it."""
    cluster.faults.add(Fault("reply", method="POST", holds="/jobs", nth=2))
    cluster.faults.add(Fault(429, method="GET", holds="/pods", first=2))
    done = there.run("apply", "--json")
    assert done.code == 0, done.err
    assert _names(there) == ["corpus", "model", "report"]


def test_a_job_that_a_person_deletes_stops_its_step(
    there: Project, cluster: KubernetesCluster, gate: Gate
) -> None:
    """Else what a person has ended on purpose is started again behind their back."""
    run = there.start_fork("apply", "--set", "gated=true", "--json")
    gate.wait_started()
    job = _running_job(cluster)
    client = new_client_from_config(str(cluster.kubeconfig))
    BatchV1Api(client).delete_namespaced_job(job, "default", propagation_policy="Background")
    done = run.wait()
    assert done.code == 5, done
    (stopped,) = [e for e in done.events if e["event"] == "step_stopped"]
    assert "it was deleted" in stopped["message"]


def test_what_the_server_refuses_is_told_in_its_own_words(there: Project) -> None:
    """Else a person reads `422`, and asks kubectl what is wrong."""
    settings = there.file("marin-build.toml")
    there.write("marin-build.toml", f'{settings}namespace = "nowhere"\n')
    done = there.run("apply")
    assert done.code == 1
    assert 'the cluster refuses it: namespaces "nowhere" not found' in done.err + done.out


def test_a_saved_plan_is_submitted_as_it_was_reviewed(
    there: Project, cluster: KubernetesCluster
) -> None:
    """Else what runs is not what was read, or 200 requests a second are made to say so."""
    assert there.run("plan", "-o", "saved").code == 0
    cluster.calls.clear()
    done = there.run("apply", "saved")
    assert done.code == 0, done.err
    assert _names(there) == ["corpus", "model", "report"]
    assert cluster.counts()["POST jobs"] == 3
    assert there.run("plan", "--force", "model", "-o", "again").code == 0
    shellcheck(there.root / "again" / "submit.sh")
    assert there.file("again/submit.sh").count(" taint ") == 2  # and what is made of it
    assert there.run("apply", "again").code == 0  # over the Jobs of the first time
    assert _names(there)[3:] == ["model", "report"]
    texts = [data.decode() for name, data in there.tree("saved").items() if name.endswith("yaml")]
    made = {job["metadata"]["name"] for job in cluster.objects("Job")}
    assert {yaml.safe_load(text)["metadata"]["name"] for text in texts} <= made


HELD = """

_add_up = add_up


def add_up(*args):
    while not os.path.exists({opened!r}):
        time.sleep(0.05)
    _add_up(*args)
"""


def test_the_example_of_two_slices_builds_one_target_and_survives_an_eviction(
    tmp_path: Path, bucket: GcsServer
) -> None:
    """Else a model on four hosts is trained four times, or a taken host ends it."""
    copy_examples(tmp_path)
    (tmp_path / "home").mkdir()
    (tmp_path / "cluster").mkdir()
    example = Project(tmp_path / "examples/multislice", tmp_path / "home")
    example.build_in_bucket(bucket.url, f"gs://b/{tmp_path.name}")
    text = example.file("marin-build.toml")
    text = re.sub("(?m)^(prefix|service_account|queue|namespace) = .*", "", text)
    text = text.replace("/app", str(example.root))
    example.write("marin-build.toml", f"lease = 5\n{text}poll = 0.3\n")
    # No host is ready before one was taken away, however quick they are.
    opened = tmp_path / "opened"
    held = HELD.format(opened=str(opened))
    example.write("regression.py", f"import os\n{example.file('regression.py')}{held}")
    slice_ = {**SPOT, "cloud.google.com/gke-tpu-accelerator": "tpu-v5p-slice",
              "cloud.google.com/gke-tpu-topology": "2x2x2"}  # fmt: skip
    tpus = [
        Node(f"t{pool}{host}", capacity={"google.com/tpu": "4"}, taints=["google.com/tpu=present"],
             labels={**slice_, "cloud.google.com/gke-nodepool": f"p{pool}"})
        for pool in range(2) for host in range(2)
    ]  # fmt: skip
    with kubernetes_cluster(tmp_path / "cluster", [Node("n1", labels=SPOT), *tpus]) as cluster:
        cluster.image_environment.update(example.environ() | example.forking())
        example.environment |= cluster.environment
        try:
            run = example.start_fork("apply", "--json")
            cluster.wait_for(lambda: cluster.objects("JobSet"))
            (jobset,) = cluster.objects("JobSet")
            pods = cluster.wait_for_pods(jobset["metadata"]["name"], 4)
            # The leader holds its lease; the others follow within some seconds.
            wait_until(lambda: _is_running(example, "train"), PATIENCE)
            assert len({pod["spec"]["nodeName"] for pod in pods}) == 4
            cluster.evict(pods[-1]["metadata"]["name"])
            cluster.wait_for(lambda: cluster.objects("JobSet")[0]["status"]["restarts"] == 1)
            opened.touch()
            done = run.wait()
        finally:
            example.clean_up()
        assert done.code == 0, done.err
        assert done.names_of("step_failed") == []
        (jobset,) = cluster.objects("JobSet")
        assert jobset["status"]["restarts"] == 1
    record = _attempt(example, "train", 2)
    assert record["publish"]["artifact"] == pytest.approx(range(1, 9), abs=0.01)
    assert [entry["path"] for entry in record["publish"]["manifest"]] == [
        f"sums-{host}.npz" for host in range(4)
    ]
    assert example.run("apply").out.startswith("nothing to do")


KILLING = """

if "KILL_AT" in os.environ:
    import itertools
    import signal

    from marin_build.apply import journal_writer

    count, as_it_was = itertools.count(1), journal_writer.event_line

    def event_line(*event):
        if next(count) == int(os.environ["KILL_AT"]):
            os.kill(os.getpid(), signal.SIGKILL)
        return as_it_was(*event)

    journal_writer.event_line = event_line
"""


def test_an_applier_that_is_killed_at_every_event_builds_each_step_once(
    there: Project, cluster: KubernetesCluster
) -> None:
    """Else a closed laptop means a second pod for a step, or one that nobody follows."""
    one_step, _, _ = PIPELINE.partition("def pipeline")
    there.pipeline(
        f"{one_step}def pipeline(lines: int):\n    return corpus(lines=lines)\n{KILLING}"
    )
    for number in itertools.count(1):
        args = ("apply", "--set", f"lines={number}")
        cluster.calls.clear()
        done = there.run(*args, env={"KILL_AT": str(number)})
        if done.code == 0:
            break
        assert done.code == -signal.SIGKILL, done
        again = there.run(*args)
        assert (again.code, again.err) == (0, "")
        made = [call for call in cluster.calls if call.method == "POST" and call.status == 201]
        assert len(made) == 1
        assert _names(there) == ["corpus"] * number
    assert number > 5, "begun, started, queued, built, ended"


def test_a_pod_out_of_memory_is_told_as_that(
    there: Project, cluster: KubernetesCluster, gate: Gate
) -> None:
    """Else it is tried again on the same node, with the same memory, as a lost machine."""
    run = there.start_fork("apply", "--set", "gated=true", "--json")
    gate.wait_started()
    (pod,) = cluster.pods_of(_running_job(cluster))
    cluster.oom(pod["metadata"]["name"])
    failed = run.wait_event("step_failed")
    run.wait()
    assert failed["cause"] == "oom"
    assert "OOMKilled, exit code 137" in failed["message"]


def test_code_comes_from_a_bundle(there: Project, cluster: KubernetesCluster) -> None:
    """Else each change of a line needs an image of its own."""
    settings = there.file("marin-build.toml")
    elsewhere = there.root.parent / "elsewhere"
    elsewhere.mkdir()
    bundled = settings.replace(str(there.root), str(elsewhere)) + 'code_from = "bundle"\n'
    there.write("marin-build.toml", bundled)
    there.pipeline(PIPELINE.replace("Path(__file__).parent", f"Path({str(there.root)!r})"))
    done = there.run("apply")
    assert done.code == 0, done.err
    assert _names(there) == ["corpus", "model", "report"]


def test_an_owner_of_a_cluster_tries_what_jobs_rely_on(
    there: Project, cluster: KubernetesCluster
) -> None:
    """Else missing rights, or evictions that count as failures, are found by a training run."""
    done = there.run("doctor", "--engine", "kubernetes", "--deep")
    assert done.code == 0, done.err
    said = [line.split(":")[0].strip() for line in done.out.splitlines()]
    assert said[-9:] == [
        *("dry run", "create", "create again", "list", "run", "log", "evict", "delete", "JobSet")
    ]
    names = [job["metadata"]["name"] for job in cluster.objects("Job")]
    assert not any("trial" in name for name in names)
    cluster.throttle(1000)
    done = there.run("doctor", "--engine", "kubernetes", "--deep")
    assert done.code == 4
    assert "gives no answer" in done.err + done.out
    assert there.run("doctor", "--engine", "local", "--deep").code == 4
