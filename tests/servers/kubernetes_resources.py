"""The kinds of objects that the tests' Kubernetes keeps, and how it says no: a `Status`.

Source: the API conventions of Kubernetes, and the messages of `k8s.io/apimachinery` api/errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Resource:
    """A kind of object; `name` is its plural, as paths have it."""

    name: str
    kind: str
    group: str = ""
    version: str = "v1"
    namespaced: bool = True
    is_custom: bool = False
    short_names: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """What `apiVersion` says: `v1`, `batch/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """The name in messages: `pods`, `jobs.batch`."""
        return f"{self.name}.{self.group}" if self.group else self.name


JOBSET_GROUP = "jobset.x-k8s.io"
RESOURCES = (
    Resource("pods", "Pod", short_names=("po",), subresources=("status", "log", "eviction")),
    Resource("events", "Event", short_names=("ev",)),
    Resource("secrets", "Secret"),
    Resource("configmaps", "ConfigMap", short_names=("cm",)),
    Resource("namespaces", "Namespace", namespaced=False, short_names=("ns",)),
    Resource("nodes", "Node", namespaced=False, short_names=("no",), subresources=("status",)),
    Resource("jobs", "Job", "batch", subresources=("status",)),
    Resource("jobsets", "JobSet", JOBSET_GROUP, "v1alpha2", True, True, (), ("status",)),
)
BY_NAME = {each.name: each for each in RESOURCES}
BY_KIND = {each.kind: each for each in RESOURCES}


class ApiError(Exception):
    """An answer that is not what was asked for."""

    def __init__(self, code: int, reason: str, message: str, details: Object | None = None) -> None:
        super().__init__(message)
        self.code, self.reason, self.details = code, reason, details or {}

    @property
    def status(self) -> Object:
        """The `Status` that says so."""
        found: Object = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": str(self),
            "reason": self.reason,
            "code": self.code,
        }
        if self.details:
            found["details"] = self.details
        return found


def details_of(resource: Resource, name: str, **more: Any) -> Object:
    """Return what an error says of the object that it is about."""
    found = {"name": name, "group": resource.group, "kind": resource.name, **more}
    return {key: value for key, value in found.items() if value not in ("", None)}


def not_found(resource: Resource, name: str) -> ApiError:
    text = f'{resource.qualified} "{name}" not found'
    return ApiError(404, "NotFound", text, details_of(resource, name))


def already_exists(resource: Resource, name: str, *, is_leaving: bool) -> ApiError:
    leaving = "object is being deleted: " if is_leaving else ""
    text = f'{leaving}{resource.qualified} "{name}" already exists'
    return ApiError(409, "AlreadyExists", text, details_of(resource, name))


def conflict(resource: Resource, name: str, why: str = "") -> ApiError:
    why = why or (
        "the object has been modified; please apply your changes to the latest version and try "
        "again"
    )
    text = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return ApiError(409, "Conflict", text, details_of(resource, name))


def bad_request(text: str) -> ApiError:
    return ApiError(400, "BadRequest", text)


def invalid(resource: Resource, name: str, causes: list[tuple[str, str, str]]) -> ApiError:
    """Return a refusal of an object.

    Args:
        resource: its kind.
        name: its name.
        causes: of each thing that is wrong the reason (`FieldValueInvalid`), text and field.

    """
    said = [f"{field}: {text}" for _, text, field in causes]
    text = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
    found = [{"reason": reason, "message": text, "field": field} for reason, text, field in causes]
    details = {"name": name, "group": resource.group, "kind": resource.kind, "causes": found}
    message = f'{resource.kind}.{resource.group} "{name}" is invalid: {text}'
    if not resource.group:
        message = f'{resource.kind} "{name}" is invalid: {text}'
        del details["group"]
    return ApiError(422, "Invalid", message, details)


def expired(version: int, oldest: int) -> ApiError:
    return ApiError(410, "Expired", f"too old resource version: {version} ({oldest})")


def unknown_here(what: str) -> ApiError:
    """Return the answer to what a real server knows and this one does not: never a wrong one."""
    return ApiError(501, "NotImplemented", f"this stand-in does not know {what}")


def now() -> str:
    """Return the time as the API writes it: to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds_since(moment: str) -> float:
    """Return how long ago a time of the API was."""
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()


def condition_of(thing: Object, kind: str) -> Object | None:
    """Return a condition of an object's status."""
    conditions: list[Object] = thing.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == kind), None)


def holds(thing: Object, kind: str) -> bool:
    """Return whether a condition of an object is true."""
    found = condition_of(thing, kind)
    return found is not None and found["status"] == "True"


def set_condition(
    thing: Object, kind: str, status: str = "True", reason: str = "", message: str = ""
) -> bool:
    """Set a condition of an object that may be changed; return whether its status was another."""
    found = condition_of(thing, kind)
    said = {"type": kind, "status": status, "reason": reason, "message": message}
    said = {key: value for key, value in said.items() if value}
    if found is not None and found["status"] == status:
        found.update(said)
        return False
    conditions = thing.setdefault("status", {}).setdefault("conditions", [])
    if found is not None:
        conditions.remove(found)
    conditions.append({**said, "lastTransitionTime": now()})
    return True


def owner_of(thing: Object) -> str:
    """Return the uid of the controller that made an object; empty if none did."""
    for each in thing["metadata"].get("ownerReferences", []):
        if each.get("controller"):
            return str(each["uid"])
    return ""


def owned_by(owner: Object) -> Object:
    """Return the reference of an object that a controller makes for another."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
