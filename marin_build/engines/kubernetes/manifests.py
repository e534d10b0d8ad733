"""Job specs for Kubernetes: a Job for a step on one pod, a JobSet for a gang.

Facts: batch/v1 Job, jobset.x-k8s.io/v1alpha2 JobSet v0.12, TPU slices on GKE.
This module does not submit them.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from marin_build.emit.plan_directory import actions_of, run_step_words
from marin_build.engines.kubernetes.check_manifests import problems_of_manifests
from marin_build.engines.kubernetes.pods import pod_of
from marin_build.engines.kubernetes.retries import deadline_of, job_retries
from marin_build.errors import combined
from marin_build.identity.payload import HASH_ID_LENGTH
from marin_build.pipeline.resources import ResourceConfig, TpuDevice
from marin_build.plan.plan_id import text_digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.emit.plan_directory import Action
    from marin_build.emit.templates import Templates
    from marin_build.engines.kubernetes.settings import KubernetesSettings
    from marin_build.plan.decisions import Plan
    from marin_build.plan.document import PlanDocument


_LONGEST_LABEL = 63
_WORKER = "w"
_PLACE_LENGTH = 6


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
    )
    manifests = {f"{each.folder}/job.yaml": jobs[each.target].text for each in actions}
    return {**manifests, "submit.sh": script}


def waves_of(actions: Sequence[Action]) -> list[list[Action]]:
    """Return actions in groups: those of one need only those of groups before it."""
    wave: dict[str, int] = {}
    for action in actions:  # in topological order
        above = (wave[need] + 1 for need in action.needs if need in wave)
        wave[action.target] = max(above, default=0)
    groups: list[list[Action]] = [[] for _ in range(max(wave.values(), default=-1) + 1)]
    for action in actions:
        groups[wave[action.target]].append(action)
    return groups


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
    pod = pod_of(resources, image, command, action.step)
    retries = job_retries(action.step)
    place = plan.targets.all[plan.targets.by_id[action.target]].output_path
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
            name = job_name(action.target, place, _LONGEST_LABEL)
            text = templates.render(
                "kubernetes/job.yaml.j2",
                name=name,
                deadline=deadline(tries=retries.limit + 1),
                **common,
            )
            return Job(action.target, "job", name, text)
    # The webhook tests <jobset>-<job>-<slice>-<pod>-abcde against 63 characters.
    longest = _LONGEST_LABEL - 9 - len(_WORKER) - len(str(slices - 1)) - len(str(hosts - 1))
    name = job_name(action.target, place, longest)
    text = templates.render(
        "kubernetes/jobset.yaml.j2",
        name=name,
        deadline=deadline(tries=1),  # a gang that restarts gets new jobs
        worker=_WORKER,
        hosts=hosts,
        slices=slices,
        is_tpu=isinstance(resources.device, TpuDevice),
        **common,
    )
    return Job(action.target, "jobset", name, text)


def job_name(target: str, output: str, longest: int) -> str:
    """Return the name of a target's job: `mb-<slug>-<hash>-<place>`, a DNS-1035 label.

    The hash is the target's own, or, for a versioned one, that of its whole id. The place stands
    for its output path: under another prefix it is another job.
    """
    slug, _, tail = target.rpartition("_")
    if "@" in target:
        slug, tail = target, text_digest(target)[:HASH_ID_LENGTH]
    tail = f"{tail}-{text_digest(output)[:_PLACE_LENGTH]}"
    clean = re.sub(r"[^a-z0-9]+", "-", slug.lower()).strip("-") or "step"
    return f"mb-{clean[: longest - len(tail) - 4].strip('-')}-{tail}"
