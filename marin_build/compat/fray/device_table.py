"""What is known of accelerators: `data/fray_devices.json`, read once."""

from __future__ import annotations

import functools
import json
from importlib import resources as package_files
from typing import Any


@functools.cache
def device_table() -> dict[str, Any]:
    """Return the slices that fray knows, the size of TPU hosts, and what devices compute."""
    folder = package_files.files("marin_build").joinpath("data")
    table: dict[str, Any] = json.loads(folder.joinpath("fray_devices.json").read_text("utf-8"))
    return table
