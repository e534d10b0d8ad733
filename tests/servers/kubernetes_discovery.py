"""What the tests' Kubernetes says of itself: its version, groups and kinds of objects."""

from __future__ import annotations

from .kubernetes_resources import RESOURCES, Object, Resource

_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


def discover(path: str) -> Object | None:
    """Return what is said at a path; None if it is none of these."""
    path = path.rstrip("/")
    groups = sorted({(each.group, each.version) for each in RESOURCES if each.group})
    if path == "/version":
        return {"major": "1", "minor": "36", "gitVersion": "v1.36.0+stand-in", "platform": "tests"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        found = [_group(*each) for each in groups]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": found}
    for group, version in groups:
        if path == f"/apis/{group}":
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, version)}
        if path == f"/apis/{group}/{version}":
            return _kinds(f"{group}/{version}")
    if path == "/openapi/v3":
        return {
            "paths": {_base(each)[1:]: {"serverRelativeURL": _document(each)} for each in RESOURCES}
        }
    for each in RESOURCES:
        if path == _document(each):
            return _openapi(each.api_version)
    return _kinds("v1") if path == "/api/v1" else None


def _base(resource: Resource) -> str:
    """Return where a kind of objects is: `/api/v1`, `/apis/batch/v1`."""
    return f"/{'apis' if resource.group else 'api'}/{resource.api_version}"


def _document(resource: Resource) -> str:
    return f"/openapi/v3{_base(resource)}"


def _openapi(api_version: str) -> Object:
    """Return as much of the OpenAPI document as tells kubectl that the server checks fields."""
    names = ("dryRun", "fieldManager", "fieldValidation", "force")
    parameters = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in names]
    paths = {}
    for each in RESOURCES:
        if each.api_version == api_version:
            kind = {"group": each.group, "version": each.version, "kind": each.kind}
            patch = {"parameters": parameters, "x-kubernetes-group-version-kind": kind}
            inside = "/namespaces/{namespace}" if each.namespaced else ""
            paths[f"{_base(each)}{inside}/{each.name}/{{name}}"] = {"patch": patch}
    about = {"title": "Kubernetes", "version": "v1.36.0"}
    return {"openapi": "3.0.0", "info": about, "paths": paths, "components": {"schemas": {}}}


def _group(group: str, version: str) -> Object:
    said = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [said], "preferredVersion": said}


def _kinds(api_version: str) -> Object:
    found = []
    for each in RESOURCES:
        if each.api_version == api_version:
            found.append(_kind(each, each.name))
            found += [_kind(each, f"{each.name}/{sub}") for sub in each.subresources]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": api_version,
        "resources": found,
    }


def _kind(resource: Resource, name: str) -> Object:
    return {
        "name": name,
        "singularName": resource.kind.lower(),
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": _VERBS,
        "shortNames": list(resource.short_names),
    }
