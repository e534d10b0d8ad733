"""Job specs for Kubernetes: a Job for a step on one pod, a JobSet for a gang.

Facts: batch/v1 Job, jobset.x-k8s.io/v1alpha2 JobSet v0.12, TPU slices on GKE.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.emit.plan_directory import (
    actions_of,
    environment_script,
    run_step_words,
    waves_of,
)
from marin_build.engines.kubernetes.check_manifests import problems_of_manifests
from marin_build.engines.kubernetes.labels import prefix_label
from marin_build.engines.kubernetes.names import WORKER, job_name
from marin_build.engines.kubernetes.pods import pod_of
from marin_build.engines.kubernetes.retries import deadline_of, job_retries
from marin_build.errors import combined
from marin_build.pipeline.resources import ResourceConfig, TpuDevice
from marin_build.plan.capacity import hosts_of

if TYPE_CHECKING:
    from marin_build.emit.plan_directory import Action
    from marin_build.emit.templates import Templates
    from marin_build.engines.kubernetes.settings import KubernetesSettings
    from marin_build.plan.decisions import Plan
    from marin_build.plan.document import PlanDocument


@dataclass(frozen=True, slots=True)
class Job:
    """A manifest, and what `kubectl` calls it: `job` or `jobset`, and its name."""

    target: str
    kind: str
    name: str
    text: str


def emit_kubernetes(
    plan: Plan, document: PlanDocument, templates: Templates, settings: KubernetesSettings
) -> dict[str, str]:
    """Return path -> text: one manifest for each target to build, and `submit.sh`.

    Raises:
        SpecificationError: a cluster would refuse manifests, or never run them; all of them.

    """
    actions = actions_of(plan)
    jobs = {each.target: _job(each, settings, plan, document, templates) for each in actions}
    steps = (each.step for each in actions)
    if problems := problems_of_manifests(jobs.values(), steps):
        raise combined(problems)
    script = templates.render(
        "kubernetes/submit.sh.j2",
        plan_id=document.plan_id,
        waves=[[jobs[action.target] for action in wave] for wave in waves_of(actions)],
        cluster=settings,
        sends_code=document.bundle is not None,
        forced=[plan.targets.all[i].id for i in sorted(plan.rebuilt_anyway)],
        reason=f"rebuilt by plan {document.plan_id}",
    )
    files = {manifest_of(each.target): jobs[each.target].text for each in actions}
    if document.bundle is not None or plan.rebuilt_anyway:  # only these need our program
        files["environment.sh"] = environment_script(plan, document, templates)
    return {**files, "submit.sh": script}


def manifest_of(target: str) -> str:
    """Return the path of a target's manifest in a plan directory."""
    return f"steps/{target}/job.yaml"


def _job(
    action: Action,
    cluster: KubernetesSettings,
    plan: Plan,
    document: PlanDocument,
    templates: Templates,
) -> Job:
    resources = action.step.resources or ResourceConfig.with_cpu()
    image = resources.image or cluster.image
    assert image is not None  # `check` refuses steps without an image
    command = run_step_words(action, plan, document, once=True)
    prefix = plan.targets.workspace.prefix
    name = job_name(prefix, action.target)
    pod = pod_of(resources, image, command, action.step, name)
    retries = job_retries(action.step)
    deadline = functools.partial(deadline_of, action.step, cluster.deadline)
    common = {
        "action": action,
        "name": name,
        "prefix_label": prefix_label(prefix),
        "pod": pod,
        "cluster": cluster,
        "retries": retries,
        "plan_id": document.plan_id,
    }
    if hosts_of(action.step) == 1:
        text = templates.render(
            "kubernetes/job.yaml.j2", deadline=deadline(tries=retries.limit + 1), **common
        )
        return Job(action.target, "job", name, text)
    device = resources.device
    text = templates.render(
        "kubernetes/jobset.yaml.j2",
        deadline=deadline(tries=1),  # a gang that restarts gets new jobs
        worker=WORKER,
        hosts=device.hosts if isinstance(device, TpuDevice) else resources.replicas,
        slices=device.slice_count if isinstance(device, TpuDevice) else 1,
        is_tpu=isinstance(device, TpuDevice),
        **common,
    )
    return Job(action.target, "jobset", name, text)
