"""What a server takes although it cannot run, or not as it was meant.

Facts: a server 1.36 was asked; what a kubelet, a container runtime, JobSet v0.12 and a server-side
apply make of it afterwards.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from marin_build.engines.kubernetes.api_rules import image_problem
from marin_build.engines.kubernetes.objects.tpu_slices import tpu_violations
from marin_build.engines.kubernetes.objects.violation import ACCEPTED, Violation, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marin_build.engines.kubernetes.objects.violation import Fields
    from marin_build.pipeline.tpu_slices import TpuSlice

_NOT_OF_RE2 = re.compile(r"(?<!\\)(\\\\)*(\(\?<?[=!]|\\[1-9])")


def job_that_cannot_run(
    spec: Fields, path: str, slices: frozenset[TpuSlice]
) -> Iterator[Violation]:
    """Yield why no pod of a Job could do what it is for; `slices` are the user's own."""
    if spec.get("activeDeadlineSeconds") == 0:
        what = "`0` ends the Job before it has begun"
        yield Violation(f"{path}.activeDeadlineSeconds", what, ACCEPTED)
    for key in ("parallelism", "completions"):
        if spec.get(key) == 0:
            yield Violation(f"{path}.{key}", "`0` is a Job without pods", ACCEPTED)
    pod, here = spec.get("template", {}).get("spec", {}), f"{path}.template.spec"
    if (grace := pod.get("terminationGracePeriodSeconds", 0)) < 0:
        what = f"{shown(grace)} is below 0: pods are killed without notice"
        yield Violation(f"{here}.terminationGracePeriodSeconds", what, ACCEPTED)
    for kind in ("initContainers", "containers"):
        for i, container in enumerate(pod.get(kind, [])):
            yield from _container_that_cannot_run(container, f"{here}.{kind}[{i}]")
    yield from tpu_violations(spec, path, slices)


def _container_that_cannot_run(container: Fields, path: str) -> Iterator[Violation]:
    image, folder = container.get("image", ""), container.get("workingDir", "")
    if image and (problem := image_problem(image)):
        yield Violation(f"{path}.image", f"{shown(image)} {problem}", ACCEPTED)
    if folder and not folder.startswith("/"):
        what = f"{shown(folder)} is not an absolute path: no container starts in it"
        yield Violation(f"{path}.workingDir", what, ACCEPTED)
    seen: set[str] = set()
    for i, variable in enumerate(container.get("env", [])):
        if (name := variable.get("name", "")) in seen:
            what = f"{shown(name)} is there twice, which `kubectl apply --server-side` refuses"
            yield Violation(f"{path}.env[{i}].name", what, ACCEPTED)
        seen.add(name)


def jobset_that_cannot_run(spec: Fields, slices: frozenset[TpuSlice]) -> Iterator[Violation]:
    """Yield why a JobSet could not do what it is for; `slices` are the user's own."""
    policy, here = spec.get("failurePolicy", {}), "spec.failurePolicy"
    if (restarts := policy.get("maxRestarts", 0)) < 0:
        yield Violation(f"{here}.maxRestarts", f"{shown(restarts)} is below 0", ACCEPTED)
    for i, rule in enumerate(policy.get("rules", [])):
        for k, pattern in enumerate(rule.get("onJobFailureMessagePatterns", [])):
            if not _is_re2(pattern):
                what = f"{shown(pattern)} is not a regular expression of RE2: it fits no message"
                there = f"{here}.rules[{i}].onJobFailureMessagePatterns[{k}]"
                yield Violation(there, what, ACCEPTED)
    for i, job in enumerate(spec.get("replicatedJobs", [])):
        there = f"spec.replicatedJobs[{i}]"
        if job.get("replicas") == 0:
            yield Violation(f"{there}.replicas", "`0` is no Job at all", ACCEPTED)
        inner = job.get("template", {}).get("spec", {})
        yield from job_that_cannot_run(inner, f"{there}.template.spec", slices)


def _is_re2(pattern: str) -> bool:
    """Return whether RE2 reads a pattern, as far as Python's own reading tells."""
    if _NOT_OF_RE2.search(pattern):
        return False
    try:
        re.compile(pattern)
    except re.error as error:
        return "bad escape" in error.msg  # `\pL`, `\z`: RE2 knows more of them
    return True
