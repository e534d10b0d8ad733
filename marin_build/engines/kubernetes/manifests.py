"""Job specs for Kubernetes: a Job for a step on one pod, a JobSet for a gang.

Facts: batch/v1 Job, jobset.x-k8s.io/v1alpha2 JobSet v0.12, TPU slices on GKE.
Submitting them is not part of this module.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from marin_build.emit.plan_directory import Action, action_of
from marin_build.emit.quoting import plain_words
from marin_build.engines.kubernetes.pods import pod_of
from marin_build.engines.kubernetes.retries import deadline_of, job_retries
from marin_build.engines.kubernetes.settings import KubernetesSettings, parse_kubernetes_settings
from marin_build.errors import UsageError, combined
from marin_build.identity.payload import HASH_ID_LENGTH
from marin_build.pipeline.resources import ResourceConfig, TpuDevice
from marin_build.plan.decisions import Kind
from marin_build.plan.plan_id import text_digest
from marin_build.workspace import is_url

if TYPE_CHECKING:
    from collections.abc import Mapping

    from marin_build.emit.templates import Templates
    from marin_build.errors import MarinBuildError
    from marin_build.plan.decisions import Plan
    from marin_build.plan.document import PlanDocument


_LONGEST_LABEL = 63
_WORKER = "w"


def emit_kubernetes(
    plan: Plan, document: PlanDocument, templates: Templates, settings: Mapping[str, Any]
) -> dict[str, str]:
    """Return path -> text: one manifest for each target to build.

    Raises:
        UsageError: unknown settings, or steps that cannot run there, all together.

    """
    cluster = parse_kubernetes_settings(settings)
    files: dict[str, str] = {}
    errors: list[MarinBuildError] = []
    if not is_url(plan.targets.workspace.prefix):
        errors.append(
            UsageError(
                f"pods cannot see the prefix `{document.prefix}`",
                hint="give a bucket: --prefix gs://bucket/path",
            )
        )
    for decision in plan.of_kind(Kind.RUN, Kind.WAIT):
        action = action_of(plan, decision)
        resources = action.step.resources or ResourceConfig.with_cpu()
        image = resources.image or cluster.image
        if image is None:
            errors.append(
                UsageError(
                    f"`{action.name}` has no image to run in",
                    hint="set `image` in [tool.marin-build.kubernetes], or on the step's resources",
                )
            )
            continue
        files[f"{action.folder}/job.yaml"] = _manifest(
            action, resources, image, cluster, plan, document, templates
        )
    if errors:
        raise combined(errors)
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
    command = _command(action, plan, document)
    pod = pod_of(resources, image, command, action.step.env_vars)
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


def _command(action: Action, plan: Plan, document: PlanDocument) -> tuple[str, ...]:
    settings = [
        part
        for key, value in sorted(document.parameters.items())
        for part in ("--set", f"{key}={value}")
    ]
    policy = ("--code-policy", document.code) if document.code is not None else ()
    words = plain_words(action.command, plan.targets.workspace)
    return (
        "marin-build",
        "run-step",
        "--file",
        document.pipeline,
        *settings,
        *policy,
        "--prefix",
        plan.targets.workspace.prefix,
        "--target",
        action.target,
        "--once",
        *(["--", *words] if words else []),
    )
