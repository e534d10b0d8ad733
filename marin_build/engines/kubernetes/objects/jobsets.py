"""The rules for a JobSet. Facts: the CRD and the webhooks of JobSet v0.12."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from marin_build.engines.kubernetes.api_rules import (
    LARGEST_INT32,
    dns_1035_problem,
    domain_path_problem,
)
from marin_build.engines.kubernetes.objects.jobs import job_template_violations, job_violations
from marin_build.engines.kubernetes.objects.violation import (
    ACCEPTED,
    DENIED,
    INVALID,
    Violation,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marin_build.engines.kubernetes.objects.violation import Fields

_RULE_NAME = re.compile(r"[A-Za-z]([A-Za-z0-9_,:]{0,126}[A-Za-z0-9_])?", re.ASCII)
_REASONS = (
    "BackoffLimitExceeded", "DeadlineExceeded", "FailedIndexes", "MaxFailedIndexesExceeded",
    "PodFailurePolicy",
)  # fmt: skip
_SUFFIX = "-abcde"
"""As long as the random end of a pod's name."""


def jobset_violations(name: str, spec: Fields) -> Iterator[Violation]:
    """Yield what is wrong with a JobSet beside its metadata.

    A server does not look into the Jobs that a JobSet describes: it takes the JobSet, and then
    refuses each Job that the controller makes of it, in silence. These have the status 201.
    """
    jobs = spec.get("replicatedJobs", [])
    names = [job.get("name", "") for job in jobs]
    for i, job in enumerate(jobs):
        here = f"spec.replicatedJobs[{i}]"
        if names[i] and names[i] in names[:i]:
            yield Violation(f"{here}.name", f"{shown(names[i])} is there twice")
        yield from _name_violations(name, job, here)
        yield from _need_violations(job, names[:i], here)
        yield from _child_violations(name, job, here)
    yield from _policy_violations(spec, names)
    yield from _network_violations(spec.get("network", {}))
    if (manager := spec.get("managedBy")) is not None and (problem := domain_path_problem(manager)):
        yield Violation("spec.managedBy", f"{shown(manager)} {problem}", DENIED)
    if (coordinator := spec.get("coordinator")) is not None:
        yield from _coordinator_violations(coordinator, jobs)
    if spec.get("startupPolicy", {}).get("startupPolicyOrder") == "InOrder" and any(
        "dependsOn" in job for job in jobs
    ):
        yield Violation("spec", "`startupPolicy: InOrder` stands beside `dependsOn`")


def _name_violations(name: str, job: Fields, path: str) -> Iterator[Violation]:
    """Yield what is wrong with the names that are made of a JobSet's name."""
    template = job.get("template", {}).get("spec", {})
    replicas, parallelism = job.get("replicas", 1), template.get("parallelism", 1)
    if replicas * parallelism > LARGEST_INT32:
        what = f"times `parallelism` is more than {LARGEST_INT32}"
        yield Violation(f"{path}.replicas", f"{shown(replicas)} {what}", DENIED)
    longest = f"{name}-{job.get('name', '')}-{replicas - 1}"
    completions = template.get("completions")
    if template.get("completionMode", "Indexed") == "Indexed" and completions is not None:
        pod = f"{longest}-{completions - 1}{_SUFFIX}"
        if dns_1035_problem(longest) is None and (problem := dns_1035_problem(pod)):
            yield Violation("metadata.name", f"makes the pod {shown(pod)}, which {problem}", DENIED)
    if problem := dns_1035_problem(longest):
        yield Violation("metadata.name", f"makes the Job {shown(longest)}, which {problem}", DENIED)


def _need_violations(job: Fields, above: list[str], path: str) -> Iterator[Violation]:
    for i, need in enumerate(job.get("dependsOn", [])):
        if need.get("name") not in above:
            what = f"{shown(need.get('name'))} is no replicated job above it"
            yield Violation(f"{path}.dependsOn[{i}].name", what, DENIED)


def _child_violations(name: str, job: Fields, path: str) -> Iterator[Violation]:
    """Yield what a server refuses about the Jobs that the controller makes."""
    template = job.get("template", {})
    here = f"{path}.template"
    spec = template.get("spec", {})
    pods = spec.get("template", {})
    pod = {"restartPolicy": "OnFailure", **pods.get("spec", {})}  # what the webhook fills in
    filled = {"completionMode": "Indexed", **spec, "template": {**pods, "spec": pod}}
    child = f"{name}-{job.get('name', '')}-{job.get('replicas', 1) - 1}"
    found = [
        *job_template_violations(template.get("metadata", {}), here),
        *job_violations(child if dns_1035_problem(child) is None else "", filled, f"{here}.spec"),
    ]
    for one in found:
        yield replace(one, status=ACCEPTED) if one.status == INVALID else one


def _policy_violations(spec: Fields, names: list[str]) -> Iterator[Violation]:
    """Yield what is wrong with what a JobSet does when its Jobs succeed or fail."""
    success, failure = spec.get("successPolicy", {}), spec.get("failurePolicy", {})
    yield from _target_violations(success, names, "spec.successPolicy")
    seen: set[str] = set()
    for i, rule in enumerate(failure.get("rules", [])):
        here = f"spec.failurePolicy.rules[{i}]"
        name = rule.get("name", "")
        if name and not _RULE_NAME.fullmatch(name):
            what = "is not the name of a rule: a letter, then at most 127 letters, digits, `_,:`"
            yield Violation(f"{here}.name", f"{shown(name)} {what}", DENIED)
        if name in seen:
            yield Violation(f"{here}.name", f"{shown(name)} is there twice", DENIED)
        if name:
            seen.add(name)
        yield from _target_violations(rule, names, here)
        for k, reason in enumerate(rule.get("onJobFailureReasons", [])):
            if reason not in _REASONS:
                what = f"{shown(reason)} is none of {', '.join(_REASONS)}"
                yield Violation(f"{here}.onJobFailureReasons[{k}]", what, DENIED)


def _target_violations(rule: Fields, names: list[str], path: str) -> Iterator[Violation]:
    for i, target in enumerate(rule.get("targetReplicatedJobs", [])):
        if target not in names:
            what = f"{shown(target)} is no replicated job of the JobSet"
            yield Violation(f"{path}.targetReplicatedJobs[{i}]", what, DENIED)


def _network_violations(network: Fields) -> Iterator[Violation]:
    subdomain = network.get("subdomain")
    if subdomain and (problem := dns_1035_problem(subdomain)):
        yield Violation("spec.network.subdomain", f"{shown(subdomain)} {problem}", DENIED)


def _coordinator_violations(coordinator: Fields, jobs: list[Fields]) -> Iterator[Violation]:
    path = "spec.coordinator"
    wanted = coordinator.get("replicatedJob")
    job = next((one for one in jobs if one.get("name") == wanted), None)
    if job is None:
        what = f"{shown(wanted)} is no replicated job of the JobSet"
        yield Violation(f"{path}.replicatedJob", what, DENIED)
        return
    spec = job.get("template", {}).get("spec", {})
    if spec.get("completionMode", "Indexed") != "Indexed":
        yield Violation(f"{path}.replicatedJob", "is not `completionMode: Indexed`", DENIED)
    for key, count in (("jobIndex", job.get("replicas", 1)), ("podIndex", spec.get("completions"))):
        index = coordinator.get(key, 0)
        if count is not None and not 0 <= index < count:
            what = f"{shown(index)} is not from 0 to {count - 1}"
            yield Violation(f"{path}.{key}", what, DENIED)
