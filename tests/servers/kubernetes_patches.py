"""Patches of objects: merge, strategic merge, JSON patch, and apply (as a merge, without owners).

Source: RFC 7386, RFC 6902, and the merge keys of the API's Go types for the lists below.
"""

from __future__ import annotations

import copy
from typing import Any

from .kubernetes_resources import ApiError, Object, bad_request, unknown_here

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "ports": "containerPort",
    "conditions": "type",
    "ownerReferences": "uid",
}


def patched(thing: Object, patch: Any, kind: str, *, is_custom: bool) -> Object:
    """Return an object with a patch applied; the object stays as it is.

    Raises:
        ApiError: the patch is none, or of a kind that is not known.

    """
    match kind:
        case "application/merge-patch+json":
            return _as_object(_merge(thing, patch, {}))
        case "application/strategic-merge-patch+json":
            if is_custom:
                accepted = f"{JSON}, {MERGE}, {APPLY}"
                text = (
                    "the body of the request was in an unknown format - accepted media types "
                    f"include: {accepted}"
                )
                raise ApiError(415, "UnsupportedMediaType", text)
            return _as_object(_merge(thing, patch, _KEYS))
        case "application/apply-patch+yaml":
            return _as_object(_merge(thing, patch, {} if is_custom else _KEYS))
        case "application/json-patch+json":
            return _as_object(_apply_operations(thing, patch))
        case _:
            raise unknown_here(f"patches of type {kind}")


def _as_object(found: Any) -> Object:
    if not isinstance(found, dict):
        raise bad_request("a patch makes of the object something else")
    return found


def _merge(old: Any, new: Any, keys: dict[str, str], field: str = "") -> Any:
    if isinstance(new, dict):
        merged = copy.deepcopy(old) if isinstance(old, dict) else {}
        for name, value in new.items():
            if value is None:
                merged.pop(name, None)
            elif name.startswith("$"):
                raise unknown_here(f"the directive {name} of patches")
            else:
                merged[name] = _merge(merged.get(name), value, keys, name)
        return merged
    if isinstance(new, list) and isinstance(old, list) and field in keys:
        key, merged_list = keys[field], copy.deepcopy(old)
        for value in new:
            there = [i for i, each in enumerate(merged_list) if each.get(key) == value.get(key)]
            if there:
                merged_list[there[0]] = _merge(merged_list[there[0]], value, keys)
            else:
                merged_list.append(copy.deepcopy(value))
        return merged_list
    return copy.deepcopy(new)


def _apply_operations(thing: Object, operations: Any) -> Any:
    if not isinstance(operations, list):
        raise bad_request("json: cannot unmarshal object into Go value of type jsonpatch.Patch")
    found: Any = copy.deepcopy(thing)
    for operation in operations:
        *way, last = [
            part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]
        ]
        parent = found
        try:
            for part in way:
                parent = parent[int(part)] if isinstance(parent, list) else parent[part]
            _operate(parent, last, operation)
        except (KeyError, IndexError, ValueError, TypeError) as error:
            text = f"the server rejected our request due to an error in our request: {error}"
            raise ApiError(422, "Invalid", text) from error
    return found


def _operate(parent: Any, last: str, operation: Object) -> None:
    place: Any = last
    if isinstance(parent, list):
        place = len(parent) if last == "-" else int(last)
    match operation["op"]:
        case "add" if isinstance(parent, list):
            parent.insert(place, operation["value"])
        case "add":
            parent[place] = operation["value"]
        case "replace":
            _ = parent[place]  # it must be there
            parent[place] = operation["value"]
        case "remove":
            del parent[place]
        case "test":
            if parent[place] != operation["value"]:
                raise ValueError(f"testing value {operation['path']} failed")
        case op:
            raise unknown_here(f"the operation {op} of JSON patches")
