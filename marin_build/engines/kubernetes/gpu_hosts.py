"""What comes with the GPUs of a host: a pod that takes some of them asks for that share. Pure.

Facts: machine types of Compute Engine with GPUs (a2, a3, a4, g2 families), as GKE offers them.
"""

from __future__ import annotations

from dataclasses import dataclass

_LEFT_TO_SYSTEM = 0.2
"""The part of a host that its system, the kubelet and daemons of the cluster take, at most."""


@dataclass(frozen=True, slots=True)
class _Host:
    """A host: how many GPUs it has, and vCPUs and GB of memory for each of them."""

    gpus: int
    cores: float
    gigabytes: float


# Of machine types that differ in size the one with least for each GPU.
_HOSTS = {
    "nvidia-l4": _Host(8, 4, 16),
    "nvidia-tesla-a100": _Host(16, 6, 85),
    "nvidia-a100-80gb": _Host(8, 12, 170),
    "nvidia-h100-80gb": _Host(8, 26, 234),
    "nvidia-h100-mega-80gb": _Host(8, 26, 234),
    "nvidia-h200-141gb": _Host(8, 28, 369),
    "nvidia-b200": _Host(8, 28, 496),
    "nvidia-gb200": _Host(4, 35, 221),
}


def gpu_share(product: str, count: int) -> tuple[int, int]:
    """Return the cores and GiB that are the share of some GPUs of a host.

    (0, 0) where they are all GPUs of the host, or where nothing is known of it: then nothing is
    asked for.
    """
    host = _HOSTS.get(product)
    if host is None or count >= host.gpus:
        return 0, 0
    kept = (1 - _LEFT_TO_SYSTEM) * count
    gibibytes = host.gigabytes * 1e9 / (1 << 30)
    return max(1, int(host.cores * kept)), max(1, int(gibibytes * kept))
