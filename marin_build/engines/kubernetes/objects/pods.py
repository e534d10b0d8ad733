"""The rules for a pod, as the template of a Job describes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.engines.kubernetes.api_rules import (
    LARGEST_INT32,
    key_problem,
    label_problem,
    label_text_problem,
    name_problem,
)
from marin_build.engines.kubernetes.objects.affinity import affinity_violations
from marin_build.engines.kubernetes.objects.containers import container_violations, is_address
from marin_build.engines.kubernetes.objects.metadata import (
    label_violations,
    template_metadata_violations,
)
from marin_build.engines.kubernetes.objects.quantities import unreadable_quantity
from marin_build.engines.kubernetes.objects.violation import (
    Violation,
    at_least,
    enum,
    problem_at,
    shown,
)
from marin_build.engines.kubernetes.objects.volumes import volume_violations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marin_build.engines.kubernetes.objects.violation import Fields

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_MOST_NAMESERVERS = 3


def template_violations(template: Fields, path: str) -> Iterator[Violation]:
    """Yield what is wrong with the template of pods."""
    yield from template_metadata_violations(template.get("metadata", {}), path)
    yield from _pod_violations(template.get("spec", {}), f"{path}.spec")


def _pod_violations(pod: Fields, path: str) -> Iterator[Violation]:
    """Yield what is wrong with the spec of a pod; the rules of its Job are in `jobs`."""
    yield from volume_violations(pod.get("volumes", []), f"{path}.volumes")
    yield from _containers_violations(pod, path)
    yield from enum(pod, path, "restartPolicy", ("Always", "OnFailure", "Never"))
    yield from _dns_violations(pod, path)
    yield from label_violations(pod.get("nodeSelector", {}), f"{path}.nodeSelector")
    for key in ("serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName"):
        if name := pod.get(key):
            yield from problem_at(f"{path}.{key}", name, name_problem(name))
    seconds = pod.get("activeDeadlineSeconds")
    if seconds is not None and not 1 <= seconds <= LARGEST_INT32:
        what = f"{shown(seconds)} is not from 1 to {LARGEST_INT32}"
        yield Violation(f"{path}.activeDeadlineSeconds", what)
    for key in ("hostname", "subdomain"):
        if name := pod.get(key):
            yield from problem_at(f"{path}.{key}", name, label_problem(name))
    for i, toleration in enumerate(pod.get("tolerations", [])):
        yield from _toleration_violations(toleration, f"{path}.tolerations[{i}]")
    yield from affinity_violations(pod, path)
    yield from enum(pod, path, "preemptionPolicy", ("PreemptLowerPriority", "Never"))
    yield from enum(pod.get("os", {}), f"{path}.os", "name", ("linux", "windows"))
    for i, gate in enumerate(pod.get("schedulingGates", [])):
        name = gate.get("name", "")
        yield from problem_at(f"{path}.schedulingGates[{i}].name", name, key_problem(name))
    for i, alias in enumerate(pod.get("hostAliases", [])):
        if not is_address(alias.get("ip", "")):
            what = f"{shown(alias.get('ip', ''))} is not an IP address"
            yield Violation(f"{path}.hostAliases[{i}].ip", what)
    for name, amount in pod.get("overhead", {}).items():
        yield from unreadable_quantity(amount, f"{path}.overhead[{name}]")
    security, here = pod.get("securityContext", {}), f"{path}.securityContext"
    yield from at_least(security, here, 0, "runAsUser", "runAsGroup", "fsGroup")
    yield from enum(security, here, "fsGroupChangePolicy", ("OnRootMismatch", "Always"))


def _containers_violations(pod: Fields, path: str) -> Iterator[Violation]:
    volumes = {volume.get("name", "") for volume in pod.get("volumes", [])}
    if not pod.get("containers"):
        yield Violation(f"{path}.containers", "is empty")
    seen: set[str] = set()
    for kind in ("containers", "initContainers"):
        for i, container in enumerate(pod.get(kind, [])):
            here = f"{path}.{kind}[{i}]"
            network = bool(pod.get("hostNetwork"))
            yield from container_violations(container, here, volumes, host_network=network)
            if (name := container.get("name", "")) in seen and name:
                yield Violation(f"{here}.name", f"{shown(name)} is there twice")
            seen.add(name)
            policy = container.get("restartPolicy")
            if kind == "initContainers" and policy and policy != "Always":
                what = f"{shown(policy)} is not `Always`, the only one of these containers"
                yield Violation(f"{here}.restartPolicy", what)
    if pod.get("ephemeralContainers"):
        yield Violation(f"{path}.ephemeralContainers", "stand in a template")


def _dns_violations(pod: Fields, path: str) -> Iterator[Violation]:
    policies = ("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")
    yield from enum(pod, path, "dnsPolicy", policies)
    servers, here = pod.get("dnsConfig", {}).get("nameservers", []), f"{path}.dnsConfig.nameservers"
    if pod.get("dnsPolicy") == "None" and not servers:
        yield Violation(here, "is empty, under `dnsPolicy: None`")
    if len(servers) > _MOST_NAMESERVERS:
        yield Violation(here, f"are {len(servers)}, and {_MOST_NAMESERVERS} are allowed")
    for i, server in enumerate(servers):
        if not is_address(server):
            yield Violation(f"{here}[{i}]", f"{shown(server)} is not an IP address")


def _toleration_violations(toleration: Fields, path: str) -> Iterator[Violation]:
    key, value = toleration.get("key", ""), toleration.get("value", "")
    operator, effect = toleration.get("operator") or "Equal", toleration.get("effect", "")
    here = f"{path}.operator"
    if key:
        yield from problem_at(f"{path}.key", key, key_problem(key))
    elif operator != "Exists":
        yield Violation(here, f"is {shown(operator)}; without a `key` it must be `Exists`")
    if "tolerationSeconds" in toleration and effect != "NoExecute":
        yield Violation(f"{path}.effect", "must be `NoExecute` beside `tolerationSeconds`")
    if operator == "Exists":
        if value:
            yield Violation(here, "is `Exists`, and a `value` stands beside it")
    elif operator == "Equal":
        yield from problem_at(here, value, label_text_problem(value))
    else:
        yield from enum(toleration, path, "operator", ("Exists", "Equal"))
    yield from enum(toleration, path, "effect", _EFFECTS)
