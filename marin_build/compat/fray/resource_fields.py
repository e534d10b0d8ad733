"""The fields that fray's ResourceConfig has in both eras; defaults are those of the era."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marin_build.compat.fray.devices import DeviceConfig


class ResourceFields:
    """What a task needs; the dataclasses of the eras say what each field means."""

    cpu: float
    ram: str
    disk: str
    device: DeviceConfig
    preemptible: bool
    regions: Sequence[str] | None
    zone: str | None
    replicas: int
    device_alternatives: Sequence[str] | None
    image: str | None
