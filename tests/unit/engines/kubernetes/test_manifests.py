"""Job specs: the machine a step asked for, and refusals before a cluster is asked."""

from __future__ import annotations

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
from marin_build.plan.decisions import make_plan
from marin_build.plan.snapshot import Observed, Snapshot
from marin_build.workspace import Workspace
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
    resources = ResourceConfig.with_cpu(4, "8Gi", disk="50Gi", preemptible=False, zone="z",
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
    ]
    assert container["workingDir"] == "/src"
    assert container["envFrom"] == [{"secretRef": {"name": "s1", "optional": False}}]
    assert container["resources"] == {
        "requests": {"cpu": "4", "memory": "8Gi", "ephemeral-storage": "50Gi"},
        "limits": {"memory": "8Gi", "ephemeral-storage": "50Gi"},
    }
    assert pod["serviceAccountName"] == "sa"
    assert pod["nodeSelector"] == {"topology.kubernetes.io/zone": "z"}
    assert "r1" in str(pod["affinity"])
    assert "tolerations" not in pod


LOST_NODE = [{"type": "DisruptionTarget", "status": "True"}]


def _on_exit(action: str, operator: str, *codes: int) -> dict[str, Any]:
    exits = {"containerName": "main", "operator": operator, "values": list(codes)}
    return {"action": action, "onExitCodes": exits}


@pytest.mark.parametrize(
    ("retries", "limit", "rules"),
    [
        (0, 0, [_on_exit("Ignore", "In", 75)]),
        (2, 2, [_on_exit("Ignore", "In", 75)]),
        (Retries(limit=2, on=("app", "oom", "infra")), 2,
         [_on_exit("Ignore", "In", 75), _on_exit("FailJob", "In", 124)]),
        (Retries(limit=1, on=("infra",)), 1,
         [_on_exit("Ignore", "In", 75), _on_exit("FailJob", "In", 124, 137),
          _on_exit("FailJob", "NotIn", 75, 124, 137)]),
        (Retries(limit=1, infra=0), 1, [_on_exit("FailJob", "In", 75)]),
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


def test_a_job_lasts_for_all_its_tries() -> None:
    """Else a step that was slow and failed is killed in the middle of its second try."""
    step = StepSpec(name="a", fn=print, retries=2, timeout=90.5)
    assert _manifest(step)["spec"]["activeDeadlineSeconds"] == 3 * 91


def test_a_gang_is_not_tried_again_after_what_its_step_leaves_out() -> None:
    """Else 64 hosts run out of memory four times."""
    tpu = ResourceConfig.with_tpu("v5p-16")
    policy = Retries(limit=3, on=("app", "timeout", "infra"))
    manifest = _manifest(StepSpec(name="a", fn=print, retries=policy, resources=tpu))
    final, lost, *_ = manifest["spec"]["failurePolicy"]["rules"]
    assert (final["action"], lost["action"]) == ("FailJobSet", "RestartJobSetAndIgnoreMaxRestarts")
    (pattern,) = final["onJobFailureMessagePatterns"]
    said = "Container main for pod a/b failed with exit code 137 matching FailJob rule at index 1"
    assert re.search(pattern, said)
    assert not re.search(pattern, "Pod a/b has condition DisruptionTarget matching FailJob rule")
    (job,) = manifest["spec"]["replicatedJobs"]
    rules = job["template"]["spec"]["podFailurePolicy"]["rules"]
    assert rules == [{"action": "FailJob", "onPodConditions": LOST_NODE},
                     _on_exit("FailJob", "In", 137)]  # fmt: skip
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
    own = StepSpec(name="e", fn=print, resources=ResourceConfig(image="own@sha256:1"))
    assert _pod(_manifest(own))["containers"][0]["image"] == "own@sha256:1"
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
    ],
)
def test_settings_that_cannot_be_followed_are_refused(table: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read_table(KubernetesSettings, Table("kubernetes", table, "here"))


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
