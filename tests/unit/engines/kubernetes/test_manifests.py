"""Job specs: the machine a step asked for, and refusals before a cluster is asked."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import yaml as pyyaml

from marin_build import ResourceConfig, Retries, StepSpec, command
from marin_build.engines.emission import emit_for
from marin_build.engines.kubernetes.settings import KubernetesSettings
from marin_build.engines.registry import open_engine
from marin_build.engines.settings import Table, read_table
from marin_build.errors import MarinBuildError, UsageError
from marin_build.pipeline.graph import build_graph
from marin_build.pipeline.targets import make_targets
from marin_build.plan.decide import make_plan
from marin_build.plan.snapshot import Observed, Snapshot
from marin_build.workspace.workspace import Workspace
from tests.workspaces import in_workspace

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKET = Workspace("/project", "gs://bucket/out")


@pytest.fixture(autouse=True)
def _bucket() -> Iterator[None]:
    with in_workspace(BUCKET):
        yield


def _emit(*steps: StepSpec, workspace: Workspace = BUCKET, **settings: Any) -> dict[str, str]:
    targets = make_targets(build_graph(steps), workspace)
    seen = dict.fromkeys(range(len(targets)), Observed())
    plan = make_plan(targets, Snapshot(seen), targets.requested)
    engine = open_engine("kubernetes", {"kubernetes": Table("kubernetes", settings, "here")})
    return emit_for(engine, plan, pipeline="p.py", parameters={"n": "a b"}, overrides=None)


def _manifest(step: StepSpec, **settings: Any) -> Any:
    files = _emit(step, **{"image": "image:1", **settings})
    return pyyaml.safe_load(files[f"steps/{step.target_id}/job.yaml"])


def _pod(manifest: Any) -> Any:
    if manifest["kind"] == "JobSet":
        return manifest["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    return manifest["spec"]["template"]["spec"]


def test_a_step_on_one_machine_is_a_job() -> None:
    resources = ResourceConfig.with_cpu(4, "8Gi", disk="50Gi", preemptible=False, zone="r1-a",
                                        regions=["r1", "r2"])  # fmt: skip
    manifest = _manifest(
        command("echo $$ {output}", name="data/sort", resources=resources, retries=2, timeout=90.5,
                env_vars={"A": "$(B)"}),
        namespace="ns", service_account="sa", queue="q", secrets=["s1"], working_dir="/src",
    )  # fmt: skip
    assert (manifest["apiVersion"], manifest["kind"]) == ("batch/v1", "Job")
    assert manifest["metadata"]["namespace"] == "ns"
    assert manifest["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "q"
    assert manifest["spec"]["backoffLimit"] == 2
    assert manifest["spec"]["activeDeadlineSeconds"] >= 90
    pod = _pod(manifest)
    (container,) = pod["containers"]
    assert container["command"][:5] == ["marin-build", "run-step", "--file", "p.py", "--set"]
    assert "n=a b" in container["command"]
    assert container["command"][-1].endswith('echo $$$$ "$${output}"')
    assert container["env"] == [
        {"name": "A", "value": "$$(B)"},
        {"name": "MARIN_BUILD_IMAGE", "value": container["image"]},
        {"name": "MARIN_BUILD_JOB", "value": f"kubernetes:{manifest['metadata']['name']}"},
    ]
    assert container["workingDir"] == "/src"
    assert container["envFrom"] == [{"secretRef": {"name": "s1", "optional": False}}]
    assert container["resources"] == {
        "requests": {"cpu": "4", "memory": "8Gi", "ephemeral-storage": "50Gi"},
        "limits": {"memory": "8Gi", "ephemeral-storage": "50Gi"},
    }
    assert pod["serviceAccountName"] == "sa"
    assert pod["nodeSelector"] == {"topology.kubernetes.io/zone": "r1-a"}
    assert "r1" in str(pod["affinity"])
    assert "tolerations" not in pod


LOST_NODE = [{"type": "DisruptionTarget", "status": "True"}]


def _on_exit(action: str, operator: str, *codes: int) -> dict[str, Any]:
    exits = {"containerName": "main", "operator": operator, "values": list(codes)}
    return {"action": action, "onExitCodes": exits}


@pytest.mark.parametrize(
    ("retries", "limit", "rules"),
    [
        (0, 0, [_on_exit("Ignore", "In", 75, 130)]),
        (2, 2, [_on_exit("Ignore", "In", 75, 130)]),
        (Retries(limit=2, on=("app", "oom", "infra")), 2,
         [_on_exit("Ignore", "In", 75, 130), _on_exit("FailJob", "In", 124)]),
        (Retries(limit=1, on=("infra",)), 1,
         [_on_exit("Ignore", "In", 75, 130), _on_exit("FailJob", "In", 124, 137),
          _on_exit("FailJob", "NotIn", 75, 124, 130, 137)]),
        (Retries(limit=1, infra=0), 1, [_on_exit("FailJob", "In", 75, 130)]),
    ],
)  # fmt: skip
def test_pods_are_tried_again_as_the_step_says(
    retries: int | Retries, limit: int, rules: list[dict[str, Any]]
) -> None:
    """Else a step that is too slow is too slow again, or a lost node uses up its tries."""
    spec = _manifest(StepSpec(name="a", fn=print, retries=retries))["spec"]
    first, *others = spec["podFailurePolicy"]["rules"]
    lost = "FailJob" if rules[0]["action"] == "FailJob" else "Ignore"
    assert first == {"action": lost, "onPodConditions": LOST_NODE}
    assert (spec["backoffLimit"], others) == (limit, rules)


@pytest.mark.parametrize(
    ("timeout", "retries", "deadline"),
    [
        (None, 0, 1000),
        (None, 5, 1000),
        (90.5, 0, 91 + 60 + 1000),
        (90.5, 2, 3 * (91 + 60) + 1000),
        (1e300, 2, 2**31 - 1),
    ],
)
def test_a_job_lasts_for_all_its_tries_and_for_what_is_none(
    timeout: float | None, retries: int, deadline: int
) -> None:
    """Else waiting for a node, or a preempted try, uses up the time of the step."""
    step = StepSpec(name="a", fn=print, retries=retries, timeout=timeout)
    assert _manifest(step, deadline=1000)["spec"]["activeDeadlineSeconds"] == deadline
    gang = StepSpec(name="a", fn=print, retries=retries, timeout=timeout,
                    resources=ResourceConfig.with_tpu("v5p-16"))  # fmt: skip
    (job,) = _manifest(gang, deadline=1000)["spec"]["replicatedJobs"]
    one_try = 1000 if timeout is None else min(2**31 - 1, math.ceil(timeout) + 60 + 1000)
    assert job["template"]["spec"]["activeDeadlineSeconds"] == one_try


@pytest.mark.parametrize(
    ("resources", "requests"),
    [
        (ResourceConfig(), {"cpu": "1", "memory": "4Gi"}),
        (ResourceConfig(cpu=2.5), {"cpu": "2.5", "memory": "4Gi"}),
        (ResourceConfig(cpu=0.00012), {"cpu": "1m", "memory": "4Gi"}),
        (ResourceConfig(cpu=1 / 3), {"cpu": "334m", "memory": "4Gi"}),
        (ResourceConfig(cpu=12345678), {"cpu": "12345678", "memory": "4Gi"}),
        (ResourceConfig.with_gpu("h100", 8), None),
        (ResourceConfig.with_gpu("h100", 8, cpu=100), {"cpu": "100"}),
        (ResourceConfig.with_gpu("h100", 2), {"cpu": "41", "memory": "348Gi"}),
        (ResourceConfig.with_gpu("h100", ram="900Gi"), {"cpu": "20", "memory": "900Gi"}),
        (ResourceConfig.with_gpu("l4", 1), {"cpu": "3", "memory": "11Gi"}),
        (ResourceConfig.with_gpu("nvidia-of-tomorrow", 1), None),
        (ResourceConfig.with_tpu("v5p-8"), None),
    ],
)
def test_an_accelerator_comes_with_its_host_or_with_its_share(
    resources: ResourceConfig, requests: dict[str, str] | None
) -> None:
    """Else eight GPUs wait for one core, or one GPU gets none beside seven others."""
    pod = _pod(_manifest(StepSpec(name="a", fn=print, resources=resources)))
    (main,) = pod["containers"]
    assert main["resources"].get("requests") == requests
    assert main["resources"]["limits"].get("memory") == (requests or {}).get("memory")


def test_jobs_are_submitted_after_those_they_need() -> None:
    """Else all pods start at once, and those that need others fail."""
    a, b = StepSpec(name="a", fn=print), StepSpec(name="b", fn=print)
    c = StepSpec(name="c", fn=print, deps=[a])
    d = StepSpec(name="d", fn=print, deps=[c, b], resources=ResourceConfig.with_tpu("v5p-16"))
    e = StepSpec(name="e", fn=print, deps=[d])
    files = _emit(e, image="image:1", namespace="ns")
    lines = files["submit.sh"].splitlines()

    def line_of(step: StepSpec, start: str) -> int | None:
        found = (i for i, line in enumerate(lines) if line.startswith(start))
        return next((i for i in found if step.target_id in lines[i]), None)

    waited = {step.name: line_of(step, "wait_for ") for step in (a, b, c, d, e)}
    submitted = {step.name: line_of(step, '"${apply[@]}"') for step in (a, b, c, d, e)}
    assert waited["e"] is None, "nothing needs it"
    for one, other in (("a", "c"), ("b", "c"), ("c", "d"), ("d", "e")):
        order = [submitted[one], waited[one], submitted[other]]
        assert None not in order
        assert order == sorted(order, key=lambda line: line or 0)
    for step, kind in ((a, "job"), (d, "jobset")):
        text = files[f"steps/{step.target_id}/job.yaml"]
        name = pyyaml.safe_load(text)["metadata"]["name"]
        assert lines[waited[step.name] or 0].startswith(f"wait_for {kind} {name} ")


def test_a_gang_is_not_tried_again_after_what_its_step_leaves_out() -> None:
    """Else 64 hosts run out of memory four times."""
    tpu = ResourceConfig.with_tpu("v5p-16")
    policy = Retries(limit=3, on=("app", "timeout", "infra"))
    manifest = _manifest(StepSpec(name="a", fn=print, retries=policy, resources=tpu))
    ended, final, lost, *_ = manifest["spec"]["failurePolicy"]["rules"]
    again = "RestartJobSetAndIgnoreMaxRestarts"
    assert [ended["action"], final["action"], lost["action"]] == [again, "FailJobSet", again]
    said = "Container main for pod a/b failed with exit code 130 matching FailJob rule at index 1"
    assert re.search(ended["onJobFailureMessagePatterns"][0], said)
    (pattern,) = final["onJobFailureMessagePatterns"]
    said = "Container main for pod a/b failed with exit code 137 matching FailJob rule at index 1"
    assert re.search(pattern, said)
    assert not re.search(pattern, "Pod a/b has condition DisruptionTarget matching FailJob rule")
    (job,) = manifest["spec"]["replicatedJobs"]
    rules = job["template"]["spec"]["podFailurePolicy"]["rules"]
    assert rules == [{"action": "FailJob", "onPodConditions": LOST_NODE},
                     _on_exit("FailJob", "In", 130), _on_exit("FailJob", "In", 137)]  # fmt: skip
    unlucky = StepSpec(name="a", fn=print, retries=Retries(infra=0), resources=tpu)
    (lost, *_) = _manifest(unlucky)["spec"]["failurePolicy"]["rules"]
    assert lost["action"] == "FailJobSet"


def test_slices_are_a_gang_of_all_their_hosts() -> None:
    manifest = _manifest(
        StepSpec(name="train", fn=print, resources=ResourceConfig.with_tpu("v5p-64", 2))
    )
    assert manifest["kind"] == "JobSet"
    (job,) = manifest["spec"]["replicatedJobs"]
    assert job["replicas"] == 2
    assert job["template"]["spec"]["parallelism"] == job["template"]["spec"]["completions"] == 8
    pod = _pod(manifest)
    assert pod["nodeSelector"]["cloud.google.com/gke-tpu-topology"] == "2x4x4"
    assert pod["nodeSelector"]["cloud.google.com/gke-spot"] == "true"
    assert pod["containers"][0]["resources"]["limits"] == {"google.com/tpu": "4"}


def test_gpus_are_asked_for_by_number_and_kind() -> None:
    pod = _pod(
        _manifest(StepSpec(name="e", fn=print, resources=ResourceConfig.with_gpu("h100", 8)))
    )
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "8"
    assert pod["nodeSelector"]["cloud.google.com/gke-accelerator"] == "nvidia-h100-80gb"
    assert {t["key"] for t in pod["tolerations"]} == {"nvidia.com/gpu", "cloud.google.com/gke-spot"}


def test_the_image_of_a_step_wins_over_that_of_the_configuration() -> None:
    own = StepSpec(name="e", fn=print, resources=ResourceConfig(image="own:1"))
    assert _pod(_manifest(own))["containers"][0]["image"] == "own:1"
    assert _pod(_manifest(StepSpec(name="e", fn=print)))["containers"][0]["image"] == "image:1"


def test_what_cannot_run_there_is_refused_all_at_once() -> None:
    local = Workspace("/project", "/project/out")
    with pytest.raises(MarinBuildError) as caught:
        _emit(StepSpec(name="a", fn=print), StepSpec(name="b", fn=print), workspace=local)
    shown = caught.value.render()
    for part in ("pods cannot see the prefix `out`", "`a` has no image", "`b` has no image"):
        assert part in shown


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"imgae": "x"}, "unknown setting `kubernetes.imgae`"),
        ({"image": 3}, "`kubernetes.image` is not"),
        ({"secrets": "s"}, "`kubernetes.secrets` is not"),
        ({"secrets": [1]}, "`kubernetes.secrets` is not"),
        ({"deadline": "1h"}, "`kubernetes.deadline` is not"),
        ({"deadline": True}, "`kubernetes.deadline` is not"),
        # A server refused each of these, or the kubelet does (kubernetes_verdicts.tsv).
        ({"deadline": 0}, "`kubernetes.deadline` is not an integer from 1"),
        ({"deadline": 2**31}, "`kubernetes.deadline` is not an integer from 1"),
        ({"keep_finished": -1}, "`kubernetes.keep_finished` is not an integer from 1"),
        ({"keep_finished": 2**31}, "`kubernetes.keep_finished` is not an integer from 1"),
        *[
            ({key: value}, f"`kubernetes.{key}` ")
            for key, values in {
                "namespace": ("", "Research", "a_b", "-a", "a-", "a.b", "x" * 64, "ä", "a\n"),
                "service_account": ("", "Builder", "a_b", "a..b", ".a", "x" * 254, "a b"),
                "queue": ("", "TPUs", "team/queue", "x" * 64, "a_b"),
                "priority_class": ("", "Low", "low!", "x" * 64),
                "working_dir": ("", "app", "./app"),
                "image": (
                    "",
                    " ",
                    "Image",
                    "a b",
                    "image:",
                    "image@sha256:12",
                    ":1",
                    "a//b",
                    "https://a/b",
                    "a" * 256,
                ),
            }.items()
            for value in values
        ],
        *[({"secrets": ["ok", bad]}, "`kubernetes.secrets`") for bad in ("", "HF", "a_b", "a/b")],
    ],
)
def test_settings_that_cannot_be_followed_are_refused(table: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read_table(KubernetesSettings, Table("kubernetes", table, "here"))


DIGEST = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "image",
    ["python", "python:3.12", "docker.io/library/python:3.12-slim", "localhost:5000/a/b_c",
     f"europe-docker.pkg.dev/p/r/marin@sha256:{DIGEST}", f"a.b/c-d/e__f:Tag_1@sha256:{DIGEST}",
     "REGISTRY.example:5000/lm", "gcr.io/my-project/x.y-z"],
)  # fmt: skip
def test_images_that_exist_are_taken(image: str) -> None:
    """Else the check is stricter than the cluster."""
    table = Table("kubernetes", {"image": image}, "here")
    assert read_table(KubernetesSettings, table).image == image


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"resources": ResourceConfig(image="")}, "the image ``"),
        ({"resources": ResourceConfig(image="my image")}, "the image `my image`"),
        ({"resources": ResourceConfig.with_gpu("NVIDIA A100-SXM4-80GB")}, "the GPU"),
        ({"resources": ResourceConfig.with_gpu("h10")}, "did you mean `h100`"),
        ({"resources": ResourceConfig.with_gpu("mi300x")}, "no node would have it"),
        ({"resources": ResourceConfig(zone="us-east1-b", regions=("us-west1", "us-west2"))},
         "is in none of its regions us-west1, us-west2"),
        ({"resources": ResourceConfig(zone="us-east10-b", regions=("us-east1",))},
         "is in none of its regions us-east1"),
        ({"resources": ResourceConfig(zone="us east")}, "the zone `us east`"),
        ({"resources": ResourceConfig(zone="")}, "the zone ``"),
        ({"resources": ResourceConfig(regions=("us_west1-",))}, "the region `us_west1-`"),
        ({"env_vars": {"A B": "1"}}, "the environment variable `A B`"),
        ({"env_vars": {"1A": "1"}}, "the environment variable `1A`"),
        ({"env_vars": {"A": "x" * 2**17}}, "has 131074 bytes"),
        ({"retries": 2**31}, "more than 2147483647 tries"),
    ],
)  # fmt: skip
def test_what_a_cluster_would_refuse_is_refused_before(given: dict[str, Any], says: str) -> None:
    """Else a Job is refused after a person reviewed it; a JobSet is taken, and stays silent."""
    with pytest.raises(MarinBuildError) as caught:
        _emit(StepSpec(name="a", fn=print, **given), image="image:1")
    assert says in caught.value.render()


def test_a_manifest_that_is_too_large_is_refused() -> None:
    """Else etcd refuses it, after everything that it needs was built."""
    words = [f"{i}{'x' * 100_000}" for i in range(17)]
    with pytest.raises(MarinBuildError, match="cannot store the manifest of `a_"):
        _emit(command(["echo", *words], name="a"), image="image:1")


@pytest.mark.parametrize(
    ("kind", "label"),
    [("h100", "nvidia-h100-80gb"), ("H100", "nvidia-h100-80gb"), ("gb200", "nvidia-gb200"),
     ("nvidia-rtx-pro-6000", "nvidia-rtx-pro-6000")],
)  # fmt: skip
def test_a_gpu_is_named_by_its_type_or_its_label(kind: str, label: str) -> None:
    pod = _pod(_manifest(StepSpec(name="e", fn=print, resources=ResourceConfig.with_gpu(kind))))
    assert pod["nodeSelector"]["cloud.google.com/gke-accelerator"] == label


def test_a_policy_that_a_run_gave_reaches_its_pods() -> None:
    """Else the pods declare other targets than the plan, and build nothing."""
    place = replace(BUCKET, code="rebuild")
    with in_workspace(place):
        one = StepSpec(name="one", fn=str)
        files = _emit(one, workspace=place, image="i")
    (container,) = _pod(pyyaml.safe_load(files[f"steps/{one.target_id}/job.yaml"]))["containers"]
    words = container["command"]
    assert words[words.index("--code-policy") + 1] == "rebuild"
    (plain,) = _pod(_manifest(StepSpec(name="one", fn=str)))["containers"]
    assert "--code-policy" not in plain["command"]


def test_settings_are_read() -> None:
    table = Table("kubernetes", {"image": "i", "secrets": ["a"], "deadline": 5}, "here")
    found = read_table(KubernetesSettings, table)
    assert found == KubernetesSettings(image="i", secrets=("a",), deadline=5)


def test_an_engine_nobody_knows_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown engine `kubernets`") as caught:
        open_engine("kubernets", {})
    assert caught.value.hint == "did you mean `kubernetes`?"


def test_secrets_of_a_step_are_not_in_its_manifest() -> None:
    """Else whoever reads a plan, or the repository it is committed to, has the token."""
    variables = {"HF_TOKEN": "hf_abcdefgh", "DB": "postgres://a:correct-horse@db/lm", "SEED": "1"}
    files = _emit(command("true", name="one", env_vars=variables), image="image:1")
    text = "".join(files.values())
    assert "hf_abcdefgh" not in text
    assert "correct-horse" not in text
    assert "SEED" in text
