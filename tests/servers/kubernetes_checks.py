"""What a server does with an object before it stores it: its checks, and defaults.

What is wrong with a Job or JobSet is what the engine says of it before it submits, so that the two
agree; that table was taken from a real server. The defaults are those of batch/v1, core/v1 and of
the webhook of JobSet v0.12. Fields that change what happens, and that no part of this stand-in acts
on, are refused with 501: never ignored.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from marin_build.engines.kubernetes.object_checks import Violation, violations
from marin_build.engines.kubernetes.objects.schemas import SCHEMAS, read_object
from marin_build.engines.kubernetes.objects.violation import UNREADABLE

from .kubernetes_resources import ApiError, Object, Resource, bad_request, invalid, unknown_here

if TYPE_CHECKING:
    from collections.abc import Iterable

_DENIED, _INVALID = 403, 422

_UNKNOWN_OF_JOBS = ("backoffLimitPerIndex", "successPolicy", "managedBy")
_UNKNOWN_OF_JOBSETS = ("managedBy",)
_UNKNOWN_OF_PODS = ("activeDeadlineSeconds", "topologySpreadConstraints")
_UNKNOWN_OF_CONTAINERS = (
    "livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "restartPolicy",
)  # fmt: skip
_UNKNOWN_AFFINITY = "podAffinity", "podAntiAffinity"
_VOLUMES = ("emptyDir", "secret", "configMap")
_JOB_LABELS = ("batch.kubernetes.io/controller-uid", "controller-uid")
_JOB_NAME_LABELS = ("batch.kubernetes.io/job-name", "job-name")
_FIXED = ("selector", "template", "completionMode", "podFailurePolicy", "podReplacementPolicy")


def prepared(
    resource: Resource, new: Object, *, is_strict: bool = False, is_new: bool = True
) -> Object:
    """Return an object as it is stored: with defaults, without what it has too much.

    Args:
        resource: its kind.
        new: what was sent.
        is_strict: whether unknown fields are refused, or dropped.
        is_new: whether there is none yet: those that there are have a selector.

    Raises:
        ApiError: the server refuses it.

    """
    made = _checked(resource, new, is_strict=is_strict, is_new=is_new)
    match resource.name:
        case "jobs":
            _default_job(made)
        case "jobsets":
            _default_jobset(made)
        case "pods":
            _default_pod(made)
    name = made["metadata"].get("name", "")
    if not name and not made["metadata"].get("generateName"):
        text = "Required value: name or generateName is required"
        raise invalid(resource, name, [("FieldValueRequired", text, "metadata.name")])
    return made


def _checked(resource: Resource, new: Object, *, is_strict: bool, is_new: bool) -> Object:
    """Return an object with the fields that its kind has, if a server takes it."""
    meta = new["metadata"]
    kept = ("name", "generateName", "namespace", "labels", "annotations")
    shown = {**new, "metadata": {key: meta[key] for key in kept if key in meta}}
    shown.pop("status", None)
    selector = None if is_new else (new.get("spec") or {}).get("selector")
    if selector is not None:
        shown["spec"] = {key: value for key, value in new["spec"].items() if key != "selector"}
    found = [one for one in violations(shown) if one.status >= UNREADABLE]
    if not is_strict:
        found = [one for one in found if not _is_unknown(one)]
    if found:
        raise _refusal(resource, meta.get("name", ""), found)
    made = copy.deepcopy(new)
    if (file := SCHEMAS.get((resource.api_version, resource.kind))) is not None:
        made["spec"] = read_object(shown, file)[0]["spec"]
        if selector is not None:
            made["spec"]["selector"] = selector
    if resource.name == "pods" and not made.get("spec", {}).get("containers"):
        cause = ("FieldValueRequired", "Required value", "spec.containers")
        raise invalid(resource, meta.get("name", ""), [cause])
    return made


def _is_unknown(one: Violation) -> bool:
    return one.status == UNREADABLE and one.message == "is unknown"


def _refusal(resource: Resource, name: str, found: list[Violation]) -> ApiError:
    """Return a server's answer to an object, which is to the first thing that is wrong with it."""
    status = found[0].status
    found = [one for one in found if one.status == status]
    said = ", ".join(
        f'unknown field "{one.field}"' if _is_unknown(one) else f"{one.field}: {one.message}"
        for one in found
    )
    if status == UNREADABLE:
        what = "strict decoding error: " if any(map(_is_unknown, found)) else ""
        kind = resource.kind
        return bad_request(
            f'{kind} in version "{resource.version}" cannot be handled as a {kind}: {what}{said}'
        )
    if status == _DENIED:
        text = f'admission webhook "v{resource.kind.lower()}.kb.io" denied the request: {said}'
        return ApiError(_DENIED, "Forbidden", text)
    assert status == _INVALID, found
    return invalid(resource, name, [(_reason(one), one.message, one.field) for one in found])


def _reason(one: Violation) -> str:
    if one.message in ("is empty", "is missing"):
        return "FieldValueRequired"
    return "FieldValueNotSupported" if "is none of" in one.message else "FieldValueInvalid"


def _default_job(job: Object) -> None:
    spec = _dict(job, "spec")
    _refuse(spec, _UNKNOWN_OF_JOBS)
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("backoffLimit", 6)
    spec.setdefault("suspend", False)
    spec.setdefault("manualSelector", False)
    policy = "Failed" if spec.get("podFailurePolicy") else "TerminatingOrFailed"
    spec.setdefault("podReplacementPolicy", policy)
    template = _dict(spec, "template")
    _default_pod_spec(_dict(template, "spec"))


def select_own_pods(job: Object) -> None:
    """Give a new Job, which has its uid, the selector and labels of its pods."""
    uid, name = job["metadata"]["uid"], job["metadata"]["name"]
    labels = _dict(_dict(job["spec"]["template"], "metadata"), "labels")
    labels |= dict.fromkeys(_JOB_LABELS, uid) | dict.fromkeys(_JOB_NAME_LABELS, name)
    job["spec"]["selector"] = {"matchLabels": {_JOB_LABELS[0]: uid}}


def _default_jobset(jobset: Object) -> None:
    spec = _dict(jobset, "spec")
    _refuse(spec, _UNKNOWN_OF_JOBSETS)
    spec.setdefault("suspend", False)
    spec.setdefault("successPolicy", {"operator": "All"})
    spec.setdefault("startupPolicy", {"startupPolicyOrder": "AnyOrder"})
    if spec["startupPolicy"].get("startupPolicyOrder") != "AnyOrder":
        raise unknown_here("an order of start-up")
    network = _dict(spec, "network")
    network.setdefault("enableDNSHostnames", True)
    network.setdefault("publishNotReadyAddresses", True)
    if "failurePolicy" in spec:
        spec["failurePolicy"].setdefault("maxRestarts", 0)
        spec["failurePolicy"].setdefault("restartStrategy", "Recreate")
        for rule in spec["failurePolicy"].get("rules") or ():
            if rule.get("action") in ("RestartJob", "RestartJobAndIgnoreMaxRestarts"):
                raise unknown_here("the restart of a single Job")
    for replicated in spec.get("replicatedJobs") or ():
        _refuse(replicated, ("dependsOn",))
        replicated.setdefault("replicas", 1)
        replicated.setdefault("groupName", "default")
        inner = _dict(_dict(replicated, "template"), "spec")
        inner.setdefault("completionMode", "Indexed")
        pod = _dict(_dict(inner, "template"), "spec")
        pod.setdefault("restartPolicy", "OnFailure")
        _refuse_unknown(pod)  # here: its Jobs would be refused in silence


def _default_pod(pod: Object) -> None:
    _default_pod_spec(_dict(pod, "spec"))
    pod["status"] = {"phase": "Pending", "qosClass": "Burstable"}


def _default_pod_spec(spec: Object) -> None:
    _refuse_unknown(spec)
    spec.setdefault("restartPolicy", "Always")
    spec.setdefault("terminationGracePeriodSeconds", 30)
    spec.setdefault("dnsPolicy", "ClusterFirst")
    spec.setdefault("schedulerName", "default-scheduler")
    spec.setdefault("securityContext", {})
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        for amounts in container.setdefault("resources", {}).values():
            if isinstance(amounts, dict):  # a quantity may come as a number, and goes as a text
                amounts |= {name: str(quantity) for name, quantity in amounts.items()}
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        latest = ":" not in container.get("image", "").rpartition("/")[2]
        container.setdefault("imagePullPolicy", "Always" if latest else "IfNotPresent")


def _refuse_unknown(spec: Object) -> None:
    """Refuse what this stand-in's scheduler and kubelet do not act on."""
    _refuse(spec, _UNKNOWN_OF_PODS)
    _refuse(spec.get("affinity") or {}, _UNKNOWN_AFFINITY)
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        _refuse(container, _UNKNOWN_OF_CONTAINERS)
    for volume in spec.get("volumes") or ():
        _refuse(volume, [key for key in volume if key not in ("name", *_VOLUMES)])


def check_change(resource: Resource, before: Object, after: Object) -> None:
    """Refuse a new state of an object in which a fixed field is another.

    Raises:
        ApiError: one is.

    """
    name = before["metadata"]["name"]
    for field in ("name", "namespace", "uid"):
        if after["metadata"].get(field) != before["metadata"].get(field):
            said = (
                "FieldValueInvalid",
                f'Invalid value: "{after["metadata"].get(field)}": field is immutable',
                f"metadata.{field}",
            )
            raise invalid(resource, name, [said])
    if resource.name == "jobs":
        can_resize = before["spec"]["completionMode"] == "Indexed"
        fixed: tuple[str, ...] = _FIXED if can_resize else (*_FIXED, "completions")
        if before["spec"].get("suspend"):  # a queue may move its pods before they start
            fixed = tuple(field for field in fixed if field != "template")
    elif resource.name == "jobsets":
        fixed = ("successPolicy", "failurePolicy", "network", "coordinator")
        fixed = fixed if before["spec"].get("suspend") else (*fixed, "replicatedJobs")
    else:
        return
    causes = [
        ("FieldValueInvalid", "Invalid value: field is immutable", f"spec.{field}")
        for field in fixed
        if before["spec"].get(field) != after["spec"].get(field)
    ]
    if causes:
        raise invalid(resource, name, causes)


def body_object(resource: Resource, body: Any, namespace: str) -> Object:
    """Return the object of a request.

    Raises:
        ApiError: it is of another kind, or for another namespace.

    """
    if not isinstance(body, dict) or not isinstance(body.get("metadata", {}), dict):
        raise bad_request(f"the object provided is unrecognized: not a {resource.kind}")
    body.setdefault("apiVersion", resource.api_version)
    body.setdefault("kind", resource.kind)
    if (body["apiVersion"], body["kind"]) != (resource.api_version, resource.kind):
        raise bad_request(
            f"{body['kind']} in version {body['apiVersion']!r} cannot be handled as a "
            f"{resource.kind}"
        )
    meta = _dict(body, "metadata")
    if resource.namespaced and meta.setdefault("namespace", namespace) != namespace:
        raise bad_request(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    return body


def _refuse(spec: Object, fields: Iterable[str]) -> None:
    for field in fields:
        if spec.get(field) is not None:
            raise unknown_here(field)


def _dict(parent: Object, field: str) -> Object:
    """Return an object in an object, which is made where it is missing."""
    found = parent.get(field)
    if found is None:
        found = parent[field] = {}
    if not isinstance(found, dict):
        raise bad_request(f"json: cannot unmarshal into Go struct field {field}")
    return found
