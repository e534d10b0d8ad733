"""The rules for a Job. Facts: batch/v1 validation of Kubernetes 1.36."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from marin_build.engines.kubernetes.api_rules import (
    domain_path_problem,
    key_problem,
    label_problem,
    label_text_problem,
)
from marin_build.engines.kubernetes.objects.metadata import template_metadata_violations
from marin_build.engines.kubernetes.objects.pods import template_violations
from marin_build.engines.kubernetes.objects.violation import (
    Violation,
    at_least,
    enum,
    problem_at,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marin_build.engines.kubernetes.objects.violation import Fields

_MOST_RULES, _MOST_CODES, _MOST_CONDITIONS = 20, 255, 20
_MOST_INDEXES, _MOST_OF_MANY_INDEXES = 100_000, 10_000
_INDEXES = re.compile(r"[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*", re.ASCII)


def job_violations(name: str, spec: Fields, path: str) -> Iterator[Violation]:
    """Yield what is wrong with a Job beside its metadata.

    Args:
        name: of the Job; its pods have it as a label and, with an index, as host name.
        spec: its spec.
        path: of the spec.

    """
    if name and (problem := label_text_problem(name)):
        what = f"`batch.kubernetes.io/job-name` becomes the Job's name: {shown(name)} {problem}"
        yield Violation(f"{path}.template.labels", what)
    numbers = (
        "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit",
        "backoffLimitPerIndex", "maxFailedIndexes", "ttlSecondsAfterFinished",
    )  # fmt: skip
    yield from at_least(spec, path, 0, *numbers)
    if (manager := spec.get("managedBy")) is not None:
        yield from problem_at(f"{path}.managedBy", manager, domain_path_problem(manager))
    yield from _index_violations(name, spec, path)
    yield from _selector_violations(spec, path)
    template = spec.get("template", {})
    yield from template_violations(template, f"{path}.template")
    yield from _restart_violations(spec, path)
    if (policy := spec.get("podFailurePolicy")) is not None:
        yield from _failure_violations(policy, spec, f"{path}.podFailurePolicy")
        yield from enum(spec, path, "podReplacementPolicy", ("Failed",))
    else:
        kinds = ("TerminatingOrFailed", "Failed")
        yield from enum(spec, path, "podReplacementPolicy", kinds)


def job_template_violations(metadata: Fields, path: str) -> Iterator[Violation]:
    """Yield what is wrong with the labels and annotations that a JobSet gives its Jobs."""
    yield from template_metadata_violations(metadata, path)


def _index_violations(name: str, spec: Fields, path: str) -> Iterator[Violation]:
    yield from enum(spec, path, "completionMode", ("NonIndexed", "Indexed"))
    completions, parallelism = spec.get("completions"), spec.get("parallelism")
    if completions is None and parallelism is None:  # so a server fills them in
        completions = parallelism = 1
    per_index, most_failed = spec.get("backoffLimitPerIndex"), spec.get("maxFailedIndexes")
    if most_failed is not None and per_index is None:
        yield Violation(f"{path}.backoffLimitPerIndex", "is missing beside `maxFailedIndexes`")
    if spec.get("completionMode") != "Indexed":
        for key in ("backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"):
            if spec.get(key) is not None:
                yield Violation(f"{path}.{key}", "needs `completionMode: Indexed`")
        return
    if completions is None:
        yield Violation(f"{path}.completions", "is missing, under `completionMode: Indexed`")
    elif completions > 0:
        last = f"{name}-{completions - 1}"
        if name and (problem := label_problem(last)):
            yield Violation("metadata.name", f"makes the host name {shown(last)}, which {problem}")
    for key, number in (("parallelism", parallelism), ("maxFailedIndexes", most_failed)):
        if number is not None and number > _MOST_INDEXES:
            yield Violation(f"{path}.{key}", f"{shown(number)} is more than {_MOST_INDEXES}")
    if completions is not None:
        if most_failed is not None and most_failed > completions:
            what = f"{shown(most_failed)} is more than `completions`, {shown(completions)}"
            yield Violation(f"{path}.maxFailedIndexes", what)
        if completions > _MOST_INDEXES and per_index is not None:
            yield from _many_index_violations(spec, path)
    if (policy := spec.get("successPolicy")) is not None:
        yield from _success_violations(policy, completions or 0, f"{path}.successPolicy")


def _many_index_violations(spec: Fields, path: str) -> Iterator[Violation]:
    if spec.get("maxFailedIndexes") is None:
        what = f"is missing, with more than {_MOST_INDEXES} completions"
        yield Violation(f"{path}.maxFailedIndexes", what)
    for key in ("parallelism", "maxFailedIndexes"):
        if spec.get(key, 0) > _MOST_OF_MANY_INDEXES:
            what = f"is more than {_MOST_OF_MANY_INDEXES}, with more than {_MOST_INDEXES}"
            yield Violation(f"{path}.{key}", f"{what} completions")


def _selector_violations(spec: Fields, path: str) -> Iterator[Violation]:
    if spec.get("manualSelector"):
        if spec.get("selector") is None:
            yield Violation(f"{path}.selector", "is missing, under `manualSelector`")
    elif spec.get("selector") is not None:
        yield Violation(f"{path}.selector", "is made by the server, unless `manualSelector` is set")


def _restart_violations(spec: Fields, path: str) -> Iterator[Violation]:
    here = f"{path}.template.spec.restartPolicy"
    policy = spec.get("template", {}).get("spec", {}).get("restartPolicy", "")
    if policy in {"", "Always"}:
        was = shown(policy) if policy else "`Always`, where none is given,"
        yield Violation(here, f"{was} is none of Never, OnFailure")
    elif policy == "OnFailure":
        for key in ("podFailurePolicy", "backoffLimitPerIndex"):
            if spec.get(key) is not None:
                yield Violation(here, f"`OnFailure` stands beside `{key}`, which needs `Never`")
                break


def _failure_violations(policy: Fields, spec: Fields, path: str) -> Iterator[Violation]:
    rules = policy.get("rules", [])
    if len(rules) > _MOST_RULES:
        yield Violation(f"{path}.rules", f"are {len(rules)}, and {_MOST_RULES} are allowed")
    pod = spec.get("template", {}).get("spec", {})
    names = {
        container.get("name")
        for kind in ("containers", "initContainers")
        for container in pod.get(kind, [])
    }
    for i, rule in enumerate(rules):
        here = f"{path}.rules[{i}]"
        yield from enum(rule, here, "action", ("FailJob", "FailIndex", "Ignore", "Count"))
        if not rule.get("action"):
            yield Violation(f"{here}.action", "is empty")
        elif rule["action"] == "FailIndex" and spec.get("backoffLimitPerIndex") is None:
            yield Violation(f"{here}.action", "`FailIndex` needs `backoffLimitPerIndex`")
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
        if (codes is None) == (not conditions):
            yield Violation(here, "must hold one of onExitCodes and onPodConditions")
        if codes is not None:
            yield from _code_violations(codes, names, f"{here}.onExitCodes")
        yield from _condition_violations(conditions or [], f"{here}.onPodConditions")


def _code_violations(codes: Fields, names: set[str], path: str) -> Iterator[Violation]:
    values, operator = codes.get("values", []), codes.get("operator", "")
    yield from enum(codes, path, "operator", ("In", "NotIn"))
    if not operator:
        yield Violation(f"{path}.operator", "is empty")
    if (name := codes.get("containerName")) is not None and name not in names:
        yield Violation(f"{path}.containerName", f"{shown(name)} is no container of the pod")
    if not values:
        yield Violation(f"{path}.values", "is empty")
    elif len(values) > _MOST_CODES:
        yield Violation(f"{path}.values", f"are {len(values)}, and {_MOST_CODES} are allowed")
    for i, value in enumerate(values):
        if value == 0 and operator == "In":
            yield Violation(f"{path}.values[{i}]", "0 is not an exit code of a failure")
        if value in values[:i]:
            yield Violation(f"{path}.values[{i}]", f"{shown(value)} is there twice")
    if any(one > other for one, other in itertools.pairwise(values)):
        yield Violation(f"{path}.values", "are not in ascending order")


def _condition_violations(conditions: list[Fields], path: str) -> Iterator[Violation]:
    if len(conditions) > _MOST_CONDITIONS:
        yield Violation(path, f"are {len(conditions)}, and {_MOST_CONDITIONS} are allowed")
    for i, condition in enumerate(conditions):
        here = f"{path}[{i}]"
        kind = condition.get("type", "")
        yield from problem_at(f"{here}.type", kind, key_problem(kind))
        yield from enum(condition, here, "status", ("True", "False", "Unknown"))


def _success_violations(policy: Fields, completions: int, path: str) -> Iterator[Violation]:
    rules = policy.get("rules", [])
    if not rules:
        yield Violation(f"{path}.rules", "is empty")
    if len(rules) > _MOST_RULES:
        yield Violation(f"{path}.rules", f"are {len(rules)}, and {_MOST_RULES} are allowed")
    for i, rule in enumerate(rules):
        here = f"{path}.rules[{i}]"
        count, indexes = rule.get("succeededCount"), rule.get("succeededIndexes")
        if count is None and indexes is None:
            yield Violation(here, "must hold succeededCount, succeededIndexes or both")
        total = completions
        if indexes is not None:
            found = _count_indexes(indexes, completions)
            total = completions if found is None else found
            if found is None:
                what = f"{shown(indexes)} are not indexes below {completions} in ascending order"
                yield Violation(f"{here}.succeededIndexes", what)
        if count is not None and not 0 < count <= total:
            what = f"{shown(count)} is not from 1 to {total}"
            yield Violation(f"{here}.succeededCount", what)


def _count_indexes(text: str, completions: int) -> int | None:
    """Return how many indexes `0,3-5` names; None if it cannot be read, or names others."""
    if not _INDEXES.fullmatch(text):
        return None
    least = count = 0
    for part in text.split(","):
        first, _, last = part.partition("-")
        low, high = int(first), int(last or first)
        if low < least or high < low or high >= completions or (last and high == low):
            return None
        least, count = high + 1, count + high - low + 1
    return count
