"""The rules for the volumes of a pod."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marin_build.engines.kubernetes.api_rules import file_key_problem, label_problem
from marin_build.engines.kubernetes.objects.containers import field_violations, is_local_path
from marin_build.engines.kubernetes.objects.quantities import (
    quantity_of,
    resource_field_violations,
    unreadable_quantity,
)
from marin_build.engines.kubernetes.objects.violation import (
    Violation,
    enum,
    problem_at,
    required,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marin_build.engines.kubernetes.objects.violation import Fields

_LARGEST_MODE = 0o777
_FILE_FIELDS = (
    "metadata.name", "metadata.namespace", "metadata.uid", "metadata.labels",
    "metadata.annotations",
)  # fmt: skip
_HOST_PATHS = (
    "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice",
    "BlockDevice",
)  # fmt: skip


def volume_violations(volumes: list[Fields], path: str) -> Iterator[Violation]:
    """Yield what is wrong with the volumes of a pod."""
    seen: set[str] = set()
    for i, volume in enumerate(volumes):
        here = f"{path}[{i}]"
        name = volume.get("name", "")
        yield from problem_at(f"{here}.name", name, label_problem(name) if name else "is empty")
        if name in seen:
            yield Violation(f"{here}.name", f"{shown(name)} is there twice")
        seen.add(name)
        kinds = [key for key in volume if key != "name"]
        for kind in kinds[1:]:
            yield Violation(
                f"{here}.{kind}", f"stands beside `{kinds[0]}`: a volume is of one kind"
            )
        for kind in kinds:
            yield from _source_violations(kind, volume[kind], f"{here}.{kind}")


def _source_violations(kind: str, source: Fields, path: str) -> Iterator[Violation]:
    """Yield what is wrong with what a volume holds."""
    match kind:
        case "secret":
            yield from required(source, path, "secretName")
            yield from _file_violations(source, path)
        case "configMap":
            yield from required(source, path, "name")
            yield from _file_violations(source, path)
        case "downwardAPI":
            yield from _mode_violations(source, path, "defaultMode")
            yield from _pod_file_violations(source, path)
        case "projected":
            yield from _projected_violations(source, path)
        case "emptyDir":
            size = source.get("sizeLimit")
            yield from unreadable_quantity(size, f"{path}.sizeLimit")
            if size is not None and (quantity_of(size) or 0) < 0:
                yield Violation(f"{path}.sizeLimit", f"{shown(size)} is below 0")
        case "persistentVolumeClaim":
            yield from required(source, path, "claimName")
        case "hostPath":
            yield from required(source, path, "path")
            if ".." in source.get("path", "").split("/"):
                yield Violation(f"{path}.path", f"{shown(source['path'])} holds `..`")
            yield from enum(source, path, "type", _HOST_PATHS)
        case "nfs":
            yield from required(source, path, "server", "path")
            if (place := source.get("path")) and not place.startswith("/"):
                yield Violation(f"{path}.path", f"{shown(place)} is not an absolute path")
        case "csi":
            yield from required(source, path, "driver")
        case "image":
            yield from enum(source, path, "pullPolicy", ("Always", "IfNotPresent", "Never"))
        case _:
            pass


def _file_violations(source: Fields, path: str) -> Iterator[Violation]:
    yield from _mode_violations(source, path, "defaultMode")
    for i, item in enumerate(source.get("items", [])):
        here = f"{path}.items[{i}]"
        key = item.get("key", "")
        yield from problem_at(f"{here}.key", key, file_key_problem(key) if key else "is empty")
        yield from _path_violations(item, here)
        yield from _mode_violations(item, here, "mode")


def _pod_file_violations(source: Fields, path: str) -> Iterator[Violation]:
    for i, item in enumerate(source.get("items", [])):
        here = f"{path}.items[{i}]"
        yield from _path_violations(item, here)
        yield from _mode_violations(item, here, "mode")
        field, resource = item.get("fieldRef"), item.get("resourceFieldRef")
        if (field is None) == (resource is None):
            yield Violation(here, "must hold one of fieldRef and resourceFieldRef")
        if field is not None:
            yield from field_violations(field, f"{here}.fieldRef", _FILE_FIELDS)
        if resource is not None:
            yield from required(resource, f"{here}.resourceFieldRef", "containerName")
            yield from resource_field_violations(resource, f"{here}.resourceFieldRef")


def _projected_violations(source: Fields, path: str) -> Iterator[Violation]:
    yield from _mode_violations(source, path, "defaultMode")
    for i, one in enumerate(source.get("sources", [])):
        here = f"{path}.sources[{i}]"
        for extra in list(one)[1:]:
            what = f"stands beside `{next(iter(one))}`: a source is of one kind"
            yield Violation(f"{here}.{extra}", what)
        for kind in ("secret", "configMap"):
            if (part := one.get(kind)) is not None:
                yield from required(part, f"{here}.{kind}", "name")
                yield from _file_violations(part, f"{here}.{kind}")
        if (part := one.get("downwardAPI")) is not None:
            yield from _pod_file_violations(part, f"{here}.downwardAPI")


def _path_violations(item: Fields, path: str) -> Iterator[Violation]:
    place = item.get("path", "")
    if not place:
        yield Violation(f"{path}.path", "is empty")
    elif not is_local_path(place):
        yield Violation(f"{path}.path", f"{shown(place)} is absolute, or holds `..`")


def _mode_violations(fields: Fields, path: str, key: str) -> Iterator[Violation]:
    mode = fields.get(key)
    if mode is not None and not 0 <= mode <= _LARGEST_MODE:
        yield Violation(f"{path}.{key}", f"{shown(mode)} is not a mode: 0 to 0777, octal")
