"""The logs of containers, as `/log` gives them; whole, or their last lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .kubernetes_resources import Object, bad_request, unknown_here

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .kubernetes_kubelet import Kubelet

_UNKNOWN = ("sinceSeconds", "sinceTime", "timestamps", "previous", "follow", "stream")


def log_text(kubelet: Kubelet, pod: Object, query: Mapping[str, str]) -> bytes:
    """Return the log of a container.

    Raises:
        ApiError: it has not started, is not named, or the request asks for more than is known.

    """
    for name in _UNKNOWN:
        if query.get(name) not in (None, "", "false", "False"):
            raise unknown_here(f"{name} of logs")
    spec, name = pod["spec"], pod["metadata"]["name"]
    names = [each["name"] for each in spec["containers"]]
    every = [*names, *(each["name"] for each in spec.get("initContainers") or ())]
    wanted = query.get("container") or (names[0] if len(names) == 1 else "")
    if not wanted:
        listed = " ".join(names)
        raise bad_request(
            f"a container name must be specified for pod {name}, choose one of: [{listed}]"
        )
    if wanted not in every:
        raise bad_request(f"container {wanted} is not valid for pod {name}")
    state = _state(pod, wanted)
    if "waiting" in state and not kubelet.log_of(pod, wanted).exists():
        reason = state["waiting"].get("reason", "ContainerCreating")
        said = "trying and failing to pull image" if "Pull" in reason else reason
        raise bad_request(f'container "{wanted}" in pod "{name}" is waiting to start: {said}')
    path = kubelet.log_of(pod, wanted)
    text = path.read_bytes() if path.exists() else b""
    if (count := query.get("tailLines")) is not None:
        text = b"".join(text.splitlines(keepends=True)[-int(count) :] if int(count) else ())
    if (limit := query.get("limitBytes")) is not None:
        text = text[: int(limit)]
    return text


def _state(pod: Object, container: str) -> Object:
    for field in ("containerStatuses", "initContainerStatuses"):
        for each in pod.get("status", {}).get(field, ()):
            if each["name"] == container:
                state: Object = each["state"]
                return state
    return {"waiting": {"reason": "ContainerCreating"}}
