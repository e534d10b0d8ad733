"""A container's process: its words, environment and folder, as the kubelet works them out.

A container is a process of this machine: it sees its files, and no mounts. So where a volume is
mounted at a path that does not exist here, words and variables that hold that path are given a
folder of the pod instead; a path that exists (`/tmp`) stays as it is.
"""

from __future__ import annotations

import base64
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .kubernetes_resources import Object
    from .kubernetes_store import Store

_REFERENCE = re.compile(r"\$(?:\$|\(([A-Za-z_.-][A-Za-z0-9_.-]*)\))")
_FIELD = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


class Waits(Exception):  # noqa: N818 - not an error of ours: the kubelet tries again
    """A container that cannot be made yet."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Command:
    """What to start, and where."""

    words: list[str]
    environment: dict[str, str]
    folder: str


def command_of(
    store: Store, pod: Object, container: Object, image: Mapping[str, str], folder: Path
) -> Command:
    """Return the process of a container.

    Args:
        store: holds the Secrets and ConfigMaps that it names.
        pod: its pod, with a node.
        container: its specification.
        image: the variables that its image sets.
        folder: that of the pod.

    Raises:
        Waits: a Secret is missing, or there is no command.

    """
    mounts = _mounts(store, pod, container, folder)
    environment = {**image, "HOSTNAME": pod["spec"].get("hostname", pod["metadata"]["name"])}
    environment |= _from_objects(store, pod, container)
    own: dict[str, str] = {}
    for variable in container.get("env") or ():
        value = variable.get("value", "")
        if source := variable.get("valueFrom"):
            found = _value_of(store, pod, source)
            if found is None:
                continue
            own[variable["name"]] = found
        else:
            own[variable["name"]] = _expand(value, {**environment, **own})
    environment |= own
    words = [*(container.get("command") or ()), *(container.get("args") or ())]
    if not words:
        raise Waits("CreateContainerError", "no command specified")
    expanded = [_mapped(_expand(word, environment), mounts) for word in words]
    environment = {name: _mapped(value, mounts) for name, value in environment.items()}
    work = _mapped(container.get("workingDir") or "/", mounts)
    if not os.path.isdir(work):
        work = str(folder / "root" / work.lstrip("/"))
        os.makedirs(work, exist_ok=True)
    return Command(expanded, environment, work)


def _expand(text: str, environment: Mapping[str, str]) -> str:
    """Replace `$(NAME)`; an unknown one stays, and `$$` is a `$`."""

    def known(found: re.Match[str]) -> str:
        if found[1] is None:
            return "$"
        return environment.get(found[1], found[0])

    return _REFERENCE.sub(known, text)


def _from_objects(store: Store, pod: Object, container: Object) -> dict[str, str]:
    found: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        for field, resource in (("secretRef", "secrets"), ("configMapRef", "configmaps")):
            if (reference := source.get(field)) is not None:
                data = _data(store, pod, resource, reference)
                prefix = source.get("prefix", "")
                found |= {prefix + key: value for key, value in (data or {}).items()}
    return found


def _data(store: Store, pod: Object, resource: str, reference: Object) -> dict[str, str] | None:
    name = reference["name"]
    held = store.get(resource, pod["metadata"]["namespace"], name)
    if held is None:
        if reference.get("optional"):
            return None
        said = f'{resource.removesuffix("s")} "{name}" not found'
        raise Waits("CreateContainerConfigError", said)
    data: dict[str, str] = held.get("data") or {}
    if resource == "secrets":
        return {key: base64.b64decode(value).decode() for key, value in data.items()}
    return data


def _value_of(store: Store, pod: Object, source: Object) -> str | None:
    if reference := source.get("fieldRef"):
        return _field(pod, reference["fieldPath"])
    for field, resource in (("secretKeyRef", "secrets"), ("configMapKeyRef", "configmaps")):
        if reference := source.get(field):
            data = _data(store, pod, resource, reference)
            if data is None or reference["key"] not in data:
                if reference.get("optional"):
                    return None
                said = f"couldn't find key {reference['key']} in {resource[:-1]}"
                raise Waits("CreateContainerConfigError", said)
            return data[reference["key"]]
    raise Waits("CreateContainerConfigError", f"this stand-in does not know {sorted(source)}")


def _field(pod: Object, path: str) -> str:
    meta = pod["metadata"]
    if found := _FIELD.fullmatch(path):
        return str((meta.get(found[1]) or {}).get(found[2], ""))
    known = {
        "metadata.name": meta["name"],
        "metadata.namespace": meta["namespace"],
        "metadata.uid": meta["uid"],
        "spec.nodeName": pod["spec"].get("nodeName", ""),
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", "default"),
        "status.podIP": pod.get("status", {}).get("podIP", ""),
        "status.hostIP": "127.0.0.1",
    }
    return str(known[path])


def _mounts(store: Store, pod: Object, container: Object, folder: Path) -> dict[str, str]:
    """Return the folders of a container's volumes by path; they are made, and filled."""
    volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes") or ()}
    found = {}
    for mount in container.get("volumeMounts") or ():
        path = mount["mountPath"].rstrip("/")
        volume = volumes[mount["name"]]
        here = folder / "volumes" / volume["name"]
        here.mkdir(parents=True, exist_ok=True)
        for field, resource, key in (
            ("secret", "secrets", "secretName"),
            ("configMap", "configmaps", "name"),
        ):
            if (source := volume.get(field)) is not None:
                reference = {"name": source[key], "optional": source.get("optional")}
                for name, text in (_data(store, pod, resource, reference) or {}).items():
                    (here / name).write_text(text)
        if not os.path.exists(path):
            found[path] = str(here / mount.get("subPath", ""))
    return found


def _mapped(text: str, mounts: Mapping[str, str]) -> str:
    """Replace the paths of volumes by their folders."""
    for path in sorted(mounts, key=len, reverse=True):
        text = re.sub(
            rf"(?<![\w.~/-]){re.escape(path)}(?![\w.-])", mounts[path].replace("\\", r"\\"), text
        )
    return text
