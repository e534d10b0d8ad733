"""The rules for the containers of a pod."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from marin_build.engines.kubernetes.api_rules import (
    file_key_problem,
    key_problem,
    label_problem,
    name_problem,
    new_variable_problem,
    port_name_problem,
)
from marin_build.engines.kubernetes.objects.quantities import (
    resource_field_violations,
    resource_violations,
)
from marin_build.engines.kubernetes.objects.violation import (
    Violation,
    at_least,
    enum,
    problem_at,
    required,
    shown,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from marin_build.engines.kubernetes.objects.violation import Fields

_LARGEST_PORT = 65535
_POD_FIELDS = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName",
    "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
_SUBSCRIPT = re.compile(r"metadata\.(?P<map>labels|annotations)\['(?P<key>.*)'\]", re.DOTALL)
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


def container_violations(
    container: Fields,
    path: str,
    volumes: AbstractSet[str],
    *,
    host_network: bool,
) -> Iterator[Violation]:
    """Yield what is wrong with one container.

    Args:
        container: the container.
        path: of its field.
        volumes: names of volumes of its pod.
        host_network: whether its pod has the network of its node.

    """
    if name := container.get("name", ""):
        yield from problem_at(f"{path}.name", name, label_problem(name))
    else:
        yield Violation(f"{path}.name", "is empty")
    yield from required(container, path, "image")
    yield from enum(container, path, "imagePullPolicy", ("Always", "IfNotPresent", "Never"))
    ends = ("File", "FallbackToLogsOnError")
    yield from enum(container, path, "terminationMessagePolicy", ends)
    yield from _port_violations(container.get("ports", []), f"{path}.ports", host_network)
    for i, variable in enumerate(container.get("env", [])):
        yield from _variable_violations(variable, f"{path}.env[{i}]")
    for i, source in enumerate(container.get("envFrom", [])):
        yield from _variables_violations(source, f"{path}.envFrom[{i}]")
    security = container.get("securityContext", {})
    is_privileged = bool(security.get("privileged"))
    yield from _mount_violations(container, path, volumes, is_privileged=is_privileged)
    yield from resource_violations(container.get("resources", {}), f"{path}.resources")
    here = f"{path}.securityContext"
    yield from at_least(security, here, 0, "runAsUser", "runAsGroup")
    yield from enum(security, here, "procMount", ("Default", "Unmasked"))
    if is_privileged and security.get("allowPrivilegeEscalation") is False:
        what = "is false, and a privileged container can escalate"
        yield Violation(f"{here}.allowPrivilegeEscalation", what)


def _port_violations(ports: list[Fields], path: str, host_network: bool) -> Iterator[Violation]:
    names: set[str] = set()
    taken: set[tuple[object, ...]] = set()
    for i, port in enumerate(ports):
        here = f"{path}[{i}]"
        if name := port.get("name"):
            yield from problem_at(f"{here}.name", name, port_name_problem(name))
            if name in names:
                yield Violation(f"{here}.name", f"{shown(name)} is there twice")
            names.add(name)
        number, of_host = port.get("containerPort", 0), port.get("hostPort", 0)
        if not 0 < number <= _LARGEST_PORT:
            yield Violation(f"{here}.containerPort", _no_port(number))
        if of_host and not 0 < of_host <= _LARGEST_PORT:
            yield Violation(f"{here}.hostPort", _no_port(of_host))
        elif of_host and host_network and of_host != number:
            what = f"{shown(of_host)} is another than `containerPort`, under `hostNetwork`"
            yield Violation(f"{here}.hostPort", what)
        yield from enum(port, here, "protocol", ("TCP", "UDP", "SCTP"))
        if (address := port.get("hostIP")) and not is_address(address):
            yield Violation(f"{here}.hostIP", f"{shown(address)} is not an IP address")
        key = (of_host, port.get("protocol") or "TCP", address or "")
        if of_host and key in taken:
            yield Violation(f"{here}.hostPort", f"{shown(of_host)} is there twice")
        taken.add(key)


def _no_port(number: int) -> str:
    return f"{shown(number)} is not a port: 1 to {_LARGEST_PORT}"


def is_address(text: str) -> bool:
    """Return whether a text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _variable_violations(variable: Fields, path: str) -> Iterator[Violation]:
    if name := variable.get("name", ""):
        yield from problem_at(f"{path}.name", name, new_variable_problem(name))
    else:
        yield Violation(f"{path}.name", "is empty")
    source = variable.get("valueFrom")
    if source is None:
        return
    here = f"{path}.valueFrom"
    given = [key for key in _SOURCES if key in source]
    if variable.get("value"):
        yield Violation(here, "stands beside a `value`")
    elif len(given) != 1:
        yield Violation(here, f"holds {len(given)} of {', '.join(_SOURCES)}, and must hold one")
    if (field := source.get("fieldRef")) is not None:
        yield from field_violations(field, f"{here}.fieldRef", _POD_FIELDS)
    if (resource := source.get("resourceFieldRef")) is not None:
        yield from resource_field_violations(resource, f"{here}.resourceFieldRef")
    for key in ("configMapKeyRef", "secretKeyRef"):
        if (reference := source.get(key)) is not None:
            yield from required(reference, f"{here}.{key}", "name")
            word = reference.get("key", "")
            problem = file_key_problem(word) if word else "is empty"
            yield from problem_at(f"{here}.{key}.key", word, problem)


def field_violations(reference: Fields, path: str, allowed: tuple[str, ...]) -> Iterator[Violation]:
    """Yield what is wrong with a `fieldRef`.

    Args:
        reference: the reference.
        path: of its field.
        allowed: the fields of a pod that may stand there, beside one label or one annotation.

    """
    version, field = reference.get("apiVersion") or "v1", reference.get("fieldPath", "")
    here = f"{path}.fieldPath"
    if version != "v1":
        yield Violation(here, f"is read in `v1`, not in {shown(version)}")
    if not field:
        yield Violation(here, "is empty")
    elif found := _SUBSCRIPT.fullmatch(field):
        key = found["key"]
        yield from problem_at(
            here, key, key_problem(key.lower() if found["map"] != "labels" else key)
        )
    elif field not in allowed:
        what = f"{shown(field)} is none of {', '.join(allowed)}, metadata.labels['KEY'] and "
        yield Violation(here, f"{what}metadata.annotations['KEY']")


def _variables_violations(source: Fields, path: str) -> Iterator[Violation]:
    if prefix := source.get("prefix"):
        yield from problem_at(f"{path}.prefix", prefix, new_variable_problem(prefix))
    given = [key for key in ("configMapRef", "secretRef") if key in source]
    if len(given) != 1:
        what = f"holds {len(given)} of configMapRef and secretRef, and must hold one"
        yield Violation(path, what)
    for key in given:
        here = f"{path}.{key}.name"
        name = source[key].get("name", "")
        problem = name_problem(name) if name else "is empty"
        yield from problem_at(here, name, problem)


def _mount_violations(
    container: Fields, path: str, volumes: AbstractSet[str], *, is_privileged: bool
) -> Iterator[Violation]:
    seen: set[str] = set()
    for i, mount in enumerate(container.get("volumeMounts", [])):
        here = f"{path}.volumeMounts[{i}]"
        name, place = mount.get("name", ""), mount.get("mountPath", "")
        if not name:
            yield Violation(f"{here}.name", "is empty")
        elif name not in volumes:
            yield Violation(f"{here}.name", f"{shown(name)} is no volume of the pod")
        if not place:
            yield Violation(f"{here}.mountPath", "is empty")
        elif place in seen:
            yield Violation(f"{here}.mountPath", f"{shown(place)} is there twice")
        seen.add(place)
        if mount.get("subPath") and mount.get("subPathExpr"):
            yield Violation(f"{here}.subPathExpr", "stands beside a `subPath`")
        for key in ("subPath", "subPathExpr"):
            if (part := mount.get(key)) and not is_local_path(part):
                yield Violation(f"{here}.{key}", f"{shown(part)} is absolute, or holds `..`")
        ways = ("None", "HostToContainer", "Bidirectional")
        yield from enum(mount, here, "mountPropagation", ways)
        if mount.get("mountPropagation") == "Bidirectional" and not is_privileged:
            what = "`Bidirectional` is for privileged containers"
            yield Violation(f"{here}.mountPropagation", what)
    for i, device in enumerate(container.get("volumeDevices", [])):
        here = f"{path}.volumeDevices[{i}]"
        if (name := device.get("name", "")) not in volumes:
            yield Violation(f"{here}.name", f"{shown(name)} is no volume of the pod")
        yield from required(device, here, "devicePath")


def is_local_path(path: str) -> bool:
    """Return whether a path stays in the folder that it starts from."""
    return not path.startswith("/") and ".." not in path.split("/")
