"""Job specs for Kubernetes: a Job for a step on one pod, a JobSet for a gang.

Facts: batch/v1 Job, jobset.x-k8s.io/v1alpha2 JobSet v0.12, TPU slices on GKE.
This module does not submit them.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from marin_build.emit.plan_directory import actions_of, run_step_words
from marin_build.engines.kubernetes.pods import pod_of
from marin_build.engines.kubernetes.retries import deadline_of, job_retries
from marin_build.identity.payload import HASH_ID_LENGTH
from marin_build.pipeline.resources import ResourceConfig, TpuDevice
from marin_build.plan.plan_id import text_digest

if TYPE_CHECKING:
    from marin_build.emit.plan_directory import Action
    from marin_build.emit.templates import Templates
    from marin_build.engines.kubernetes.settings import KubernetesSettings
    from marin_build.plan.decisions import Plan
    from marin_build.plan.document import PlanDocument


_LONGEST_LABEL = 63
_WORKER = "w"


def emit_kubernetes(
    plan: Plan, document: PlanDocument, templates: Templates, settings: KubernetesSettings
) -> dict[str, str]:
    """Return path -> text: one manifest for each target to build; each has an image."""
    files: dict[str, str] = {}
    for action in actions_of(plan):
        resources = action.step.resources or ResourceConfig.with_cpu()
        image = resources.image or settings.image
        assert image is not None  # `check` refuses steps without an image
        files[f"{action.folder}/job.yaml"] = _manifest(
            action, resources, image, settings, plan, document, templates
        )
    return files


def _manifest(
    action: Action,
    resources: ResourceConfig,
    image: str,
    cluster: KubernetesSettings,
    plan: Plan,
    document: PlanDocument,
    templates: Templates,
) -> str:
    command = run_step_words(action, plan, document, once=True)
    pod = pod_of(resources, image, command, action.step)
    retries = job_retries(action.step)
    deadline = functools.partial(deadline_of, action.step, cluster.deadline)
    common = {
        "action": action,
        "pod": pod,
        "cluster": cluster,
        "retries": retries,
        "plan_id": document.plan_id,
    }
    match resources.device:
        case TpuDevice(hosts=hosts, slice_count=slices):
            pass
        case _ if resources.replicas > 1:
            hosts, slices = resources.replicas, 1
        case _:
            return templates.render(
                "kubernetes/job.yaml.j2",
                name=job_name(action.target, _LONGEST_LABEL),
                deadline=deadline(tries=retries.limit + 1),
                **common,
            )
    # The webhook tests <jobset>-<job>-<slice>-<pod>-abcde against 63 characters.
    longest = _LONGEST_LABEL - 9 - len(_WORKER) - len(str(slices - 1)) - len(str(hosts - 1))
    return templates.render(
        "kubernetes/jobset.yaml.j2",
        name=job_name(action.target, longest),
        deadline=deadline(tries=1),  # a gang that restarts gets new jobs
        worker=_WORKER,
        hosts=hosts,
        slices=slices,
        is_tpu=isinstance(resources.device, TpuDevice),
        **common,
    )


def job_name(target: str, longest: int) -> str:
    """Return the name of a target's job: `mb-<slug>-<hash>`, a DNS-1035 label.

    The hash is the target's own, or, for a versioned one, that of its whole id.
    """
    slug, _, tail = target.rpartition("_")
    if "@" in target:
        slug, tail = target, text_digest(target)[:HASH_ID_LENGTH]
    clean = re.sub(r"[^a-z0-9]+", "-", slug.lower()).strip("-") or "step"
    return f"mb-{clean[: longest - len(tail) - 4].strip('-')}-{tail}"
