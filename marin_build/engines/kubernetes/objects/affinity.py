"""The rules for what draws pods to nodes, and to each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.engines.kubernetes.api_rules import key_problem, label_text_problem
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

_LARGEST_WEIGHT = 100
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def affinity_violations(pod: Fields, path: str) -> Iterator[Violation]:
    """Yield what is wrong with the affinity of a pod, and with how its copies are spread."""
    affinity, here = pod.get("affinity", {}), f"{path}.affinity"
    yield from _node_violations(affinity.get("nodeAffinity", {}), f"{here}.nodeAffinity")
    for kind in ("podAffinity", "podAntiAffinity"):
        yield from _pod_terms_violations(affinity.get(kind, {}), f"{here}.{kind}")
    for i, rule in enumerate(pod.get("topologySpreadConstraints", [])):
        there = f"{path}.topologySpreadConstraints[{i}]"
        yield from at_least(rule, there, 1, "maxSkew", "minDomains")
        yield from _topology_violations(rule, there)
        yield from enum(rule, there, "whenUnsatisfiable", ("DoNotSchedule", "ScheduleAnyway"))


def _node_violations(affinity: Fields, path: str) -> Iterator[Violation]:
    if (required := affinity.get(_REQUIRED)) is not None:
        here = f"{path}.{_REQUIRED}.nodeSelectorTerms"
        terms = required.get("nodeSelectorTerms", [])
        if not terms:
            yield Violation(here, "is empty")
        for i, term in enumerate(terms):
            yield from _term_violations(term, f"{here}[{i}]")
    for i, preferred in enumerate(affinity.get(_PREFERRED, [])):
        here = f"{path}.{_PREFERRED}[{i}]"
        yield from _weight_violations(preferred, here)
        yield from _term_violations(preferred.get("preference", {}), f"{here}.preference")


def _term_violations(term: Fields, path: str) -> Iterator[Violation]:
    for i, rule in enumerate(term.get("matchExpressions", [])):
        here = f"{path}.matchExpressions[{i}]"
        key, values = rule.get("key", ""), rule.get("values", [])
        yield from problem_at(f"{here}.key", key, key_problem(key))
        yield from _values_violations(rule, values, here)
    for i, rule in enumerate(term.get("matchFields", [])):
        here = f"{path}.matchFields[{i}]"
        if rule.get("key") != "metadata.name":
            what = f"{shown(rule.get('key'))} is not `metadata.name`, the only field to choose by"
            yield Violation(f"{here}.key", what)
        if rule.get("operator") not in {"In", "NotIn"}:
            what = f"{shown(rule.get('operator'))} is none of In, NotIn"
            yield Violation(f"{here}.operator", what)


def _values_violations(rule: Fields, values: list[str], path: str) -> Iterator[Violation]:
    match operator := rule.get("operator"):
        case "In" | "NotIn":
            if not values:
                yield Violation(f"{path}.values", f"is empty, under `{operator}`")
            for i, value in enumerate(values):
                yield from problem_at(f"{path}.values[{i}]", value, label_text_problem(value))
        case "Exists" | "DoesNotExist":
            if values:
                yield Violation(f"{path}.values", f"stands under `{operator}`, which takes none")
        case "Gt" | "Lt":
            if len(values) != 1:
                yield Violation(f"{path}.values", f"holds {len(values)}, under `{operator}`, not 1")
        case _:
            what = f"{shown(operator)} is none of In, NotIn, Exists, DoesNotExist, Gt, Lt"
            yield Violation(f"{path}.operator", what)


def _pod_terms_violations(affinity: Fields, path: str) -> Iterator[Violation]:
    for i, term in enumerate(affinity.get(_REQUIRED, [])):
        yield from _topology_violations(term, f"{path}.{_REQUIRED}[{i}]")
    for i, preferred in enumerate(affinity.get(_PREFERRED, [])):
        here = f"{path}.{_PREFERRED}[{i}]"
        yield from _weight_violations(preferred, here)
        term = preferred.get("podAffinityTerm", {})
        yield from _topology_violations(term, f"{here}.podAffinityTerm")


def _topology_violations(term: Fields, path: str) -> Iterator[Violation]:
    key = term.get("topologyKey", "")
    problem = key_problem(key) if key else "is empty"
    yield from problem_at(f"{path}.topologyKey", key, problem)


def _weight_violations(preferred: Fields, path: str) -> Iterator[Violation]:
    weight = preferred.get("weight", 0)
    if not 1 <= weight <= _LARGEST_WEIGHT:
        yield Violation(f"{path}.weight", f"{shown(weight)} is not from 1 to {_LARGEST_WEIGHT}")
